// The sealed binary file that weights (.mien) and cascades (.haar) share.
//
// All integers are little-endian; floats are IEEE 754. Every file begins with
//
//   offset  size  field
//        0     8  magic: 0x89, four letters naming the kind ("MIEN", "HAAR"), 0x0D 0x0A 0x1A,
//                 so that a transfer in text mode is noticed (the idea of PNG's signature)
//        8     4  u32 format version
//       12     4  u32 CRC-32 (IEEE 802.3, as zlib's) of all bytes from offset 16 to the end
//       16     8  u64 size of the whole file in bytes
//       24     -  what the kind defines
//
// A string is a u16 byte count followed by that many bytes of UTF-8.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mien/error.hpp>

namespace mien {

namespace detail {

constexpr std::array<std::array<std::uint32_t, 256>, 16> make_crc32_tables() {
  std::array<std::array<std::uint32_t, 256>, 16> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value >> 1) ^ ((value & 1u) != 0 ? 0xEDB88320u : 0u);
    }
    tables[0][byte] = value;
  }
  for (std::size_t byte = 0; byte < 256; ++byte) {
    for (std::size_t slice = 1; slice < tables.size(); ++slice) {
      const std::uint32_t previous = tables[slice - 1][byte];
      tables[slice][byte] = (previous >> 8) ^ tables[0][previous & 0xFF];
    }
  }
  return tables;
}

inline constexpr auto crc32_tables = make_crc32_tables();

}  // namespace detail

/// CRC-32 (IEEE 802.3, reflected, as zlib.crc32) of `size` bytes.
/// Slicing by 16 (after Kounavis and Berry, 2005): 0.75 ms for MiniFER's 3.2 MB, instead of 1.2
/// by 8.
inline std::uint32_t crc32(const std::uint8_t* data, std::size_t size) noexcept {
  const auto& tables = detail::crc32_tables;
  constexpr std::size_t slices = detail::crc32_tables.size();
  const auto word = [&](std::size_t i) {
    return std::uint32_t{data[i]} | std::uint32_t{data[i + 1]} << 8 |
           std::uint32_t{data[i + 2]} << 16 | std::uint32_t{data[i + 3]} << 24;
  };
  // The remainder of four bytes that `behind` bytes follow.
  const auto remainder = [&](std::uint32_t bytes, std::size_t behind) {
    return tables[behind + 3][bytes & 0xFF] ^ tables[behind + 2][(bytes >> 8) & 0xFF] ^
           tables[behind + 1][(bytes >> 16) & 0xFF] ^ tables[behind][bytes >> 24];
  };
  std::uint32_t crc = 0xFFFFFFFFu;
  for (; size >= slices; data += slices, size -= slices) {
    crc = remainder(crc ^ word(0), 12) ^ remainder(word(4), 8) ^ remainder(word(8), 4) ^
          remainder(word(12), 0);
  }
  for (; size > 0; ++data, --size) crc = (crc >> 8) ^ tables[0][(crc ^ *data) & 0xFF];
  return ~crc;
}

namespace detail {

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

}  // namespace detail

namespace detail {

/// The first bytes of a sealed file.
MIEN_COLD inline bool is_sealed_as(std::string_view kind, const std::uint8_t* bytes,
                                   std::size_t size) {
  const std::string magic = "\x89" + std::string(kind) + "\r\n\x1a";
  return size >= magic.size() && std::memcmp(bytes, magic.data(), magic.size()) == 0;
}

/// Whether text is UTF-8 as RFC 3629 has it: no longer than needed, no surrogates, none above
/// U+10FFFF.
MIEN_COLD inline bool is_utf8(std::string_view text) noexcept {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned first = byte(i);
    const std::size_t more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    if ((first >= 0x80 && first < 0xC2) || first > 0xF4) return false;
    const unsigned second = byte(i + 1);
    const unsigned least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const unsigned most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (more > 0 && (second < least || second > most)) return false;
    for (std::size_t k = 2; k <= more; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return false;
    }
    i += more + 1;
  }
  return true;
}

/// Whether UTF-8 has characters that move a terminal's cursor or end a line: U+0000 to U+001F,
/// U+007F to U+009F.
MIEN_COLD inline bool has_control_characters(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7F) return true;
    if (byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
      return true;
    }
  }
  return false;
}

}  // namespace detail

/// All bytes of a file, a pipe's too, if `is_wanted` says of its first ones, up to 24, that the
/// rest should be read; else those alone, however large the file is. Throws Error if it cannot be
/// read.
template <class IsWanted>
MIEN_COLD std::vector<std::uint8_t> read_file_if(const std::string& path, IsWanted&& is_wanted) {
  constexpr std::size_t head_size = 24;
  const std::unique_ptr<std::FILE, detail::CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (!file) detail::fail({path, ": cannot open the file: ", std::strerror(errno)});
  std::vector<std::uint8_t> bytes;
  std::size_t end = 0;
  // Whether there may be more.
  const auto read_to = [&](std::size_t size) {
    bytes.resize(size);
    end += std::fread(bytes.data() + end, 1, size - end, file.get());
    if (std::ferror(file.get()) != 0) {
      detail::fail({path, ": ", errno == EISDIR ? "not a regular file" : std::strerror(errno)});
    }
    return end == size;
  };
  if (read_to(head_size) && is_wanted(bytes.data(), end)) {
    const bool has_size = std::fseek(file.get(), 0, SEEK_END) == 0;
    const long size = has_size ? std::ftell(file.get()) : 0;
    if (has_size) std::fseek(file.get(), static_cast<long>(end), SEEK_SET);
    if (size > 0) {
      if (!read_to(std::max(static_cast<std::size_t>(size), end))) {
        detail::fail({path, ": reading stopped after ", detail::Digits(end), " of ",
                      detail::Digits(size), " bytes"});
      }
    } else {
      // A pipe, or a file of the system's that does not say how large it is.
      while (read_to(std::max(2 * end, std::size_t{1} << 16))) continue;
    }
  }
  bytes.resize(end);
  return bytes;
}

