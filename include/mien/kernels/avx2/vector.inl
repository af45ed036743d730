// Eight floats in an AVX register, with FMA.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
#endif

namespace mien::kernels::MIEN_SET {

using Vector = __m256;
constexpr int lanes = 8;
constexpr int registers = 16;

MIEN_ALWAYS_INLINE Vector load(const float* from) noexcept {
  return _mm256_loadu_ps(from);
}
MIEN_ALWAYS_INLINE void store(float* to, Vector v) noexcept {
  _mm256_storeu_ps(to, v);
}
MIEN_ALWAYS_INLINE __m256i first_lanes(int count) noexcept {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
MIEN_ALWAYS_INLINE Vector load_first(const float* from, int count) noexcept {
  return _mm256_maskload_ps(from, first_lanes(count));
}
MIEN_ALWAYS_INLINE void store_first(float* to, Vector v, int count) noexcept {
  _mm256_maskstore_ps(to, first_lanes(count), v);
}
MIEN_ALWAYS_INLINE Vector broadcast(float value) noexcept {
  return _mm256_set1_ps(value);
}
MIEN_ALWAYS_INLINE Vector plus(Vector a, Vector b) noexcept {
  return _mm256_add_ps(a, b);
}
MIEN_ALWAYS_INLINE Vector minus(Vector a, Vector b) noexcept {
  return _mm256_sub_ps(a, b);
}
MIEN_ALWAYS_INLINE Vector times(Vector a, Vector b) noexcept {
  return _mm256_mul_ps(a, b);
}
MIEN_ALWAYS_INLINE Vector multiply_add(Vector a, Vector b, Vector c) noexcept {
  return _mm256_fmadd_ps(a, b, c);
}
MIEN_ALWAYS_INLINE Vector divide(Vector a, Vector b) noexcept {
  return _mm256_div_ps(a, b);
}
MIEN_ALWAYS_INLINE Vector square_root(Vector v) noexcept {
  return _mm256_sqrt_ps(v);
}
// Where v is not a number, the result is not either: the instruction returns its second operand.
MIEN_ALWAYS_INLINE Vector maximum(Vector v, Vector bound) noexcept {
  return _mm256_max_ps(bound, v);
}
MIEN_ALWAYS_INLINE Vector minimum(Vector v, Vector bound) noexcept {
  return _mm256_min_ps(bound, v);
}
// Not a number where either of them is not.
MIEN_ALWAYS_INLINE Vector larger(Vector a, Vector b) noexcept {
  return _mm256_or_ps(_mm256_max_ps(a, b), _mm256_max_ps(b, a));
}
MIEN_ALWAYS_INLINE Vector smaller(Vector a, Vector b) noexcept {
  return _mm256_or_ps(_mm256_min_ps(a, b), _mm256_min_ps(b, a));
}
// 2^n of n + exponent_shift, for whole numbers n from -126 to 127: the lowest bits are the
// exponent's.
MIEN_ALWAYS_INLINE Vector power_of_two(Vector shifted) noexcept {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(shifted), 23));
}

/// Where each lane finds its value: in its own half of the register, as those of a group of two or
/// four do.
using Spread = __m256i;
MIEN_ALWAYS_INLINE Spread spread(const int (&from)[lanes]) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
MIEN_ALWAYS_INLINE Vector load_spread(const float* from, Spread s) noexcept {
  return _mm256_permutevar_ps(load(from), s);
}

}  // namespace mien::kernels::MIEN_SET
