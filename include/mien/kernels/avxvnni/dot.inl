// Products of bytes by AVX-VNNI, whose one instruction takes them to sums of 32 bits.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/avx2/vector.inl>
//
#include <mien/kernels/avx2/bytes.inl>
#endif

namespace mien::kernels::MIEN_SET {

constexpr bool dot_is_one_instruction = true;

/// Adds the products of four unsigned bytes with four weights to each lane.
MIEN_ALWAYS_INLINE Integers add_dot(Integers sum, Bytes bytes, Weights weights) noexcept {
  return _mm256_dpbusd_avx_epi32(sum, bytes, weights);
}

}  // namespace mien::kernels::MIEN_SET
