// Products of bytes without instructions for them: by 16 bits in SSE2, by plain C++ elsewhere.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/baseline/bytes.inl>
#endif

namespace mien::kernels::MIEN_SET {

constexpr bool dot_is_one_instruction = false;

/// Adds the products of four unsigned bytes with four weights to each lane.
#if MIEN_X86_TARGETS
MIEN_ALWAYS_INLINE Integers add_dot(Integers sum, Bytes bytes, Weights weights) noexcept {
  // Each weight twice in 16 bits, of which the shift leaves the upper one with its sign.
  const __m128i low = _mm_srai_epi16(_mm_unpacklo_epi8(weights, weights), 8);
  const __m128i high = _mm_srai_epi16(_mm_unpackhi_epi8(weights, weights), 8);
  const __m128 first = _mm_castsi128_ps(_mm_madd_epi16(bytes.low, low));
  const __m128 second = _mm_castsi128_ps(_mm_madd_epi16(bytes.high, high));
  const __m128i even = _mm_castps_si128(_mm_shuffle_ps(first, second, _MM_SHUFFLE(2, 0, 2, 0)));
  const __m128i odd = _mm_castps_si128(_mm_shuffle_ps(first, second, _MM_SHUFFLE(3, 1, 3, 1)));
  return _mm_add_epi32(sum, _mm_add_epi32(even, odd));
}
#else
MIEN_ALWAYS_INLINE Integers add_dot(const Integers& sum, const Bytes& bytes,
                                    const Weights& weights) noexcept {
  Integers result = sum;
  for (int i = 0; i < lanes * quantized::depth_step; ++i) {
    result.lane[i / quantized::depth_step] += bytes.byte[i] * weights.byte[i];
  }
  return result;
}
#endif

}  // namespace mien::kernels::MIEN_SET
