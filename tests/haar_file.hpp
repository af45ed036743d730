// Writing .haar files, valid and otherwise, for tests.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

#include <mien/binary.hpp>

#include "sealed_bytes.hpp"

/// Little-endian bytes of a .haar file, field by field.
class HaarFile {
 public:
  HaarFile& u8(int value) {
    bytes_.push_back(static_cast<std::uint8_t>(value));
    return *this;
  }
  HaarFile& u16(int value) { return u8(value).u8(value >> 8); }
  HaarFile& u32(std::uint32_t value) {
    return u16(static_cast<int>(value & 0xFFFF)).u16(static_cast<int>(value >> 16));
  }
  HaarFile& f32(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return u32(bits);
  }
  HaarFile& string(const std::string& text) {
    u16(static_cast<int>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    return *this;
  }
  HaarFile& rect(int x, int y, int width, int height, int weight) {
    return u8(x).u8(y).u8(width).u8(height).u16(weight);
  }
  HaarFile& node(int left, int right, std::uint32_t feature, float threshold) {
    return u16(left).u16(right).u32(feature).f32(threshold);
  }

  /// The fields with a header of version 1 before them.
  Bytes sealed() const {
    Bytes bytes{0x89, 'H', 'A', 'A', 'R', '\r', '\n', 0x1a, 1};
    bytes.resize(mien::BinaryReader::header_size);
    bytes.insert(bytes.end(), bytes_.begin(), bytes_.end());
    reseal(bytes);
    return bytes;
  }

 private:
  Bytes bytes_;
};
