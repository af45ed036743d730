// What a PNG file says of itself, checked before it is decoded. (ISO/IEC 15948, section 5.)
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <mien/binary.hpp>
#include <mien/error.hpp>

namespace mien::examples {

inline bool is_png(const std::vector<std::uint8_t>& bytes) {
  constexpr std::array<std::uint8_t, 8> signature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  return bytes.size() >= signature.size() &&
         std::equal(signature.begin(), signature.end(), bytes.begin());
}

/// Throws mien::Error for chunks that are cut off or whose checksums are wrong, and for compressed
/// data that cannot be those of so many pixels: a decoder would inflate them first.
inline void check_png(const std::string& path, const std::vector<std::uint8_t>& bytes) {
  const auto u32 = [&bytes](std::size_t at) {
    return std::size_t{bytes[at]} << 24 | std::size_t{bytes[at + 1]} << 16 |
           std::size_t{bytes[at + 2]} << 8 | std::size_t{bytes[at + 3]};
  };
  const auto fail = [&path](const std::string& what) { throw Error(path + ": " + what); };
  constexpr std::size_t frame = 12;  // length, type and checksum of a chunk
  std::size_t compressed = 0;
  std::size_t inflated = 0;
  std::size_t at = 8;
  for (bool ended = false; !ended;) {
    if (bytes.size() - at < frame || u32(at) > bytes.size() - at - frame) {
      fail("truncated: the file ends before its image does");
    }
    const std::size_t size = u32(at);
    const std::string type(bytes.begin() + static_cast<std::ptrdiff_t>(at) + 4,
                           bytes.begin() + static_cast<std::ptrdiff_t>(at) + 8);
    if (crc32(bytes.data() + at + 4, size + 4) != u32(at + 8 + size)) {
      fail("damaged PNG: wrong checksum of the chunk at byte " + std::to_string(at));
    }
    if (type == "IHDR" && size >= 13) {
      const std::size_t width = u32(at + 8);
      const std::size_t height = u32(at + 12);
      constexpr std::size_t most_bytes_of_pixel = 8;  // four channels of 16 bits
      constexpr std::size_t passes = 8;               // an interlaced image has as many lines more
      inflated = height * (width * most_bytes_of_pixel + passes) + passes * passes;
    }
    if (type == "IDAT") compressed += size;
    ended = type == "IEND";
    at += size + frame;
  }
  // Deflate at its best makes one byte of 1032, at its worst a little more than one of each.
  constexpr std::size_t least_ratio = 1032;
  constexpr std::size_t overhead = 1024;
  if (compressed > 2 * inflated + overhead) {
    fail("damaged PNG: expected at most " + std::to_string(2 * inflated + overhead) +
         " bytes of compressed pixels, found " + std::to_string(compressed));
  }
  const std::size_t fewest = inflated / 64 / least_ratio;  // one bit a pixel
  if (compressed < fewest) {
    fail("truncated: expected at least " + std::to_string(fewest) +
         " bytes of compressed pixels, found " + std::to_string(compressed));
  }
}

}  // namespace mien::examples
