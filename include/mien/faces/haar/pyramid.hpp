// Which sizes of an image are searched. The window has one size; so larger faces are found in
// smaller images, the levels of a pyramid. All rounding is OpenCV's.
#pragma once

#include <cstddef>

#include <mien/config.hpp>
#include <mien/faces/haar/haar_options.hpp>
#include <mien/image/image.hpp>

namespace mien::detail {

/// One size of the image and the distance between neighbouring windows in it.
struct Level {
  float scale = 1;
  Size size;
  int step = 1;
};

/// Goes through the levels of an image one after the other: a scale factor near 1 has very many, of
/// which no list is kept.
class Pyramid {
 public:
  Pyramid(const Size& image, double scale_factor) noexcept
      : image_(image), scale_factor_(scale_factor) {}

  std::size_t number() const noexcept { return number_; }
  Level level() const noexcept;
  /// Whether a window fits into the image at this level's scale; if not, then at none after it.
  bool has_room(const Size& window) const noexcept;
  void advance() noexcept {
    scale_ *= scale_factor_;
    ++number_;
  }

 private:
  Size image_;
  double scale_factor_;
  double scale_ = 1.0;
  std::size_t number_ = 0;
};

/// The levels that one cascade searches, by their numbers.
struct LevelRange {
  std::size_t first = 0;
  std::size_t end = 0;
  /// OpenCV deals each level's rows out to its threads in this many stripes of equal height.
  int stripes = 1;
};

/// The region of the image that a window covers which stands at (x, y) of a level.
Rect box_in_image(int x, int y, const Size& window, float scale) noexcept;

/// Which levels lie within the limits of the options, or else the one nearest to the lower limit.
LevelRange searched_levels(const Size& window, const Size& image, const HaarOptions& options);

/// Where the rows of windows end that the stripes cover. If the step is 2, OpenCV misses the last
/// row of some levels.
int row_end(const Size& window, const Level& level, int stripes) noexcept;

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace mien::detail {

/// Nearest integer, ties to even. A product passed in has been rounded to single precision before:
/// compilers fuse products with additions only.
inline int round_to_int(float value) noexcept {
  return static_cast<int>(std::lrint(value));
}

inline int scaled(int length, float scale) noexcept {
  return round_to_int(static_cast<float>(length) * scale);
}

MIEN_INLINE Rect box_in_image(int x, int y, const Size& window, float scale) noexcept {
  return {scaled(x, scale), scaled(y, scale), scaled(window.width, scale),
          scaled(window.height, scale)};
}

MIEN_INLINE Level Pyramid::level() const noexcept {
  const auto scale = static_cast<float>(scale_);
  const Size size{round_to_int(static_cast<float>(image_.width) / scale),
                  round_to_int(static_cast<float>(image_.height) / scale)};
  return {scale, size, scale >= 2.0f ? 1 : 2};
}

MIEN_INLINE bool Pyramid::has_room(const Size& window) const noexcept {
  // Compared as floating-point numbers: a huge scale does not fit into an int.
  return std::nearbyint(window.width * scale_) <= image_.width &&
         std::nearbyint(window.height * scale_) <= image_.height;
}

MIEN_INLINE LevelRange searched_levels(const Size& window, const Size& image,
                                       const HaarOptions& options) {
  const Size& least = options.min_size;
  const bool limited = options.max_size.width > 0 && options.max_size.height > 0;
  const Size most = limited ? options.max_size : image;
  LevelRange range;
  LevelRange nearest;
  std::int64_t nearest_distance = std::numeric_limits<std::int64_t>::max();
  Level first;  // of the range
  Level nearest_level;
  bool is_below_most = true;
  Pyramid pyramid(image, options.scale_factor);
  for (; pyramid.has_room(window); pyramid.advance()) {
    const Level level = pyramid.level();
    const std::size_t after = pyramid.number() + 1;
    const Size size{scaled(window.width, level.scale), scaled(window.height, level.scale)};
    is_below_most = is_below_most && size.width <= most.width && size.height <= most.height;
    if (is_below_most) {
      if (range.first == range.end) first = level;
      range.end = after;
      if (size.width < least.width || size.height < least.height) range.first = after;
    } else if (range.first < range.end) {
      break;
    }
    const std::int64_t dx = std::int64_t{least.width} - size.width;
    const std::int64_t dy = std::int64_t{least.height} - size.height;
    const std::int64_t distance = dx * dx + dy * dy;
    if (distance < nearest_distance) {
      nearest_distance = distance;
      nearest = {pyramid.number(), after, 1};
      nearest_level = level;
    }
  }
  if (range.first == range.end) {
    range = nearest;
    first = nearest_level;
  }
  if (range.first < range.end) {
    constexpr double positions_per_stripe = 32.0;  // of the first level's width
    const int positions = first.size.width + 1 - window.width;
    range.stripes = std::max(static_cast<int>(std::ceil(positions / positions_per_stripe)), 1);
  }
  return range;
}

MIEN_INLINE int row_end(const Size& window, const Level& level, int stripes) noexcept {
  const int rows = std::max(level.size.height + 1 - window.height, 0);
  const int stripe_rows = std::max((rows / level.step + stripes - 1) / stripes, 1) * level.step;
  return static_cast<int>(std::min(std::int64_t{stripes} * stripe_rows, std::int64_t{rows}));
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
