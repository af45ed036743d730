// A cascade in the form that the kernels evaluate (kernels/haar.hpp): rectangles' corners merged,
// large features cut into parts, stumps sorted by shape.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include <mien/kernels/haar.hpp>
#include <mien/vision/cascade.hpp>

namespace mien::detail {

/// A corner of a feature's rectangles, in entries of a table from the window's first, and how often
/// it counts.
struct Corner {
  int x = 0;
  int y = 0;
  int weight = 0;
};

/// Calls function(Corner) for the four corners of a rectangle.
template <class Function>
void for_each_corner(const WeightedRect& rect, bool tilted, Function&& function) {
  const Rect& box = rect.box;
  const int right = box.x + box.width;
  const int bottom = box.y + box.height;
  function(Corner{box.x, box.y, rect.weight});
  if (tilted) {
    function(Corner{box.x - box.height, bottom, -rect.weight});
    function(Corner{right, box.y + box.width, -rect.weight});
    function(Corner{right - box.height, bottom + box.width, rect.weight});
  } else {
    function(Corner{right, box.y, -rect.weight});
    function(Corner{box.x, bottom, -rect.weight});
    function(Corner{right, bottom, rect.weight});
  }
}

/// The corners of all rectangles of a feature; those at one place merged, those that cancel gone.
class MergedCorners {
 public:
  explicit MergedCorners(const HaarFeature& feature) noexcept : tilted_(feature.tilted) {
    for (int i = 0; i < feature.rect_count; ++i) {
      for_each_corner(feature.rects[static_cast<std::size_t>(i)], tilted_,
                      [this](const Corner& corner) { merge(corner); });
    }
    count_ = static_cast<std::size_t>(
        std::remove_if(corners_.begin(), corners_.begin() + static_cast<std::ptrdiff_t>(count_),
                       [](const Corner& corner) { return corner.weight == 0; }) -
        corners_.begin());
  }

  bool tilted() const noexcept { return tilted_; }
  std::size_t size() const noexcept { return count_; }
  const Corner* begin() const noexcept { return corners_.data(); }
  const Corner* end() const noexcept { return corners_.data() + count_; }
  const Corner& operator[](std::size_t i) const noexcept { return corners_[i]; }

 private:
  void merge(const Corner& corner) noexcept {
    for (std::size_t i = 0; i < count_; ++i) {
      if (corners_[i].x == corner.x && corners_[i].y == corner.y) {
        corners_[i].weight += corner.weight;
        return;
      }
    }
    corners_[count_++] = corner;
  }

  std::array<Corner, kernels::haar_wide_corners> corners_;
  std::size_t count_ = 0;
  bool tilted_;
};

/// Whether the feature's value fits in 16 bits, whatever the pixels.
inline bool fits_16_bits(const HaarFeature& feature, const MergedCorners& corners, int window_width,
                         int window_height) {
  constexpr int largest_pixel = 255;
  constexpr int limit = std::numeric_limits<std::int16_t>::max();
  const auto sum_of_weights = [&](int sign) {
    int sum = 0;
    for (int i = 0; i < feature.rect_count; ++i) {
      const WeightedRect& rect = feature.rects[static_cast<std::size_t>(i)];
      const int pixels = rect.box.width * rect.box.height * (feature.tilted ? 2 : 1);
      if (rect.weight * sign > 0) sum += std::abs(rect.weight) * pixels;
    }
    return sum;
  };
  // Enough for many: rectangles taken one by one. What they have in common takes from both sums.
  if (std::max(sum_of_weights(1), sum_of_weights(-1)) * largest_pixel <= limit) return true;
  int positive = 0;
  int negative = 0;
  for (int y = 0; y < window_height; ++y) {
    for (int x = 0; x < window_width; ++x) {
      int weight = 0;  // of this pixel
      for (const Corner& corner : corners) {
        const bool counts = corners.tilted() ? std::abs(x - corner.x + 1) <= corner.y - 1 - y
                                             : x < corner.x && y < corner.y;
        weight += counts ? corner.weight : 0;
      }
      (weight > 0 ? positive : negative) += std::abs(weight);
    }
  }
  return std::max(positive, negative) * largest_pixel <= limit;
}

/// A feature's shape and its corners in the order of kernels::HaarNode. A wide one's are in any.
struct ShapedFeature {
  kernels::HaarShape shape = kernels::HaarShape::wide;
  std::array<Corner, kernels::haar_wide_corners> corners;
  int corner_count = 0;
  int multiplier = 0;
  bool tilted = false;

