// Which sizes of an image are searched. The window has one size; so larger faces are found in
// smaller images, the levels of a pyramid. All rounding is OpenCV's.
#pragma once

#include <cstddef>
#include <vector>

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

/// The levels that one cascade searches, as numbers in the list of all.
struct LevelRange {
  std::size_t first = 0;
  std::size_t end = 0;
  /// OpenCV deals each level's rows out to its threads in this many stripes of equal height.
  int stripes = 1;
};

/// The region of the image that a window covers which stands at (x, y) of a level.
Rect box_in_image(int x, int y, const Size& window, float scale) noexcept;

/// At how many of the scales 1, factor, factor^2, ... the window fits into the image.
std::size_t fitting_scale_count(const Size& window, const Size& image, double factor);

/// Replaces `levels` by the first `count` levels of an image.
void set_levels(const Size& image, double scale_factor, std::size_t count,
                std::vector<Level>& levels);

/// Which levels lie within the limits of the options, or else the one nearest to the lower limit.
/// `levels` may go on with some in which the window does not fit.
LevelRange searched_levels(const Size& window, const Size& image, const HaarOptions& options,
                           const std::vector<Level>& levels);

/// Where the rows of windows end that the stripes cover. If the step is 2, OpenCV misses the last
/// row of some levels.
int row_end(const Size& window, const Level& level, int stripes) noexcept;

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <cstdint>

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

MIEN_INLINE std::size_t fitting_scale_count(const Size& window, const Size& image, double factor) {
  double scale = 1.0;
  std::size_t count = 0;
  // Compared as floating-point numbers: a huge scale does not fit into an int.
  while (std::nearbyint(window.width * scale) <= image.width &&
         std::nearbyint(window.height * scale) <= image.height) {
    scale *= factor;
    ++count;
  }
  return count;
}

MIEN_INLINE void set_levels(const Size& image, double scale_factor, std::size_t count,
                            std::vector<Level>& levels) {
  levels.clear();
  for (double exact = 1.0; levels.size() < count; exact *= scale_factor) {
    const auto scale = static_cast<float>(exact);
    const Size size{round_to_int(static_cast<float>(image.width) / scale),
                    round_to_int(static_cast<float>(image.height) / scale)};
    levels.push_back({scale, size, scale >= 2.0f ? 1 : 2});
  }
}

MIEN_INLINE LevelRange searched_levels(const Size& window, const Size& image,
                                       const HaarOptions& options,
                                       const std::vector<Level>& levels) {
  const Size& least = options.min_size;
  const bool limited = options.max_size.width > 0 && options.max_size.height > 0;
  const Size most = limited ? options.max_size : image;
  const auto size_at = [&window](const Level& level) {
    return Size{scaled(window.width, level.scale), scaled(window.height, level.scale)};
  };
  const std::size_t fitting = fitting_scale_count(window, image, options.scale_factor);
  LevelRange range;
  while (range.end < fitting) {
    const Size size = size_at(levels[range.end]);
    if (size.width > most.width || size.height > most.height) break;
    ++range.end;
    if (size.width < least.width || size.height < least.height) range.first = range.end;
  }
  if (range.first == range.end && fitting > 0) {
    const auto distance = [&](const Level& level) {
      const Size size = size_at(level);
      const std::int64_t dx = std::int64_t{least.width} - size.width;
      const std::int64_t dy = std::int64_t{least.height} - size.height;
      return dx * dx + dy * dy;
    };
    const auto end = levels.begin() + static_cast<std::ptrdiff_t>(fitting);
    const auto nearest = std::min_element(levels.begin(), end, [&](const Level& a, const Level& b) {
      return distance(a) < distance(b);
    });
    range.first = static_cast<std::size_t>(nearest - levels.begin());
    range.end = range.first + 1;
  }
  if (range.first < range.end) {
    constexpr double positions_per_stripe = 32.0;  // of the first level's width
    const int positions = levels[range.first].size.width + 1 - window.width;
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
