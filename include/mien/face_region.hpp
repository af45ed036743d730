// Which part of a photo is looked at as a face.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

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
  // Coordinates that no photo has end at those of int.
  const auto moved = [](int from, std::int64_t by) {
    const std::int64_t to = from - by;
    return static_cast<int>(std::max(to, std::int64_t{std::numeric_limits<int>::min()}));
  };
  return {moved(box.x, (std::int64_t{side} - box.width) / 2),
          moved(box.y, (std::int64_t{side} - box.height) / 2), side, side};
}

/// A square of a photo, turned about its center.
struct FaceRegion {
  Rect square;
  /// By how many degrees the face leans clockwise in the picture; -180 to 180.
  double roll = 0.0;

  /// The upright face in a box: face_region(box). An empty box stays empty.
  FaceRegion(const Rect& box) noexcept
      : square(box.width > 0 && box.height > 0 ? face_region(box) : box) {}
  FaceRegion(int x, int y, int width, int height) noexcept
      : FaceRegion(Rect{x, y, width, height}) {}
  FaceRegion(const Rect& upright_square, double degrees) noexcept
      : square(upright_square), roll(degrees) {}

  friend bool operator==(const FaceRegion& a, const FaceRegion& b) noexcept {
    return a.square == b.square && a.roll == b.roll;
  }
  friend bool operator!=(const FaceRegion& a, const FaceRegion& b) noexcept { return !(a == b); }
};

/// The region of a face that a detector found. Without landmarks, or with eyes that are nowhere,
/// not finite, that of its box; of YuNet's faces the square that is as tight as FER2013's, turned
/// as the face is.
///
/// The rule was fitted to 2532 faces of FER2013's training images, enlarged to 72 and 144 pixels,
/// upright and turned by 15 and 30 degrees, that YuNet finds: side 1.073 sqrt(width height), center
/// 0.028 sides above the box's. The line of the eyes that it gives leans less than the faces, the
/// less the smaller they are: at 144 pixels by 8 degrees of 15 and by 16 of 30. Half as much again
/// reads PublicTest's faces best (docs/yunet.md).
FaceRegion face_region(const Detection& face) noexcept;

namespace detail {

/// The pixels of a region, upright: those of the photo or, if it is turned or reaches beyond the
/// edges, `memory`. A turned region has at most 256 x 256. Throws Error if the region is empty or
/// outside the photo.
GrayView face_pixels(const GrayView& photo, const FaceRegion& region, GrayImage& memory);
/// The same, always a copy.
GrayImage face_copy(const GrayView& photo, const FaceRegion& region);

}  // namespace detail
}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cmath>
#include <cstdint>

#include <mien/error.hpp>
#include <mien/image/crop.hpp>
#include <mien/image/tilted_view.hpp>

namespace mien {

namespace detail {

inline constexpr double radian = 57.29577951308232;  // in degrees

}  // namespace detail

MIEN_INLINE FaceRegion face_region(const Detection& face) noexcept {
  if (!face.landmarks) return face.box;
  const auto is_usable = [](const Point& point) {
    return std::isfinite(point.x) && std::isfinite(point.y);
  };
  if (!is_usable(face.landmarks->right_eye) || !is_usable(face.landmarks->left_eye)) {
    return face.box;
  }
  constexpr double side_of_box = 1.073;
  constexpr double above_center = 0.028;
  constexpr double roll_of_eyes = 1.5;
  constexpr double most_roll = 60.0;
  const Rect& box = face.box;
  const double eyes_x = double{face.landmarks->left_eye.x} - double{face.landmarks->right_eye.x};
  const double eyes_y = double{face.landmarks->left_eye.y} - double{face.landmarks->right_eye.y};
  const double leaning = roll_of_eyes * detail::radian * std::atan2(eyes_y, eyes_x);
  const double degrees = std::clamp(leaning, -most_roll, most_roll);
  const double roll = degrees / detail::radian;
  const double side =
      side_of_box * std::sqrt(std::max(double(box.width) * double(box.height), 0.0));
  const double x = box.x + 0.5 * box.width + above_center * side * std::sin(roll);
  const double y = box.y + 0.5 * box.height - above_center * side * std::cos(roll);
  // Coordinates that no photo has end at those of int.
  const auto rounded = [](double value) {
    constexpr double least = std::numeric_limits<int>::min();
    constexpr double most = std::numeric_limits<int>::max();
    return static_cast<int>(std::lround(std::clamp(value, least, most)));
  };
  const int pixels = std::max(rounded(side), 1);
  return {{rounded(x - 0.5 * side), rounded(y - 0.5 * side), pixels, pixels}, degrees};
}

MIEN_INLINE GrayView detail::face_pixels(const GrayView& photo, const FaceRegion& region,
                                         GrayImage& memory) {
  const Rect& square = region.square;
  if (square.width <= 0 || square.height <= 0) {
    detail::fail({"box: expected a width and height of 1 or more, found ",
                  detail::Digits(square.width), "x", detail::Digits(square.height)});
  }
  if (region.roll == 0.0) return crop(photo, square, memory);
  if (!std::isfinite(region.roll)) {
    detail::fail({"face: expected a finite roll, found ", real_text(region.roll)});
  }
  detail::check_touches(photo, square);
  // Networks take fewer pixels, so that larger faces may be sampled.
  constexpr int most_pixels = 256;
  const int side = std::min(square.width, most_pixels);
  memory.resize(side, side);
  constexpr double one = std::int64_t{1} << tilt_fraction_bits;
  const double roll = region.roll / radian;
  const auto fixed = [](double value) { return static_cast<std::int64_t>(std::llround(value)); };
  sample_tilted(photo, fixed(one * (square.x + 0.5 * square.width)),
                fixed(one * (square.y + 0.5 * square.height)), fixed(one * square.width / side),
                Tilt{fixed(one * std::cos(roll)), fixed(one * std::sin(roll))}, memory);
  return memory.view();
}

MIEN_INLINE GrayImage detail::face_copy(const GrayView& photo, const FaceRegion& region) {
  if (region.roll == 0.0) return crop(photo, region.square);
  GrayImage pixels;
  face_pixels(photo, region, pixels);
  return pixels;
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
