// NumPy's file format for arrays, version 1.0 (numpy.lib.format).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace mien::examples {

/// The bytes of a .npy file: float32 in C's order. As many values as the shape says.
inline std::string npy_bytes(const std::vector<float>& values, const std::vector<int>& shape) {
  constexpr std::size_t alignment = 64;
  constexpr std::size_t before_header = 10;  // magic, version, length of the header
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (const int size : shape) header += std::to_string(size) + ",";
  header += "), }";
  const std::size_t unpadded = before_header + header.size() + 1;
  header += std::string((alignment - unpadded % alignment) % alignment, ' ') + "\n";

  std::string bytes = "\x93NUMPY\x01";
  const auto append = [&bytes](std::uint32_t value, int count) {
    for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  };
  append(0, 1);  // minor version
  append(static_cast<std::uint32_t>(header.size()), 2);
  bytes += header;
  bytes.reserve(bytes.size() + 4 * values.size());
  for (const float value : values) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    append(bits, 4);
  }
  return bytes;
}

}  // namespace mien::examples
