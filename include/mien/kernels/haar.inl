// Evaluation of cascades, compiled once for each instruction set (see vision_kernels.hpp) over
// what was defined just before: a block's Values (16-bit integers), Floats, Totals (32-bit
// integers) and a Mask.

inline constexpr std::uint32_t block_bits = (1u << haar_block) - 1;

/// A node's corners, apart.
template <HaarShape Shape>
struct Corners {
  static constexpr int pairs = Shape == HaarShape::edge ? 3 : 4;
  std::size_t places[2 * pairs + 1];

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

/// The value of a feature in parts. Each is a whole number, and their sums stay below 2^24: exact.
MIEN_ALWAYS_INLINE Floats split_values(const HaarSplitNode& node, const HaarNode* parts,
                                       const std::uint16_t* sums) noexcept {
  Floats values = zero_floats();
  const HaarNode* part = parts + node.first_part;
  add_values<HaarShape::edge>(part, node.edges, sums, values);
  add_values<HaarShape::line>(part, node.lines, sums, values);
  add_values<HaarShape::checker>(part, node.checkers, sums, values);
  return values;
}

/// A block of windows a step apart.
struct AdjacentWindows {
  const std::uint16_t* sums;
  const float* factors;
  const std::uint32_t* wide_sums;

  MIEN_ALWAYS_INLINE Floats wide_values(const HaarWideNode& node) const noexcept {
    return wide_adjacent_values(node, wide_sums);
  }
};

/// A block of windows anywhere in a table, brought together.
struct GatheredWindows {
  const std::uint16_t* sums;
  const float* factors;
  const std::uint32_t* wide_sums;
  const std::int32_t* origins;

