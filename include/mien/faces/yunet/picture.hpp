// A picture becomes YuNet's input: floats from 0 to 255, gray or in channels B, G, R, with zeros at
// the right and at the bottom up to multiples of 32, and a row and a column of zeros before it, the
// first convolution's padding.
#pragma once

#include <cstddef>
#include <vector>

#include <mien/config.hpp>
#include <mien/image/image.hpp>
#include <mien/image/resize.hpp>

namespace mien::detail {

/// The next multiple of what the network's sides are multiples of.
constexpr int yunet_side(int side) noexcept {
  constexpr int multiple = 32;
  return (side + multiple - 1) / multiple * multiple;
}

/// The network's input. Keeps its memory from picture to picture.
class YuNetPicture {
 public:
  /// `size` is what the picture is reduced to, or its own; `padded` is that of the input without
  /// the row and the column before it.
  void set(const GrayView& image, const Size& size, const Size& padded);
  void set(const RgbView& image, const Size& size, const Size& padded);

  /// [height + 1][width + 1][1 if gray, else 3].
  const float* values() const noexcept { return values_.data(); }

 private:
  void clear(const Size& size, const Size& padded, int channels);
  float* row(int y) noexcept { return values_.data() + row_ * static_cast<std::size_t>(y + 1); }

  std::vector<float> values_;
  std::size_t row_ = 0;  // floats
  AntialiasedResizer resizer_;
  GrayImage channel_;
  GrayImage reduced_;
};

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cstdint>

namespace mien::detail {

/// Zeros where no pixel will be written.
MIEN_INLINE void YuNetPicture::clear(const Size& size, const Size& padded, int channels) {
  const auto pixel = static_cast<std::size_t>(channels);
  row_ = pixel * static_cast<std::size_t>(padded.width + 1);
  values_.resize(row_ * static_cast<std::size_t>(padded.height + 1));
  std::fill_n(values_.data(), row_, 0.0f);
  const std::size_t used = pixel * static_cast<std::size_t>(size.width + 1);
  for (int y = 0; y < size.height; ++y) {
    std::fill_n(row(y), pixel, 0.0f);
    std::fill_n(row(y) + used, row_ - used, 0.0f);
  }
  std::fill(row(size.height), values_.data() + values_.size(), 0.0f);
}

MIEN_INLINE void YuNetPicture::set(const GrayView& image, const Size& size, const Size& padded) {
  clear(size, padded, 1);
  GrayView shown = image;
  if (size != Size{image.width, image.height}) {
    resizer_.resize(image, size.width, size.height, reduced_);
    shown = reduced_.view();
  }
  for (int y = 0; y < size.height; ++y) {
    const std::uint8_t* const from = shown.row(y);
    float* const to = row(y) + 1;
    for (int x = 0; x < size.width; ++x) to[x] = static_cast<float>(from[x]);
  }
}

MIEN_INLINE void YuNetPicture::set(const RgbView& image, const Size& size, const Size& padded) {
  clear(size, padded, 3);
  const bool is_reduced = size != Size{image.width, image.height};
  for (int channel = 0; channel < 3; ++channel) {
    channel_.resize(image.width, image.height);
    for (int y = 0; y < image.height; ++y) {
      const std::uint8_t* from = image.row(y) + channel;
      std::uint8_t* const to = channel_.row(y);
      for (int x = 0; x < image.width; ++x, from += 3) to[x] = *from;
    }
    if (is_reduced) resizer_.resize(channel_.view(), size.width, size.height, reduced_);
    const GrayView shown = is_reduced ? reduced_.view() : channel_.view();
    for (int y = 0; y < size.height; ++y) {
      const std::uint8_t* const from = shown.row(y);
      float* to = row(y) + 3 + (2 - channel);
      for (int x = 0; x < size.width; ++x, to += 3) *to = static_cast<float>(from[x]);
    }
  }
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