  ShapedFeature(const HaarFeature& feature, int window_width, int window_height) {
    const MergedCorners merged(feature);
    tilted = merged.tilted();
    corner_count = static_cast<int>(merged.size());
    std::copy(merged.begin(), merged.end(), corners.begin());
    if (!(shape_as_checker() || shape_as_edge_or_line())) return;
    if (!fits_16_bits(feature, merged, window_width, window_height))
      shape = kernels::HaarShape::wide;
  }

 private:
  /// Brings the corners of the first weight to the front, then those of the second, and so on.
  /// False if there are not exactly so many of each.
  template <std::size_t count>
  bool sort_by_weights(const std::array<int, count>& weights) {
    if (corner_count != static_cast<int>(count)) return false;
    std::array<Corner, kernels::haar_wide_corners> rest = corners;
    std::array<Corner, kernels::haar_wide_corners> sorted;
    for (std::size_t i = 0; i < count; ++i) {
      const auto end = rest.begin() + static_cast<std::ptrdiff_t>(count);
      const auto found = std::find_if(
          rest.begin(), end, [&](const Corner& corner) { return corner.weight == weights[i]; });
      if (found == end) return false;
      sorted[i] = *found;
      found->weight = 0;  // taken: no corner has this weight
    }
    corners = sorted;
    return true;
  }

  bool shape_as_edge_or_line() {
    // The multiplier is the weight of the inner corners; there are few in use.
    for (int m = 2; m <= 9; ++m) {
      if (sort_by_weights<6>({1, 1, -1, -1, m, -m})) {
        shape = kernels::HaarShape::edge;
        multiplier = m;
        return true;
      }
      if (sort_by_weights<8>({1, 1, -1, -1, m, m, -m, -m})) {
        shape = kernels::HaarShape::line;
        multiplier = m;
        return true;
      }
    }
    return false;
  }

  bool shape_as_checker() {
    for (const int sign : {1, -1}) {
      const int edge = -2 * sign;
      if (sort_by_weights<9>({sign, sign, sign, sign, 4 * sign, edge, edge, edge, edge})) {
        shape = kernels::HaarShape::checker;
        multiplier = sign;
        return true;
      }
    }
    return false;
  }
};

/// What of an upright feature lies in an area.
inline HaarFeature part_inside(const HaarFeature& feature, const Rect& area) noexcept {
  HaarFeature part;
  for (int i = 0; i < feature.rect_count; ++i) {
    const auto& [box, weight] = feature.rects[static_cast<std::size_t>(i)];
    const int x = std::max(box.x, area.x);
    const int y = std::max(box.y, area.y);
    const int width = std::min(box.x + box.width, area.x + area.width) - x;
    const int height = std::min(box.y + box.height, area.y + area.height) - y;
    if (width <= 0 || height <= 0) continue;
    part.rects[static_cast<std::size_t>(part.rect_count++)] = {{x, y, width, height}, weight};
  }
  return part;
}

/// The fewest parts of common shapes that an upright feature is the sum of, sorted by shape: strips
/// of it, side by side or one above the other. None if it is of no such kind.
inline std::vector<ShapedFeature> cut_into_parts(const HaarFeature& feature, int window_width,
                                                 int window_height) {
  constexpr int most_parts = 4;
  for (int count = 2; count <= most_parts && !feature.tilted; ++count) {
    for (const bool side_by_side : {true, false}) {
      std::vector<ShapedFeature> parts;
      const int side = side_by_side ? window_width : window_height;
      for (int i = 0; i < count; ++i) {
        const int start = side * i / count;
        const int length = side * (i + 1) / count - start;
        const Rect strip = side_by_side ? Rect{start, 0, length, window_height}
                                        : Rect{0, start, window_width, length};
        const HaarFeature part = part_inside(feature, strip);
        if (part.rect_count > 0) parts.emplace_back(part, window_width, window_height);
      }
      const auto is_wide = [](const ShapedFeature& part) {
        return part.shape == kernels::HaarShape::wide;
      };
      if (std::any_of(parts.begin(), parts.end(), is_wide)) continue;
      std::sort(parts.begin(), parts.end(),
                [](const ShapedFeature& a, const ShapedFeature& b) { return a.shape < b.shape; });
      return parts;
    }
  }
  return {};
}

/// A feature as it is evaluated: of one shape or in parts.
struct ProgramFeature {
  ShapedFeature whole;
  std::vector<ShapedFeature> parts;

