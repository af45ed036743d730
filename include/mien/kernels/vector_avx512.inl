// Sixteen floats in an AVX-512 register.

using Vector = __m512;
constexpr int lanes = 16;
constexpr int registers = 32;

MIEN_ALWAYS_INLINE Vector load(const float* from) noexcept {
  return _mm512_loadu_ps(from);
}
MIEN_ALWAYS_INLINE void store(float* to, Vector v) noexcept {
  _mm512_storeu_ps(to, v);
}
MIEN_ALWAYS_INLINE Vector broadcast(float value) noexcept {
  return _mm512_set1_ps(value);
}
MIEN_ALWAYS_INLINE Vector multiply_add(Vector a, Vector b, Vector c) noexcept {
  return _mm512_fmadd_ps(a, b, c);
}
// Where v is not a number, the result is not either: the instruction returns its second operand.
// The masked forms, for GCC warns of its own undefined register inside the plain ones; the compiler
// drops the full mask.
MIEN_ALWAYS_INLINE Vector maximum(Vector v, Vector bound) noexcept {
  return _mm512_maskz_max_ps(0xFFFF, bound, v);
}
MIEN_ALWAYS_INLINE Vector minimum(Vector v, Vector bound) noexcept {
  return _mm512_maskz_min_ps(0xFFFF, bound, v);
}
