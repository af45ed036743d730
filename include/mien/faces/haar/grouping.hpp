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
/// Scores are 0. Throws Error for coordinates and sides that are not below 2^29 in magnitude, and
/// for negative sides. Time grows with the number of rectangles, hardly more, however they overlap.
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

  /// Candidates so near to each other that each is similar to all: their edges lie in the same
  /// steps of a grid that suits their size.
  struct Cell {
    int size_class = 0;
    int left = 0;  // in steps of the grid, as the other edges
    int top = 0;
    int right = 0;
    int bottom = 0;
    int largest = 0;        // of the members' widths and heights added up
    std::size_t first = 0;  // in by_cell_
    std::size_t end = 0;
  };

  /// Where a group lies among those of about its size.
  struct Place {
    int size_class = 0;
    int column = 0;
    int y = 0;
    std::size_t group = 0;
  };

  std::size_t find_root(std::size_t i) noexcept;
  void join_by_sweep(const std::vector<Detection>& candidates);
  void join_by_cells(const std::vector<Detection>& candidates);
  void find_cells(const std::vector<Detection>& candidates);
  void join_neighbours(const std::vector<Detection>& candidates, const Cell& cell, int size_class);
  void join(const std::vector<Detection>& candidates, const Cell& cell, const Cell& other);
  void number_classes(std::size_t count);
  void set_means(const std::vector<Detection>& candidates);
  void find_places();
  bool gives_way_to_any(const Detection& group) const noexcept;

  std::vector<std::size_t> parents_;
  std::vector<std::size_t> by_x_;
  std::vector<Cell> cells_;           // in the order of their numbers
  std::vector<std::size_t> by_cell_;  // the candidates, cell by cell
  std::vector<Place> places_;         // in the order of their numbers
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
#include <tuple>

