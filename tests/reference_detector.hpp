// The detector as plain as its specification: one window at a time, one feature at a time, no
// kernels. The fast one must find the same.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <mien/faces/haar/cascade.hpp>
#include <mien/faces/haar/haar_detector.hpp>
#include <mien/faces/haar/grouping.hpp>
#include <mien/image/image.hpp>

namespace reference {

using namespace mien;

inline int round_to_int(float value) {
  return static_cast<int>(std::lrint(value));
}

/// One axis of the resize: two source samples and the second one's weight of 256.
struct Tap {
  int first;
  int second;
  int second_weight;
};

inline Tap tap(int target_index, int source, int target) {
  const double step = 1.0 / (static_cast<double>(target) / static_cast<double>(source));
  const volatile double centre = step * (target_index + 0.5);  // not fused with the subtraction
  const double position = centre - 0.5;
  const double whole = std::floor(position);
  if (whole < 0.0) return {0, 0, 0};
  if (whole >= source - 1) return {source - 1, source - 1, 0};
  const int first = static_cast<int>(whole);
  return {first, first + 1, static_cast<int>(std::lrint((position - whole) * 256.0))};
}

inline GrayImage resize(const GrayView& image, const Size& size) {
  GrayImage resized(size.width, size.height);
  std::vector<Tap> columns;
  for (int x = 0; x < size.width; ++x) columns.push_back(tap(x, image.width, size.width));
  for (int y = 0; y < size.height; ++y) {
    const Tap row = tap(y, image.height, size.height);
    for (int x = 0; x < size.width; ++x) {
      const Tap& column = columns[static_cast<std::size_t>(x)];
      const auto blend = [&](int source_row) {
        const std::uint8_t* pixels = image.row(source_row);
        return (256 - column.second_weight) * pixels[column.first] +
               column.second_weight * pixels[column.second];
      };
      resized.row(y)[x] =
          static_cast<std::uint8_t>(((256 - row.second_weight) * blend(row.first) +
                                     row.second_weight * blend(row.second) + 0x8000) >>
                                    16);
    }
  }
  return resized;
}

/// Tables of sums with a row and a column more than the image, modulo 2^32.
class Sums {
 public:
  Sums(const GrayImage& image, bool with_tilted_sums)
      : width_(image.width()),
        height_(image.height()),
        upright_(size()),
        squared_(size()),
        tilted_(with_tilted_sums ? size() : 0) {
    for (int y = 0; y < height_; ++y) {
      for (int x = 0; x < width_; ++x) {
        const std::uint32_t pixel = image.row(y)[x];
        const auto next = [&](std::vector<std::uint32_t>& table, std::uint32_t value) {
          table[at(x + 1, y + 1)] =
              value + table[at(x, y + 1)] + table[at(x + 1, y)] - table[at(x, y)];
        };
        next(upright_, pixel);
        next(squared_, pixel * pixel);
      }
    }
    if (!with_tilted_sums) return;
    // Row by row of the triangles: each is the one above it and a row of its own, cut to the image.
    for (int bottom = 1; bottom <= height_; ++bottom) {
      for (int tip = 0; tip <= width_; ++tip) {
        std::uint32_t sum = 0;
        for (int y = bottom - 1, reach = 0; y >= 0; --y, ++reach) {
          const int left = std::max(tip - 1 - reach, 0);
          const int right = std::min(tip - 1 + reach, width_ - 1);
          if (left <= right) {
            sum += upright_[at(right + 1, y + 1)] - upright_[at(left, y + 1)] -
                   upright_[at(right + 1, y)] + upright_[at(left, y)];
          }
        }
        tilted_[at(tip, bottom)] = sum;
      }
    }
  }

  int width() const { return width_; }
  int height() const { return height_; }

  std::int64_t sum(const Rect& box) const { return static_cast<std::int32_t>(of(upright_, box)); }
  std::int64_t squared_sum(const Rect& box) const { return of(squared_, box); }
  std::int64_t tilted_sum(const Rect& box) const {
    const int right = box.x + box.width;
    const int bottom = box.y + box.height;
    return static_cast<std::int32_t>(tilted_[at(box.x, box.y)] -
                                     tilted_[at(box.x - box.height, bottom)] -
                                     tilted_[at(right, box.y + box.width)] +
                                     tilted_[at(right - box.height, bottom + box.width)]);
  }

 private:
  std::size_t size() const { return at(0, height_ + 1); }
  std::size_t at(int x, int y) const {
    return static_cast<std::size_t>(y) * (static_cast<std::size_t>(width_) + 1) +
           static_cast<std::size_t>(x);
  }
  std::uint32_t of(const std::vector<std::uint32_t>& table, const Rect& box) const {
    const int right = box.x + box.width;
    const int bottom = box.y + box.height;
    return table[at(box.x, box.y)] - table[at(right, box.y)] - table[at(box.x, bottom)] +
           table[at(right, bottom)];
  }

