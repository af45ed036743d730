// Image files into memory: JPEG, PNG, BMP, PGM and PPM by stb_image, whose functions are in
// stb.cpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <stb/stb_image.h>

#include <mien/binary.hpp>
#include <mien/error.hpp>
#include <mien/image/image.hpp>

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

/// Reads an image file. Throws mien::Error if it is missing, no image, damaged, truncated or of
/// more than 2^28 pixels.
inline ImageFile load_image(const std::string& path) {
  constexpr long long most_pixels = 1LL << 28;
  const std::vector<std::uint8_t> bytes = read_file(path);
  if (bytes.empty()) throw Error(path + ": the file is empty");
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
  return image;
}

}  // namespace mien::examples
