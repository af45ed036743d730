// A cascade prepared for the kernels (kernels/vision/haar.hpp).
//
// Why it is not the Cascade itself: that one keeps the file's order and precision, by which the
// last bit of a borderline window's sum is decided. Here stumps are sorted by the shape of their
// features, and leaf values are integers, which can be added in any order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/config.hpp>
#include <mien/faces/haar/cascade.hpp>
#include <mien/faces/haar/feature_shapes.hpp>
#include <mien/faces/haar/table_layout.hpp>
#include <mien/image/image.hpp>
#include <mien/kernels/vision/haar.hpp>

namespace mien::detail {

/// A program's stages with corners where a level's tables have them.
struct PlacedStages {
  std::vector<kernels::HaarStage> rows;      // the first stages, for windows side by side
  std::vector<kernels::HaarStage> gathered;  // all, for gathered windows
  // What the stages point to.
  std::vector<kernels::HaarNode> nodes;  // of the first stages
  std::vector<kernels::HaarNode> parts;
  std::vector<kernels::HaarWideNode> wide_nodes;  // of all
};

class CascadeProgram {
 public:
  MIEN_COLD explicit CascadeProgram(Cascade cascade);
  // Stages point to the lists beside them.
  CascadeProgram(const CascadeProgram&) = delete;
  CascadeProgram& operator=(const CascadeProgram&) = delete;

  const Cascade& cascade() const noexcept { return cascade_; }
  Size window() const noexcept { return {cascade_.window_width(), cascade_.window_height()}; }
  std::size_t stage_count() const noexcept { return stages_.size(); }
  int node_count(std::size_t stage) const noexcept;
  /// Where the stumps of a stage are in the kernels' order, in the file's order.
  const std::int32_t* stump_places(std::size_t stage) const noexcept {
    return stump_places_.data() + cascade_.stages()[stage].first_classifier;
  }
  /// See flat_windows.hpp.
  const Rect& normalisation_rect() const noexcept { return normalisation_rect_; }
  std::int64_t smallest_spread() const noexcept { return smallest_spread_; }
  /// The tables of one gathered window.
  const TableLayout& gathered_layout() const noexcept { return gathered_layout_; }

  void place(const TableLayout& layout, PlacedStages& placed) const;

 private:
  MIEN_COLD void add_stage(const CascadeStage& from, const std::vector<ShapedFeature>& features);
  MIEN_COLD void add_stumps(const CascadeStage& from, const std::vector<ShapedFeature>& features,
                            double scale, kernels::HaarStage& stage);
  MIEN_COLD void add_tree(const WeakClassifier& tree, const std::vector<ShapedFeature>& features,
                          double scale, kernels::HaarStage& stage);
  MIEN_COLD std::int32_t add_node(const ShapedFeature& feature, float threshold,
                                  std::int32_t difference, kernels::HaarStage& stage);
  MIEN_COLD kernels::HaarNode gathered_node(const ShapedFeature& feature) const noexcept;
  MIEN_COLD kernels::HaarWideNode gathered_wide_node(const ShapedFeature& feature) const noexcept;
  std::int32_t move(std::int32_t gathered_entry, const TableLayout& layout) const noexcept;
  void move(kernels::HaarNode& node, const TableLayout& layout) const noexcept;
  void connect(std::vector<kernels::HaarStage>& stages, const kernels::HaarNode* nodes,
               const kernels::HaarNode* parts,
               const kernels::HaarWideNode* wide_nodes) const noexcept;
  MIEN_COLD double leaf_scale(const CascadeStage& stage) const;

