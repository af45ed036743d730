// Image files into memory: JPEG, PNG, BMP, PGM and PPM by stb_image, whose functions are in
// stb.cpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <stb/stb_image.h>

#include <mien/binary.hpp>
#include <mien/error.hpp>
#include <mien/image/image.hpp>

#include "jpeg_markers.hpp"
#include "png_chunks.hpp"
#include "pnm_header.hpp"

namespace mien::examples {

/// The pixels of an image file with 8 bits a channel: 1 channel if the file is gray, otherwise 3
/// (R, G, B), interleaved. Transparency is left out; 16-bit files lose their lower 8 bits.
struct ImageFile {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::vector<std::uint8_t> pixels;

  /// The file's own pixels if it is gray, otherwise what mien::to_gray makes of them.
  GrayImage gray() const {
    if (channels == 3) return to_gray(RgbView(pixels.data(), width, height));
    GrayImage image(width, height);
    std::copy(pixels.begin(), pixels.end(), image.row(0));
    return image;
  }
};

namespace detail {

/// Hands a file's bytes to stb_image and notices if it asks for more than there are: it takes
/// missing bytes for zeros and would return half an image.
class ByteSource {
 public:
  explicit ByteSource(const std::vector<std::uint8_t>& bytes) : bytes_(bytes) {}

  bool ran_dry() const noexcept { return ran_dry_; }

  static stbi_io_callbacks callbacks() noexcept {
    stbi_io_callbacks functions;
    functions.read = [](void* source, char* to, int size) {
      return static_cast<ByteSource*>(source)->read(to, size);
    };
    functions.skip = [](void* source, int count) { static_cast<ByteSource*>(source)->skip(count); };
    functions.eof = [](void* source) {
      return static_cast<int>(static_cast<ByteSource*>(source)->left() == 0);
    };
    return functions;
  }

 private:
  // stb_image fills its buffer of this size ahead of need; requests of other sizes are needed.
  static constexpr int read_ahead = 128;

  std::size_t left() const noexcept { return bytes_.size() - position_; }

  int read(char* to, int size) noexcept {
    const int count = static_cast<int>(std::min(left(), static_cast<std::size_t>(size)));
    if (count == 0 || (count < size && size != read_ahead)) ran_dry_ = true;
    std::memcpy(to, bytes_.data() + position_, static_cast<std::size_t>(count));
    position_ += static_cast<std::size_t>(count);
    return count;
  }

  void skip(int count) noexcept {
    if (count < 0) {
      position_ -= std::min(position_, static_cast<std::size_t>(-static_cast<long long>(count)));
    } else {
      if (static_cast<std::size_t>(count) > left()) ran_dry_ = true;
      position_ += std::min(left(), static_cast<std::size_t>(count));
    }
  }

  const std::vector<std::uint8_t>& bytes_;
  std::size_t position_ = 0;
  bool ran_dry_ = false;
};

}  // namespace detail

/// Turns a picture the way up that `orientation` says, as Exif numbers it from 1, upright, to 8.
inline void turn_upright(int orientation, ImageFile& image) {
  if (orientation < 2 || orientation > 8) return;
  const bool swaps = orientation >= 5;
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_below =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const auto channels = static_cast<std::size_t>(image.channels);
  const int width = swaps ? image.height : image.width;
  const int height = swaps ? image.width : image.height;
  std::vector<std::uint8_t> turned;
  turned.reserve(image.pixels.size());
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      int column = swaps ? y : x;
      int row = swaps ? x : y;
      if (from_right) column = image.width - 1 - column;
      if (from_below) row = image.height - 1 - row;
      const std::uint8_t* const pixel =
          image.pixels.data() +
          (static_cast<std::size_t>(row) * static_cast<std::size_t>(image.width) +
           static_cast<std::size_t>(column)) *
              channels;
      turned.insert(turned.end(), pixel, pixel + channels);
    }
  }
  image.width = width;
  image.height = height;
  image.pixels = std::move(turned);
}

inline constexpr long long default_most_pixels = 100'000'000;

namespace detail {

/// Whether a file's first bytes are those of a format that is read: others are not read whole.
inline bool begins_as_image(const std::uint8_t* first, std::size_t size) {
  const auto begins = [&](std::string_view magic) {
    return size >= magic.size() && std::memcmp(first, magic.data(), magic.size()) == 0;
  };
  const bool is_jpeg = begins("\xff\xd8") || begins("\xff\xff");  // some have fill bytes before it
  return is_jpeg || begins("\x89PNG") || begins("BM") || begins("P5") || begins("P6");
}

}  // namespace detail

/// Reads an image file; a JPEG is turned as its Exif data say. Throws mien::Error if it is missing,
/// no image, damaged, truncated or of more than `most_pixels`, before it is decoded where that
/// shows.
inline ImageFile load_image(const std::string& path, long long most_pixels = default_most_pixels) {
  const std::vector<std::uint8_t> bytes = read_file_if(path, detail::begins_as_image);
  if (bytes.empty()) throw Error(path + ": the file is empty");
  int orientation = 1;
  if (JpegMarkers::is_jpeg(bytes)) orientation = JpegMarkers(path, bytes).orientation();
  if (is_png(bytes)) check_png(path, bytes);
  if (is_pnm(bytes)) check_pnm(path, bytes);
  const stbi_io_callbacks callbacks = detail::ByteSource::callbacks();

  ImageFile image;
  int file_channels = 0;
  detail::ByteSource header(bytes);
  if (stbi_info_from_callbacks(&callbacks, &header, &image.width, &image.height, &file_channels) ==
      0) {
    throw Error(path + ": expected a JPEG, PNG, BMP, PGM or PPM image, found something else (" +
                stbi_failure_reason() + ")");
  }
  const long long pixels = static_cast<long long>(image.width) * image.height;
  if (pixels < 1 || pixels > most_pixels) {
    throw Error(path + ": expected an image of 1 to " + std::to_string(most_pixels) +
                " pixels, found " + std::to_string(image.width) + " x " +
                std::to_string(image.height));
  }

  image.channels = file_channels <= 2 ? 1 : 3;
  detail::ByteSource source(bytes);
  const std::unique_ptr<stbi_uc, void (*)(void*)> decoded(
      stbi_load_from_callbacks(&callbacks, &source, &image.width, &image.height, &file_channels,
                               image.channels),
      stbi_image_free);
  if (source.ran_dry()) throw Error(path + ": truncated: the file ends before its image does");
  if (!decoded) throw Error(path + ": damaged image: " + stbi_failure_reason());
  const std::size_t size =
      static_cast<std::size_t>(pixels) * static_cast<std::size_t>(image.channels);
  image.pixels.assign(decoded.get(), decoded.get() + size);
  turn_upright(orientation, image);
  return image;
}

}  // namespace mien::examples
