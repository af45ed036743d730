// Histogram equalisation: all gray values are used equally, whatever the light.
#pragma once

#include <mien/config.hpp>
#include <mien/image/image.hpp>

namespace mien {

/// Spreads an image's gray values so that its cumulative histogram is nearly a straight line, to
/// the last bit as OpenCV 4.6's equalizeHist: with count(v) the number of pixels of value v or
/// darker and `darkest` the darkest value in use, v becomes
///
///   (count(v) - count(darkest)) * 255 / (pixels - count(darkest)), rounded half to even.
///
/// An image of a single value stays as it is; an empty one becomes one of 0 x 0. `image` may be the
/// view of `equalized` itself.
void equalize_histogram(const GrayView& image, GrayImage& equalized);
GrayImage equalize_histogram(const GrayView& image);

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace mien {

MIEN_INLINE void equalize_histogram(const GrayView& image, GrayImage& equalized) {
  if (image.empty()) return equalized.resize(0, 0);
  constexpr std::size_t values = 256;
  std::array<std::size_t, values> histogram{};
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* row = image.row(y);
    for (int x = 0; x < image.width; ++x) ++histogram[row[x]];
  }
  std::size_t darkest = 0;
  while (darkest + 1 < values && histogram[darkest] == 0) ++darkest;
  const std::size_t others =
      static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) -
      histogram[darkest];

  std::array<std::uint8_t, values> table{};
  table[darkest] = static_cast<std::uint8_t>(others == 0 ? darkest : 0);
  // In single precision, as in OpenCV: a few values round differently in double.
  const float scale = 255.0f / static_cast<float>(others);
  std::size_t sum = 0;
  for (std::size_t value = darkest + 1; value < values && others > 0; ++value) {
    sum += histogram[value];
    table[value] = static_cast<std::uint8_t>(std::nearbyint(static_cast<float>(sum) * scale));
  }

  equalized.resize(image.width, image.height);
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* from = image.row(y);
    std::uint8_t* to = equalized.row(y);
    for (int x = 0; x < image.width; ++x) to[x] = table[from[x]];
  }
}

MIEN_INLINE GrayImage equalize_histogram(const GrayView& image) {
  GrayImage equalized;
  equalize_histogram(image, equalized);
  return equalized;
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
