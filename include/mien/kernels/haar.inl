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

/// Calls visit(block, stump, windows that go left) for one shape's stumps.
template <HaarShape Shape, int blocks, class Windows, class Visit>
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
template <int blocks, class Windows, class Visit>
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
      visit(b, node, is_below(multiply(windows[b].wide_values(node), factors[b]), node.threshold));
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
    visit_stumps<blocks>(stage, windows, factors, [&](int b, const auto& node, Mask left) {
      totals[b] = add_where(left, totals[b], node.difference);
    });
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

/// A block of the windows of rows: its number, by which its bits and factors are found, and its
/// first entry in the tables.
struct Block {
  std::int32_t number;
  std::ptrdiff_t first;
};
inline constexpr int blocks_of_word = haar_word / haar_block;

/// One stage for blocks of rows. Returns the bits that were uncertain.
template <int count>
inline std::uint32_t scan_blocks(const HaarStage& stage, const HaarRows& rows, const Block* blocks,
                                 std::uint32_t* alive, std::uint32_t* uncertain) noexcept {
  AdjacentWindows windows[count];
  Verdict verdicts[count];
  std::uint32_t any_uncertain = 0;
  MIEN_UNROLL
  for (int b = 0; b < count; ++b) {
    const Block& block = blocks[b];
    windows[b] = {rows.sums + block.first, rows.factors + block.number * haar_block,
                  rows.wide_sums + block.first};
  }
  judge<count>(stage, windows, verdicts);
  MIEN_UNROLL
  for (int b = 0; b < count; ++b) {
    const std::int32_t word = blocks[b].number / blocks_of_word;
    const int shift = blocks[b].number % blocks_of_word * haar_block;
    const Verdict& verdict = verdicts[b];
    const std::uint32_t unsettled = alive[word] & verdict.uncertain << shift;
    any_uncertain |= unsettled;
    uncertain[word] |= unsettled;
    alive[word] &= (verdict.passed | verdict.uncertain) << shift | ~(block_bits << shift);
  }
  return any_uncertain;
}

/// One stage for a few rows of windows. `alive` has a bit for each window; those of the windows
/// that fail are cleared. `uncertain` gets the bits of those, among the alive, whose sum is too
/// near to the threshold; they stay alive. True if there are any. Only blocks with windows alive
/// are evaluated, several at once, which share the loads of nodes.
inline bool scan_rows(const HaarStage& stage, const HaarRows& rows, std::uint32_t* alive,
                      std::uint32_t* uncertain) noexcept {
  // Whether a block is alive is hard to predict, so that each one is written down, and some of them
  // are overwritten: 0.96 of the time of asking first.
  constexpr int full = 64;
  Block list[full + blocks_of_word];
  int count = 0;
  std::uint32_t any_uncertain = 0;
  const auto evaluate = [&](int least) {
    const Block* blocks = list;
    const Block* end = list + count;
    for (; end - blocks >= most_blocks; blocks += most_blocks) {
      any_uncertain |= scan_blocks<most_blocks>(stage, rows, blocks, alive, uncertain);
    }
    for (; end - blocks >= std::max(least, 2); blocks += 2) {
      any_uncertain |= scan_blocks<2>(stage, rows, blocks, alive, uncertain);
    }
    for (; end - blocks >= least; ++blocks) {
      any_uncertain |= scan_blocks<1>(stage, rows, blocks, alive, uncertain);
    }
    count = static_cast<int>(std::copy(blocks, end, list) - list);
  };
  for (std::int32_t y = 0; y < rows.row_count; ++y) {
    const std::int32_t first_word = y * rows.word_count;
    for (std::int32_t i = 0; i < rows.word_count; ++i) {
      const std::uint32_t word = alive[first_word + i];
      uncertain[first_word + i] = 0;
      for (int b = 0; b < blocks_of_word; ++b) {
        list[count] = {(first_word + i) * blocks_of_word + b,
                       y * rows.row + i * haar_word + b * haar_block};
        count += (word >> b * haar_block & block_bits) != 0;
      }
      if (count >= full) evaluate(most_blocks);
    }
  }
  evaluate(1);
  return any_uncertain != 0;
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

/// The bits of the windows of such a block that go left at each stump of a stage, in the order of
/// visit_stumps.
inline void decide_gathered(const HaarStage& stage, const std::uint16_t* gathered,
                            const std::uint32_t* wide_sums, const std::int32_t* origins,
                            const float* factors, std::uint16_t* left) noexcept {
  const GatheredWindows windows{gathered, factors, wide_sums, origins};
  const Floats block_factors = load_factors(factors);
  visit_stumps<1>(stage, &windows, &block_factors, [&](int, const auto&, Mask below) {
    *left++ = static_cast<std::uint16_t>(bits(below));
  });
}
