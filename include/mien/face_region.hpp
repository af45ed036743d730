// Which part of a photo is looked at as a face.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>

#include <mien/config.hpp>
#include <mien/faces/detection.hpp>
#include <mien/image/image.hpp>

namespace mien {

/// The square that is cut out for a face's box: around its center, as long as its longer side, with
/// no margin.
///
/// That is how tight FER2013's faces are, on which networks are trained. On 1200 of its training
/// images OpenCV's frontal-face cascade finds, in the median, a box 47.5 of the 48 pixels wide
/// whose center is 0.1 pixels from the image's. A detector with wider or tighter boxes needs them
/// brought to this size: from above the eyebrows to the chin.
inline Rect face_region(const Rect& box) noexcept {
  const int side = std::max(box.width, box.height);
  return {box.x - (side - box.width) / 2, box.y - (side - box.height) / 2, side, side};
}

/// The square that is cut out for a face that a detector found: of one without landmarks that of
/// its box, of one of YuNet's, which has landmarks, as tight as FER2013's faces are.
Rect face_region(const Rect& box, const std::optional<Landmarks>& landmarks) noexcept;

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

namespace mien {

MIEN_INLINE Rect face_region(const Rect& box, const std::optional<Landmarks>& landmarks) noexcept {
  if (!landmarks) return face_region(box);
  // Where YuNet's box lies in FER2013's faces: medians of faces of PublicTest, upright, in parts of
  // the face's side.
  constexpr double left = 0.074;
  constexpr double top = 0.009;
  constexpr double width = 0.82;
  constexpr double height = 1.02;
  const double side = 0.5 * (box.width / width + box.height / height);
  const double x = box.x + 0.5 * box.width - (left + 0.5 * width) * side;
  const double y = box.y + 0.5 * box.height - (top + 0.5 * height) * side;
  const auto rounded = [](double value) { return static_cast<int>(std::lround(value)); };
  const int whole_side = std::max(rounded(side), 1);
  return {rounded(x), rounded(y), whole_side, whole_side};
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
