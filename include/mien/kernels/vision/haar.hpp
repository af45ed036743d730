// What the Haar detector's kernels work on: a cascade's stages with every corner placed in a table
// of sums. The fast kernels are in haar.inl.
//
// Many windows are evaluated at a time. Their entries for one corner lie side by side, either
// because the windows do (a row of a level), or because gather_windows copied them there. Values
// are computed in 16 bits, modulo 2^16: twice as many windows fit a register, and the result is
// exact if the value itself fits in 16 bits. Features whose value may not are cut into parts that
// do. The few that cannot be cut, of uncommon shapes ("wide"), take 32 bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mien::kernels {

/// Windows of a block, which are evaluated together, with every instruction set. 512-bit registers
/// hold twice as many, but then more of a block's windows are rejected ones, and its gathered
/// entries do not stay in the nearest cache.
inline constexpr int haar_block = 16;

/// Windows whose bits share a word: two blocks.
inline constexpr int haar_word = 32;

/// The number of the lowest bit that is set. There is one.
inline int lowest_bit(std::uint32_t word) noexcept {
#if defined(__GNUC__) || defined(__clang__)
  return __builtin_ctz(word);
#else
  int bit = 0;
  for (; (word & 1u) == 0; word >>= 1) ++bit;
  return bit;
#endif
}

/// The shapes of features: corners c0, c1, ... and weights that are left when corners shared by
/// rectangles are merged.
enum class HaarShape : std::uint8_t {
  edge,     ///< two halves: c0 + c1 - c2 - c3 + multiplier (c4 - c5)
  line,     ///< a part inside: c0 + c1 - c2 - c3 + multiplier (c4 + c5 - c6 - c7)
  checker,  ///< two diagonal quarters: sign (c0 + c1 + c2 + c3 + 2 (2 c4 - c5 - c6 - c7 - c8))
  split,    ///< the sum of parts that have the shapes above
  wide,     ///< anything else
};

inline constexpr int haar_corner_pairs = 4;
inline constexpr int haar_wide_corners = 12;

/// A node compares its feature's value, times the window's factor, with a threshold. Nodes of three
/// kinds keep the most frequent one small.
///
/// Corners are counted in entries of a 16-bit table from the window's first. Two share a word, the
/// first one in the lower half, which halves the loads. `difference` is a stump's left leaf less
/// its right one.
struct HaarNode {
  std::uint64_t corner_pairs[haar_corner_pairs];
  std::int32_t last_corner;         // of a checker
  std::int32_t doubled_multiplier;  // the multiplier (of a checker the sign) in both halves
  float threshold;
  std::int32_t difference;
};

/// A node whose feature is the sum of parts: nodes whose thresholds are not used.
struct HaarSplitNode {
  std::int32_t first_part;  // in the stage's `parts`: edges, then lines, then checkers
  std::int32_t edges;
  std::int32_t lines;
  std::int32_t checkers;
  float threshold;
  std::int32_t difference;
};

/// A node with a wide feature: the sum of weight x entry of a 32-bit table.
struct HaarWideNode {
  std::int32_t corners[haar_wide_corners];
  std::int32_t weights[haar_wide_corners];
  std::int32_t corner_count;
  float threshold;
  std::int32_t difference;
};

/// Where a tree's node and its children are. A child above 0 is a later branch of the tree, any
/// other child is the leaf of number -child.
struct HaarBranch {
  HaarShape shape;
  std::int32_t node;  // in the stage's `nodes`, `split_nodes` or `wide_nodes`
  std::int32_t left;
  std::int32_t right;
};

/// A tree, by the first of its branches, the root, and the first of its leaves.
struct HaarTree {
  std::int32_t first_branch;
  std::int32_t branch_count;
  std::int32_t first_leaf;
};

inline constexpr int haar_most_branches = 255;

/// A stage of stumps (tree_count is 0) or of trees.
struct HaarStage {
  const HaarNode* nodes;  // of stumps: edges, then lines, then checkers
  std::int32_t edges;
  std::int32_t lines;
  std::int32_t checkers;
  const HaarSplitNode* split_nodes;
  std::int32_t split_count;
  const HaarNode* parts;  // of all split nodes of the cascade
  const HaarWideNode* wide_nodes;
  std::int32_t wide_count;
  const HaarTree* trees;
  std::int32_t tree_count;
  const HaarBranch* branches;  // of all trees of the cascade, as the leaves
  const std::int32_t* leaves;
  std::int32_t right_leaves;  // the sum of all stumps' right leaves
  // Leaf values are scaled so that sums just fit in 32 bits, and rounded. Sums below the first of
  // these are surely below the stage's threshold, sums above the second surely are not. Those from
  // the first to the second, one in millions, are borderline: the caller rechecks them exactly.
  std::int32_t least_borderline;
  std::int32_t most_borderline;
};

/// The windows of a few rows. Those of a row are neighbours in the tables; they have `word_count`
/// words of bits and haar_word factors for each word.
struct HaarRows {
  const std::uint16_t* sums;
  const std::uint32_t* wide_sums;
  const float* factors;
  std::int32_t row_count;
  std::ptrdiff_t row;  // entries from one row's first window to the next one's
  std::int32_t word_count;
};

/// A level's tables of sums and the windows that gather_windows takes from them.
struct HaarWindows {
  std::int32_t width;   // entries: one more than pixels
  std::int32_t height;  // entries
  std::int32_t step;    // planes of a row, see SplitRow
  std::ptrdiff_t plane;
  std::ptrdiff_t row;  // entries from one row of the table to the next
};

/// Where the sums that tell a window's contrast are read: at the corners of the rectangle of
/// normalisation, of the first window of a row.
struct ContrastRows {
  const std::uint32_t* top_left;
  const std::uint32_t* top_right;
  const std::uint32_t* bottom_left;
  const std::uint32_t* bottom_right;
};

}  // namespace mien::kernels