  ProgramFeature(const HaarFeature& feature, int window_width, int window_height)
      : whole(feature, window_width, window_height) {
    if (whole.shape != kernels::HaarShape::wide) return;
    parts = cut_into_parts(feature, window_width, window_height);
  }

  kernels::HaarShape shape() const noexcept {
    return parts.empty() ? whole.shape : kernels::HaarShape::split;
  }
};

/// Where entries of a table of sums lie: column x is entry x / step of the plane x % step. Entries
/// of the tilted table follow those of the upright one.
struct TableLayout {
  std::int32_t step = 1;  // or 2
  std::int32_t plane = 0;
  std::int32_t row = 0;
  std::int32_t tilted = 0;

  std::int32_t operator()(int x, int y, bool is_tilted) const noexcept {
    const std::int32_t bits = step - 1;
    return y * row + (x & bits) * plane + (x >> bits) + (is_tilted ? tilted : 0);
  }
};

/// The nodes of a cascade's stages and the parts of its split nodes, with corners in one layout.
struct PlacedNodes {
  std::vector<kernels::HaarNode> nodes;
  std::vector<kernels::HaarNode> parts;
};

/// A cascade's stages for the kernels.
class HaarProgram {
 public:
  explicit HaarProgram(const Cascade& cascade) {
    std::vector<ProgramFeature> features;
    features.reserve(cascade.features().size());
    for (const HaarFeature& feature : cascade.features()) {
      features.emplace_back(feature, cascade.window_width(), cascade.window_height());
    }
    for (const CascadeStage& stage : cascade.stages()) add_stage(cascade, stage, features);
  }

  std::size_t stage_count() const noexcept { return stages_.size(); }
  /// Nodes of one stage.
  int node_count(std::size_t stage) const noexcept { return stages_[stage].node_count; }
  /// Where the kernels have each stump of a stage of stumps, in the file's order.
  const std::int32_t* stump_places(std::size_t stage) const noexcept {
    return stump_places_.data() + stages_[stage].first_stump;
  }

  /// The nodes of the first `stage_count` stages; corners are `scale` entries wide.
  void place_nodes(std::size_t stage_count, const TableLayout& layout, int scale,
                   PlacedNodes& placed) const {
    if (stage_count == 0) return;
    const Stage& last = stages_[stage_count - 1];
    placed.nodes.resize(last.node_end);
    for (std::size_t i = 0; i < last.node_end; ++i) {
      place(nodes_[i].feature, layout, scale, placed.nodes[i]);
      placed.nodes[i].threshold = nodes_[i].threshold;
      placed.nodes[i].difference = nodes_[i].difference;
    }
    placed.parts.resize(last.part_end);
    for (std::size_t i = 0; i < last.part_end; ++i) {
      place(parts_[i], layout, scale, placed.parts[i]);
    }
  }

  /// The wide nodes of all stages.
  void place_wide_nodes(const TableLayout& layout,
                        std::vector<kernels::HaarWideNode>& placed) const {
    placed.resize(wide_nodes_.size());
    for (std::size_t i = 0; i < wide_nodes_.size(); ++i) {
      const Node& node = wide_nodes_[i];
      kernels::HaarWideNode& to = placed[i];
      to.corner_count = node.feature.corner_count;
      for (int k = 0; k < node.feature.corner_count; ++k) {
        to.corners[k] = entry(node.feature, k, layout);
        to.weights[k] = node.feature.corners[static_cast<std::size_t>(k)].weight;
      }
      to.threshold = node.threshold;
      to.difference = node.difference;
    }
  }

  /// A stage with its nodes in these lists, of which the first may be cut after it.
  kernels::HaarStage stage(std::size_t number, const PlacedNodes& placed,
                           const std::vector<kernels::HaarWideNode>& wide_nodes) const noexcept {
    const Stage& stage = stages_[number];
    kernels::HaarStage result{};
    result.nodes = placed.nodes.data() + stage.first_node;
    result.edges = stage.shape_counts[0];
    result.lines = stage.shape_counts[1];
    result.checkers = stage.shape_counts[2];
    result.split_nodes = split_nodes_.data() + stage.first_split_node;
    result.split_count = stage.shape_counts[3];
    result.parts = placed.parts.data();
    result.wide_nodes = wide_nodes.data() + stage.first_wide_node;
    result.wide_count = stage.shape_counts[4];
    result.trees = trees_.data() + stage.first_tree;
    result.tree_count = stage.tree_count;
    result.branches = branches_.data();
    result.leaves = leaves_.data();
    result.right_leaves = stage.right_leaves;
    result.least_uncertain = stage.least_uncertain;
    result.most_uncertain = stage.most_uncertain;
    return result;
  }