  int width_;
  int height_;
  std::vector<std::uint32_t> upright_;
  std::vector<std::uint32_t> squared_;
  std::vector<std::uint32_t> tilted_;
};

enum class Verdict { accepted, flat, rejected_by_first_stage, rejected };

inline float value_of(const HaarFeature& feature, const Sums& sums, int x, int y) {
  std::int64_t value = 0;
  for (int i = 0; i < feature.rect_count; ++i) {
    const WeightedRect& rect = feature.rects[static_cast<std::size_t>(i)];
    Rect box = rect.box;
    box.x += x;
    box.y += y;
    value += rect.weight * (feature.tilted ? sums.tilted_sum(box) : sums.sum(box));
  }
  return static_cast<float>(value);
}

/// `margin` becomes by how much the last stage's sum exceeds its threshold.
inline Verdict judge(const Cascade& cascade, const Sums& sums, int x, int y, float& margin) {
  const Rect inside{x + 1, y + 1, cascade.window_width() - 2, cascade.window_height() - 2};
  const std::int64_t area = std::int64_t{inside.width} * inside.height;
  const std::int64_t sum = sums.sum(inside);
  const std::int64_t spread = area * sums.squared_sum(inside) - sum * sum;
  if (spread <= 0) return Verdict::flat;
  const auto factor = static_cast<float>(1.0 / std::sqrt(static_cast<double>(spread)));
  if (static_cast<double>(area) * static_cast<double>(factor) >= 0.1) return Verdict::flat;
  for (const CascadeStage& stage : cascade.stages()) {
    double total = 0;
    for (std::size_t i = 0; i < stage.classifier_count; ++i) {
      const WeakClassifier& tree = cascade.classifiers()[stage.first_classifier + i];
      int child = 0;
      do {
        const CascadeNode& node =
            cascade.nodes()[tree.first_node + static_cast<std::size_t>(child)];
        const float value = value_of(cascade.features()[node.feature], sums, x, y) * factor;
        child = value < node.threshold ? node.left : node.right;
      } while (child > 0);
      total +=
          static_cast<double>(cascade.leaves()[tree.first_leaf + static_cast<std::size_t>(-child)]);
    }
    const double excess = total - static_cast<double>(stage.threshold);
    if (total < static_cast<double>(stage.threshold)) {
      return &stage == &cascade.stages().front() ? Verdict::rejected_by_first_stage
                                                 : Verdict::rejected;
    }
    margin = static_cast<float>(excess);
  }
  return Verdict::accepted;
}

inline Size window_size(const Cascade& cascade, float scale) {
  return {round_to_int(static_cast<float>(cascade.window_width()) * scale),
          round_to_int(static_cast<float>(cascade.window_height()) * scale)};
}

inline std::vector<float> searched_scales(const Cascade& cascade, const GrayView& image,
                                          const HaarOptions& options) {
  std::vector<float> fitting;
  for (double scale = 1.0; std::nearbyint(cascade.window_width() * scale) <= image.width &&
                           std::nearbyint(cascade.window_height() * scale) <= image.height;
       scale *= options.scale_factor) {
    fitting.push_back(static_cast<float>(scale));
  }
  const bool limited = options.max_size.width > 0 && options.max_size.height > 0;
  const Size most = limited ? options.max_size : Size{image.width, image.height};
  const Size least = options.min_size;
  std::vector<float> kept;
  for (const float scale : fitting) {
    const Size window = window_size(cascade, scale);
    if (window.width > most.width || window.height > most.height) break;
    if (window.width >= least.width && window.height >= least.height) kept.push_back(scale);
  }
  if (!kept.empty() || fitting.empty()) return kept;
  const auto distance = [&](float scale) {
    const Size window = window_size(cascade, scale);
    const std::int64_t dx = std::int64_t{least.width} - window.width;
    const std::int64_t dy = std::int64_t{least.height} - window.height;
    return dx * dx + dy * dy;
  };
  return {*std::min_element(fitting.begin(), fitting.end(),
                            [&](float a, float b) { return distance(a) < distance(b); })};
}

/// As HaarDetector::detect, without a region.
inline std::vector<Detection> detect(const Cascade& cascade, const GrayView& image,
                                     const HaarOptions& options) {
  std::vector<Detection> candidates;
  int stripes = 0;
  for (const float scale : searched_scales(cascade, image, options)) {
    const Size level{round_to_int(static_cast<float>(image.width) / scale),
                     round_to_int(static_cast<float>(image.height) / scale)};
    const int columns = std::max(level.width + 1 - cascade.window_width(), 0);
    const int rows = std::max(level.height + 1 - cascade.window_height(), 0);
    if (stripes == 0) stripes = std::max(static_cast<int>(std::ceil(columns / 32.0)), 1);
    const int step = scale >= 2.0f ? 1 : 2;
    const int stripe_rows = std::max((rows / step + stripes - 1) / stripes, 1) * step;
    const Sums sums(resize(image, level), cascade.has_tilted_features());
    const Size window = window_size(cascade, scale);
    const auto enlarged = [scale](int coordinate) {
      return round_to_int(static_cast<float>(coordinate) * scale);
    };
    for (int y = 0; y < std::min(stripes * stripe_rows, rows); y += step) {
      for (int x = 0; x < columns; x += step) {
        float margin = 0;
        const Verdict verdict = judge(cascade, sums, x, y, margin);
        if (verdict == Verdict::accepted) {
          candidates.push_back(
              {{enlarged(x), enlarged(y), window.width, window.height}, 1, margin});
        } else if (verdict == Verdict::rejected_by_first_stage) {
          x += step;
        }
      }
    }
  }
  std::vector<Detection> found;
  mien::detail::Grouper().group(candidates, options.min_neighbors, found);
  for (Detection& detection : found) {
    Rect& box = detection.box;
    const int right = std::min(box.x + box.width, image.width);
    const int bottom = std::min(box.y + box.height, image.height);
    box = {std::max(box.x, 0), std::max(box.y, 0), right - std::max(box.x, 0),
           bottom - std::max(box.y, 0)};
  }
  found.erase(std::remove_if(found.begin(), found.end(),
                             [&](const Detection& detection) {
                               return detection.box.width <= 0 || detection.box.height <= 0 ||
                                      detection.score < options.min_score;
                             }),
              found.end());
  return found;
}

}  // namespace reference
