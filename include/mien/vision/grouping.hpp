// Many overlapping candidates become one rectangle each: OpenCV's groupRectangles (OpenCV 4.6,
// modules/objdetect/src/cascadedetect.cpp) with its eps of 0.2.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <vector>

#include <mien/vision/image.hpp>

namespace mien {

/// A found object and how many candidates agreed on it.
struct Detection {
  Rect box;
  int neighbors = 0;

  friend bool operator==(const Detection& a, const Detection& b) noexcept {
    return a.box == b.box && a.neighbors == b.neighbors;
  }
  friend bool operator!=(const Detection& a, const Detection& b) noexcept { return !(a == b); }
};

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

/// For each rectangle the number of its class: classes are the connected components of similarity,
/// numbered by their first members.
inline std::vector<std::size_t> similarity_classes(const std::vector<Rect>& rects) {
  std::vector<std::size_t> parents(rects.size());
  std::iota(parents.begin(), parents.end(), std::size_t{0});
  const auto find_root = [&parents](std::size_t i) {
    while (parents[i] != i) i = parents[i] = parents[parents[i]];
    return i;
  };
  // From left to right, so that a rectangle is compared only with those not too far to its right:
  // the tolerance of a pair is never above that of one of the two.
  std::vector<std::size_t> by_x = parents;
  std::sort(by_x.begin(), by_x.end(),
            [&rects](std::size_t a, std::size_t b) { return rects[a].x < rects[b].x; });
  for (std::size_t i = 0; i < by_x.size(); ++i) {
    const Rect& rect = rects[by_x[i]];
    const double tolerance = edge_tolerance(rect.width, rect.height);
    for (std::size_t j = i + 1; j < by_x.size(); ++j) {
      const Rect& other = rects[by_x[j]];
      if (other.x - rect.x > tolerance) break;
      if (are_similar(rect, other)) parents[find_root(by_x[i])] = find_root(by_x[j]);
    }
  }
  std::vector<std::size_t> class_of_root(rects.size(), rects.size());
  std::vector<std::size_t> classes(rects.size());
  std::size_t class_count = 0;
  for (std::size_t i = 0; i < rects.size(); ++i) {
    std::size_t& class_number = class_of_root[find_root(i)];
    if (class_number == rects.size()) class_number = class_count++;
    classes[i] = class_number;
  }
  return classes;
}

/// The mean rectangle of each class, and how many it has.
inline std::vector<Detection> class_means(const std::vector<Rect>& rects,
                                          const std::vector<std::size_t>& classes) {
  struct Sum {
    std::int64_t x = 0, y = 0, width = 0, height = 0;
    int count = 0;
  };
  std::vector<Sum> sums;
  for (std::size_t i = 0; i < rects.size(); ++i) {
    if (classes[i] == sums.size()) sums.emplace_back();
    Sum& sum = sums[classes[i]];
    sum.x += rects[i].x;
    sum.y += rects[i].y;
    sum.width += rects[i].width;
    sum.height += rects[i].height;
    ++sum.count;
  }
  std::vector<Detection> means;
  means.reserve(sums.size());
  for (const Sum& sum : sums) {
    const float reciprocal = 1.0f / static_cast<float>(sum.count);
    const auto mean = [reciprocal](std::int64_t total) {
      return static_cast<int>(std::lrint(static_cast<float>(total) * reciprocal));
    };
    means.push_back({{mean(sum.x), mean(sum.y), mean(sum.width), mean(sum.height)}, sum.count});
  }
  return means;
}

/// Whether `inner` lies in `outer` widened by the tolerance on all sides.
inline bool lies_inside(const Rect& inner, const Rect& outer) noexcept {
  const int dx = static_cast<int>(std::lrint(outer.width * grouping_tolerance));
  const int dy = static_cast<int>(std::lrint(outer.height * grouping_tolerance));
  return inner.x >= outer.x - dx && inner.y >= outer.y - dy &&
         inner.x + inner.width <= outer.x + outer.width + dx &&
         inner.y + inner.height <= outer.y + outer.height + dy;
}

}  // namespace detail

/// Groups similar rectangles and returns the mean of every group of more than `min_neighbors`
/// members, but for groups that lie inside a larger one, in the order of the groups' first members.
/// Without grouping (`min_neighbors` <= 0) each rectangle is returned, with 1 as its neighbors.
/// Coordinates are pixels below 2^29 in magnitude.
inline std::vector<Detection> group_rectangles(const std::vector<Rect>& rects, int min_neighbors) {
  std::vector<Detection> groups;
  if (min_neighbors <= 0) {
    for (const Rect& rect : rects) groups.push_back({rect, 1});
    return groups;
  }
  groups = detail::class_means(rects, detail::similarity_classes(rects));
  groups.erase(
      std::remove_if(groups.begin(), groups.end(),
                     [min_neighbors](const Detection& g) { return g.neighbors <= min_neighbors; }),
      groups.end());

  const auto gives_way = [](const Detection& group, const Detection& other) {
    return (other.neighbors > std::max(detail::few_neighbors, group.neighbors) ||
            group.neighbors < detail::few_neighbors) &&
           detail::lies_inside(group.box, other.box);
  };
  std::vector<Detection> result;
  for (const Detection& group : groups) {
    const bool dropped = std::any_of(groups.begin(), groups.end(), [&](const Detection& other) {
      return &other != &group && gives_way(group, other);
    });
    if (!dropped) result.push_back(group);
  }
  return result;
}

}  // namespace mien