 private:
  struct Node {
    ShapedFeature feature;
    float threshold;
    std::int32_t difference;  // of a stump's leaves
  };

  struct Stage {
    std::size_t first_node = 0;
    std::size_t node_end = 0;
    std::size_t first_split_node = 0;
    std::size_t part_end = 0;
    std::size_t first_wide_node = 0;
    int node_count = 0;                          // of all kinds
    std::array<std::int32_t, 5> shape_counts{};  // of stumps
    std::size_t first_stump = 0;
    std::size_t first_tree = 0;
    std::int32_t tree_count = 0;
    std::int32_t right_leaves = 0;  // of all stumps
    std::int32_t least_uncertain = 0;
    std::int32_t most_uncertain = 0;
  };

  static std::int32_t entry(const ShapedFeature& feature, int corner,
                            const TableLayout& layout) noexcept {
    const Corner& c = feature.corners[static_cast<std::size_t>(corner)];
    return layout(c.x, c.y, feature.tilted);
  }
  static void place(const ShapedFeature& feature, const TableLayout& layout, int scale,
                    kernels::HaarNode& to) noexcept {
    const auto corner = [&](int k) { return scale * entry(feature, k, layout); };
    for (int i = 0; i < feature.corner_count / 2; ++i) {
      to.corner_pairs[i] = static_cast<std::uint64_t>(corner(2 * i)) |
                           static_cast<std::uint64_t>(corner(2 * i + 1)) << 32;
    }
    if (feature.corner_count % 2 != 0) to.last_corner = corner(feature.corner_count - 1);
    to.doubled_multiplier = static_cast<std::int32_t>(
        (static_cast<std::uint32_t>(feature.multiplier) & 0xFFFFu) * 0x10001u);
  }

  void add_stage(const Cascade& cascade, const CascadeStage& from,
                 const std::vector<ProgramFeature>& features) {
    Stage stage;
    stage.first_node = nodes_.size();
    stage.first_split_node = split_nodes_.size();
    stage.first_wide_node = wide_nodes_.size();
    const WeakClassifier* first = cascade.classifiers().data() + from.first_classifier;
    const WeakClassifier* last = first + from.classifier_count;
    const double scale = leaf_scale(cascade, from);
    const bool only_stumps =
        std::all_of(first, last, [](const WeakClassifier& c) { return c.node_count == 1; });
    if (only_stumps) {
      add_stumps(cascade, first, last, features, scale, stage);
    } else {
      stage.first_tree = trees_.size();
      stage.tree_count = static_cast<std::int32_t>(from.classifier_count);
      for (; first != last; ++first) add_tree(cascade, *first, features, scale, stage);
    }
    set_uncertain_sums(from, scale, stage);
    stage.node_end = nodes_.size();
    stage.part_end = parts_.size();
    stages_.push_back(stage);
  }

  void add_stumps(const Cascade& cascade, const WeakClassifier* first, const WeakClassifier* last,
                  const std::vector<ProgramFeature>& features, double scale, Stage& stage) {
    using kernels::HaarShape;
    stage.first_stump = stump_places_.size();
    stump_places_.resize(stage.first_stump + static_cast<std::size_t>(last - first));
    for (const HaarShape shape : {HaarShape::edge, HaarShape::line, HaarShape::checker,
                                  HaarShape::split, HaarShape::wide}) {
      for (const WeakClassifier* stump = first; stump != last; ++stump) {
        const CascadeNode& node = cascade.nodes()[stump->first_node];
        const ProgramFeature& feature = features[node.feature];
        if (feature.shape() != shape) continue;
        const auto leaf = [&](int child) {
          return scaled_leaf(cascade.leaves()[stump->first_leaf + static_cast<std::size_t>(-child)],
                             scale);
        };
        add_node(feature, node.threshold, leaf(node.left) - leaf(node.right));
        stage.right_leaves += leaf(node.right);
        ++stage.shape_counts[static_cast<std::size_t>(shape)];
        stump_places_[stage.first_stump + static_cast<std::size_t>(stump - first)] =
            stage.node_count++;
      }
    }
  }

