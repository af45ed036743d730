// The baseline's vector: four floats, by SSE2 on x86-64, by Eigen elsewhere, which knows NEON and
// plain C++.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
#endif

namespace mien::kernels::MIEN_SET {

constexpr int lanes = 4;
constexpr int registers = 16;

#if MIEN_X86_TARGETS

using Vector = __m128;

MIEN_ALWAYS_INLINE Vector load(const float* from) noexcept {
  return _mm_loadu_ps(from);
}
MIEN_ALWAYS_INLINE void store(float* to, Vector v) noexcept {
  _mm_storeu_ps(to, v);
}
MIEN_ALWAYS_INLINE Vector load_first(const float* from, int count) noexcept {
  float all[lanes] = {};
  for (int i = 0; i < count; ++i) all[i] = from[i];
  return load(all);
}
MIEN_ALWAYS_INLINE void store_first(float* to, Vector v, int count) noexcept {
  float all[lanes];
  store(all, v);
  for (int i = 0; i < count; ++i) to[i] = all[i];
}
MIEN_ALWAYS_INLINE Vector broadcast(float value) noexcept {
  return _mm_set1_ps(value);
}
MIEN_ALWAYS_INLINE Vector plus(Vector a, Vector b) noexcept {
  return _mm_add_ps(a, b);
}
MIEN_ALWAYS_INLINE Vector minus(Vector a, Vector b) noexcept {
  return _mm_sub_ps(a, b);
}
MIEN_ALWAYS_INLINE Vector times(Vector a, Vector b) noexcept {
  return _mm_mul_ps(a, b);
}
MIEN_ALWAYS_INLINE Vector multiply_add(Vector a, Vector b, Vector c) noexcept {
  return _mm_add_ps(_mm_mul_ps(a, b), c);
}
MIEN_ALWAYS_INLINE Vector divide(Vector a, Vector b) noexcept {
  return _mm_div_ps(a, b);
}
MIEN_ALWAYS_INLINE Vector square_root(Vector v) noexcept {
  return _mm_sqrt_ps(v);
}
// Where v is not a number, the result is not either: the instruction returns its second operand.
MIEN_ALWAYS_INLINE Vector maximum(Vector v, Vector bound) noexcept {
  return _mm_max_ps(bound, v);
}
MIEN_ALWAYS_INLINE Vector minimum(Vector v, Vector bound) noexcept {
  return _mm_min_ps(bound, v);
}
// Not a number where either of them is not.
MIEN_ALWAYS_INLINE Vector larger(Vector a, Vector b) noexcept {
  return _mm_or_ps(_mm_max_ps(a, b), _mm_max_ps(b, a));
}
MIEN_ALWAYS_INLINE Vector smaller(Vector a, Vector b) noexcept {
  return _mm_or_ps(_mm_min_ps(a, b), _mm_min_ps(b, a));
}
// 2^n of n + exponent_shift, for whole numbers n from -126 to 127: the lowest bits are the
// exponent's.
MIEN_ALWAYS_INLINE Vector power_of_two(Vector shifted) noexcept {
  return _mm_castsi128_ps(_mm_slli_epi32(_mm_castps_si128(shifted), 23));
}

#else

using Vector = Eigen::Array<float, lanes, 1>;

MIEN_ALWAYS_INLINE Vector load(const float* from) noexcept {
  return Eigen::Map<const Vector>(from);
}
MIEN_ALWAYS_INLINE void store(float* to, const Vector& v) noexcept {
  Eigen::Map<Vector>{to} = v;
}
MIEN_ALWAYS_INLINE Vector load_first(const float* from, int count) noexcept {
  Vector v = Vector::Zero();
  for (int i = 0; i < count; ++i) v[i] = from[i];
  return v;
}
MIEN_ALWAYS_INLINE void store_first(float* to, const Vector& v, int count) noexcept {
  for (int i = 0; i < count; ++i) to[i] = v[i];
}
MIEN_ALWAYS_INLINE Vector broadcast(float value) noexcept {
  return Vector::Constant(value);
}
MIEN_ALWAYS_INLINE Vector plus(const Vector& a, const Vector& b) noexcept {
  return a + b;
}
MIEN_ALWAYS_INLINE Vector minus(const Vector& a, const Vector& b) noexcept {
  return a - b;
}
MIEN_ALWAYS_INLINE Vector times(const Vector& a, const Vector& b) noexcept {
  return a * b;
}
MIEN_ALWAYS_INLINE Vector multiply_add(const Vector& a, const Vector& b, const Vector& c) noexcept {
  return a * b + c;
}
MIEN_ALWAYS_INLINE Vector divide(const Vector& a, const Vector& b) noexcept {
  return a / b;
}
MIEN_ALWAYS_INLINE Vector square_root(const Vector& v) noexcept {
  return v.sqrt();
}
// Where v is not a number, the result is not either. Eigen 3.4 offers that for pairs of vectors
// only as functors.
MIEN_ALWAYS_INLINE Vector maximum(const Vector& v, const Vector& bound) noexcept {
  return v.binaryExpr(bound, Eigen::internal::scalar_max_op<float, float, Eigen::PropagateNaN>());
}
MIEN_ALWAYS_INLINE Vector minimum(const Vector& v, const Vector& bound) noexcept {
  return v.binaryExpr(bound, Eigen::internal::scalar_min_op<float, float, Eigen::PropagateNaN>());
}
// Not a number where either of them is not.
MIEN_ALWAYS_INLINE Vector larger(const Vector& a, const Vector& b) noexcept {
  return maximum(a, b);
}
MIEN_ALWAYS_INLINE Vector smaller(const Vector& a, const Vector& b) noexcept {
  return minimum(a, b);
}
// 2^n of n + exponent_shift, for whole numbers n from -126 to 127; anything for what is not a
// number.
MIEN_ALWAYS_INLINE Vector power_of_two(const Vector& shifted) noexcept {
  Vector result;
  for (int i = 0; i < lanes; ++i) {
    const float n = shifted[i] - exponent_shift;
    result[i] = n == n ? std::ldexp(1.0f, static_cast<int>(n)) : 1.0f;
  }
  return result;
}

#endif  // MIEN_X86_TARGETS

/// Where each lane finds its value.
struct Spread {
  int from[lanes];
};
MIEN_ALWAYS_INLINE Spread spread(const int (&from)[lanes]) noexcept {
  return {{from[0], from[1], from[2], from[3]}};
}
MIEN_ALWAYS_INLINE Vector load_spread(const float* from, const Spread& s) noexcept {
  const float all[lanes] = {from[s.from[0]], from[s.from[1]], from[s.from[2]], from[s.from[3]]};
  return load(all);
}

}  // namespace mien::kernels::MIEN_SET
