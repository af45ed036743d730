// What a JPEG file says of itself, read before it is decoded: damage that decoders trip over, and
// which way up it is. (ITU-T T.81, annex B; Exif 2.32, section 4.6.)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <mien/error.hpp>

namespace mien::examples {

/// Walks a JPEG's markers. Throws mien::Error for what no decoder should see.
class JpegMarkers {
 public:
  static bool is_jpeg(const std::vector<std::uint8_t>& bytes) {
    const std::size_t marker = first_marker(bytes);
    return marker > 0 && marker < bytes.size() && bytes[marker] == start_of_image;
  }

  JpegMarkers(const std::string& path, const std::vector<std::uint8_t>& bytes)
      : path_(path), bytes_(bytes) {
    walk();
    check_data();
  }

  /// As Exif numbers it: 1, upright, to 8. 1 where the file does not say.
  int orientation() const noexcept { return orientation_; }

 private:
  enum Marker : std::uint8_t {
    start_of_frame_0 = 0xC0,
    progressive_frame = 0xC2,
    huffman_tables = 0xC4,
    reserved = 0xC8,
    arithmetic_tables = 0xCC,
    start_of_frame_15 = 0xCF,
    first_restart = 0xD0,
    last_restart = 0xD7,
    start_of_image = 0xD8,
    end_of_image = 0xD9,
    start_of_scan = 0xDA,
    quantization_tables = 0xDB,
    exif = 0xE1,
    temporary = 0x01,
  };

  static constexpr std::size_t most_tables = 4;
  using Tables = std::array<bool, most_tables>;

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(path_ + ": damaged JPEG: " + what);
  }

  int u16(std::size_t at) const { return bytes_[at] << 8 | bytes_[at + 1]; }

  /// Where a file's first marker says which it is: any number of bytes 0xFF may stand before it.
  static std::size_t first_marker(const std::vector<std::uint8_t>& bytes) {
    std::size_t at = 0;
    while (at < bytes.size() && bytes[at] == 0xFF) ++at;
    return at;
  }

  void walk() {
    std::size_t at = first_marker(bytes_) + 1;
    while (true) {
      while (at < bytes_.size() && bytes_[at] != 0xFF) ++at;  // data of a scan, or nothing
      while (at < bytes_.size() && bytes_[at] == 0xFF) ++at;
      if (at >= bytes_.size()) {
        throw Error(path_ + ": truncated: the file ends before its image does");
      }
      const std::uint8_t marker = bytes_[at++];
      if (marker == end_of_image) return;
      const bool has_length = marker != 0 && marker != temporary && marker != start_of_image &&
                              (marker < first_restart || marker > last_restart);
      if (!has_length) continue;
      const int length = at + 2 <= bytes_.size() ? u16(at) : 0;
      if (length < 2 || static_cast<std::size_t>(length) > bytes_.size() - at) {
        fail("expected a segment inside the file at byte " + std::to_string(at) + ", found " +
             std::to_string(length) + " bytes of " + std::to_string(bytes_.size() - at));
      }
      segment(marker, at + 2, at + static_cast<std::size_t>(length));
      at += static_cast<std::size_t>(length);
      if (marker == start_of_scan) at = skip_data(at);
    }
  }

  /// Where the marker behind a scan's data stands.
  std::size_t skip_data(std::size_t at) {
    const std::size_t first = at;
    for (; at + 1 < bytes_.size(); ++at) {
      if (bytes_[at] != 0xFF) continue;
      const std::uint8_t next = bytes_[at + 1];
      if (next != 0 && next != 0xFF && (next < first_restart || next > last_restart)) break;
    }
    data_size_ += at - first;
    return at;
  }

  void segment(std::uint8_t marker, std::size_t first, std::size_t last) {
    if (marker == huffman_tables) check_huffman_tables(first, last);
    if (marker == quantization_tables) note_quantization_tables(first, last);
    if (marker == start_of_scan) check_scan(first, last);
    if (marker == exif) read_orientation(first, last);
    const bool is_frame = marker >= start_of_frame_0 && marker <= start_of_frame_15 &&
                          marker != huffman_tables && marker != reserved &&
                          marker != arithmetic_tables;
    if (is_frame) read_frame(marker, first, last);
  }

  /// A code of 8 bits has at most 256 symbols, and none of them twice the room that it needs:
  /// longer tables overflow those of stb_image before 2.28.
  void check_huffman_tables(std::size_t at, std::size_t last) {
    while (at < last) {
      if (last - at < 17) fail("expected 17 bytes of a Huffman table, found fewer");
      int codes = 0;
      int room = 1;
      for (std::size_t length = 1; length <= 16; ++length) {
        const int count = bytes_[at + length];
        room = 2 * room - count;
        codes += count;
        if (room < 0) {
          fail("expected a Huffman table of at most " + std::to_string(room + count) +
               " codes of " + std::to_string(length) + " bits, found " + std::to_string(count));
        }
      }
      if (codes > 256) {
        fail("expected a Huffman table of at most 256 codes, found " + std::to_string(codes));
      }
      const std::size_t kind = bytes_[at] >> 4;
      const std::size_t number = bytes_[at] & 15;
      if (kind < has_huffman_table_.size() && number < most_tables) {
        has_huffman_table_[kind][number] = true;
      }
      at += 17 + static_cast<std::size_t>(codes);
      if (at > last) fail("expected a Huffman table inside its segment, found it cut off");
    }
  }

