// What fuzz targets share. A target defines libFuzzer's function: it takes any bytes at all, and
// whatever they are, it returns 0. A mien::Error is the right answer to most of them; a crash, what
// a sanitizer reports and std::abort are findings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

/// Ends the program, which libFuzzer takes for a finding, unless a result is right.
inline void require(bool is_right, const char* what) {
  if (is_right) return;
  std::fprintf(stderr, "wrong result: %s\n", what);
  std::abort();
}

/// Numbers that the first bytes of an input say; 0 behind its end.
class Numbers {
 public:
  Numbers(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  std::size_t left() const { return size_ - position_; }
  const std::uint8_t* rest() const { return data_ + position_; }

  std::uint8_t byte() { return position_ < size_ ? data_[position_++] : std::uint8_t{0}; }
  /// From `least` to `most`, at most 256 of them.
  int pick(int least, int most) { return least + byte() % (most - least + 1); }
  bool once_in(int times) { return byte() % times == times - 1; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t position_ = 0;
};

/// A file with an input's bytes, for what reads files alone. In memory where the system has such.
class InputFile {
 public:
  InputFile() {
#if defined(__linux__)
    path_ = "/proc/self/fd/" + std::to_string(memfd_create("fuzz_input", 0));
#else
    path_ = (std::filesystem::temp_directory_path() / "mien_fuzz_input").string();
#endif
  }

  const std::string& path() const {
    return path_;
  }

  void write(const std::uint8_t* data, std::size_t size) const {
    std::FILE* const file = std::fopen(path_.c_str(), "wb");
    const bool is_written = file != nullptr && std::fwrite(data, 1, size, file) == size;
    if (!is_written || std::fclose(file) != 0) {
      std::fprintf(stderr, "cannot write %s\n", path_.c_str());
      std::exit(1);
    }
  }

 private:
  std::string path_;
};

}  // namespace fuzz
