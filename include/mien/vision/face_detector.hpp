// Viola and Jones' detector, with the rectangles of OpenCV 4.6's CascadeClassifier for 8-bit gray
// images in the order it gives on one thread (modules/objdetect/src/cascadedetect.cpp).
//
// The image is scanned at shrinking sizes with a window of fixed size; the cascade rejects most
// windows after a few features; the surviving windows are grouped.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <mien/error.hpp>
#include <mien/vision/cascade.hpp>
#include <mien/vision/grouping.hpp>
#include <mien/vision/image.hpp>
#include <mien/vision/integral_image.hpp>
#include <mien/vision/resize.hpp>

namespace mien {

/// Width and height in pixels.
struct Size {
  int width = 0;
  int height = 0;
};

struct DetectionOptions {
  /// How much larger each searched size is than the one before; at least `smallest_scale_factor`.
  /// 1.05 finds more than 1.1 and takes twice as long.
  double scale_factor = 1.1;
  /// A face needs more than so many overlapping candidates. With 0 the candidates themselves are
  /// returned, not grouped, each with 1 as its neighbors.
  int min_neighbors = 4;
  /// Sizes outside these limits are not searched; {0, 0} is no limit. If no size lies within them,
  /// the size nearest to `min_size` is searched all the same.
  Size min_size;
  Size max_size;

  static constexpr double smallest_scale_factor = 1.0001;  // 6932 sizes an octave

  /// Throws Error if a value is out of its range.
  void check() const {
    if (!(scale_factor >= smallest_scale_factor) || std::isinf(scale_factor)) {
      throw Error("scale_factor: expected a finite number of at least " +
                  to_text(smallest_scale_factor) + ", found " + to_text(scale_factor));
    }
    if (min_neighbors < 0) {
      throw Error("min_neighbors: expected 0 or more, found " + std::to_string(min_neighbors));
    }
    check_size("min_size", min_size);
    check_size("max_size", max_size);
  }

 private:
  static void check_size(const std::string& name, const Size& size) {
    if (size.width < 0 || size.height < 0) {
      throw Error(name + ": expected 0 or more, found " + std::to_string(size.width) + " x " +
                  std::to_string(size.height));
    }
  }

  static std::string to_text(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", value);
    return text;
  }
};

namespace detail {

/// Nearest integer, ties to even. A product passed in has been rounded before: compilers fuse
/// products with additions only.
inline int round_to_int(double value) noexcept {
  return static_cast<int>(std::lrint(value));
}
inline int round_to_int(float value) noexcept {
  return static_cast<int>(std::lrint(value));
}

/// The pixels of a window that its contrast is measured on: all but a border of one pixel.
inline Rect normalisation_rect(int window_width, int window_height) noexcept {
  return {1, 1, window_width - 2, window_height - 2};
}

/// 1 / (area * standard deviation), where `spread` = area * sum of squares - (sum)^2.
inline float normalisation_factor(std::int64_t spread) noexcept {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(spread)));
}

/// The smallest spread that is not flat. OpenCV demands area * normalisation_factor < 0.1, a
/// standard deviation above 10; that is monotonic, so one integer comparison decides the same.
inline std::int64_t smallest_spread(int area) noexcept {
  const auto is_flat = [area](std::int64_t spread) {
    return static_cast<double>(area) * static_cast<double>(normalisation_factor(spread)) >= 0.1;
  };
  std::int64_t flat = 1;
  std::int64_t contrasted = std::int64_t{area} * area * 255 * 255 + 1;
  while (contrasted - flat > 1) {
    const std::int64_t middle = flat + (contrasted - flat) / 2;
    (is_flat(middle) ? flat : contrasted) = middle;
  }
  return contrasted;
}

/// Four corners as distances from the window's origin in a table of sums, and the sum's weight.
struct PlacedRect {
  std::int32_t top_left = 0;
  std::int32_t top_right = 0;
  std::int32_t bottom_left = 0;
  std::int32_t bottom_right = 0;
  std::int32_t weight = 0;

  /// The sum of the pixels, without the weight. It fits though the entries may have wrapped.
  std::int32_t sum(const std::uint32_t* window) const noexcept {
    return static_cast<std::int32_t>(window[top_left] - window[top_right] - window[bottom_left] +
                                     window[bottom_right]);
  }
};