  void add_tree(const Cascade& cascade, const WeakClassifier& tree,
                const std::vector<ProgramFeature>& features, double scale, Stage& stage) {
    trees_.push_back({static_cast<std::int32_t>(branches_.size()),
                      static_cast<std::int32_t>(tree.node_count),
                      static_cast<std::int32_t>(leaves_.size())});
    for (std::size_t i = tree.first_node; i < tree.first_node + tree.node_count; ++i) {
      const CascadeNode& node = cascade.nodes()[i];
      const ProgramFeature& feature = features[node.feature];
      const std::size_t number = add_node(feature, node.threshold, 0) - first_of(feature, stage);
      branches_.push_back(
          {feature.shape(), static_cast<std::int32_t>(number), node.left, node.right});
      ++stage.node_count;
    }
    for (std::size_t i = 0; i <= tree.node_count; ++i) {
      leaves_.push_back(scaled_leaf(cascade.leaves()[tree.first_leaf + i], scale));
    }
  }

  /// Adds a node to the list of its kind and returns its number there.
  std::size_t add_node(const ProgramFeature& feature, float threshold, std::int32_t difference) {
    if (feature.shape() == kernels::HaarShape::split) {
      kernels::HaarSplitNode node{};
      node.first_part = static_cast<std::int32_t>(parts_.size());
      const auto count = [&feature](kernels::HaarShape shape) {
        return static_cast<std::int32_t>(
            std::count_if(feature.parts.begin(), feature.parts.end(),
                          [shape](const ShapedFeature& part) { return part.shape == shape; }));
      };
      node.edges = count(kernels::HaarShape::edge);
      node.lines = count(kernels::HaarShape::line);
      node.checkers = count(kernels::HaarShape::checker);
      node.threshold = threshold;
      node.difference = difference;
      parts_.insert(parts_.end(), feature.parts.begin(), feature.parts.end());
      split_nodes_.push_back(node);
      return split_nodes_.size() - 1;
    }
    std::vector<Node>& list = feature.shape() == kernels::HaarShape::wide ? wide_nodes_ : nodes_;
    list.push_back({feature.whole, threshold, difference});
    return list.size() - 1;
  }

  /// The number of a stage's first node of a feature's kind.
  static std::size_t first_of(const ProgramFeature& feature, const Stage& stage) noexcept {
    switch (feature.shape()) {
      case kernels::HaarShape::split:
        return stage.first_split_node;
      case kernels::HaarShape::wide:
        return stage.first_wide_node;
      default:
        return stage.first_node;
    }
  }

  /// The scale at which a stage's sums stay below sum_limit.
  static double leaf_scale(const Cascade& cascade, const CascadeStage& stage) {
    double largest_sum = 0;
    for (std::size_t i = 0; i < stage.classifier_count; ++i) {
      const WeakClassifier& tree = cascade.classifiers()[stage.first_classifier + i];
      double largest_leaf = 0;
      for (std::size_t k = 0; k <= tree.node_count; ++k) {
        const float leaf = cascade.leaves()[tree.first_leaf + k];
        largest_leaf = std::max(largest_leaf, std::abs(static_cast<double>(leaf)));
      }
      largest_sum += largest_leaf;
    }
    return largest_sum > 0 ? sum_limit / largest_sum : 1;
  }

  static std::int32_t scaled_leaf(float leaf, double scale) noexcept {
    return static_cast<std::int32_t>(std::lrint(static_cast<double>(leaf) * scale));
  }

  static void set_uncertain_sums(const CascadeStage& from, double scale, Stage& stage) {
    // Half a unit for each leaf, one for the threshold, one for the rounding of the sum in double
    // precision that the file's leaf values have.
    const double error = static_cast<double>(from.classifier_count) / 2 + 2;
    const double threshold = static_cast<double>(from.threshold) * scale;
    const auto limited = [](double sum) {
      return static_cast<std::int32_t>(
          std::min(std::max(sum, -2 * sum_limit + 2), 2 * sum_limit - 2));
    };
    stage.least_uncertain = limited(std::floor(threshold - error));
    stage.most_uncertain = limited(std::ceil(threshold + error));
  }

  static constexpr double sum_limit = 1 << 29;  // also for differences of leaves

  std::vector<Node> nodes_;
  std::vector<ShapedFeature> parts_;
  std::vector<kernels::HaarSplitNode> split_nodes_;
  std::vector<Node> wide_nodes_;
  std::vector<Stage> stages_;
  std::vector<std::int32_t> stump_places_;
  std::vector<kernels::HaarTree> trees_;
  std::vector<kernels::HaarBranch> branches_;
  std::vector<std::int32_t> leaves_;
};

}  // namespace mien::detail
