// Overlapping candidates become one rectangle each, as by OpenCV's groupRectangles
// (OpenCV 4.6, modules/objdetect/src/cascadedetect.cpp) with its eps of 0.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/config.hpp>
#include <mien/faces/detection.hpp>
#include <mien/faces/search_limits.hpp>
#include <mien/image/image.hpp>

namespace mien {

/// Groups similar rectangles and returns the mean of each group of more than `min_neighbors`
/// members that does not lie inside a larger group. Groups are in the order of their first members.
/// Without grouping (`min_neighbors` <= 0) each rectangle is returned, with 1 as its neighbors.
/// Scores are 0. Throws Error for coordinates and sides that are not below 2^29 in magnitude.
std::vector<Detection> group_rectangles(const std::vector<Rect>& rects, int min_neighbors);

namespace detail {

/// Groups candidates; keeps its memory from call to call.
class Grouper {
 public:
  /// See group_rectangles. `groups` is replaced; it must not be `candidates`.
  void group(const std::vector<Detection>& candidates, int min_neighbors,
             std::vector<Detection>& groups);

 private:
  struct Sum {
    std::int64_t x = 0;
    std::int64_t y = 0;
    std::int64_t width = 0;
    std::int64_t height = 0;
    int count = 0;
    float score = 0;
  };

  std::size_t find_root(std::size_t i) noexcept;
  void find_classes(const std::vector<Detection>& candidates);
  void set_means(const std::vector<Detection>& candidates);

  std::vector<std::size_t> parents_;
  std::vector<std::size_t> by_x_;
  std::vector<std::size_t> class_of_root_;
  std::vector<std::size_t> classes_;
  std::size_t class_count_ = 0;
  std::vector<Sum> sums_;
  std::vector<Detection> means_;
};

}  // namespace detail

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

namespace mien {

namespace detail {

/// How far edges of one group may lie apart, in parts of a rectangle's size.
inline constexpr double grouping_tolerance = 0.2;

/// A group of fewer gives way to any group around it, a larger one only to one that is larger still
/// and has more than these.
inline constexpr int few_neighbors = 3;

inline double edge_tolerance(int width, int height) noexcept {
  return grouping_tolerance * (width + height) * 0.5;
}

inline bool are_similar(const Rect& a, const Rect& b) noexcept {
  const double tolerance = edge_tolerance(std::min(a.width, b.width), std::min(a.height, b.height));
  return std::abs(a.x - b.x) <= tolerance && std::abs(a.y - b.y) <= tolerance &&
         std::abs(a.x + a.width - b.x - b.width) <= tolerance &&
         std::abs(a.y + a.height - b.y - b.height) <= tolerance;
}

/// Whether `inner` lies in `outer` widened by the tolerance on all sides.
inline bool lies_inside(const Rect& inner, const Rect& outer) noexcept {
  const int dx = static_cast<int>(std::lrint(outer.width * grouping_tolerance));
  const int dy = static_cast<int>(std::lrint(outer.height * grouping_tolerance));
  return inner.x >= outer.x - dx && inner.y >= outer.y - dy &&
         inner.x + inner.width <= outer.x + outer.width + dx &&
         inner.y + inner.height <= outer.y + outer.height + dy;
}

/// A group that gives way to another is dropped.
inline bool gives_way(const Detection& group, const Detection& other) noexcept {
  return (other.neighbors > std::max(few_neighbors, group.neighbors) ||
          group.neighbors < few_neighbors) &&
         lies_inside(group.box, other.box);
}

MIEN_INLINE void Grouper::group(const std::vector<Detection>& candidates, int min_neighbors,
                                std::vector<Detection>& groups) {
  if (min_neighbors <= 0) {
    groups = candidates;
    return;
  }
  find_classes(candidates);
  set_means(candidates);
  means_.erase(
      std::remove_if(means_.begin(), means_.end(),
                     [min_neighbors](const Detection& g) { return g.neighbors <= min_neighbors; }),
      means_.end());
  groups.clear();
  for (const Detection& group : means_) {
    const bool dropped = std::any_of(means_.begin(), means_.end(), [&](const Detection& other) {
      return &other != &group && gives_way(group, other);
    });
    if (!dropped) groups.push_back(group);
  }
}

inline std::size_t Grouper::find_root(std::size_t i) noexcept {
  while (parents_[i] != i) i = parents_[i] = parents_[parents_[i]];
  return i;
}

/// Gives each candidate the number of its class: classes are the connected components of
/// similarity, numbered by their first members.
MIEN_INLINE void Grouper::find_classes(const std::vector<Detection>& candidates) {
  const std::size_t count = candidates.size();
  parents_.resize(count);
  std::iota(parents_.begin(), parents_.end(), std::size_t{0});
  // From left to right, so that a rectangle is compared only with those not too far to its right:
  // the tolerance of a pair is never above that of one of the two.
  by_x_ = parents_;
  std::sort(by_x_.begin(), by_x_.end(), [&](std::size_t a, std::size_t b) {
    return candidates[a].box.x < candidates[b].box.x;
  });
  for (std::size_t i = 0; i < count; ++i) {
    const Rect& rect = candidates[by_x_[i]].box;
    const double tolerance = edge_tolerance(rect.width, rect.height);
    for (std::size_t j = i + 1; j < count; ++j) {
      const Rect& other = candidates[by_x_[j]].box;
      if (other.x - rect.x > tolerance) break;
      if (are_similar(rect, other)) parents_[find_root(by_x_[i])] = find_root(by_x_[j]);
    }
  }
  class_of_root_.assign(count, count);
  classes_.resize(count);
  class_count_ = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t& class_number = class_of_root_[find_root(i)];
    if (class_number == count) class_number = class_count_++;
    classes_[i] = class_number;
  }
}

/// The mean rectangle of each class, how many it has, and their largest score.
MIEN_INLINE void Grouper::set_means(const std::vector<Detection>& candidates) {
  sums_.assign(class_count_, Sum{});
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Rect& rect = candidates[i].box;
    Sum& sum = sums_[classes_[i]];
    sum.x += rect.x;
    sum.y += rect.y;
    sum.width += rect.width;
    sum.height += rect.height;
    sum.score = std::max(sum.score, candidates[i].score);
    ++sum.count;
  }
  means_.clear();
  for (const Sum& sum : sums_) {
    const float reciprocal = 1.0f / static_cast<float>(sum.count);
    const auto mean = [reciprocal](std::int64_t total) {
      return static_cast<int>(std::lrint(static_cast<float>(total) * reciprocal));
    };
    means_.push_back(
        {{mean(sum.x), mean(sum.y), mean(sum.width), mean(sum.height)}, sum.count, sum.score});
  }
}

}  // namespace detail

MIEN_INLINE std::vector<Detection> group_rectangles(const std::vector<Rect>& rects,
                                                    int min_neighbors) {
  for (const Rect& rect : rects) detail::check_magnitude("group_rectangles", rect, 29);
  std::vector<Detection> candidates;
  candidates.reserve(rects.size());
  for (const Rect& rect : rects) candidates.push_back({rect, 1, 0.0f});
  std::vector<Detection> groups;
  detail::Grouper().group(candidates, min_neighbors, groups);
  return groups;
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
