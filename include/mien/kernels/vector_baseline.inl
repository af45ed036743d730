// The baseline's vector: four floats by Eigen, which knows SSE2, NEON, and plain C++ elsewhere.

using Vector = Eigen::Array<float, 4, 1>;
constexpr int lanes = 4;
constexpr int registers = 16;

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
