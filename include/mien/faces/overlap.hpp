// How much two boxes have in common.
#pragma once

#include <mien/config.hpp>
#include <mien/image/image.hpp>

namespace mien {

/// The common area of two rectangles as a part of the area that they cover together: 0 if they are
/// apart, 1 if they are the same.
double intersection_over_union(const Rect& a, const Rect& b) noexcept;

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cstdint>

namespace mien {

MIEN_INLINE double intersection_over_union(const Rect& a, const Rect& b) noexcept {
  const std::int64_t width =
      std::min(std::int64_t{a.x} + a.width, std::int64_t{b.x} + b.width) - std::max(a.x, b.x);
  const std::int64_t height =
      std::min(std::int64_t{a.y} + a.height, std::int64_t{b.y} + b.height) - std::max(a.y, b.y);
  if (width <= 0 || height <= 0) return 0.0;
  const auto area = [](const Rect& rect) { return std::int64_t{rect.width} * rect.height; };
  const std::int64_t common = width * height;
  return static_cast<double>(common) / static_cast<double>(area(a) + area(b) - common);
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
