// A feature's rectangles in the form that the kernels evaluate (kernels/vision/haar.hpp): corners
// that rectangles share are merged, and a feature whose value may not fit in 16 bits is cut into
// parts.
#pragma once

#include <array>
#include <vector>

#include <mien/config.hpp>
#include <mien/faces/haar/cascade.hpp>
#include <mien/image/image.hpp>
#include <mien/kernels/vision/haar.hpp>

namespace mien::detail {

/// A corner of a feature's rectangles, in table entries from the window's first, and the factor of
/// its entry.
struct Corner {
  int x = 0;
  int y = 0;
  int weight = 0;
};

/// Calls function(Corner) for the four corners of a rectangle.
template <class Function>
void for_each_corner(const WeightedRect& rect, bool tilted, Function&& function) {
  const Rect& box = rect.box;
  const int right = box.x + box.width;
  const int bottom = box.y + box.height;
  function(Corner{box.x, box.y, rect.weight});
  if (tilted) {
    function(Corner{box.x - box.height, bottom, -rect.weight});
    function(Corner{right, box.y + box.width, -rect.weight});
    function(Corner{right - box.height, bottom + box.width, rect.weight});
  } else {
    function(Corner{right, box.y, -rect.weight});
    function(Corner{box.x, bottom, -rect.weight});
    function(Corner{right, bottom, rect.weight});
  }
}

/// A feature as it is evaluated: by its corners or, if its shape is `split`, by its parts.
struct ShapedFeature {
  kernels::HaarShape shape = kernels::HaarShape::wide;
  std::array<Corner, kernels::haar_wide_corners> corners;  // in the order of kernels::HaarNode
  int corner_count = 0;
  int multiplier = 0;
  bool tilted = false;
  std::vector<ShapedFeature> parts;  // edges, then lines, then checkers
};

MIEN_COLD ShapedFeature shape_feature(const HaarFeature& feature, const Size& window);

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <utility>

namespace mien::detail {

/// Fills in the corners of all rectangles; those at one place are merged, those that cancel left
/// out.
MIEN_COLD inline void merge_corners(const HaarFeature& feature, ShapedFeature& shaped) noexcept {
  const auto first = shaped.corners.begin();
  auto end = first;
  const auto merge = [&](const Corner& corner) {
    const auto same_place = std::find_if(first, end, [&](const Corner& other) {
      return other.x == corner.x && other.y == corner.y;
    });
    if (same_place != end) {
      same_place->weight += corner.weight;
    } else {
      *end++ = corner;
    }
  };
  for (int i = 0; i < feature.rect_count; ++i) {
    for_each_corner(feature.rects[static_cast<std::size_t>(i)], feature.tilted, merge);
  }
  end = std::remove_if(first, end, [](const Corner& corner) { return corner.weight == 0; });
  shaped.corner_count = static_cast<int>(end - first);
  shaped.tilted = feature.tilted;
}

/// Whether the feature's value fits in 16 bits, whatever the pixels.
inline bool fits_16_bits(const HaarFeature& feature, const ShapedFeature& shaped,
                         const Size& window) {
  constexpr int largest_pixel = 255;
  constexpr int limit = std::numeric_limits<std::int16_t>::max();
  const auto sum_of_weights = [&](int sign) {
    int sum = 0;
    for (int i = 0; i < feature.rect_count; ++i) {
      const WeightedRect& rect = feature.rects[static_cast<std::size_t>(i)];
      const int pixels = rect.box.width * rect.box.height * (feature.tilted ? 2 : 1);
      if (rect.weight * sign > 0) sum += std::abs(rect.weight) * pixels;
    }
    return sum;
  };
  // A quick upper bound that settles most features: where rectangles overlap, weights of opposite
  // signs cancel and the value's range is smaller.
  if (std::max(sum_of_weights(1), sum_of_weights(-1)) * largest_pixel <= limit) return true;
  int positive = 0;
  int negative = 0;
  for (int y = 0; y < window.height; ++y) {
    for (int x = 0; x < window.width; ++x) {
      int weight = 0;  // of this pixel
      for (int i = 0; i < shaped.corner_count; ++i) {
        const Corner& corner = shaped.corners[static_cast<std::size_t>(i)];
        const bool counts = shaped.tilted ? std::abs(x - corner.x + 1) <= corner.y - 1 - y
                                          : x < corner.x && y < corner.y;
        weight += counts ? corner.weight : 0;
      }
      (weight > 0 ? positive : negative) += std::abs(weight);
    }
  }
  return std::max(positive, negative) * largest_pixel <= limit;
}

/// Sorts the corners so that they have these weights. False if there are others.
template <std::size_t count>
bool sort_by_weights(ShapedFeature& shaped, const std::array<int, count>& weights) {
  if (shaped.corner_count != static_cast<int>(count)) return false;
  auto rest = shaped.corners;
  auto sorted = shaped.corners;
  for (std::size_t i = 0; i < count; ++i) {
    const auto end = rest.begin() + static_cast<std::ptrdiff_t>(count);
    const auto found = std::find_if(
        rest.begin(), end, [&](const Corner& corner) { return corner.weight == weights[i]; });
    if (found == end) return false;
    sorted[i] = *found;
    found->weight = 0;  // taken: no corner has this weight
  }
  shaped.corners = sorted;
  return true;
}

/// Recognises the shapes that kernels have loops for. False if it is none of them.
MIEN_COLD inline bool match_shape(ShapedFeature& shaped) {
  using kernels::HaarShape;
  for (const int sign : {1, -1}) {
    const int middle = -2 * sign;
    if (sort_by_weights<9>(shaped,
                           {sign, sign, sign, sign, 4 * sign, middle, middle, middle, middle})) {
      shaped.shape = HaarShape::checker;
      shaped.multiplier = sign;
      return true;
    }
  }
  // OpenCV's cascades have multipliers from 2 to 9.
  for (int m = 2; m <= 9; ++m) {
    if (sort_by_weights<6>(shaped, {1, 1, -1, -1, m, -m})) {
      shaped.shape = HaarShape::edge;
      shaped.multiplier = m;
      return true;
    }
    if (sort_by_weights<8>(shaped, {1, 1, -1, -1, m, m, -m, -m})) {
      shaped.shape = HaarShape::line;
      shaped.multiplier = m;
      return true;
    }
  }
  return false;
}

MIEN_COLD inline ShapedFeature shape_whole(const HaarFeature& feature, const Size& window) {
  ShapedFeature shaped;
  merge_corners(feature, shaped);
  if (match_shape(shaped) && !fits_16_bits(feature, shaped, window)) {
    shaped.shape = kernels::HaarShape::wide;
  }
  return shaped;
}

/// What of an upright feature lies in an area.
MIEN_COLD inline HaarFeature part_inside(const HaarFeature& feature, const Rect& area) noexcept {
  HaarFeature part;
  for (int i = 0; i < feature.rect_count; ++i) {
    const auto& [box, weight] = feature.rects[static_cast<std::size_t>(i)];
    const int x = std::max(box.x, area.x);
    const int y = std::max(box.y, area.y);
    const int width = std::min(box.x + box.width, area.x + area.width) - x;
    const int height = std::min(box.y + box.height, area.y + area.height) - y;
    if (width <= 0 || height <= 0) continue;
    part.rects[static_cast<std::size_t>(part.rect_count++)] = {{x, y, width, height}, weight};
  }
  return part;
}

/// Cuts an upright feature into strips, side by side or one above the other: as few as have shapes
/// with loops of their own. None if there is no such cut.
MIEN_COLD inline std::vector<ShapedFeature> cut_into_parts(const HaarFeature& feature,
                                                           const Size& window) {
  constexpr int most_parts = 4;
  for (int count = 2; count <= most_parts && !feature.tilted; ++count) {
    for (const bool side_by_side : {true, false}) {
      std::vector<ShapedFeature> parts;
      bool have_shapes = true;
      const int side = side_by_side ? window.width : window.height;
      for (int i = 0; i < count && have_shapes; ++i) {
        const int start = side * i / count;
        const int length = side * (i + 1) / count - start;
        const Rect strip = side_by_side ? Rect{start, 0, length, window.height}
                                        : Rect{0, start, window.width, length};
        const HaarFeature part = part_inside(feature, strip);
        if (part.rect_count == 0) continue;
        parts.push_back(shape_whole(part, window));
        have_shapes = parts.back().shape != kernels::HaarShape::wide;
        for (std::size_t at = parts.size() - 1; at > 0; --at) {
          if (parts[at - 1].shape <= parts[at].shape) break;
          std::swap(parts[at - 1], parts[at]);
        }
      }
      if (have_shapes) return parts;
    }
  }
  return {};
}

MIEN_INLINE ShapedFeature shape_feature(const HaarFeature& feature, const Size& window) {
  ShapedFeature shaped = shape_whole(feature, window);
  if (shaped.shape == kernels::HaarShape::wide) {
    shaped.parts = cut_into_parts(feature, window);
    if (!shaped.parts.empty()) shaped.shape = kernels::HaarShape::split;
  }
  return shaped;
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