/// Places a rectangle in a table with rows of `stride` entries (below 2^23: the distances fit).
inline PlacedRect place(const WeightedRect& rect, bool tilted, std::int32_t stride) noexcept {
  const Rect& box = rect.box;
  const auto at = [stride](int x, int y) { return y * stride + x; };
  const int right = box.x + box.width;
  const int bottom = box.y + box.height;
  if (tilted) {
    return {at(box.x, box.y), at(box.x - box.height, bottom), at(right, box.y + box.width),
            at(right - box.height, bottom + box.width), rect.weight};
  }
  return {at(box.x, box.y), at(right, box.y), at(box.x, bottom), at(right, bottom), rect.weight};
}

/// A feature at one stride. Its value is exact: Cascade has checked that it stays below 2^24.
struct PlacedFeature {
  std::array<PlacedRect, 3> rects;
  bool has_third_rect = false;
  bool tilted = false;

  PlacedFeature(const HaarFeature& feature, std::int32_t stride) noexcept
      : has_third_rect(feature.rect_count == 3), tilted(feature.tilted) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(feature.rect_count); ++i) {
      rects[i] = place(feature.rects[i], feature.tilted, stride);
    }
  }

  float value(const std::uint32_t* window) const noexcept {
    std::int32_t sum = rects[0].weight * rects[0].sum(window);
    sum += rects[1].weight * rects[1].sum(window);
    if (has_third_rect) sum += rects[2].weight * rects[2].sum(window);
    return static_cast<float>(sum);
  }
};

}  // namespace detail

/// Finds faces, or whatever else its cascade was trained on. Immutable: one detector may be used
/// from many threads at once. The rounding mode must be the default, to nearest.
class FaceDetector {
 public:
  explicit FaceDetector(Cascade cascade)
      : cascade_(std::move(cascade)),
        normalisation_rect_(
            detail::normalisation_rect(cascade_.window_width(), cascade_.window_height())),
        normalisation_area_(normalisation_rect_.width * normalisation_rect_.height),
        smallest_spread_(detail::smallest_spread(normalisation_area_)),
        stumps_(make_stumps()) {}

  const Cascade& cascade() const noexcept { return cascade_; }

  /// The objects in an image, cut to it, mostly from small to large. An image smaller than the
  /// cascade's window has none. Throws Error for options out of their ranges and for images of
  /// more than 2^22 pixels a side.
  std::vector<Detection> detect(const GrayView& image, const DetectionOptions& options = {}) const {
    options.check();
    if (image.width > largest_side || image.height > largest_side) {
      throw Error("image: expected at most " + std::to_string(largest_side) +
                  " pixels a side, found " + std::to_string(image.width) + " x " +
                  std::to_string(image.height));
    }
    if (image.empty()) return {};
    std::vector<Rect> candidates;
    const std::vector<float> scales = searched_scales(image, options);
    const int stripes = scales.empty() ? 1 : stripe_count(level_size(image, scales.front()));
    IntegralImage sums;
    for (const float scale : scales) {
      const Size level = level_size(image, scale);
      const bool same_size = level.width == image.width && level.height == image.height;
      GrayImage resized;
      if (!same_size) resized = resize_linear_exact(image, level.width, level.height);
      sums.compute(same_size ? image : resized.view(), cascade_.has_tilted_features());
      if (cascade_.has_only_stumps()) {
        scan<true>(sums, scale, stripes, candidates);
      } else {
        scan<false>(sums, scale, stripes, candidates);
      }
    }
    std::vector<Detection> detections = group_rectangles(candidates, options.min_neighbors);
    cut_to(image, detections);
    return detections;
  }

 private:
  enum class Verdict { accepted, flat, rejected_by_first_stage, rejected };

  static constexpr int largest_side = 1 << 22;          // for 32-bit distances in tables
  static constexpr double positions_per_stripe = 32.0;  // of the first level's width

  /// The window at a scale: a product of floats, rounded.
  Size window_size(float scale) const noexcept {
    return {detail::round_to_int(static_cast<float>(cascade_.window_width()) * scale),
            detail::round_to_int(static_cast<float>(cascade_.window_height()) * scale)};
  }

  static Size level_size(const GrayView& image, float scale) noexcept {
    return {detail::round_to_int(static_cast<float>(image.width) / scale),
            detail::round_to_int(static_cast<float>(image.height) / scale)};
  }