  void note_quantization_tables(std::size_t at, std::size_t last) {
    while (at < last) {
      const std::size_t number = bytes_[at] & 15;
      if (number < most_tables) has_quantization_table_[number] = true;
      at += bytes_[at] >> 4 == 0 ? 65 : 129;
    }
  }

  /// Of stb_image before 2.28, tables that are missing are whatever its memory held before.
  void check_scan(std::size_t first, std::size_t last) const {
    const std::size_t components = first < last ? bytes_[first] : 0;
    if (last - first < 4 + 2 * components) fail("expected a scan inside its segment");
    const bool has_dc = !is_progressive_ || bytes_[first + 1 + 2 * components] == 0;
    const bool has_ac = !is_progressive_ || !has_dc;
    for (std::size_t i = 0; i < components; ++i) {
      const std::size_t numbers = bytes_[first + 2 + 2 * i];
      if (has_dc) require_table("DC Huffman", has_huffman_table_[0], numbers >> 4);
      if (has_ac) require_table("AC Huffman", has_huffman_table_[1], numbers & 15);
    }
    for (const std::size_t number : quantization_of_components_) {
      require_table("quantization", has_quantization_table_, number);
    }
  }

  void require_table(const char* kind, const Tables& tables, std::size_t number) const {
    if (number < tables.size() && tables[number]) return;
    fail(std::string("expected ") + kind + " table " + std::to_string(number) +
         " before the scan that uses it, found none");
  }

  void read_frame(std::uint8_t marker, std::size_t first, std::size_t last) {
    if (last - first < 6) fail("expected a frame of 6 bytes or more, found fewer");
    is_progressive_ = marker == progressive_frame;
    quantization_of_components_.clear();
    for (std::size_t at = first + 6; at + 3 <= last; at += 3) {
      quantization_of_components_.push_back(bytes_[at + 2]);
    }
    const auto height = static_cast<std::size_t>(u16(first + 1));
    const auto width = static_cast<std::size_t>(u16(first + 3));
    blocks_ = ((height + 7) / 8) * ((width + 7) / 8);
  }

  /// Every block of 8x8 pixels has a bit at least: its first coefficient's shortest code. stb_image
  /// takes what is missing for zeros.
  void check_data() const {
    if (8 * data_size_ < blocks_) {
      throw Error(path_ + ": truncated: expected at least " + std::to_string(blocks_ / 8) +
                  " bytes of image data, found " + std::to_string(data_size_));
    }
  }

  /// The entry "Orientation" of the first directory of an Exif segment, if all is where it should
  /// be: without it a picture is upright.
  void read_orientation(std::size_t first, std::size_t last) {
    constexpr std::array<std::uint8_t, 6> name = {'E', 'x', 'i', 'f', 0, 0};
    if (last - first < name.size() + 8) return;
    if (std::memcmp(bytes_.data() + first, name.data(), name.size()) != 0) return;
    const std::size_t tiff = first + name.size();
    const bool little = bytes_[tiff] == 'I';
    const std::size_t size = last - tiff;
    const auto number = [&](std::size_t at, std::size_t count) {
      std::size_t value = 0;
      for (std::size_t i = 0; i < count; ++i) {
        value = value << 8 | bytes_[tiff + at + (little ? count - 1 - i : i)];
      }
      return value;
    };
    const std::size_t directory = number(4, 4);
    if (directory > size - 2) return;
    const std::size_t entries = number(directory, 2);
    for (std::size_t i = 0; i < entries; ++i) {
      const std::size_t entry = directory + 2 + 12 * i;
      if (entry + 12 > size) return;
      constexpr std::size_t orientation_tag = 0x0112;
      constexpr std::size_t short_type = 3;
      if (number(entry, 2) != orientation_tag || number(entry + 2, 2) != short_type) continue;
      const std::size_t value = number(entry + 8, 2);
      if (value >= 1 && value <= 8) orientation_ = static_cast<int>(value);
      return;
    }
  }

  const std::string& path_;
  const std::vector<std::uint8_t>& bytes_;
  int orientation_ = 1;
  std::array<Tables, 2> has_huffman_table_{};  // of DC, of AC
  Tables has_quantization_table_{};
  bool is_progressive_ = false;
  std::vector<std::size_t> quantization_of_components_;
  std::size_t blocks_ = 0;
  std::size_t data_size_ = 0;
};

}  // namespace mien::examples
