// Eight floats in an AVX register, with FMA.

using Vector = __m256;
constexpr int lanes = 8;
constexpr int registers = 16;

MIEN_ALWAYS_INLINE Vector load(const float* from) noexcept {
  return _mm256_loadu_ps(from);
}
MIEN_ALWAYS_INLINE void store(float* to, Vector v) noexcept {
  _mm256_storeu_ps(to, v);
}
MIEN_ALWAYS_INLINE Vector broadcast(float value) noexcept {
  return _mm256_set1_ps(value);
}
MIEN_ALWAYS_INLINE Vector multiply_add(Vector a, Vector b, Vector c) noexcept {
  return _mm256_fmadd_ps(a, b, c);
}
// Where v is not a number, the result is not either: the instruction returns its second operand.
MIEN_ALWAYS_INLINE Vector maximum(Vector v, Vector bound) noexcept {
  return _mm256_max_ps(bound, v);
}
MIEN_ALWAYS_INLINE Vector minimum(Vector v, Vector bound) noexcept {
  return _mm256_min_ps(bound, v);
}
