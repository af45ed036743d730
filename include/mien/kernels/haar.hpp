// What the kernels of the detector work on: a cascade's stages with every corner placed in a table
// of sums. The fast kernels are in haar.inl.
//
// Many windows are evaluated at a time. Their entries for one corner lie side by side, either
// because the windows do (a row of a level, `sums` below), or because they have been brought
// together (gather_windows). Values are added up in 16 bits, modulo 2^16: twice the windows a
// register, and exact as long as the value itself fits in 16 bits. Large features, whose value may
// not, are cut into parts that do. The few that are left, of uncommon shapes ("wide"), take 32
// bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mien::kernels {

/// Windows of a block, which are evaluated together whatever the instruction set's registers hold.
/// Smaller than the widest registers would have it: fewer of a block's windows are dead, and a
/// block's gathered entries stay in the nearest cache.
inline constexpr int haar_block = 16;

/// Windows of a word of bits: two blocks.
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

/// The common shapes of features, by what is left when corners shared by rectangles are merged.
enum class HaarShape : std::uint8_t {
  edge,     ///< two halves: c0 + c1 - c2 - c3 + multiplier (c4 - c5)
  line,     ///< a part inside: c0 + c1 - c2 - c3 + multiplier (c4 + c5 - c6 - c7)
  checker,  ///< two diagonal quarters: sign (c0 + c1 + c2 + c3 + 2 (2 c4 - c5 - c6 - c7 - c8))
  split,    ///< the sum of parts that have the shapes above
  wide,     ///< anything else
};

inline constexpr int haar_corner_pairs = 4;
inline constexpr int haar_wide_corners = 12;

/// A test of the value, times the window's factor, against a threshold. Corners are entries of a
/// 16-bit table from the first window's; two share a word, the first one in the lower half, which
/// takes half the loads. `difference` is how much more a stump's left leaf has than its right one.
struct HaarNode {
  std::uint64_t corner_pairs[haar_corner_pairs];
  std::int32_t last_corner;         // of a checker
  std::int32_t doubled_multiplier;  // in both halves of a word; of a checker its sign
  float threshold;
  std::int32_t difference;
};

/// The same for a feature in parts, which are nodes of which only the value counts.
struct HaarSplitNode {
  std::int32_t first_part;  // in the stage's `parts`: edges, then lines, then checkers
  std::int32_t edges;
  std::int32_t lines;
  std::int32_t checkers;
  float threshold;
  std::int32_t difference;
};

/// The same for a wide feature: the sum of weight x entry of a 32-bit table.
struct HaarWideNode {
  std::int32_t corners[haar_wide_corners];
  std::int32_t weights[haar_wide_corners];
  std::int32_t corner_count;
  float threshold;
  std::int32_t difference;
};

/// A node of a tree: a child above 0 is a node, further back in the tree, another one the leaf of
/// number -child.
struct HaarBranch {
  HaarShape shape;
  std::int32_t node;  // in the stage's `nodes`, `split_nodes` or `wide_nodes`
  std::int32_t left;
  std::int32_t right;
};

/// A tree of the branches and leaves from these on.
struct HaarTree {
  std::int32_t first_branch;
  std::int32_t branch_count;
  std::int32_t first_leaf;
};

inline constexpr int haar_most_branches = 255;

/// A stage of stumps (tree_count is 0), sorted by shape, or of trees.
struct HaarStage {
  const HaarNode* nodes;
  std::int32_t edges;  // the first nodes, then lines, then checkers
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
  // Leaf values are scaled so that sums just fit in 32 bits, and rounded. A sum below the first of
  // these is surely below the stage's threshold, one above the second surely is not; those between
  // them, one in millions, are not certain.
  std::int32_t least_uncertain;
  std::int32_t most_uncertain;
};

/// The windows of a few rows. Those of a row are neighbours in the tables and have `word_count`
/// words of bits and as many times haar_word factors.
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

/// Where box sums for the windows' contrast are read: the corners of the first window's inside.
struct ContrastRows {
  const std::uint32_t* top_left;
  const std::uint32_t* top_right;
  const std::uint32_t* bottom_left;
  const std::uint32_t* bottom_right;
};

}  // namespace mien::kernels
