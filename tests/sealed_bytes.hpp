// Changing sealed files so that a change reaches the checks behind the checksum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/binary.hpp>

using Bytes = std::vector<std::uint8_t>;

inline void put_u32(Bytes& bytes, std::size_t offset, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[offset + i] = static_cast<std::uint8_t>(value >> 8 * i);
}

/// Makes the recorded size and checksum right again.
inline void reseal(Bytes& bytes) {
  put_u32(bytes, 16, static_cast<std::uint32_t>(bytes.size()));
  put_u32(bytes, 20, 0);
  put_u32(bytes, 12, mien::crc32(bytes.data() + 16, bytes.size() - 16));
}