/// All bytes of a file.
MIEN_COLD inline std::vector<std::uint8_t> read_file(const std::string& path) {
  return read_file_if(path, [](const std::uint8_t*, std::size_t) { return true; });
}

/// All bytes of a sealed file of one of the kinds, each of four letters; of any other file the
/// first alone, which tell BinaryReader what it is not.
MIEN_COLD inline std::vector<std::uint8_t> read_sealed_file(
    const std::string& path, std::initializer_list<std::string_view> kinds) {
  return read_file_if(path, [kinds](const std::uint8_t* bytes, std::size_t size) {
    return std::any_of(kinds.begin(), kinds.end(), [&](std::string_view kind) {
      return detail::is_sealed_as(kind, bytes, size);
    });
  });
}

/// Reads a sealed file's fields in order; every read past the end is an Error that names the file
/// and the field. The bytes must outlive the reader.
class BinaryReader {
 public:
  static constexpr std::size_t header_size = 24;

  /// Checks the seal: magic, version, size and checksum. `kind` is four letters, `name` stands for
  /// the file in messages.
  MIEN_COLD BinaryReader(const std::uint8_t* bytes, std::size_t size, std::string_view kind,
                         std::uint32_t version, std::string name)
      : bytes_(bytes), size_(size), name_(std::move(name)) {
    if (size == 0) fail("the file is empty");
    if (size < header_size) {
      fail({"truncated: expected at least ", detail::Digits(header_size), " bytes, found ",
            detail::Digits(size)});
    }
    if (!detail::is_sealed_as(kind, bytes, size)) {
      fail({"not a Mien file of kind ", kind, ": its first 8 bytes differ"});
    }
    position_ = 8;
    const std::uint32_t found_version = u32("version");
    if (found_version != version) {
      fail({"format version: expected ", detail::Digits(version), ", found ",
            detail::Digits(found_version)});
    }
    const std::uint32_t checksum = u32("checksum");
    const std::uint64_t recorded_size = u64("file size");
    if (recorded_size != size) {
      fail({recorded_size > size ? "truncated" : "oversized", ": expected ",
            detail::Digits(recorded_size), " bytes, found ", detail::Digits(size)});
    }
    if (crc32(bytes + 16, size - 16) != checksum) {
      fail("the checksum does not match: the file is corrupted");
    }
  }

  std::uint8_t u8(const char* field) { return *take(1, field); }

  std::uint16_t u16(const char* field) { return unsigned_integer<std::uint16_t>(field); }

  std::uint32_t u32(const char* field) { return unsigned_integer<std::uint32_t>(field); }

  std::uint64_t u64(const char* field) { return unsigned_integer<std::uint64_t>(field); }

  std::int32_t i32(const char* field) {
    return static_cast<std::int32_t>(unsigned_integer<std::uint32_t>(field));
  }

  float f32(const char* field) {
    const std::uint32_t bits = u32(field);
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

  double f64(const char* field) {
    const std::uint64_t bits = u64(field);
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

  MIEN_COLD std::string string(const char* field) {
    const std::size_t length = u16(field);
    const std::uint8_t* const bytes = take(length, field);
    std::string text(reinterpret_cast<const char*>(bytes), length);
    if (!detail::is_utf8(text)) fail({field, ": expected UTF-8, found other bytes"});
    return text;
  }

  /// The next `count` bytes, passed over.
  MIEN_COLD const std::uint8_t* take(std::size_t count, const char* field) {
    if (count > size_ - position_) {
      fail({field, ": expected ", detail::Digits(count), " more bytes at offset ",
            detail::Digits(position_), ", found ", detail::Digits(size_ - position_)});
    }
    const std::uint8_t* start = bytes_ + position_;
    position_ += count;
    return start;
  }

  std::size_t position() const noexcept { return position_; }
  std::size_t size() const noexcept { return size_; }
  const std::string& name() const noexcept { return name_; }

  MIEN_COLD [[noreturn]] void fail(std::initializer_list<std::string_view> pieces) const {
    detail::fail({name_, ": ", detail::text(pieces)});
  }
  MIEN_COLD [[noreturn]] void fail(std::string_view message) const { fail({message}); }

 private:
  template <class Integer>
  Integer unsigned_integer(const char* field) {
    const std::uint8_t* start = take(sizeof(Integer), field);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(Integer); ++i) value |= std::uint64_t{start[i]} << (8 * i);
    return static_cast<Integer>(value);
  }

  const std::uint8_t* bytes_;
  std::size_t size_;
  std::size_t position_ = 0;
  std::string name_;
};

}  // namespace mien