namespace mien {

namespace detail {

/// Up to so many candidates a sweep is quicker than cells, also if all lie in one place.
inline constexpr std::size_t few_candidates = 1024;

/// Up to so many groups each may be compared with all.
inline constexpr std::size_t few_groups = 64;

/// The least b with number < 2^b; `number` is not negative.
inline int bit_length(int number) noexcept {
  int bits = 0;
  for (; number > 0; number >>= 1) ++bits;
  return bits;
}

inline int floor_quotient(int number, int divisor) noexcept {
  return (number >= 0 ? number : number - divisor + 1) / divisor;
}

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
  const std::size_t count = candidates.size();
  parents_.resize(count);
  std::iota(parents_.begin(), parents_.end(), std::size_t{0});
  if (count <= few_candidates) {
    join_by_sweep(candidates);
  } else {
    join_by_cells(candidates);
  }
  number_classes(count);
  set_means(candidates);
  means_.erase(
      std::remove_if(means_.begin(), means_.end(),
                     [min_neighbors](const Detection& g) { return g.neighbors <= min_neighbors; }),
      means_.end());
  find_places();
  groups.clear();
  for (const Detection& group : means_) {
    if (!gives_way_to_any(group)) groups.push_back(group);
  }
}

inline std::size_t Grouper::find_root(std::size_t i) noexcept {
  while (parents_[i] != i) i = parents_[i] = parents_[parents_[i]];
  return i;
}

/// Joins what is similar, comparing each rectangle with those not too far to its right: the
/// tolerance of a pair is never above that of one of the two. Quadratic where many lie close.
MIEN_INLINE void Grouper::join_by_sweep(const std::vector<Detection>& candidates) {
  by_x_ = parents_;
  std::sort(by_x_.begin(), by_x_.end(), [&](std::size_t a, std::size_t b) {
    return candidates[a].box.x < candidates[b].box.x;
  });
  for (std::size_t i = 0; i < by_x_.size(); ++i) {
    const Rect& rect = candidates[by_x_[i]].box;
    const double tolerance = edge_tolerance(rect.width, rect.height);
    for (std::size_t j = i + 1; j < by_x_.size(); ++j) {
      const Rect& other = candidates[by_x_[j]].box;
      if (other.x - rect.x > tolerance) break;
      if (are_similar(rect, other)) parents_[find_root(by_x_[i])] = find_root(by_x_[j]);
    }
  }
}

/// The same for any number. Similar sizes, widths and heights added up, differ by less than a
/// factor of two. So sizes are divided into classes by powers of two, and what is similar is of one
/// class or of neighbouring ones. Most candidates of a dense area share a cell, where nothing is
/// compared, and most neighbouring cells are joined already.
MIEN_INLINE void Grouper::join_by_cells(const std::vector<Detection>& candidates) {
  find_cells(candidates);
  for (const Cell& cell : cells_) {
    join_neighbours(candidates, cell, cell.size_class);
    join_neighbours(candidates, cell, cell.size_class + 1);
  }
}

/// A step of a size class's grid. Edges of one step differ by at most a twentieth of the least size
/// of the class, 2^(class - 1). So in a cell sizes differ by at most a fifth of it, and the
/// tolerance of any pair is at least 0.08 of it.
inline int grid_step(int size_class) noexcept {
  return size_class == 0 ? 1 : (1 << (size_class - 1)) / 20 + 1;
}

MIEN_INLINE void Grouper::find_cells(const std::vector<Detection>& candidates) {
  cells_.clear();
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Rect& box = candidates[i].box;
    Cell& cell = cells_.emplace_back();
    cell.largest = box.width + box.height;
    cell.size_class = bit_length(cell.largest);
    const int step = grid_step(cell.size_class);
    cell.left = floor_quotient(box.x, step);
    cell.top = floor_quotient(box.y, step);
    cell.right = floor_quotient(box.x + box.width, step);
    cell.bottom = floor_quotient(box.y + box.height, step);
    cell.first = i;
  }
  const auto key = [](const Cell& c) {
    return std::tie(c.size_class, c.left, c.top, c.right, c.bottom);
  };
  std::sort(cells_.begin(), cells_.end(),
            [key](const Cell& a, const Cell& b) { return key(a) < key(b); });
  by_cell_.clear();
  std::size_t count = 0;
  for (const Cell& one : cells_) {
    const std::size_t candidate = one.first;
    if (count > 0 && key(cells_[count - 1]) == key(one)) {
      Cell& cell = cells_[count - 1];
      cell.largest = std::max(cell.largest, one.largest);
      parents_[find_root(candidate)] = find_root(by_cell_[cell.first]);
    } else {
      cells_[count] = one;
      cells_[count++].first = by_cell_.size();
    }
    by_cell_.push_back(candidate);
    cells_[count - 1].end = by_cell_.size();
  }
  cells_.resize(count);
}

/// Joins a cell with those of a size class that have members similar to its own.
MIEN_INLINE void Grouper::join_neighbours(const std::vector<Detection>& candidates,
                                          const Cell& cell, int size_class) {
  const int step = grid_step(cell.size_class);
  const int other_step = grid_step(size_class);
  // No tolerance of a member is larger.
  const int reach = static_cast<int>(grouping_tolerance * 0.5 * cell.largest) + 1;
  const auto lowest = [&](int edge) { return floor_quotient(edge * step - reach, other_step); };
  const auto highest = [&](int edge) {
    return floor_quotient(edge * step + step - 1 + reach, other_step);
  };
  const int least_top = lowest(cell.top);
  const int most_top = highest(cell.top);
  const int least_right = lowest(cell.right);
  const int most_right = highest(cell.right);
  const int least_bottom = lowest(cell.bottom);
  const int most_bottom = highest(cell.bottom);
  // Of one class, those before have looked at this one.
  const bool same = size_class == cell.size_class;
  const int end = highest(cell.left);
  for (int left = same ? cell.left : lowest(cell.left); left <= end; ++left) {
    const int top = same && left == cell.left ? cell.top : least_top;
    const auto first = std::lower_bound(
        cells_.begin(), cells_.end(), std::tie(size_class, left, top),
        [](const Cell& a, const auto& b) { return std::tie(a.size_class, a.left, a.top) < b; });
    for (auto other = first; other != cells_.end() && other->size_class == size_class &&
                             other->left == left && other->top <= most_top;
         ++other) {
      if (other->right >= least_right && other->right <= most_right &&
          other->bottom >= least_bottom && other->bottom <= most_bottom) {
        join(candidates, cell, *other);
      }
    }
  }
}

