// A block's lanes in 256-bit registers, for AVX2 and AVX-512: sixteen 16-bit integers in one, or
// floats in two, which hold the even and the odd lanes. Floats made from Values are 2^16 times too
// large, and factors 2^16 times too small: so an even lane is converted after a shift to the left,
// an odd one after clearing its lower neighbour. Products are the same to the bit.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
#endif

namespace mien::kernels::MIEN_SET {

using Values = __m256i;
struct Floats {
  __m256 even;
  __m256 odd;
};
struct Totals {
  __m256i even;
  __m256i odd;
};

MIEN_ALWAYS_INLINE Values load_values(const std::uint16_t* from) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
MIEN_ALWAYS_INLINE Values add(Values a, Values b) noexcept {
  return _mm256_add_epi16(a, b);
}
MIEN_ALWAYS_INLINE Values subtract(Values a, Values b) noexcept {
  return _mm256_sub_epi16(a, b);
}
MIEN_ALWAYS_INLINE Values multiply(Values a, std::int32_t doubled_factor) noexcept {
  return _mm256_mullo_epi16(a, _mm256_set1_epi32(doubled_factor));
}

/// Swaps the middle quarters: what a pair of registers gave half by half comes into order.
MIEN_ALWAYS_INLINE __m256 in_order(__m256 v) noexcept {
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xD8));
}
/// Lanes 0 to 7 and 8 to 15 as even and odd ones.
MIEN_ALWAYS_INLINE Floats split(__m256 low, __m256 high) noexcept {
  return {in_order(_mm256_shuffle_ps(low, high, 0x88)),
          in_order(_mm256_shuffle_ps(low, high, 0xDD))};
}
MIEN_ALWAYS_INLINE Floats multiply(Floats a, float factor) noexcept {
  const __m256 b = _mm256_set1_ps(factor);
  return {_mm256_mul_ps(a.even, b), _mm256_mul_ps(a.odd, b)};
}
MIEN_ALWAYS_INLINE Floats multiply(Floats a, Floats b) noexcept {
  return {_mm256_mul_ps(a.even, b.even), _mm256_mul_ps(a.odd, b.odd)};
}
MIEN_ALWAYS_INLINE Floats zero_floats() noexcept {
  return {_mm256_setzero_ps(), _mm256_setzero_ps()};
}
MIEN_ALWAYS_INLINE Floats add(Floats a, Floats b) noexcept {
  return {_mm256_add_ps(a.even, b.even), _mm256_add_ps(a.odd, b.odd)};
}
MIEN_ALWAYS_INLINE Floats load_wide(const float* from) noexcept {
  return multiply(split(_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)), 0x1p16f);
}
MIEN_ALWAYS_INLINE Floats load_factors(const float* from) noexcept {
  return multiply(split(_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)), 0x1p-16f);
}
MIEN_ALWAYS_INLINE Floats to_floats(Values v) noexcept {
  const __m256i odd = _mm256_and_si256(v, _mm256_set1_epi32(static_cast<int>(0xFFFF0000u)));
  return {_mm256_cvtepi32_ps(_mm256_slli_epi32(v, 16)), _mm256_cvtepi32_ps(odd)};
}
MIEN_ALWAYS_INLINE Totals broadcast_total(std::int32_t value) noexcept {
  return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)};
}
MIEN_ALWAYS_INLINE Totals add(Totals a, Totals b) noexcept {
  return {_mm256_add_epi32(a.even, b.even), _mm256_add_epi32(a.odd, b.odd)};
}
inline Floats wide_adjacent_values(const HaarWideNode& node, const std::uint32_t* sums) noexcept {
  __m256i low = _mm256_setzero_si256();
  __m256i high = _mm256_setzero_si256();
  for (int k = 0; k < node.corner_count; ++k) {
    const __m256i weight = _mm256_set1_epi32(node.weights[k]);
    const auto* entries = reinterpret_cast<const __m256i*>(sums + node.corners[k]);
    low = _mm256_add_epi32(low, _mm256_mullo_epi32(weight, _mm256_loadu_si256(entries)));
    high = _mm256_add_epi32(high, _mm256_mullo_epi32(weight, _mm256_loadu_si256(entries + 1)));
  }
  return multiply(split(_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high)), 0x1p16f);
}

}  // namespace mien::kernels::MIEN_SET