  /// All scales at which the window fits into the image, ascending.
  std::vector<float> fitting_scales(const GrayView& image, double scale_factor) const {
    std::vector<float> scales;
    for (double scale = 1.0;; scale *= scale_factor) {
      // Compared as floating-point numbers: a huge scale does not fit into an int.
      if (std::nearbyint(cascade_.window_width() * scale) > image.width ||
          std::nearbyint(cascade_.window_height() * scale) > image.height) {
        return scales;
      }
      scales.push_back(static_cast<float>(scale));
    }
  }

  /// Those within the limits, or else the one nearest to the lower limit.
  std::vector<float> searched_scales(const GrayView& image, const DetectionOptions& options) const {
    const Size& least = options.min_size;
    const bool limited = options.max_size.width > 0 && options.max_size.height > 0;
    const Size most = limited ? options.max_size : Size{image.width, image.height};
    const std::vector<float> fitting = fitting_scales(image, options.scale_factor);
    std::vector<float> kept;
    for (const float scale : fitting) {
      const Size window = window_size(scale);
      if (window.width > most.width || window.height > most.height) break;
      if (window.width >= least.width && window.height >= least.height) kept.push_back(scale);
    }
    if (!kept.empty() || fitting.empty()) return kept;
    const auto distance = [&](float scale) {
      const Size window = window_size(scale);
      const std::int64_t dx = std::int64_t{least.width} - window.width;
      const std::int64_t dy = std::int64_t{least.height} - window.height;
      return dx * dx + dy * dy;
    };
    return {*std::min_element(fitting.begin(), fitting.end(),
                              [&](float a, float b) { return distance(a) < distance(b); })};
  }

  /// OpenCV splits the rows of every level into so many stripes for its threads.
  int stripe_count(const Size& first_level) const noexcept {
    const int positions = first_level.width + 1 - cascade_.window_width();
    return std::max(static_cast<int>(std::ceil(positions / positions_per_stripe)), 1);
  }

  /// The number of rows that the stripes cover: with a step of 2 the last row may fall out.
  static int covered_rows(int rows, int step, int stripes) noexcept {
    const int stripe_rows = std::max((rows / step + stripes - 1) / stripes, 1) * step;
    return static_cast<int>(std::min(std::int64_t{stripes} * stripe_rows, std::int64_t{rows}));
  }

  /// Appends the accepted windows of one level, in pixels of the full image.
  template <bool only_stumps>
  void scan(const IntegralImage& sums, float scale, int stripes,
            std::vector<Rect>& candidates) const {
    const int columns = std::max(sums.width() + 1 - cascade_.window_width(), 0);
    const int rows = std::max(sums.height() + 1 - cascade_.window_height(), 0);
    const int step = scale >= 2.0f ? 1 : 2;
    const int row_end = covered_rows(rows, step, stripes);
    const Size window = window_size(scale);
    const auto enlarged = [scale](int coordinate) {
      return detail::round_to_int(static_cast<float>(coordinate) * scale);
    };
    const PlacedCascade placed(*this, sums);
    for (int y = 0; y < row_end; y += step) {
      for (int x = 0; x < columns; x += step) {
        const Verdict verdict = judge<only_stumps>(sums, placed, x, y);
        if (verdict == Verdict::accepted) {
          candidates.push_back({enlarged(x), enlarged(y), window.width, window.height});
        } else if (verdict == Verdict::rejected_by_first_stage) {
          x += step;  // the neighbour of a window this far from a face is not looked at
        }
      }
    }
  }

  /// The normalisation rectangle and every node's feature, placed in one level's sums.
  struct PlacedCascade {
    PlacedCascade(const FaceDetector& detector, const IntegralImage& sums) {
      const Cascade& cascade = detector.cascade_;
      const auto stride = static_cast<std::int32_t>(sums.stride());
      normalisation = detail::place({detector.normalisation_rect_, 1}, /*tilted=*/false, stride);
      node_features.reserve(cascade.nodes().size());
      for (const CascadeNode& node : cascade.nodes()) {
        node_features.emplace_back(cascade.features()[node.feature], stride);
      }
    }

    detail::PlacedRect normalisation;
    std::vector<detail::PlacedFeature> node_features;
  };

  /// A window's origin in the tables of sums, and the factor that makes up for its contrast.
  struct Window {
    const std::uint32_t* sums;
    const std::uint32_t* tilted_sums;
    float normalisation_factor;

