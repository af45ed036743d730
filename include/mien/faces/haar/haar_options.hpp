// The settings of a search by a Haar cascade; most are parameters of OpenCV's detectMultiScale.
#pragma once

#include <mien/config.hpp>
#include <mien/faces/search_limits.hpp>

namespace mien {

/// What a cascade takes for a face.
struct HaarRule {
  /// How much larger each searched size is than the one before; at least `smallest_scale_factor`.
  /// 1.05 finds more than 1.1 and takes twice as long.
  double scale_factor = 1.1;
  /// A face needs more overlapping candidates than this. With 0 the candidates themselves are
  /// returned, not grouped, each with 1 as its neighbors.
  int min_neighbors = 4;
  /// Objects of a lower score (see Detection) are left out; 0 leaves out none.
  float min_score = 0;

  static constexpr double smallest_scale_factor = 1.0001;  // 6932 sizes an octave

  /// Throws Error if a value is out of its range.
  MIEN_COLD void check() const;
};

/// If no size lies within the limits, the size nearest to min_size is searched all the same, as
/// OpenCV does.
struct HaarOptions : SearchLimits, HaarRule {
  /// Throws Error if a value is out of its range.
  MIEN_COLD void check() const;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cmath>
#include <cstdio>
#include <string>

#include <mien/error.hpp>

namespace mien {

namespace detail {

/// A number as short as its precision allows: 1.1, not 1.100000.
MIEN_COLD inline std::string to_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

}  // namespace detail

MIEN_INLINE void HaarRule::check() const {
  using detail::to_text;
  if (!(scale_factor >= smallest_scale_factor) || std::isinf(scale_factor)) {
    detail::fail({"scale_factor: expected a finite number of at least ",
                  to_text(smallest_scale_factor), ", found ", to_text(scale_factor)});
  }
  if (min_neighbors < 0) {
    detail::fail({"min_neighbors: expected 0 or more, found ", detail::Digits(min_neighbors)});
  }
  if (!(min_score >= 0) || std::isinf(min_score)) {
    detail::fail({"min_score: expected a finite number of 0 or more, found ", to_text(min_score)});
  }
}

MIEN_INLINE void HaarOptions::check() const {
  HaarRule::check();
  SearchLimits::check();
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