  Cascade cascade_;
  Rect normalisation_rect_;
  std::int64_t smallest_spread_;
  TableLayout gathered_layout_;
  // Corners are entries of a gathered window's tables; those of nodes and parts are multiplied by
  // kernels::haar_block, as the windows of a block lie interleaved.
  std::vector<kernels::HaarStage> stages_;
  std::vector<kernels::HaarNode> nodes_;
  std::vector<kernels::HaarNode> parts_;
  std::vector<kernels::HaarSplitNode> split_nodes_;
  std::vector<kernels::HaarWideNode> wide_nodes_;
  std::vector<kernels::HaarTree> trees_;
  std::vector<kernels::HaarBranch> branches_;
  std::vector<std::int32_t> leaves_;
  std::vector<std::int32_t> stump_places_;
  // The stages that are evaluated for whole rows, and what belongs to them.
  std::size_t row_stage_count_ = 0;
  std::size_t row_node_count_ = 0;
  std::size_t row_part_count_ = 0;
};

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <utility>

#include <mien/faces/haar/flat_windows.hpp>

namespace mien::detail {

MIEN_INLINE CascadeProgram::CascadeProgram(Cascade cascade)
    : cascade_(std::move(cascade)),
      normalisation_rect_(detail::normalisation_rect(window())),
      smallest_spread_(
          detail::smallest_spread(normalisation_rect_.width * normalisation_rect_.height)) {
  // By measurement: fewer row stages leave too many windows to gather, more evaluate too many that
  // have been rejected. Nodes of trees take longer than stumps.
  constexpr int most_stumps = 64;
  constexpr int most_branches = 32;
  const std::int32_t width = window().width + 1;
  gathered_layout_ = {1, width, width, width * (window().height + 1)};
  std::vector<ShapedFeature> features;
  features.reserve(cascade_.features().size());
  for (const HaarFeature& feature : cascade_.features()) {
    features.push_back(shape_feature(feature, window()));
  }
  stump_places_.resize(cascade_.classifiers().size());
  const int enough_nodes = cascade_.has_only_stumps() ? most_stumps : most_branches;
  int node_total = 0;
  for (const CascadeStage& stage : cascade_.stages()) {
    add_stage(stage, features);
    if (node_total >= enough_nodes) continue;
    node_total += node_count(row_stage_count_++);
    row_node_count_ = nodes_.size();
    row_part_count_ = parts_.size();
  }
  connect(stages_, nodes_.data(), parts_.data(), wide_nodes_.data());
}

/// Nodes of all kinds.
MIEN_INLINE int CascadeProgram::node_count(std::size_t stage) const noexcept {
  const kernels::HaarStage& s = stages_[stage];
  return s.edges + s.lines + s.checkers + s.split_count + s.wide_count;
}

MIEN_INLINE void CascadeProgram::place(const TableLayout& layout, PlacedStages& placed) const {
  placed.nodes.assign(nodes_.begin(),
                      nodes_.begin() + static_cast<std::ptrdiff_t>(row_node_count_));
  placed.parts.assign(parts_.begin(),
                      parts_.begin() + static_cast<std::ptrdiff_t>(row_part_count_));
  placed.wide_nodes = wide_nodes_;
  for (kernels::HaarNode& node : placed.nodes) move(node, layout);
  for (kernels::HaarNode& part : placed.parts) move(part, layout);
  for (kernels::HaarWideNode& node : placed.wide_nodes) {
    for (int k = 0; k < node.corner_count; ++k) node.corners[k] = move(node.corners[k], layout);
  }
  placed.rows.assign(stages_.begin(),
                     stages_.begin() + static_cast<std::ptrdiff_t>(row_stage_count_));
  placed.gathered = stages_;
  connect(placed.rows, placed.nodes.data(), placed.parts.data(), placed.wide_nodes.data());
  // Wide nodes are read from the level's own tables even where windows are gathered.
  connect(placed.gathered, nodes_.data(), parts_.data(), placed.wide_nodes.data());
}

/// An entry of the gathered tables, in another layout.
MIEN_INLINE std::int32_t CascadeProgram::move(std::int32_t gathered_entry,
                                              const TableLayout& layout) const noexcept {
  const bool tilted = gathered_entry >= gathered_layout_.tilted;
  const std::int32_t entry = gathered_entry - (tilted ? gathered_layout_.tilted : 0);
  return layout(entry % gathered_layout_.row, entry / gathered_layout_.row, tilted);
}

MIEN_INLINE void CascadeProgram::move(kernels::HaarNode& node,
                                      const TableLayout& layout) const noexcept {
  const auto moved = [&](std::uint64_t corner) {
    const auto entry = static_cast<std::int32_t>(corner) / kernels::haar_block;
    return static_cast<std::uint32_t>(move(entry, layout));
  };
  for (std::uint64_t& pair : node.corner_pairs) {
    pair = moved(pair & 0xFFFFFFFFu) | std::uint64_t{moved(pair >> 32)} << 32;
  }
  node.last_corner = move(node.last_corner / kernels::haar_block, layout);
}

/// Points stages to lists in which the nodes of one stage follow those of the stage before.
MIEN_INLINE void CascadeProgram::connect(std::vector<kernels::HaarStage>& stages,
                                         const kernels::HaarNode* nodes,
                                         const kernels::HaarNode* parts,
                                         const kernels::HaarWideNode* wide_nodes) const noexcept {
  const kernels::HaarSplitNode* split_nodes = split_nodes_.data();
  const kernels::HaarTree* trees = trees_.data();
  for (kernels::HaarStage& stage : stages) {
    stage.nodes = nodes;
    stage.split_nodes = split_nodes;
    stage.parts = parts;
    stage.wide_nodes = wide_nodes;
    stage.trees = trees;
    stage.branches = branches_.data();
    stage.leaves = leaves_.data();
    nodes += stage.edges + stage.lines + stage.checkers;
    split_nodes += stage.split_count;
    wide_nodes += stage.wide_count;
    trees += stage.tree_count;
  }
}

/// Leaf values are scaled so that no sum of a stage's leaves reaches this, nor a difference of two
/// leaves twice of it: sums fit in 32 bits.
inline constexpr double sum_limit = 1 << 29;

/// Sets the sums between which rounding leaves open whether the threshold is reached.
MIEN_COLD inline void set_borderline_sums(const CascadeStage& from, double scale,
                                          kernels::HaarStage& stage) {
  // Half a unit for each leaf, one for the threshold, and one for the rounding of OpenCV's sum in
  // double precision.
  const double error = static_cast<double>(from.classifier_count) / 2 + 2;
  const double threshold = static_cast<double>(from.threshold) * scale;
  const auto limited = [](double sum) {
    return static_cast<std::int32_t>(
        std::min(std::max(sum, -2 * sum_limit + 2), 2 * sum_limit - 2));
  };
  stage.least_borderline = limited(std::floor(threshold - error));
  stage.most_borderline = limited(std::ceil(threshold + error));
}

MIEN_INLINE void CascadeProgram::add_stage(const CascadeStage& from,
                                           const std::vector<ShapedFeature>& features) {
  kernels::HaarStage stage{};
  const WeakClassifier* first = cascade_.classifiers().data() + from.first_classifier;
  const WeakClassifier* end = first + from.classifier_count;
  const double scale = leaf_scale(from);
  if (std::all_of(first, end, [](const WeakClassifier& c) { return c.node_count == 1; })) {
    add_stumps(from, features, scale, stage);
  } else {
    stage.tree_count = static_cast<std::int32_t>(from.classifier_count);
    for (; first != end; ++first) add_tree(*first, features, scale, stage);
  }
  set_borderline_sums(from, scale, stage);
  stages_.push_back(stage);
}

/// The scale at which the sums of a stage's leaves stay below sum_limit.
MIEN_INLINE double CascadeProgram::leaf_scale(const CascadeStage& stage) const {
  double largest_sum = 0;
  for (std::size_t i = 0; i < stage.classifier_count; ++i) {
    const WeakClassifier& tree = cascade_.classifiers()[stage.first_classifier + i];
    double largest_leaf = 0;
    for (std::size_t k = 0; k <= tree.node_count; ++k) {
      const float leaf = cascade_.leaves()[tree.first_leaf + k];
      largest_leaf = std::max(largest_leaf, std::abs(static_cast<double>(leaf)));
    }
    largest_sum += largest_leaf;
  }
  return largest_sum > 0 ? sum_limit / largest_sum : 1;
}

inline std::int32_t scaled_leaf(float leaf, double scale) noexcept {
  return static_cast<std::int32_t>(std::lrint(static_cast<double>(leaf) * scale));
}

MIEN_INLINE void CascadeProgram::add_stumps(const CascadeStage& from,
                                            const std::vector<ShapedFeature>& features,
                                            double scale, kernels::HaarStage& stage) {
  using kernels::HaarShape;
  std::int32_t place = 0;
  for (const HaarShape shape :
       {HaarShape::edge, HaarShape::line, HaarShape::checker, HaarShape::split, HaarShape::wide}) {
    for (std::size_t i = 0; i < from.classifier_count; ++i) {
      const WeakClassifier& stump = cascade_.classifiers()[from.first_classifier + i];
      const CascadeNode& node = cascade_.nodes()[stump.first_node];
      if (features[node.feature].shape != shape) continue;
      const auto leaf = [&](int child) {
        return scaled_leaf(cascade_.leaves()[stump.first_leaf + static_cast<std::size_t>(-child)],
                           scale);
      };
      add_node(features[node.feature], node.threshold, leaf(node.left) - leaf(node.right), stage);
      stage.right_leaves += leaf(node.right);
      stump_places_[from.first_classifier + i] = place++;
    }
  }
}

MIEN_INLINE void CascadeProgram::add_tree(const WeakClassifier& tree,
                                          const std::vector<ShapedFeature>& features, double scale,
                                          kernels::HaarStage& stage) {
  trees_.push_back({static_cast<std::int32_t>(branches_.size()),
                    static_cast<std::int32_t>(tree.node_count),
                    static_cast<std::int32_t>(leaves_.size())});
  for (std::size_t i = 0; i < tree.node_count; ++i) {
    const CascadeNode& node = cascade_.nodes()[tree.first_node + i];
    const ShapedFeature& feature = features[node.feature];
    branches_.push_back(
        {feature.shape, add_node(feature, node.threshold, 0, stage), node.left, node.right});
  }
  for (std::size_t i = 0; i <= tree.node_count; ++i) {
    leaves_.push_back(scaled_leaf(cascade_.leaves()[tree.first_leaf + i], scale));
  }
}

/// Adds a node to the list of its kind and returns its number among the stage's nodes there.
MIEN_INLINE std::int32_t CascadeProgram::add_node(const ShapedFeature& feature, float threshold,
                                                  std::int32_t difference,
                                                  kernels::HaarStage& stage) {
  using kernels::HaarShape;
  if (feature.shape == HaarShape::wide) {
    wide_nodes_.push_back(gathered_wide_node(feature));
    wide_nodes_.back().threshold = threshold;
    wide_nodes_.back().difference = difference;
    return stage.wide_count++;
  }
  if (feature.shape == HaarShape::split) {
    kernels::HaarSplitNode node{};
    node.first_part = static_cast<std::int32_t>(parts_.size());
    node.threshold = threshold;
    node.difference = difference;
    for (const ShapedFeature& part : feature.parts) {
      ++(part.shape == HaarShape::edge   ? node.edges
         : part.shape == HaarShape::line ? node.lines
                                         : node.checkers);
      parts_.push_back(gathered_node(part));
    }
    split_nodes_.push_back(node);
    return stage.split_count++;
  }
  const std::int32_t number = stage.edges + stage.lines + stage.checkers;
  ++(feature.shape == HaarShape::edge   ? stage.edges
     : feature.shape == HaarShape::line ? stage.lines
                                        : stage.checkers);
  nodes_.push_back(gathered_node(feature));
  nodes_.back().threshold = threshold;
  nodes_.back().difference = difference;
  return number;
}

MIEN_INLINE kernels::HaarNode CascadeProgram::gathered_node(
    const ShapedFeature& feature) const noexcept {
  kernels::HaarNode node{};
  for (int i = 0; i < feature.corner_count; ++i) {
    const Corner& c = feature.corners[static_cast<std::size_t>(i)];
    const std::int32_t corner = kernels::haar_block * gathered_layout_(c.x, c.y, feature.tilted);
    if (i / 2 < kernels::haar_corner_pairs) {
      node.corner_pairs[i / 2] |= static_cast<std::uint64_t>(corner) << (i % 2 * 32);
    } else {
      node.last_corner = corner;
    }
  }
  const auto multiplier = static_cast<std::uint16_t>(feature.multiplier);
  node.doubled_multiplier = static_cast<std::int32_t>(multiplier * 0x10001u);
  return node;
}

MIEN_INLINE kernels::HaarWideNode CascadeProgram::gathered_wide_node(
    const ShapedFeature& feature) const noexcept {
  kernels::HaarWideNode node{};
  node.corner_count = feature.corner_count;
  for (int i = 0; i < feature.corner_count; ++i) {
    const Corner& c = feature.corners[static_cast<std::size_t>(i)];
    node.corners[i] = gathered_layout_(c.x, c.y, feature.tilted);
    node.weights[i] = c.weight;
  }
  return node;
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
