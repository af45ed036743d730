// Sixteen lanes in AVX registers: one of 16-bit integers, or two of floats, which hold the lanes
// with even and with odd numbers. Floats made from Values are 2^16 times too large, and factors
// 2^16 times too small: an even lane needs no more than a shift to the left, an odd one its lower
// neighbour cleared. Products are the same, to the bit.

constexpr int haar_lanes = 16;

using Values = __m256i;
struct Floats {
  __m256 even;
  __m256 odd;
};
struct Totals {
  __m256i even;
  __m256i odd;
};
using Mask = Totals;

MIEN_ALWAYS_INLINE Values load_values(const std::uint16_t* from) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
MIEN_ALWAYS_INLINE Values add(Values a, Values b) noexcept {
  return _mm256_add_epi16(a, b);
}
MIEN_ALWAYS_INLINE Values subtract(Values a, Values b) noexcept {
  return _mm256_sub_epi16(a, b);
}
MIEN_ALWAYS_INLINE Values multiply(Values a, std::int32_t factor) noexcept {
  return _mm256_mullo_epi16(a, _mm256_set1_epi16(static_cast<std::int16_t>(factor)));
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
MIEN_ALWAYS_INLINE Mask is_below(Floats a, float bound) noexcept {
  const __m256 b = _mm256_set1_ps(bound);
  return {_mm256_castps_si256(_mm256_cmp_ps(a.even, b, _CMP_LT_OQ)),
          _mm256_castps_si256(_mm256_cmp_ps(a.odd, b, _CMP_LT_OQ))};
}

MIEN_ALWAYS_INLINE Totals broadcast_total(std::int32_t value) noexcept {
  return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)};
}
MIEN_ALWAYS_INLINE Totals add(Totals a, Totals b) noexcept {
  return {_mm256_add_epi32(a.even, b.even), _mm256_add_epi32(a.odd, b.odd)};
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

MIEN_ALWAYS_INLINE Floats wide_adjacent_values(const HaarWideNode& node,
                                               const std::uint32_t* sums) noexcept {
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

/// Eight entries of sixteen windows.
MIEN_ALWAYS_INLINE void gather_eight(const std::uint16_t* sums, const std::int32_t* origins,
                                     __m256i* columns) noexcept {
  __m256i a[8];
  MIEN_UNROLL
  for (int i = 0; i < 8; ++i) {
    const auto* low = reinterpret_cast<const __m128i*>(sums + origins[i]);
    const auto* high = reinterpret_cast<const __m128i*>(sums + origins[i + 8]);
    a[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                   _mm_loadu_si128(high), 1);
  }
  __m256i b[8];
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) {
    b[i] = _mm256_unpacklo_epi16(a[2 * i], a[2 * i + 1]);
    b[i + 4] = _mm256_unpackhi_epi16(a[2 * i], a[2 * i + 1]);
  }
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm256_unpacklo_epi32(b[2 * i], b[2 * i + 1]);
    a[2 * i + 1] = _mm256_unpackhi_epi32(b[2 * i], b[2 * i + 1]);
  }
  // a: columns 01, 23 of windows 0-3, 4-7, then 45, 67.
  MIEN_UNROLL
  for (int i = 0; i < 2; ++i) {
    MIEN_UNROLL
    for (int j = 0; j < 2; ++j) {
      columns[4 * i + 2 * j] = _mm256_unpacklo_epi64(a[4 * i + j], a[4 * i + j + 2]);
      columns[4 * i + 2 * j + 1] = _mm256_unpackhi_epi64(a[4 * i + j], a[4 * i + j + 2]);
    }
  }
}

inline void gather_row(const std::uint16_t* sums, const std::int32_t* origins, int columns,
                       int to_step, std::uint16_t* to) noexcept {
  for (int first = 0; first < columns; first += 8) {
    __m256i gathered[8];
    gather_eight(sums + first, origins, gathered);
    MIEN_UNROLL
    for (int i = 0; i < 8; ++i) {
      if (first + i >= columns) break;
      std::uint16_t* place = to + (first + i) * to_step * haar_block;
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(place), gathered[i]);
    }
  }
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
                             float* factors, std::uint32_t* contrasted) noexcept {
  const __m256i areas = _mm256_set1_epi32(area);
  const __m256i largest_flat = _mm256_set1_epi64x(smallest_spread - 1);
  const auto spreads = [areas](__m256i s, __m256i q) {
    return _mm256_sub_epi64(_mm256_mul_epu32(q, areas), _mm256_mul_epu32(s, s));
  };
  for (int first = 0; first < count; first += 8) {
    if (first % haar_block == 0) contrasted[first / haar_block] = 0;
    const __m256i s = box_sums(sums, first);
    const __m256i q = box_sums(squared_sums, first);
    const __m256i even = spreads(s, q);
    const __m256i odd = spreads(_mm256_srli_epi64(s, 32), _mm256_srli_epi64(q, 32));
    const __m256i even_bits = _mm256_cmpgt_epi64(even, largest_flat);
    const __m256i odd_bits = _mm256_cmpgt_epi64(odd, largest_flat);
    const auto eight_bits = static_cast<std::uint32_t>(
        _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_blend_epi32(even_bits, odd_bits, 0xAA))));
    const std::uint32_t inside = count - first < 8 ? (1u << (count - first)) - 1 : 0xFFu;
    contrasted[first / haar_block] |= (eight_bits & inside) << (first % haar_block);
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
