// Evaluation of cascades, compiled once for each instruction set. haar_lanes.inl of the set's
// folder has defined what a block of windows is made of: Values (16-bit integers), Floats, Totals
// (32-bit integers) and a Mask.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/haar_lanes.inl>
#endif

namespace mien::kernels::MIEN_SET {

inline constexpr std::uint32_t block_bits = (1u << haar_block) - 1;

/// A node's corners, unpacked.
template <HaarShape Shape>
struct Corners {
  static constexpr int pairs = Shape == HaarShape::edge ? 3 : 4;
  std::size_t places[std::size_t{2 * pairs + 1}];

  MIEN_ALWAYS_INLINE explicit Corners(const HaarNode& node) noexcept {
    MIEN_UNROLL
    for (int i = 0; i < pairs; ++i) {
      places[2 * i] = static_cast<std::uint32_t>(node.corner_pairs[i]);
      places[2 * i + 1] = static_cast<std::uint32_t>(node.corner_pairs[i] >> 32);
    }
    if constexpr (Shape == HaarShape::checker) {
      places[2 * pairs] = static_cast<std::uint32_t>(node.last_corner);
    }
  }
};

/// The value of a node's feature in a block of windows, whose entries lie from `sums` on.
template <HaarShape Shape>
MIEN_ALWAYS_INLINE Values feature_values(const Corners<Shape>& corners, const HaarNode& node,
                                         const std::uint16_t* sums) noexcept {
  const auto entry = [&](int corner) { return load_values(sums + corners.places[corner]); };
  if constexpr (Shape == HaarShape::checker) {
    const Values outer = add(add(entry(0), entry(1)), add(entry(2), entry(3)));
    const Values centre = entry(4);
    const Values middles = add(add(entry(5), entry(6)), add(entry(7), entry(8)));
    const Values quarters = subtract(add(centre, centre), middles);
    return multiply(add(outer, add(quarters, quarters)), node.doubled_multiplier);
  } else {
    const Values outer = subtract(add(entry(0), entry(1)), add(entry(2), entry(3)));
    const Values inner = Shape == HaarShape::edge
                             ? subtract(entry(4), entry(5))
                             : subtract(add(entry(4), entry(5)), add(entry(6), entry(7)));
    return add(outer, multiply(inner, node.doubled_multiplier));
  }
}
template <HaarShape Shape>
MIEN_ALWAYS_INLINE Values feature_values(const HaarNode& node, const std::uint16_t* sums) noexcept {
  return feature_values(Corners<Shape>(node), node, sums);
}

template <HaarShape Shape>
MIEN_ALWAYS_INLINE void add_values(const HaarNode*& part, std::int32_t count,
                                   const std::uint16_t* sums, Floats& values) noexcept {
  for (const HaarNode* end = part + count; part != end; ++part) {
    values = add(values, to_floats(feature_values<Shape>(*part, sums)));
  }
}

/// The value of a feature in parts: whole numbers below 2^24, so that their sum is exact.
MIEN_ALWAYS_INLINE Floats split_values(const HaarSplitNode& node, const HaarNode* parts,
                                       const std::uint16_t* sums) noexcept {
  Floats values = zero_floats();
  const HaarNode* part = parts + node.first_part;
  add_values<HaarShape::edge>(part, node.edges, sums, values);
  add_values<HaarShape::line>(part, node.lines, sums, values);
  add_values<HaarShape::checker>(part, node.checkers, sums, values);
  return values;
}

/// A block of windows: side by side in the tables, or from anywhere, as gather_windows copied their
/// entries. One type for both: only wide features tell them apart, and the code is compiled once.
struct Windows {
  const std::uint16_t* sums;
  const float* factors;
  const std::uint32_t* wide_sums;
  const std::int32_t* origins;  // of gathered windows, in the wide tables; null: side by side
};

inline Floats wide_gathered_values(const HaarWideNode& node, const Windows& windows) noexcept {
  float values[haar_block];
  for (int i = 0; i < haar_block; ++i) {
    const std::uint32_t* window = windows.wide_sums + windows.origins[i];
    std::uint32_t value = 0;
    for (int k = 0; k < node.corner_count; ++k) {
      value += static_cast<std::uint32_t>(node.weights[k]) * window[node.corners[k]];
    }
    values[i] = static_cast<float>(static_cast<std::int32_t>(value));
  }
  return load_wide(values);
}

MIEN_ALWAYS_INLINE Floats wide_values(const HaarWideNode& node, const Windows& windows) noexcept {
  return windows.origins == nullptr ? wide_adjacent_values(node, windows.wide_sums)
                                    : wide_gathered_values(node, windows);
}

/// Calls visit(block, stump, windows that go left) for one shape's stumps.
template <HaarShape Shape, int blocks, class Visit>
MIEN_ALWAYS_INLINE void visit_stumps(const HaarNode* nodes, int count, const Windows* windows,
                                     const Floats* factors, const Visit& visit) noexcept {
  for (int i = 0; i < count; ++i) {
    const HaarNode& node = nodes[i];
    const Corners<Shape> corners(node);
    MIEN_UNROLL
    for (int b = 0; b < blocks; ++b) {
      const Floats values = to_floats(feature_values(corners, node, windows[b].sums));
      visit(b, node, is_below(multiply(values, factors[b]), node.threshold));
    }
  }
}

/// The same for all of a stage's stumps, in the order edges, lines, checkers, split and wide ones.
template <int blocks, class Visit>
MIEN_ALWAYS_INLINE void visit_stumps(const HaarStage& stage, const Windows* windows,
                                     const Floats* factors, const Visit& visit) noexcept {
  const HaarNode* nodes = stage.nodes;
  visit_stumps<HaarShape::edge, blocks>(nodes, stage.edges, windows, factors, visit);
  nodes += stage.edges;
  visit_stumps<HaarShape::line, blocks>(nodes, stage.lines, windows, factors, visit);
  nodes += stage.lines;
  visit_stumps<HaarShape::checker, blocks>(nodes, stage.checkers, windows, factors, visit);
  for (int i = 0; i < stage.split_count; ++i) {
    const HaarSplitNode& node = stage.split_nodes[i];
    MIEN_UNROLL
    for (int b = 0; b < blocks; ++b) {
      const Floats values = split_values(node, stage.parts, windows[b].sums);
      visit(b, node, is_below(multiply(values, factors[b]), node.threshold));
    }
  }
  for (int i = 0; i < stage.wide_count; ++i) {
    const HaarWideNode& node = stage.wide_nodes[i];
    MIEN_UNROLL
    for (int b = 0; b < blocks; ++b) {
      visit(b, node, is_below(multiply(wide_values(node, windows[b]), factors[b]), node.threshold));
    }
  }
}

/// Which windows go left at a tree's node.
MIEN_ALWAYS_INLINE Mask go_left(const HaarStage& stage, const HaarBranch& branch,
                                const Windows& windows, Floats factors) noexcept {
  if (branch.shape == HaarShape::wide) {
    const HaarWideNode& node = stage.wide_nodes[branch.node];
    return is_below(multiply(wide_values(node, windows), factors), node.threshold);
  }
  if (branch.shape == HaarShape::split) {
    const HaarSplitNode& node = stage.split_nodes[branch.node];
    const Floats values = split_values(node, stage.parts, windows.sums);
    return is_below(multiply(values, factors), node.threshold);
  }
  const HaarNode& node = stage.nodes[branch.node];
  Values values;
  if (branch.shape == HaarShape::edge) {
    values = feature_values<HaarShape::edge>(node, windows.sums);
  } else if (branch.shape == HaarShape::line) {
    values = feature_values<HaarShape::line>(node, windows.sums);
  } else {
    values = feature_values<HaarShape::checker>(node, windows.sums);
  }
  return is_below(multiply(to_floats(values), factors), node.threshold);
}

/// Adds the leaves that windows reach. Windows go different ways, so every node is evaluated, from
/// the last to the root, and selects from its children's results.
inline void sum_trees(const HaarStage& stage, const Windows& windows, const Floats& factors,
                      Totals& totals) noexcept {
  Totals results[haar_most_branches];
  for (int t = 0; t < stage.tree_count; ++t) {
    const HaarTree& tree = stage.trees[t];
    const std::int32_t* leaves = stage.leaves + tree.first_leaf;
    for (int b = tree.branch_count - 1; b >= 0; --b) {
      const HaarBranch& branch = stage.branches[tree.first_branch + b];
      const Mask left = go_left(stage, branch, windows, factors);
      const Totals if_left =
          branch.left > 0 ? results[branch.left] : broadcast_total(leaves[-branch.left]);
      const Totals if_right =
          branch.right > 0 ? results[branch.right] : broadcast_total(leaves[-branch.right]);
      results[b] = select(left, if_left, if_right);
    }
    totals = add(totals, results[0]);
  }
}

/// A bit for each window of a block.
struct StageResult {
  std::uint32_t passed;
  std::uint32_t borderline;  // too near to the threshold for rounded sums
};

/// Evaluates a stage for several blocks at once, which share the loads of its nodes.
template <int blocks>
inline void evaluate_stage(const HaarStage& stage, const Windows* windows,
                           StageResult* results) noexcept {
  Floats factors[std::size_t{blocks}];
  Totals totals[std::size_t{blocks}];
  MIEN_UNROLL
  for (int b = 0; b < blocks; ++b) {
    factors[b] = load_factors(windows[b].factors);
    totals[b] = broadcast_total(stage.right_leaves);
  }
  if (stage.tree_count == 0) {
    visit_stumps<blocks>(stage, windows, factors, [&](int b, const auto& node, Mask left) {
      totals[b] = add_where(left, totals[b], node.difference);
    });
  } else {
    MIEN_UNROLL
    for (int b = 0; b < blocks; ++b) sum_trees(stage, windows[b], factors[b], totals[b]);
  }
  MIEN_UNROLL
  for (int b = 0; b < blocks; ++b) {
    const std::uint32_t passed = bits(is_above(totals[b], stage.most_borderline));
    const std::uint32_t not_rejected = bits(is_above(totals[b], stage.least_borderline - 1));
    results[b] = {passed, not_rejected & ~passed};
  }
}

/// A block of the windows of rows.
struct Block {
  std::int32_t number;   // of its factors and, blocks_of_word to a word, its bits
  std::ptrdiff_t first;  // entry of its first window in the tables
};
inline constexpr int blocks_of_word = haar_word / haar_block;

/// Evaluates a stage for several blocks and updates their bits. Returns bits of borderline windows,
/// 0 if there are none.
template <int count>
inline std::uint32_t evaluate_blocks(const HaarStage& stage, const HaarRows& rows,
                                     const Block* blocks, std::uint32_t* alive,
                                     std::uint32_t* borderline) noexcept {
  Windows windows[std::size_t{count}];
  StageResult results[std::size_t{count}];
  std::uint32_t any_borderline = 0;
  MIEN_UNROLL
  for (int b = 0; b < count; ++b) {
    const Block& block = blocks[b];
    windows[b] = {rows.sums + block.first, rows.factors + block.number * haar_block,
                  rows.wide_sums + block.first, nullptr};
  }
  evaluate_stage<count>(stage, windows, results);
  MIEN_UNROLL
  for (int b = 0; b < count; ++b) {
    const std::int32_t word = blocks[b].number / blocks_of_word;
    const int shift = blocks[b].number % blocks_of_word * haar_block;
    const StageResult& result = results[b];
    const std::uint32_t unclear = alive[word] & result.borderline << shift;
    any_borderline |= unclear;
    borderline[word] |= unclear;
    alive[word] &= (result.passed | result.borderline) << shift | ~(block_bits << shift);
  }
  return any_borderline;
}

/// Evaluates a stage for all blocks of the rows that have windows alive. Clears the bits in `alive`
/// of the windows that are rejected, and sets those in `borderline` of the windows, still alive,
/// whose sum is too near to the threshold. Returns whether there are any of these.
inline bool evaluate_rows(const HaarStage& stage, const HaarRows& rows, std::uint32_t* alive,
                          std::uint32_t* borderline) noexcept {
  // Branchless compaction: always store, advance if alive. 4 % faster than a branch, which is hard
  // to predict.
  constexpr int full = 64;
  Block list[full + blocks_of_word];
  int count = 0;
  std::uint32_t any_borderline = 0;
  const auto evaluate = [&](int least) {
    const Block* blocks = list;
    const Block* end = list + count;
    for (; end - blocks >= most_blocks; blocks += most_blocks) {
      any_borderline |= evaluate_blocks<most_blocks>(stage, rows, blocks, alive, borderline);
    }
    if constexpr (most_blocks > 2) {
      for (; end - blocks >= (least > 2 ? least : 2); blocks += 2) {
        any_borderline |= evaluate_blocks<2>(stage, rows, blocks, alive, borderline);
      }
    }
    for (; end - blocks >= least; ++blocks) {
      any_borderline |= evaluate_blocks<1>(stage, rows, blocks, alive, borderline);
    }
    for (count = 0; blocks != end; ++count) list[count] = *blocks++;
  };
  for (std::int32_t y = 0; y < rows.row_count; ++y) {
    const std::int32_t first_word = y * rows.word_count;
    for (std::int32_t i = 0; i < rows.word_count; ++i) {
      const std::uint32_t word = alive[first_word + i];
      borderline[first_word + i] = 0;
      for (int b = 0; b < blocks_of_word; ++b) {
        list[count] = {(first_word + i) * blocks_of_word + b,
                       y * rows.row + i * haar_word + b * haar_block};
        count += (word >> b * haar_block & block_bits) != 0;
      }
      if (count >= full) evaluate(most_blocks);
    }
  }
  evaluate(1);
  return any_borderline != 0;
}

/// Evaluates a stage for a block of gathered windows. Returns the bits of those that pass.
inline std::uint32_t evaluate_gathered(const HaarStage& stage, const std::uint16_t* gathered,
                                       const std::uint32_t* wide_sums, const std::int32_t* origins,
                                       const float* factors, std::uint32_t& borderline) noexcept {
  const Windows windows{gathered, factors, wide_sums, origins};
  StageResult result;
  evaluate_stage<1>(stage, &windows, &result);
  borderline = result.borderline;
  return result.passed;
}

/// For each stump of a stage, in the order of visit_stumps, the bits of the gathered windows that
/// go left.
inline void decide_stumps(const HaarStage& stage, const std::uint16_t* gathered,
                          const std::uint32_t* wide_sums, const std::int32_t* origins,
                          const float* factors, std::uint16_t* left) noexcept {
  const Windows windows{gathered, factors, wide_sums, origins};
  const Floats block_factors = load_factors(factors);
  visit_stumps<1>(stage, &windows, &block_factors, [&](int, const auto&, Mask below) {
    *left++ = static_cast<std::uint16_t>(bits(below));
  });
}

}  // namespace mien::kernels::MIEN_SET