  MIEN_ALWAYS_INLINE Floats wide_values(const HaarWideNode& node) const noexcept {
    float values[haar_block];
    for (int i = 0; i < haar_block; ++i) {
      const std::uint32_t* window = wide_sums + origins[i];
      std::uint32_t value = 0;
      for (int k = 0; k < node.corner_count; ++k) {
        value += static_cast<std::uint32_t>(node.weights[k]) * window[node.corners[k]];
      }
      values[i] = static_cast<float>(static_cast<std::int32_t>(value));
    }
    return load_wide(values);
  }
};

template <class Node>
MIEN_ALWAYS_INLINE void add_stump(const Node& node, Floats values, Floats factors,
                                  Totals& totals) noexcept {
  const Mask below = is_below(multiply(values, factors), node.threshold);
  totals = add_where(below, totals, node.difference);
}

template <HaarShape Shape, int blocks, class Windows>
MIEN_ALWAYS_INLINE void add_stumps(const HaarNode* nodes, int count, const Windows* windows,
                                   const Floats* factors, Totals* totals) noexcept {
  for (int i = 0; i < count; ++i) {
    const HaarNode& node = nodes[i];
    const Corners<Shape> corners(node);
    MIEN_UNROLL
    for (int b = 0; b < blocks; ++b) {
      const Values values = feature_values(corners, node, windows[b].sums);
      add_stump(node, to_floats(values), factors[b], totals[b]);
    }
  }
}

template <int blocks, class Windows>
MIEN_ALWAYS_INLINE void sum_stumps(const HaarStage& stage, const Windows* windows,
                                   const Floats* factors, Totals* totals) noexcept {
  const HaarNode* nodes = stage.nodes;
  add_stumps<HaarShape::edge, blocks>(nodes, stage.edges, windows, factors, totals);
  nodes += stage.edges;
  add_stumps<HaarShape::line, blocks>(nodes, stage.lines, windows, factors, totals);
  nodes += stage.lines;
  add_stumps<HaarShape::checker, blocks>(nodes, stage.checkers, windows, factors, totals);
  for (int i = 0; i < stage.split_count; ++i) {
    const HaarSplitNode& node = stage.split_nodes[i];
    MIEN_UNROLL
    for (int b = 0; b < blocks; ++b) {
      add_stump(node, split_values(node, stage.parts, windows[b].sums), factors[b], totals[b]);
    }
  }
  for (int i = 0; i < stage.wide_count; ++i) {
    const HaarWideNode& node = stage.wide_nodes[i];
    MIEN_UNROLL
    for (int b = 0; b < blocks; ++b) {
      add_stump(node, windows[b].wide_values(node), factors[b], totals[b]);
    }
  }
}

/// Which windows go left at a tree's node.
template <class Windows>
MIEN_ALWAYS_INLINE Mask go_left(const HaarStage& stage, const HaarBranch& branch,
                                const Windows& windows, Floats factors) noexcept {
  if (branch.shape == HaarShape::wide) {
    const HaarWideNode& node = stage.wide_nodes[branch.node];
    return is_below(multiply(windows.wide_values(node), factors), node.threshold);
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

/// Every node is evaluated, from the last to the root, and chooses between its children's results.
template <class Windows>
MIEN_ALWAYS_INLINE void sum_trees(const HaarStage& stage, const Windows& windows, Floats factors,
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

/// Bits of a block's windows: those that pass a stage, and those too near to its threshold to tell.
struct Verdict {
  std::uint32_t passed;
  std::uint32_t uncertain;
};

template <int blocks, class Windows>
MIEN_ALWAYS_INLINE void judge(const HaarStage& stage, const Windows* windows,
                              Verdict* verdicts) noexcept {
  Floats factors[blocks];
  Totals totals[blocks];
  MIEN_UNROLL
  for (int b = 0; b < blocks; ++b) {
    factors[b] = load_factors(windows[b].factors);
    totals[b] = broadcast_total(stage.right_leaves);
  }
  if (stage.tree_count == 0) {
    sum_stumps<blocks>(stage, windows, factors, totals);
  } else {
    MIEN_UNROLL
    for (int b = 0; b < blocks; ++b) sum_trees(stage, windows[b], factors[b], totals[b]);
  }
  MIEN_UNROLL
  for (int b = 0; b < blocks; ++b) {
    const std::uint32_t passed = bits(is_above(totals[b], stage.most_uncertain));
    const std::uint32_t not_rejected = bits(is_above(totals[b], stage.least_uncertain - 1));
    verdicts[b] = {passed, not_rejected & ~passed};
  }
}

/// One stage for blocks of a row, of which `firsts` are the first windows.
template <int blocks>
inline void scan_blocks(const HaarStage& stage, const HaarRow& row, const std::int32_t* firsts,
                        std::uint32_t* alive, std::uint32_t* uncertain) noexcept {
  AdjacentWindows windows[blocks];
  Verdict verdicts[blocks];
  MIEN_UNROLL
  for (int b = 0; b < blocks; ++b) {
    windows[b] = {row.sums + firsts[b], row.factors + firsts[b], row.wide_sums + firsts[b]};
  }
  judge<blocks>(stage, windows, verdicts);
  MIEN_UNROLL
  for (int b = 0; b < blocks; ++b) {
    const std::int32_t word = firsts[b] / haar_word;
    const int shift = firsts[b] % haar_word;
    const Verdict& verdict = verdicts[b];
    uncertain[word] |= alive[word] & verdict.uncertain << shift;
    alive[word] &= (verdict.passed | verdict.uncertain) << shift | ~(block_bits << shift);
  }
}

/// One stage for a row of windows. `alive` has a bit for each window, in words of haar_word; those
/// of the windows that fail are cleared. `uncertain` gets the bits of those, among the alive, whose
/// sum is too near to the threshold; they stay alive. Only blocks with windows alive are evaluated,
/// several at once, which share the loads of nodes.
inline void scan_row(const HaarStage& stage, const HaarRow& row, std::uint32_t* alive,
                     std::uint32_t* uncertain) noexcept {
  std::int32_t firsts[most_blocks];
  int waiting = 0;
  for (std::int32_t first = 0; first < row.window_count; first += haar_block) {
    const int shift = first % haar_word;
    if (shift == 0) uncertain[first / haar_word] = 0;
    if ((alive[first / haar_word] >> shift & block_bits) == 0) continue;
    firsts[waiting++] = first;
    if (waiting < most_blocks) continue;
    scan_blocks<most_blocks>(stage, row, firsts, alive, uncertain);
    waiting = 0;
  }
  const std::int32_t* rest = firsts;
  for (; waiting >= 2; waiting -= 2, rest += 2) scan_blocks<2>(stage, row, rest, alive, uncertain);
  if (waiting == 1) scan_blocks<1>(stage, row, rest, alive, uncertain);
}

/// One stage for a block of windows that gather_windows brought together. Returns the bits of those
/// that pass.
inline std::uint32_t judge_gathered(const HaarStage& stage, const std::uint16_t* gathered,
                                    const std::uint32_t* wide_sums, const std::int32_t* origins,
                                    const float* factors, std::uint32_t& uncertain) noexcept {
  const GatheredWindows windows{gathered, factors, wide_sums, origins};
  Verdict verdict;
  judge<1>(stage, &windows, &verdict);
  uncertain = verdict.uncertain;
  return verdict.passed;
}
