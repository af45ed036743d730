// Files that are written whole or not at all.
#pragma once

#include <cctype>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>

#include <mien/error.hpp>

namespace mien::examples {

/// Where symbolic links lead, also if nothing is there yet.
inline std::filesystem::path behind_links(std::filesystem::path path) {
  constexpr int most_links = 40;  // as Linux
  std::error_code error;
  for (int links = 0; links < most_links && std::filesystem::is_symlink(path, error); ++links) {
    const std::filesystem::path target = std::filesystem::read_symlink(path, error);
    path = target.is_absolute() ? target : path.parent_path() / target;
  }
  return path;
}

/// Writes beside what `path` leads to and renames, so that an interruption leaves the old file or
/// none; the old one's permissions stay. What is no regular file, as a device or a pipe, is written
/// to. Throws mien::Error.
inline void write_file(const std::string& path, const std::string& bytes) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path target = behind_links(path);
  const fs::file_status status = fs::status(target, error);
  const bool is_replaced =
      !fs::exists(status) || fs::is_regular_file(status) || fs::is_directory(status);
  fs::path temporary = target;
  if (is_replaced) temporary += "." + std::to_string(std::random_device()()) + ".part";
  std::ofstream file(temporary, std::ios::binary);
  if (!file) throw Error(path + ": cannot create the file: " + std::strerror(errno));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  error.clear();
  if (!file) {
    error = std::error_code(errno, std::generic_category());
  } else if (is_replaced) {
    if (fs::is_regular_file(status)) fs::permissions(temporary, status.permissions(), error);
    if (!error) fs::rename(temporary, target, error);
  }
  if (error) {
    std::error_code ignored;
    if (is_replaced) fs::remove(temporary, ignored);
    throw Error(path + ": cannot write the file: " + error.message());
  }
}

/// Throws mien::Error if an output is one of the inputs, or another output. Files that are none, as
/// devices, may be both.
inline void require_distinct(const std::vector<std::string>& outputs,
                             const std::vector<std::string>& inputs) {
  namespace fs = std::filesystem;
  const auto same = [](const std::string& a, const std::string& b) {
    std::error_code error;
    const fs::file_status status = fs::status(a, error);
    if (fs::exists(status) && !fs::is_regular_file(status)) return false;
    return fs::weakly_canonical(behind_links(a), error) ==
           fs::weakly_canonical(behind_links(b), error);
  };
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    for (const std::string& input : inputs) {
      if (same(outputs[i], input)) {
        throw Error(outputs[i] + ": expected an output that is no input, found the input " + input);
      }
    }
    for (std::size_t other = 0; other < i; ++other) {
      if (same(outputs[i], outputs[other])) {
        throw Error(outputs[i] + ": expected a file for each output, found two for this one");
      }
    }
  }
}

/// A name without what a file system might not take.
inline std::string harmless_name(std::string name) {
  for (char& letter : name) {
    const bool harmless = std::isalnum(static_cast<unsigned char>(letter)) != 0 ||
                          std::string("._-+#").find(letter) != std::string::npos;
    if (!harmless) letter = '_';
  }
  return name;
}

/// Throws CLI::ValidationError if what `option` names does not end in .png.
inline void require_png_path(const std::string& option, const std::string& path) {
  if (std::filesystem::path(path).extension() == ".png") return;
  throw CLI::ValidationError(option, "expected a name that ends in .png, found " + path);
}

/// "faces.png" for the only one of `count` outputs; "faces-1.png", "faces-2.png" ... for several.
inline std::string numbered_path(const std::string& path, std::size_t number, std::size_t count) {
  if (count <= 1) return path;
  std::filesystem::path numbered(path);
  const std::string extension = numbered.extension().string();
  numbered.replace_extension();
  numbered += "-" + std::to_string(number) + extension;
  return numbered.string();
}

/// The names of all `count` outputs, none if there is no path.
inline void append_numbered_paths(const std::string& path, std::size_t count,
                                  std::vector<std::string>& to) {
  if (path.empty()) return;
  for (std::size_t i = 1; i <= count; ++i) to.push_back(numbered_path(path, i, count));
}

}  // namespace mien::examples
