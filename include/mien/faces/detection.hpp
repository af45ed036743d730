// What a face detector finds.
#pragma once

#include <optional>

#include <mien/image/image.hpp>

namespace mien {

/// A place between pixels: (0, 0) is the image's top left corner.
struct Point {
  float x = 0;
  float y = 0;

  friend bool operator==(const Point& a, const Point& b) noexcept {
    return a.x == b.x && a.y == b.y;
  }
  friend bool operator!=(const Point& a, const Point& b) noexcept { return !(a == b); }
};

/// Points of a face. Right and left are the person's: of a face that looks at the camera, the right
/// eye is in the left half of the picture.
struct Landmarks {
  Point right_eye;
  Point left_eye;
  Point nose_tip;
  Point right_mouth_corner;
  Point left_mouth_corner;

  friend bool operator==(const Landmarks& a, const Landmarks& b) noexcept {
    return a.right_eye == b.right_eye && a.left_eye == b.left_eye && a.nose_tip == b.nose_tip &&
           a.right_mouth_corner == b.right_mouth_corner &&
           a.left_mouth_corner == b.left_mouth_corner;
  }
  friend bool operator!=(const Landmarks& a, const Landmarks& b) noexcept { return !(a == b); }
};

/// A face, or whatever else a detector looks for.
struct Detection {
  Rect box;
  /// How many overlapping candidates became this one.
  int neighbors = 0;
  /// How sure the detector is; comparable within one detector only. YuNet: from 0 to 1. A cascade:
  /// by how much the last stage's sum exceeded the stage's threshold, 0 or more, the largest of the
  /// candidates.
  float score = 0;
  /// Where the detector finds them: YuNet does, a cascade does not.
  std::optional<Landmarks> landmarks{};

  friend bool operator==(const Detection& a, const Detection& b) noexcept {
    return a.box == b.box && a.neighbors == b.neighbors && a.score == b.score &&
           a.landmarks == b.landmarks;
  }
  friend bool operator!=(const Detection& a, const Detection& b) noexcept { return !(a == b); }
};

}  // namespace mien
