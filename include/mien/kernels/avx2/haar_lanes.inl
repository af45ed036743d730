// Masks of lanes in AVX registers, and what else AVX2 does for the detector.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/avx2/haar_registers.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// Blocks that are evaluated at once.
inline constexpr int most_blocks = 2;

using Mask = Totals;

MIEN_ALWAYS_INLINE Mask is_below(Floats a, float bound) noexcept {
  const __m256 b = _mm256_set1_ps(bound);
  return {_mm256_castps_si256(_mm256_cmp_ps(a.even, b, _CMP_LT_OQ)),
          _mm256_castps_si256(_mm256_cmp_ps(a.odd, b, _CMP_LT_OQ))};
}

MIEN_ALWAYS_INLINE Totals select(Mask m, Totals a, Totals b) noexcept {
  return {_mm256_blendv_epi8(b.even, a.even, m.even), _mm256_blendv_epi8(b.odd, a.odd, m.odd)};
}
MIEN_ALWAYS_INLINE Totals add_where(Mask m, Totals a, std::int32_t value) noexcept {
  const __m256i v = _mm256_set1_epi32(value);
  return add(a, {_mm256_and_si256(m.even, v), _mm256_and_si256(m.odd, v)});
}
MIEN_ALWAYS_INLINE Mask is_above(Totals a, std::int32_t bound) noexcept {
  const __m256i b = _mm256_set1_epi32(bound);
  return {_mm256_cmpgt_epi32(a.even, b), _mm256_cmpgt_epi32(a.odd, b)};
}
MIEN_ALWAYS_INLINE std::uint32_t bits(Mask m) noexcept {
  // Back into lanes of 16 bits, then of 8.
  const __m256i halves = _mm256_blend_epi16(m.even, m.odd, 0xAA);
  const __m128i bytes =
      _mm_packs_epi16(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(bytes));
}

/// Transposes both halves of eight registers: eight rows become eight columns.
MIEN_ALWAYS_INLINE void transpose_eight(__m256i* rows) noexcept {
  __m256i pairs[8];
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) {
    pairs[i] = _mm256_unpacklo_epi16(rows[2 * i], rows[2 * i + 1]);
    pairs[i + 4] = _mm256_unpackhi_epi16(rows[2 * i], rows[2 * i + 1]);
  }
  // Columns 01, 23 of rows 0-3, 4-7, then 45, 67.
  __m256i fours[8];
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) {
    fours[2 * i] = _mm256_unpacklo_epi32(pairs[2 * i], pairs[2 * i + 1]);
    fours[2 * i + 1] = _mm256_unpackhi_epi32(pairs[2 * i], pairs[2 * i + 1]);
  }
  MIEN_UNROLL
  for (int i = 0; i < 2; ++i) {
    MIEN_UNROLL
    for (int j = 0; j < 2; ++j) {
      rows[4 * i + 2 * j] = _mm256_unpacklo_epi64(fours[4 * i + j], fours[4 * i + j + 2]);
      rows[4 * i + 2 * j + 1] = _mm256_unpackhi_epi64(fours[4 * i + j], fours[4 * i + j + 2]);
    }
  }
}

/// Up to eight neighbouring entries of sixteen windows, from `from` on in each, as columns that
/// lie `step` apart.
template <int step>
MIEN_ALWAYS_INLINE void gather_columns(const std::uint16_t* from, const std::int32_t* origins,
                                       int count, std::uint16_t* to) noexcept {
  const auto entries = [from](std::int32_t origin) {
    return reinterpret_cast<const __m128i*>(from + origin);
  };
  __m256i columns[8];
  MIEN_UNROLL
  for (int i = 0; i < 8; ++i) {
    columns[i] = _mm256_loadu2_m128i(entries(origins[i + 8]), entries(origins[i]));
  }
  transpose_eight(columns);
  MIEN_UNROLL
  for (int i = 0; i < 8; ++i) {
    if (i == count) return;
    _mm256_store_si256(reinterpret_cast<__m256i*>(to + i * step * haar_block), columns[i]);
  }
}

