// Runs a fuzz target over files and folders of them, one after the other, without libFuzzer: inputs
// that once were findings are tests in every build.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include <mien/binary.hpp>

#include "target.hpp"

namespace {

void add(const std::filesystem::path& path, std::vector<std::string>& files) {
  if (!std::filesystem::is_directory(path)) {
    files.push_back(path.string());
    return;
  }
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
}

}  // namespace

int main(int argc, char** argv) try {
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) add(argv[i], files);
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) {
    std::printf("%s\n", file.c_str());
    std::fflush(stdout);  // the last line names the input that crashes
    const std::vector<std::uint8_t> bytes = mien::read_file(file);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%zu inputs\n", files.size());
  return files.empty() ? 1 : 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
