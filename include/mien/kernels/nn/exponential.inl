// The exponential and its relatives, over the Vector that was defined just before. What is not a
// number stays so. Polynomials are minimax fits (Lawson's algorithm, in double precision), rounded
// to float; errors are measured against double precision over all of the range.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// Horner's rule; the constant coefficient comes first.
template <std::size_t Count>
MIEN_ALWAYS_INLINE Vector polynomial(const float (&coefficients)[Count], const Vector& x) noexcept {
  Vector sum = broadcast(coefficients[Count - 1]);
  MIEN_UNROLL
  for (int i = static_cast<int>(Count) - 2; i >= 0; --i) {
    sum = multiply_add(sum, x, broadcast(coefficients[i]));
  }
  return sum;
}

/// e^x = 2^n (1 + tail), where x = n log 2 + r, |r| <= log(2) / 2 and tail = e^r - 1. The reduction
/// takes log 2 in two parts, the first of few bits (Cody and Waite, "Software Manual for the
/// Elementary Functions", 1980, chapter 6).
struct SplitExponential {
  Vector power;
  Vector tail;

  /// x from -87 to 88.
  MIEN_ALWAYS_INLINE explicit SplitExponential(const Vector& x) noexcept {
    // Adding 1.5 2^23 rounds to a whole number, which the lowest bits then hold.
    const Vector shift = broadcast(exponent_shift);
    const Vector shifted = multiply_add(x, broadcast(1.44269504f), shift);
    const Vector n = minus(shifted, shift);
    Vector r = multiply_add(n, broadcast(-0.693359375f), x);
    r = multiply_add(n, broadcast(2.12194440e-4f), r);
    // (e^r - 1 - r) / r^2, off by 1.8e-8 of e^r - 1.
    constexpr float coefficients[] = {0.49999997f, 0.16666543f, 0.0416672f, 0.0083665475f,
                                      0.0013882517f};
    power = power_of_two(shifted);
    tail = multiply_add(times(r, r), polynomial(coefficients, r), r);
  }
};

MIEN_ALWAYS_INLINE Vector clamp(const Vector& v, float low, float high) noexcept {
  return minimum(maximum(v, broadcast(low)), broadcast(high));
}

/// e^x, off by 2 units in the last place; beyond -87 and 88 it stays what it is there.
MIEN_ALWAYS_INLINE Vector exponential(const Vector& x) noexcept {
  const SplitExponential e(clamp(x, -87.0f, 88.0f));
  return multiply_add(e.power, e.tail, e.power);
}

/// e^x - 1, exact to 3 units in the last place about 0 too: power - 1 is exactly 0 there.
MIEN_ALWAYS_INLINE Vector exponential_minus_1(const Vector& x) noexcept {
  const SplitExponential e(clamp(x, -87.0f, 88.0f));
  return multiply_add(e.power, e.tail, minus(e.power, broadcast(1.0f)));
}

/// log(1 + t) for t from 0 to 1: twice the inverse hyperbolic tangent of t / (2 + t), whose series
/// needs no reduction.
MIEN_ALWAYS_INLINE Vector log_of_1_plus(const Vector& t) noexcept {
  const Vector s = divide(t, plus(t, broadcast(2.0f)));
  const Vector square = times(s, s);
  // Off by 4.5e-9 of the logarithm.
  constexpr float coefficients[] = {0.66666412f, 0.400217f, 0.27999139f, 0.28024465f};
  const Vector tail = times(times(square, s), polynomial(coefficients, square));
  return multiply_add(s, broadcast(2.0f), tail);
}

/// The complement of the error function, for z from 0 to 10: t exp(-z^2 + a polynomial of t) with
/// t = 1 / (1 + z / 2), the form of Press et al., "Numerical Recipes", section 6.2.
MIEN_ALWAYS_INLINE Vector complementary_error(const Vector& z) noexcept {
  const Vector one = broadcast(1.0f);
  const Vector t = divide(one, multiply_add(z, broadcast(0.5f), one));
  // Off by 4.5e-8 of the result.
  constexpr float coefficients[] = {-1.2654414f,  0.99849254f,  0.38789943f,  0.028358562f,
                                    0.020191534f, -0.11677887f, -0.65125918f, 1.1224092f,
                                    -0.66606665f, 0.14219491f};
  const Vector exponent = minus(polynomial(coefficients, t), times(z, z));
  return times(t, exponential(exponent));
}

}  // namespace mien::kernels::MIEN_SET
