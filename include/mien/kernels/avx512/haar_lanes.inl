// Masks of lanes as bits: a masked addition costs no more than any other. Registers have 256 bits,
// of which AVX-512 has twice as many as AVX2. Blocks in 512-bit registers were 12 % slower: they do
// not halve the time of the arithmetic, and more of their loads cross lines of the cache.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/avx2/haar_registers.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// Blocks that are evaluated at once.
inline constexpr int most_blocks = 4;

struct Mask {
  __mmask8 even;
  __mmask8 odd;
};

MIEN_ALWAYS_INLINE Mask is_below(Floats a, float bound) noexcept {
  const __m256 b = _mm256_set1_ps(bound);
  return {_mm256_cmp_ps_mask(a.even, b, _CMP_LT_OQ), _mm256_cmp_ps_mask(a.odd, b, _CMP_LT_OQ)};
}
MIEN_ALWAYS_INLINE Totals select(Mask m, Totals a, Totals b) noexcept {
  return {_mm256_mask_blend_epi32(m.even, b.even, a.even),
          _mm256_mask_blend_epi32(m.odd, b.odd, a.odd)};
}
MIEN_ALWAYS_INLINE Totals add_where(Mask m, Totals a, std::int32_t value) noexcept {
  const __m256i v = _mm256_set1_epi32(value);
  return {_mm256_mask_add_epi32(a.even, m.even, a.even, v),
          _mm256_mask_add_epi32(a.odd, m.odd, a.odd, v)};
}
MIEN_ALWAYS_INLINE Mask is_above(Totals a, std::int32_t bound) noexcept {
  const __m256i b = _mm256_set1_epi32(bound);
  return {_mm256_cmpgt_epi32_mask(a.even, b), _mm256_cmpgt_epi32_mask(a.odd, b)};
}
MIEN_ALWAYS_INLINE std::uint32_t bits(Mask m) noexcept {
  return _pdep_u32(m.even, 0x5555u) | _pdep_u32(m.odd, 0xAAAAu);
}

}  // namespace mien::kernels::MIEN_SET
