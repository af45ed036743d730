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

#include <CLI/CLI.hpp>

#include <mien/error.hpp>

namespace mien::examples {

/// Writes beside `path` and renames, so that an interruption leaves the old file or none. Throws
/// mien::Error.
inline void write_file(const std::string& path, const std::string& bytes) {
  const std::string temporary = path + "." + std::to_string(std::random_device()()) + ".part";
  std::ofstream file(temporary, std::ios::binary);
  if (!file) throw Error(path + ": cannot create the file: " + std::strerror(errno));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  std::error_code error;
  if (!file) {
    error = std::error_code(errno, std::generic_category());
  } else {
    std::filesystem::rename(temporary, path, error);
  }
  if (error) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw Error(path + ": cannot write the file: " + error.message());
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

}  // namespace mien::examples
