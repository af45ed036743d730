// Where faces are looked for, and of which sizes: what the searches of all detectors have in
// common.
#pragma once

#include <mien/config.hpp>
#include <mien/image/image.hpp>

namespace mien {

struct SearchLimits {
  /// Faces of sizes outside these limits are not found; {0, 0} is no limit.
  Size min_size;
  Size max_size;
  /// The part of the image that is searched, cut to the image; {} is all of it. Boxes are in the
  /// image's coordinates. The result is that of an image of these pixels alone: a cascade finds
  /// nothing that the region cuts through, YuNet finds some of it.
  Rect region;

  /// Throws Error if a value is out of its range.
  MIEN_COLD void check() const;
};

namespace detail {

/// The part of a region that lies in an image of a size; all of the image for {}.
Rect searched_region(const Size& image, const Rect& region) noexcept;

/// What two overlapping rectangles have in common; empty, or of negative sides, if they are apart.
Rect intersection(const Rect& a, const Rect& b) noexcept;

/// Throws Error, beginning with `what`, for a rectangle whose numbers are not below 2^bits in
/// magnitude: what is computed around it has to fit into int.
MIEN_COLD void check_magnitude(const char* what, const Rect& rect, int bits);

}  // namespace detail

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cstdint>
#include <utility>

#include <mien/error.hpp>

namespace mien {

namespace detail {

MIEN_INLINE Rect searched_region(const Size& image, const Rect& region) noexcept {
  if (region == Rect{}) return {0, 0, image.width, image.height};
  const auto cut = [](int start, int length, int limit) {
    const std::int64_t end = std::min(std::int64_t{start} + length, std::int64_t{limit});
    const int first = std::max(start, 0);
    return std::pair<int, int>(first, static_cast<int>(std::max(end - first, std::int64_t{0})));
  };
  const auto [x, width] = cut(region.x, region.width, image.width);
  const auto [y, height] = cut(region.y, region.height, image.height);
  return {x, y, width, height};
}

MIEN_INLINE Rect intersection(const Rect& a, const Rect& b) noexcept {
  const auto shared = [](int first, int length, int other_first, int other_length) {
    const int start = std::max(first, other_first);
    const std::int64_t end =
        std::min(std::int64_t{first} + length, std::int64_t{other_first} + other_length);
    // Nothing is -1: a region of zeros would be the whole image.
    return std::pair<int, int>(start, static_cast<int>(std::max(end - start, std::int64_t{-1})));
  };
  const auto [x, width] = shared(a.x, a.width, b.x, b.width);
  const auto [y, height] = shared(a.y, a.height, b.y, b.height);
  return {x, y, width, height};
}

MIEN_INLINE void check_magnitude(const char* what, const Rect& rect, int bits) {
  const int most = (1 << bits) - 1;
  for (const int number : {rect.x, rect.y, rect.width, rect.height}) {
    if (number >= -most && number <= most) continue;
    detail::fail({what, ": expected numbers below 2^", detail::Digits(bits),
                  " in magnitude, found ", detail::Digits(number)});
  }
}

MIEN_COLD inline void check_not_negative(const char* option, const Size& size) {
  if (size.width >= 0 && size.height >= 0) return;
  detail::fail({option, ": expected 0 or more, found ", detail::Digits(size.width), " x ",
                detail::Digits(size.height)});
}

}  // namespace detail

MIEN_INLINE void SearchLimits::check() const {
  detail::check_not_negative("min_size", min_size);
  detail::check_not_negative("max_size", max_size);
  detail::check_not_negative("region", {region.width, region.height});
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