template <int step>
inline void gather_sixteen(const HaarWindows& windows, const std::uint16_t* sums,
                           const std::int32_t* origins, std::uint16_t* gathered) noexcept {
  for (std::int32_t y = 0; y < windows.height; ++y) {
    MIEN_UNROLL
    for (int plane = 0; plane < step; ++plane) {
      const std::uint16_t* from = sums + y * windows.row + plane * windows.plane;
      std::uint16_t* to = gathered + (y * windows.width + plane) * haar_block;
      int columns = (windows.width - plane + step - 1) / step;
      for (; columns >= 8; columns -= 8, from += 8, to += 8 * step * haar_block) {
        gather_columns<step>(from, origins, 8, to);
      }
      // Windows of 24 pixels leave one column; a constant count makes it cheaper.
      if (columns == 1) {
        gather_columns<step>(from, origins, 1, to);
      } else if (columns > 0) {
        gather_columns<step>(from, origins, columns, to);
      }
    }
  }
}

inline void gather_windows(const HaarWindows& windows, const std::uint16_t* sums,
                           const std::int32_t* origins, std::uint16_t* gathered) noexcept {
  const auto gather = windows.step == 1 ? &gather_sixteen<1> : &gather_sixteen<2>;
  gather(windows, sums, origins, gathered);
}

/// Box sums of eight windows side by side.
MIEN_ALWAYS_INLINE __m256i box_sums(const ContrastRows& rows, int first) noexcept {
  const auto eight = [first](const std::uint32_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + first));
  };
  return _mm256_add_epi32(_mm256_sub_epi32(eight(rows.top_left), eight(rows.top_right)),
                          _mm256_sub_epi32(eight(rows.bottom_right), eight(rows.bottom_left)));
}

/// 1 / sqrt(spread) of four spreads of 0 to 2^52 - 1, rounded as in double precision and then to
/// single.
MIEN_ALWAYS_INLINE __m128 reciprocal_roots(__m256i spreads) noexcept {
  // A number below 2^52 in the mantissa of 2^52 is their sum.
  const __m256d two_to_52 = _mm256_set1_pd(0x1p52);
  const __m256d numbers = _mm256_sub_pd(
      _mm256_castsi256_pd(_mm256_or_si256(spreads, _mm256_castpd_si256(two_to_52))), two_to_52);
  return _mm256_cvtpd_ps(_mm256_div_pd(_mm256_set1_pd(1.0), _mm256_sqrt_pd(numbers)));
}

inline void measure_contrast(const ContrastRows& sums, const ContrastRows& squared_sums,
                             std::int32_t area, std::int64_t smallest_spread, std::int32_t count,
                             float* factors, std::uint32_t* not_flat) noexcept {
  const __m256i areas = _mm256_set1_epi32(area);
  const __m256i largest_flat = _mm256_set1_epi64x(smallest_spread - 1);
  const auto spreads = [areas](__m256i s, __m256i q) {
    return _mm256_sub_epi64(_mm256_mul_epu32(q, areas), _mm256_mul_epu32(s, s));
  };
  for (int first = 0; first < count; first += 8) {
    if (first % haar_word == 0) not_flat[first / haar_word] = 0;
    const __m256i s = box_sums(sums, first);
    const __m256i q = box_sums(squared_sums, first);
    const __m256i even = spreads(s, q);
    const __m256i odd = spreads(_mm256_srli_epi64(s, 32), _mm256_srli_epi64(q, 32));
    const __m256i even_bits = _mm256_cmpgt_epi64(even, largest_flat);
    const __m256i odd_bits = _mm256_cmpgt_epi64(odd, largest_flat);
    const auto eight_bits = static_cast<std::uint32_t>(
        _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_blend_epi32(even_bits, odd_bits, 0xAA))));
    const std::uint32_t inside = count - first < 8 ? (1u << (count - first)) - 1 : 0xFFu;
    not_flat[first / haar_word] |= (eight_bits & inside) << (first % haar_word);
    __m256 eight = _mm256_setzero_ps();
    if ((eight_bits & inside) != 0) {
      const __m128 even_factors = reciprocal_roots(even);
      const __m128 odd_factors = reciprocal_roots(odd);
      eight = _mm256_set_m128(_mm_unpackhi_ps(even_factors, odd_factors),
                              _mm_unpacklo_ps(even_factors, odd_factors));
    }
    _mm256_storeu_ps(factors + first, eight);
  }
}

}  // namespace mien::kernels::MIEN_SET