    float value(const detail::PlacedFeature& feature) const noexcept {
      return feature.value(feature.tilted ? tilted_sums : sums) * normalisation_factor;
    }
  };

  template <bool only_stumps>
  Verdict judge(const IntegralImage& sums, const PlacedCascade& placed, int x,
                int y) const noexcept {
    const std::ptrdiff_t origin = y * sums.stride() + x;
    const std::int64_t sum = placed.normalisation.sum(sums.sums() + origin);
    const std::int64_t squared_sum =
        static_cast<std::uint32_t>(placed.normalisation.sum(sums.squared_sums() + origin));
    const std::int64_t spread = normalisation_area_ * squared_sum - sum * sum;
    if (spread < smallest_spread_) return Verdict::flat;

    const std::uint32_t* tilted_sums = sums.tilted_sums();
    const Window window{sums.sums() + origin,
                        tilted_sums == nullptr ? nullptr : tilted_sums + origin,
                        detail::normalisation_factor(spread)};
    for (const CascadeStage& stage : cascade_.stages()) {
      const double total =
          only_stumps ? sum_of_stumps(stage, placed, window) : sum_of_trees(stage, placed, window);
      if (total < static_cast<double>(stage.threshold)) {
        return &stage == &cascade_.stages().front() ? Verdict::rejected_by_first_stage
                                                    : Verdict::rejected;
      }
    }
    return Verdict::accepted;
  }

  double sum_of_stumps(const CascadeStage& stage, const PlacedCascade& placed,
                       const Window& window) const noexcept {
    double total = 0.0;
    const std::size_t end = stage.first_classifier + stage.classifier_count;
    for (std::size_t i = stage.first_classifier; i < end; ++i) {
      const Stump& stump = stumps_[i];
      const float value = window.value(placed.node_features[i]);
      total += static_cast<double>(stump.leaves[value < stump.threshold ? 0 : 1]);
    }
    return total;
  }

  double sum_of_trees(const CascadeStage& stage, const PlacedCascade& placed,
                      const Window& window) const noexcept {
    double total = 0.0;
    const std::size_t end = stage.first_classifier + stage.classifier_count;
    for (std::size_t i = stage.first_classifier; i < end; ++i) {
      const WeakClassifier& tree = cascade_.classifiers()[i];
      int child = 0;
      do {
        const std::size_t node = tree.first_node + static_cast<std::size_t>(child);
        const CascadeNode& split = cascade_.nodes()[node];
        const float value = window.value(placed.node_features[node]);
        child = value < split.threshold ? split.left : split.right;
      } while (child > 0);
      total += static_cast<double>(leaf(tree, child));
    }
    return total;
  }

  float leaf(const WeakClassifier& tree, int child) const noexcept {
    return cascade_.leaves()[tree.first_leaf + static_cast<std::size_t>(-child)];
  }

  /// A tree of one node, close together for the inner loop.
  struct Stump {
    float threshold;
    std::array<float, 2> leaves;  // below the threshold, otherwise
  };

  std::vector<Stump> make_stumps() const {
    std::vector<Stump> stumps;
    if (!cascade_.has_only_stumps()) return stumps;
    stumps.reserve(cascade_.classifiers().size());
    for (const WeakClassifier& tree : cascade_.classifiers()) {
      const CascadeNode& node = cascade_.nodes()[tree.first_node];
      stumps.push_back({node.threshold, {leaf(tree, node.left), leaf(tree, node.right)}});
    }
    return stumps;
  }

  /// Cuts boxes to the image and removes those that have nothing in it.
  static void cut_to(const GrayView& image, std::vector<Detection>& detections) {
    for (Detection& detection : detections) {
      Rect& box = detection.box;
      const int right = std::min(box.x + box.width, image.width);
      const int bottom = std::min(box.y + box.height, image.height);
      box.x = std::max(box.x, 0);
      box.y = std::max(box.y, 0);
      box.width = right - box.x;
      box.height = bottom - box.y;
    }
    detections.erase(std::remove_if(detections.begin(), detections.end(),
                                    [](const Detection& detection) {
                                      return detection.box.width <= 0 || detection.box.height <= 0;
                                    }),
                     detections.end());
  }

  Cascade cascade_;
  Rect normalisation_rect_;
  int normalisation_area_;
  std::int64_t smallest_spread_;
  std::vector<Stump> stumps_;  // empty unless all classifiers are stumps
};

}  // namespace mien