/// Joins two cells if a member of one is similar to one of the other.
MIEN_INLINE void Grouper::join(const std::vector<Detection>& candidates, const Cell& cell,
                               const Cell& other) {
  const std::size_t root = find_root(by_cell_[cell.first]);
  const std::size_t other_root = find_root(by_cell_[other.first]);
  if (root == other_root) return;
  for (std::size_t i = cell.first; i < cell.end; ++i) {
    for (std::size_t j = other.first; j < other.end; ++j) {
      if (!are_similar(candidates[by_cell_[i]].box, candidates[by_cell_[j]].box)) continue;
      parents_[root] = other_root;
      return;
    }
  }
}

/// Gives each candidate the number of its class: classes are the connected components of
/// similarity, numbered by their first members.
MIEN_INLINE void Grouper::number_classes(std::size_t count) {
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

/// The size class of groups, of a longer side from 2^(class - 1) to 2^class - 1.
inline int side_class(const Rect& box) noexcept {
  return bit_length(std::max(box.width, box.height));
}

/// Columns so wide divide the groups of a size class.
inline int column_width(int size_class) noexcept {
  return std::max((1 << size_class) / 8, 1);
}

/// Sorts the groups by their sizes and places, if there are more than few.
MIEN_INLINE void Grouper::find_places() {
  places_.clear();
  if (means_.size() <= few_groups) return;
  for (std::size_t i = 0; i < means_.size(); ++i) {
    const Rect& box = means_[i].box;
    const int size_class = side_class(box);
    places_.push_back({size_class, floor_quotient(box.x, column_width(size_class)), box.y, i});
  }
  std::sort(places_.begin(), places_.end(), [](const Place& a, const Place& b) {
    return std::tie(a.size_class, a.column, a.y) < std::tie(b.size_class, b.column, b.y);
  });
}

/// Compares a group with those that may have it inside, with all if there are few.
MIEN_INLINE bool Grouper::gives_way_to_any(const Detection& group) const noexcept {
  const auto is_dropped_for = [&](const Detection& other) {
    return &other != &group && gives_way(group, other);
  };
  if (places_.empty()) return std::any_of(means_.begin(), means_.end(), is_dropped_for);
  const Rect& box = group.box;
  // A group inside another is at most 1.4 times as large, and a pixel for rounding.
  const int smallest = bit_length(std::max(std::max(box.width, box.height) - 1, 0) / 7 * 5);
  for (int size_class = smallest; size_class <= places_.back().size_class; ++size_class) {
    const int side = 1 << size_class;
    const int after = side / 4 + 1;  // at most so far the other begins behind the group's edge
    const int before = side + after;
    const int width = column_width(size_class);
    const int end = floor_quotient(box.x + after, width);
    const int top = box.y + box.height - before;
    for (int column = floor_quotient(box.x + box.width - before, width); column <= end; ++column) {
      const auto first = std::lower_bound(
          places_.begin(), places_.end(), std::tie(size_class, column, top),
          [](const Place& a, const auto& b) { return std::tie(a.size_class, a.column, a.y) < b; });
      for (auto place = first; place != places_.end() && place->size_class == size_class &&
                               place->column == column && place->y <= box.y + after;
           ++place) {
        if (is_dropped_for(means_[place->group])) return true;
      }
    }
  }
  return false;
}

}  // namespace detail

MIEN_INLINE std::vector<Detection> group_rectangles(const std::vector<Rect>& rects,
                                                    int min_neighbors) {
  for (const Rect& rect : rects) {
    detail::check_magnitude("group_rectangles", rect, 29);
    detail::check_not_negative("group_rectangles: sides", {rect.width, rect.height});
  }
  std::vector<Detection> candidates;
  candidates.reserve(rects.size());
  for (const Rect& rect : rects) candidates.push_back({rect, 1, 0.0f});
  std::vector<Detection> groups;
  detail::Grouper().group(candidates, min_neighbors, groups);
  return groups;
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
