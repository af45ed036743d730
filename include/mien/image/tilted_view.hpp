// A view of an image that is turned about a point: what the face finder looks at a second time.
#pragma once

#include <cstdint>

#include <mien/config.hpp>
#include <mien/image/image.hpp>

namespace mien::detail {

/// A turn about a point, as a cosine and a sine in 16-bit fixed point: the same on every machine.
struct Tilt {
  std::int64_t cosine;
  std::int64_t sine;
};

inline constexpr int tilt_fraction_bits = 16;

/// Fills `view` with the surroundings of a point of the image, turned about it. Pixels of the view
/// are `step` apart in the image; `centre_x`, `centre_y` and `step` have tilt_fraction_bits.
/// Bilinear; where the view reaches beyond the image, the image's edge is repeated.
void sample_tilted(const GrayView& image, std::int64_t centre_x, std::int64_t centre_y,
                   std::int64_t step, const Tilt& tilt, GrayImage& view) noexcept;

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <algorithm>

namespace mien::detail {

MIEN_INLINE void sample_tilted(const GrayView& image, std::int64_t centre_x, std::int64_t centre_y,
                               std::int64_t step, const Tilt& tilt, GrayImage& view) noexcept {
  constexpr std::int64_t one = std::int64_t{1} << tilt_fraction_bits;
  const std::int64_t right = step * tilt.cosine / one;
  const std::int64_t down = step * tilt.sine / one;
  for (int y = 0; y < view.height(); ++y) {
    // Twice the distance from the view's centre, so that it is a whole number.
    const std::int64_t from_left = 1 - view.width();
    const std::int64_t from_top = 2 * y + 1 - view.height();
    std::int64_t source_x = centre_x + (from_left * right - from_top * down) / 2 - one / 2;
    std::int64_t source_y = centre_y + (from_left * down + from_top * right) / 2 - one / 2;
    std::uint8_t* to = view.row(y);
    for (int x = 0; x < view.width(); ++x, source_x += right, source_y += down) {
      const std::int64_t left = source_x >> tilt_fraction_bits;
      const std::int64_t top = source_y >> tilt_fraction_bits;
      const std::int64_t right_weight = source_x - left * one;
      const std::int64_t bottom_weight = source_y - top * one;
      const auto column = [&image](std::int64_t at) {
        return std::clamp<std::int64_t>(at, 0, image.width - 1);
      };
      const auto row = [&image](std::int64_t at) {
        return image.row(static_cast<int>(std::clamp<std::int64_t>(at, 0, image.height - 1)));
      };
      const std::uint8_t* upper = row(top);
      const std::uint8_t* lower = row(top + 1);
      const auto mixed = [&](const std::uint8_t* pixels) {
        return (one - right_weight) * pixels[column(left)] +
               right_weight * pixels[column(left + 1)];
      };
      const std::int64_t sum =
          (one - bottom_weight) * mixed(upper) + bottom_weight * mixed(lower) + one * one / 2;
      *to++ = static_cast<std::uint8_t>(sum >> (2 * tilt_fraction_bits));
    }
  }
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
