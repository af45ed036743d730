// Which windows are flat: those with a standard deviation of 10 or less, which OpenCV rejects
// before the cascade sees them.
#pragma once

#include <cstdint>

#include <mien/config.hpp>
#include <mien/image/image.hpp>

namespace mien::detail {

/// The pixels whose standard deviation normalises a window: all but a border of one pixel.
inline Rect normalisation_rect(const Size& window) noexcept {
  return {1, 1, window.width - 2, window.height - 2};
}

/// The smallest spread, area * sum of squares - (sum)^2, of a window that is not flat.
std::int64_t smallest_spread(int area) noexcept;

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <cmath>

namespace mien::detail {

/// OpenCV demands area * factor < 0.1, where factor = 1 / sqrt(spread). The left side falls as the
/// spread grows, so that one integer comparison decides the same; bisection finds the integer.
MIEN_INLINE std::int64_t smallest_spread(int area) noexcept {
  const auto is_flat = [area](std::int64_t spread) {
    const auto factor = static_cast<float>(1.0 / std::sqrt(static_cast<double>(spread)));
    return static_cast<double>(area) * static_cast<double>(factor) >= 0.1;
  };
  std::int64_t flat = 1;
  std::int64_t not_flat = std::int64_t{area} * area * 255 * 255 + 1;
  while (not_flat - flat > 1) {
    const std::int64_t middle = flat + (not_flat - flat) / 2;
    (is_flat(middle) ? flat : not_flat) = middle;
  }
  return not_flat;
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
