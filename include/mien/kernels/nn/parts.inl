// Parts of vectors, and what epilogues do to them, over the Vector that was defined just before.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// Output channels that one packed block holds.
constexpr int block_channels = 2 * lanes;
static_assert(block_channels <= largest_block, "scratch memory is planned for the largest");

/// Where a tile's input lies: `runs` stretches of `length` values, `next_pixel` and `next_run`
/// apart.
struct TapRuns {
  int rows;
  int runs_per_row;
  int length;
  std::ptrdiff_t next_row;
  std::ptrdiff_t next_run;
  std::ptrdiff_t next_pixel;
  std::ptrdiff_t next_output_row;
};

/// The first `count` of a vector's lanes, the others zero; all of them where Whole, at no cost.
template <bool Whole>
MIEN_ALWAYS_INLINE Vector load_part(const float* from, int count) noexcept {
  if constexpr (Whole) {
    return load(from);
  } else {
    return load_first(from, count);
  }
}

template <bool Whole>
MIEN_ALWAYS_INLINE void store_part(float* to, Vector v, int count) noexcept {
  if constexpr (Whole) {
    store(to, v);
  } else {
    store_first(to, v, count);
  }
}

/// An activation's bounds. What is not a number passes through.
struct VectorBounds {
  Vector low;
  Vector high;

  MIEN_ALWAYS_INLINE explicit VectorBounds(const Bounds& b) noexcept
      : low(broadcast(b.low)), high(broadcast(b.high)) {}
  MIEN_ALWAYS_INLINE explicit VectorBounds(Activation activation) noexcept
      : VectorBounds(bounds(activation)) {}

  MIEN_ALWAYS_INLINE Vector operator()(const Vector& v) const noexcept {
    return minimum(maximum(v, low), high);
  }
};

}  // namespace mien::kernels::MIEN_SET
