// What a face detector finds.
#pragma once

#include <mien/image/image.hpp>

namespace mien {

/// A found object, how many candidates agreed on it, and how clearly the cascade accepted it.
struct Detection {
  Rect box;
  int neighbors = 0;
  /// By how much the last stage's sum exceeded the stage's threshold: 0 or more, the largest of the
  /// candidates. Comparable within one cascade only.
  float margin = 0;

  friend bool operator==(const Detection& a, const Detection& b) noexcept {
    return a.box == b.box && a.neighbors == b.neighbors && a.margin == b.margin;
  }
  friend bool operator!=(const Detection& a, const Detection& b) noexcept { return !(a == b); }
};

}  // namespace mien
