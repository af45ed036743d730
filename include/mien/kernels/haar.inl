// Evaluation of cascades, compiled once for each instruction set (see vision_kernels.hpp) over
// what was defined just before: vectors of haar_lanes Values (16-bit integers), Floats, Totals
// (32-bit integers) and a Mask.

/// The value of a node's feature in a vector of windows, whose entries lie from `sums` on.
template <HaarShape Shape>
MIEN_ALWAYS_INLINE Values feature_values(const HaarNode& node, const std::uint16_t* sums) noexcept {
  const auto entry = [&node, sums](int corner) { return load_values(sums + node.corners[corner]); };
  if constexpr (Shape == HaarShape::checker) {
    const Values outer = add(add(entry(0), entry(1)), add(entry(2), entry(3)));
    const Values centre = entry(4);
    const Values middles = add(add(entry(5), entry(6)), add(entry(7), entry(8)));
    const Values quarters = subtract(add(centre, centre), middles);
    return multiply(add(outer, add(quarters, quarters)), node.multiplier);
  } else {
    const Values outer = subtract(add(entry(0), entry(1)), add(entry(2), entry(3)));
    const Values inner = Shape == HaarShape::edge
                             ? subtract(entry(4), entry(5))
                             : subtract(add(entry(4), entry(5)), add(entry(6), entry(7)));
    return add(outer, multiply(inner, node.multiplier));
  }
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

/// Windows a step apart, for wide features.
struct AdjacentWindows {
  const std::uint32_t* sums;

  MIEN_ALWAYS_INLINE Floats wide_values(const HaarWideNode& node, int vector) const noexcept {
    return wide_adjacent_values(node, sums + vector * haar_lanes);
  }
};

/// Windows anywhere in a table.
struct ScatteredWindows {
  const std::uint32_t* sums;
  const std::int32_t* origins;

  MIEN_ALWAYS_INLINE Floats wide_values(const HaarWideNode& node, int vector) const noexcept {
    float values[haar_lanes];
    for (int i = 0; i < haar_lanes; ++i) {
      const std::uint32_t* window = sums + origins[vector * haar_lanes + i];
      std::uint32_t value = 0;
      for (int k = 0; k < node.corner_count; ++k) {
        value += static_cast<std::uint32_t>(node.weights[k]) * window[node.corners[k]];
      }
      values[i] = static_cast<float>(static_cast<std::int32_t>(value));
    }
    return load_wide(values);
  }
};

template <HaarShape Shape, int vectors>
MIEN_ALWAYS_INLINE void add_stumps(const HaarNode* nodes, int count, const std::uint16_t* sums,
                                   const Floats* factors, Totals* totals) noexcept {
  for (int i = 0; i < count; ++i) {
    const HaarNode& node = nodes[i];
    MIEN_UNROLL
    for (int v = 0; v < vectors; ++v) {
      const Floats values = to_floats(feature_values<Shape>(node, sums + v * haar_lanes));
      const Mask below = is_below(multiply(values, factors[v]), node.threshold);
      totals[v] = add_where(below, totals[v], node.difference);
    }
  }
}

template <int vectors, class Windows>
MIEN_ALWAYS_INLINE void sum_stumps(const HaarStage& stage, const std::uint16_t* sums,
                                   const Windows& windows, const Floats* factors,
                                   Totals* totals) noexcept {
  const HaarNode* nodes = stage.nodes;
  add_stumps<HaarShape::edge, vectors>(nodes, stage.edges, sums, factors, totals);
  nodes += stage.edges;
  add_stumps<HaarShape::line, vectors>(nodes, stage.lines, sums, factors, totals);
  nodes += stage.lines;
  add_stumps<HaarShape::checker, vectors>(nodes, stage.checkers, sums, factors, totals);
  for (int i = 0; i < stage.split_count; ++i) {
    const HaarSplitNode& node = stage.split_nodes[i];
    for (int v = 0; v < vectors; ++v) {
      const Floats values = split_values(node, stage.parts, sums + v * haar_lanes);
      const Mask below = is_below(multiply(values, factors[v]), node.threshold);
      totals[v] = add_where(below, totals[v], node.difference);
    }
  }
  for (int i = 0; i < stage.wide_count; ++i) {
    const HaarWideNode& node = stage.wide_nodes[i];
    for (int v = 0; v < vectors; ++v) {
      const Floats values = windows.wide_values(node, v);
      const Mask below = is_below(multiply(values, factors[v]), node.threshold);
      totals[v] = add_where(below, totals[v], node.difference);
    }
  }
}

/// Which windows go left at a tree's node.
template <class Windows>
MIEN_ALWAYS_INLINE Mask go_left(const HaarStage& stage, const HaarBranch& branch,
                                const std::uint16_t* sums, const Windows& windows, int vector,
                                Floats factors) noexcept {
  if (branch.shape == HaarShape::wide) {
    const HaarWideNode& node = stage.wide_nodes[branch.node];
    return is_below(multiply(windows.wide_values(node, vector), factors), node.threshold);
  }
  if (branch.shape == HaarShape::split) {
    const HaarSplitNode& node = stage.split_nodes[branch.node];
    return is_below(multiply(split_values(node, stage.parts, sums), factors), node.threshold);
  }
  const HaarNode& node = stage.nodes[branch.node];
  Values values;
  if (branch.shape == HaarShape::edge) {
    values = feature_values<HaarShape::edge>(node, sums);
  } else if (branch.shape == HaarShape::line) {
    values = feature_values<HaarShape::line>(node, sums);
  } else {
    values = feature_values<HaarShape::checker>(node, sums);
  }
  return is_below(multiply(to_floats(values), factors), node.threshold);
}

/// Every node is evaluated, from the last to the root, and chooses between its children's results.
template <int vectors, class Windows>
MIEN_ALWAYS_INLINE void sum_trees(const HaarStage& stage, const std::uint16_t* sums,
                                  const Windows& windows, const Floats* factors,
                                  Totals* totals) noexcept {
  Totals results[haar_most_branches];
  for (int t = 0; t < stage.tree_count; ++t) {
    const HaarTree& tree = stage.trees[t];
    const std::int32_t* leaves = stage.leaves + tree.first_leaf;
    for (int v = 0; v < vectors; ++v) {
      for (int b = tree.branch_count - 1; b >= 0; --b) {
        const HaarBranch& branch = stage.branches[tree.first_branch + b];
        const Mask left = go_left(stage, branch, sums + v * haar_lanes, windows, v, factors[v]);
        const Totals if_left =
            branch.left > 0 ? results[branch.left] : broadcast_total(leaves[-branch.left]);
        const Totals if_right =
            branch.right > 0 ? results[branch.right] : broadcast_total(leaves[-branch.right]);
        results[b] = select(left, if_left, if_right);
      }
      totals[v] = add(totals[v], results[0]);
    }
  }
}

template <int vectors, class Windows>
MIEN_ALWAYS_INLINE void judge(const HaarStage& stage, const std::uint16_t* sums,
                              const Windows& windows, const float* factors, std::uint32_t& passed,
                              std::uint32_t& uncertain) noexcept {
  Floats loaded_factors[vectors];
  Totals totals[vectors];
  for (int v = 0; v < vectors; ++v) {
    loaded_factors[v] = load_factors(factors + v * haar_lanes);
    totals[v] = broadcast_total(stage.right_leaves);
  }
  if (stage.tree_count == 0) {
    sum_stumps<vectors>(stage, sums, windows, loaded_factors, totals);
  } else {
    sum_trees<vectors>(stage, sums, windows, loaded_factors, totals);
  }
  passed = 0;
  uncertain = 0;
  for (int v = 0; v < vectors; ++v) {
    const std::uint32_t sure = bits(is_above(totals[v], stage.most_uncertain));
    const std::uint32_t not_rejected = bits(is_above(totals[v], stage.least_uncertain - 1));
    passed |= sure << (v * haar_lanes);
    uncertain |= (not_rejected & ~sure) << (v * haar_lanes);
  }
}

/// One stage for a row of windows. `alive` has a bit for each window, in words of haar_block; those
/// of the windows that fail are cleared. `uncertain` gets the bits of those, among the alive, whose
/// sum is too near to the threshold; they stay alive.
inline void scan_row(const HaarStage& stage, const HaarRow& row, std::uint32_t* alive,
                     std::uint32_t* uncertain) noexcept {
  for (int first = 0, word = 0; first < row.window_count; first += haar_block, ++word) {
    uncertain[word] = 0;
    if (alive[word] == 0) continue;
    std::uint32_t passed;
    std::uint32_t not_sure;
    judge<haar_block / haar_lanes>(stage, row.sums + first, AdjacentWindows{row.wide_sums + first},
                                   row.factors + first, passed, not_sure);
    uncertain[word] = alive[word] & not_sure;
    alive[word] &= passed | not_sure;
  }
}

/// The entries of up to haar_block windows, which begin at `origins` in a table, as
/// [height][width][haar_block]. There are haar_block origins, whatever `count`.
inline void gather_windows(const HaarWindows& windows, const std::uint16_t* sums,
                           const std::int32_t* origins, std::int32_t count,
                           std::uint16_t* gathered) noexcept {
  for (std::int32_t y = 0; y < windows.height; ++y) {
    for (std::int32_t first = 0; first < windows.step; ++first) {
      const std::int32_t columns = (windows.width - first + windows.step - 1) / windows.step;
      const std::uint16_t* from = sums + y * windows.row + first * windows.plane;
      std::uint16_t* to = gathered + std::ptrdiff_t{y * windows.width + first} * haar_block;
      for (std::int32_t lane = 0; lane < count; lane += haar_lanes) {
        gather_row(from, origins + lane, columns, windows.step, to + lane);
      }
    }
  }
}

/// One stage for `count` windows that gather_windows brought together, with haar_block factors.
/// Returns the bits of those that pass.
inline std::uint32_t judge_gathered(const HaarStage& stage, const std::uint16_t* gathered,
                                    const std::uint32_t* wide_sums, const std::int32_t* origins,
                                    const float* factors, std::int32_t count,
                                    std::uint32_t& uncertain) noexcept {
  const ScatteredWindows windows{wide_sums, origins};
  std::uint32_t passed;
  if (count <= haar_lanes) {
    judge<1>(stage, gathered, windows, factors, passed, uncertain);
  } else {
    judge<haar_block / haar_lanes>(stage, gathered, windows, factors, passed, uncertain);
  }
  return passed;
}
