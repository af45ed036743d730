// Sixteen floats in an AVX-512 register.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
#endif

namespace mien::kernels::MIEN_SET {

using Vector = __m512;
constexpr int lanes = 16;
constexpr int registers = 32;

MIEN_ALWAYS_INLINE Vector load(const float* from) noexcept {
  return _mm512_loadu_ps(from);
}
MIEN_ALWAYS_INLINE void store(float* to, Vector v) noexcept {
  _mm512_storeu_ps(to, v);
}
MIEN_ALWAYS_INLINE __mmask16 first_lanes(int count) noexcept {
  return static_cast<__mmask16>((1u << count) - 1u);
}
MIEN_ALWAYS_INLINE Vector load_first(const float* from, int count) noexcept {
  return _mm512_maskz_loadu_ps(first_lanes(count), from);
}
MIEN_ALWAYS_INLINE void store_first(float* to, Vector v, int count) noexcept {
  _mm512_mask_storeu_ps(to, first_lanes(count), v);
}
MIEN_ALWAYS_INLINE Vector broadcast(float value) noexcept {
  return _mm512_set1_ps(value);
}
MIEN_ALWAYS_INLINE Vector plus(Vector a, Vector b) noexcept {
  return _mm512_add_ps(a, b);
}
MIEN_ALWAYS_INLINE Vector minus(Vector a, Vector b) noexcept {
  return _mm512_sub_ps(a, b);
}
MIEN_ALWAYS_INLINE Vector times(Vector a, Vector b) noexcept {
  return _mm512_mul_ps(a, b);
}
MIEN_ALWAYS_INLINE Vector multiply_add(Vector a, Vector b, Vector c) noexcept {
  return _mm512_fmadd_ps(a, b, c);
}
MIEN_ALWAYS_INLINE Vector divide(Vector a, Vector b) noexcept {
  return _mm512_div_ps(a, b);
}
// The masked forms here and below, for GCC warns of its own undefined register inside the plain
// ones; the compiler drops the full mask.
MIEN_ALWAYS_INLINE Vector square_root(Vector v) noexcept {
  return _mm512_maskz_sqrt_ps(0xFFFF, v);
}
// Where v is not a number, the result is not either: the instruction returns its second operand.
MIEN_ALWAYS_INLINE Vector maximum(Vector v, Vector bound) noexcept {
  return _mm512_maskz_max_ps(0xFFFF, bound, v);
}
MIEN_ALWAYS_INLINE Vector minimum(Vector v, Vector bound) noexcept {
  return _mm512_maskz_min_ps(0xFFFF, bound, v);
}
// Not a number where either of them is not.
MIEN_ALWAYS_INLINE Vector bits_of_both(Vector a, Vector b) noexcept {
  return _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}
MIEN_ALWAYS_INLINE Vector larger(Vector a, Vector b) noexcept {
  return bits_of_both(maximum(a, b), maximum(b, a));
}
MIEN_ALWAYS_INLINE Vector smaller(Vector a, Vector b) noexcept {
  return bits_of_both(minimum(a, b), minimum(b, a));
}
// 2^n of n + exponent_shift, for whole numbers n from -126 to 127: the lowest bits are the
// exponent's.
MIEN_ALWAYS_INLINE Vector power_of_two(Vector shifted) noexcept {
  return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(0xFFFF, _mm512_castps_si512(shifted), 23));
}

/// Where each lane finds its value.
using Spread = __m512i;
MIEN_ALWAYS_INLINE Spread spread(const int (&from)[lanes]) noexcept {
  return _mm512_loadu_si512(from);
}
MIEN_ALWAYS_INLINE Vector load_spread(const float* from, Spread s) noexcept {
  return _mm512_maskz_permutexvar_ps(0xFFFF, s, load(from));
}

}  // namespace mien::kernels::MIEN_SET
