// Histogram equalisation: the same use of all gray values, whatever the light.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include <mien/vision/image.hpp>

namespace mien {

/// Spreads an image's gray values so that their cumulative histogram is nearly a straight line, as
/// OpenCV 4.6's equalizeHist does to the last bit: a value becomes the number of pixels up to it,
/// those of the darkest value left out, times 255 / (pixels - pixels of the darkest value), rounded
/// half to even. An image of a single value stays as it is, and so does an empty one.
/// `image` may be the view of `equalized` itself.
inline void equalize_histogram(const GrayView& image, GrayImage& equalized) {
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
  // OpenCV's precision, on which the rounding of a few values depends.
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
inline GrayImage equalize_histogram(const GrayView& image) {
  GrayImage equalized;
  equalize_histogram(image, equalized);
  return equalized;
}

}  // namespace mien
