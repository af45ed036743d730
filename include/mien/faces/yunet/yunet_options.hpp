// The settings of a search by YuNet.
#pragma once

#include <mien/config.hpp>
#include <mien/faces/search_limits.hpp>

namespace mien {

/// What YuNet takes for a face.
struct YuNetRule {
  /// Faces of a lower score are left out; from 0 to 1. Lower ones find more faces that are turned
  /// away or cut off, and the first that are none.
  float min_score = 0.7f;
  /// Of two boxes the one with the lower score is left out if their intersection over union is more
  /// than this; from 0 to 1.
  float max_overlap = 0.3f;
  /// Pictures with a longer side are reduced to it first; 0: none is. Time grows with the pixels,
  /// and faces of fewer than ten pixels in the reduced picture are not found; large pictures that
  /// are not reduced lose some large faces (docs/yunet.md).
  int max_side = 960;

  /// Throws Error if a value is out of its range.
  MIEN_COLD void check() const;
};

struct YuNetOptions : SearchLimits, YuNetRule {
  /// Throws Error if a value is out of its range.
  MIEN_COLD void check() const;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <string>

#include <mien/error.hpp>

namespace mien {

MIEN_INLINE void YuNetRule::check() const {
  const auto require_part_of_one = [](const char* option, float value) {
    if (value >= 0.0f && value <= 1.0f) return;
    detail::fail({option, ": expected a number from 0 to 1, found ", std::to_string(value)});
  };
  require_part_of_one("min_score", min_score);
  require_part_of_one("max_overlap", max_overlap);
  if (max_side < 0) {
    detail::fail({"max_side: expected 0 or more, found ", detail::Digits(max_side)});
  }
}

MIEN_INLINE void YuNetOptions::check() const {
  SearchLimits::check();
  YuNetRule::check();
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
