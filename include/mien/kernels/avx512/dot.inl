// Products of bytes by AVX-512BW, which adds pairs in 16 bits: weights of 7 bits cannot overflow
// them.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/avx512/vector.inl>
//
#include <mien/kernels/avx512/bytes.inl>
#endif

namespace mien::kernels::MIEN_SET {

constexpr bool dot_is_one_instruction = false;

/// Adds the products of four unsigned bytes with four weights to each lane.
MIEN_ALWAYS_INLINE Integers add_dot(Integers sum, Bytes bytes, Weights weights) noexcept {
  const __m512i pairs = _mm512_maddubs_epi16(bytes, weights);
  return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

}  // namespace mien::kernels::MIEN_SET
