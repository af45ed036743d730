// Changing PNG files so that a change reaches what lies behind the checksums of their chunks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/binary.hpp>

namespace fuzz {

/// Of all chunks that lie in the file.
inline void mend_png_checksums(std::vector<std::uint8_t>& bytes) {
  constexpr std::size_t signature = 8;
  constexpr std::size_t frame = 12;  // length, type and checksum
  std::size_t at = signature;
  while (at + frame <= bytes.size()) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < 4; ++i) size = size << 8 | bytes[at + i];
    if (size > bytes.size() - at - frame) return;
    const std::uint32_t checksum = mien::crc32(bytes.data() + at + 4, size + 4);
    for (std::size_t i = 0; i < 4; ++i) {
      bytes[at + 8 + size + i] = static_cast<std::uint8_t>(checksum >> (24 - 8 * i));
    }
    at += size + frame;
  }
}

}  // namespace fuzz
