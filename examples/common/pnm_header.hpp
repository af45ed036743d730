// Whether a PGM or PPM file has the pixels that its header announces. (netpbm's pgm(5), ppm(5).)
#pragma once

#include <cctype>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <mien/error.hpp>

namespace mien::examples {

inline bool is_pnm(const std::vector<std::uint8_t>& bytes) {
  return bytes.size() >= 2 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6');
}

/// Throws mien::Error if there are fewer bytes of pixels than width, height and largest value tell.
/// What is no header is left to the decoder to refuse.
inline void check_pnm(const std::string& path, const std::vector<std::uint8_t>& bytes) {
  std::size_t at = 2;
  const auto number = [&bytes, &at]() -> std::size_t {
    while (at < bytes.size() && (std::isspace(bytes[at]) != 0 || bytes[at] == '#')) {
      if (bytes[at] == '#') {
        while (at < bytes.size() && bytes[at] != '\n') ++at;
      } else {
        ++at;
      }
    }
    constexpr std::size_t most = 1u << 30;
    std::size_t value = 0;
    for (; at < bytes.size() && std::isdigit(bytes[at]) != 0 && value < most; ++at) {
      value = 10 * value + static_cast<std::size_t>(bytes[at] - '0');
    }
    return value;
  };
  const std::size_t width = number();
  const std::size_t height = number();
  const std::size_t largest = number();
  if (width == 0 || height == 0 || largest == 0 || at >= bytes.size()) return;
  ++at;  // one space behind the header
  const std::size_t row = width * (bytes[1] == '6' ? 3 : 1) * (largest > 255 ? 2 : 1);
  const std::size_t found = bytes.size() - at;
  if (found / row >= height) return;
  throw Error(path + ": truncated: expected " + std::to_string(height) + " rows of " +
              std::to_string(row) + " bytes, found " + std::to_string(found) + " bytes");
}

}  // namespace mien::examples
