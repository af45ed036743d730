// Thirty-two lanes in AVX-512 registers: one of 16-bit integers, or two of floats, which hold the
// lanes with even and with odd numbers. Floats made from Values are 2^16 times too large, as in
// haar_lanes_avx2.inl. Masks are bits, and additions where they are set cost no more than others.

constexpr int haar_lanes = 32;

using Values = __m512i;
struct Floats {
  __m512 even;
  __m512 odd;
};
struct Totals {
  __m512i even;
  __m512i odd;
};
struct Mask {
  __mmask16 even;
  __mmask16 odd;
};

MIEN_ALWAYS_INLINE Values load_values(const std::uint16_t* from) noexcept {
  return _mm512_loadu_si512(from);
}
MIEN_ALWAYS_INLINE Values add(Values a, Values b) noexcept {
  return _mm512_add_epi16(a, b);
}
MIEN_ALWAYS_INLINE Values subtract(Values a, Values b) noexcept {
  return _mm512_sub_epi16(a, b);
}
MIEN_ALWAYS_INLINE Values multiply(Values a, std::int32_t factor) noexcept {
  return _mm512_mullo_epi16(a, _mm512_set1_epi16(static_cast<std::int16_t>(factor)));
}

/// Lanes 0 to 15 and 16 to 31 as even and odd ones.
MIEN_ALWAYS_INLINE Floats split(__m512 low, __m512 high) noexcept {
  const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  return {_mm512_permutex2var_ps(low, even, high), _mm512_permutex2var_ps(low, odd, high)};
}
MIEN_ALWAYS_INLINE Floats multiply(Floats a, float factor) noexcept {
  const __m512 b = _mm512_set1_ps(factor);
  return {_mm512_mul_ps(a.even, b), _mm512_mul_ps(a.odd, b)};
}
MIEN_ALWAYS_INLINE Floats multiply(Floats a, Floats b) noexcept {
  return {_mm512_mul_ps(a.even, b.even), _mm512_mul_ps(a.odd, b.odd)};
}
MIEN_ALWAYS_INLINE Floats zero_floats() noexcept {
  return {_mm512_setzero_ps(), _mm512_setzero_ps()};
}
MIEN_ALWAYS_INLINE Floats add(Floats a, Floats b) noexcept {
  return {_mm512_add_ps(a.even, b.even), _mm512_add_ps(a.odd, b.odd)};
}
MIEN_ALWAYS_INLINE Floats load_wide(const float* from) noexcept {
  return multiply(split(_mm512_loadu_ps(from), _mm512_loadu_ps(from + 16)), 0x1p16f);
}
MIEN_ALWAYS_INLINE Floats load_factors(const float* from) noexcept {
  return multiply(split(_mm512_loadu_ps(from), _mm512_loadu_ps(from + 16)), 0x1p-16f);
}
// The masked forms, here and below, for GCC warns of its own undefined register inside the plain
// ones; the compiler drops the full mask.
MIEN_ALWAYS_INLINE Floats to_floats(Values v) noexcept {
  const __m512i even = _mm512_maskz_slli_epi32(0xFFFF, v, 16);
  const __m512i odd = _mm512_and_si512(v, _mm512_set1_epi32(static_cast<int>(0xFFFF0000u)));
  return {_mm512_maskz_cvtepi32_ps(0xFFFF, even), _mm512_maskz_cvtepi32_ps(0xFFFF, odd)};
}
MIEN_ALWAYS_INLINE Mask is_below(Floats a, float bound) noexcept {
  const __m512 b = _mm512_set1_ps(bound);
  return {_mm512_cmp_ps_mask(a.even, b, _CMP_LT_OQ), _mm512_cmp_ps_mask(a.odd, b, _CMP_LT_OQ)};
}

MIEN_ALWAYS_INLINE Totals broadcast_total(std::int32_t value) noexcept {
  return {_mm512_set1_epi32(value), _mm512_set1_epi32(value)};
}
MIEN_ALWAYS_INLINE Totals add(Totals a, Totals b) noexcept {
  return {_mm512_add_epi32(a.even, b.even), _mm512_add_epi32(a.odd, b.odd)};
}
MIEN_ALWAYS_INLINE Totals select(Mask m, Totals a, Totals b) noexcept {
  return {_mm512_mask_blend_epi32(m.even, b.even, a.even),
          _mm512_mask_blend_epi32(m.odd, b.odd, a.odd)};
}
MIEN_ALWAYS_INLINE Totals add_where(Mask m, Totals a, std::int32_t value) noexcept {
  const __m512i v = _mm512_set1_epi32(value);
  return {_mm512_mask_add_epi32(a.even, m.even, a.even, v),
          _mm512_mask_add_epi32(a.odd, m.odd, a.odd, v)};
}
MIEN_ALWAYS_INLINE Mask is_above(Totals a, std::int32_t bound) noexcept {
  const __m512i b = _mm512_set1_epi32(bound);
  return {_mm512_cmpgt_epi32_mask(a.even, b), _mm512_cmpgt_epi32_mask(a.odd, b)};
}
MIEN_ALWAYS_INLINE std::uint32_t bits(Mask m) noexcept {
  return _pdep_u32(m.even, 0x55555555u) | _pdep_u32(m.odd, 0xAAAAAAAAu);
}

MIEN_ALWAYS_INLINE Floats wide_adjacent_values(const HaarWideNode& node,
                                               const std::uint32_t* sums) noexcept {
  __m512i low = _mm512_setzero_si512();
  __m512i high = _mm512_setzero_si512();
  for (int k = 0; k < node.corner_count; ++k) {
    const __m512i weight = _mm512_set1_epi32(node.weights[k]);
    const std::uint32_t* entries = sums + node.corners[k];
    low = _mm512_add_epi32(low, _mm512_mullo_epi32(weight, _mm512_loadu_si512(entries)));
    high = _mm512_add_epi32(high, _mm512_mullo_epi32(weight, _mm512_loadu_si512(entries + 16)));
  }
  return multiply(
      split(_mm512_maskz_cvtepi32_ps(0xFFFF, low), _mm512_maskz_cvtepi32_ps(0xFFFF, high)),
      0x1p16f);
}

/// Eight entries of windows i, i + 8, i + 16 and i + 24.
MIEN_ALWAYS_INLINE __m512i load_quarters(const std::uint16_t* sums,
                                         const std::int32_t* origins) noexcept {
  const auto quarter = [sums, origins](int window) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(sums + origins[window]));
  };
  const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(quarter(0)), quarter(8), 1);
  const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(quarter(16)), quarter(24), 1);
  return _mm512_maskz_inserti64x4(0xFF, _mm512_castsi256_si512(low), high, 1);
}

/// Eight entries of thirty-two windows.
MIEN_ALWAYS_INLINE void gather_eight(const std::uint16_t* sums, const std::int32_t* origins,
                                     __m512i* columns) noexcept {
  __m512i a[8];
  MIEN_UNROLL
  for (int i = 0; i < 8; ++i) a[i] = load_quarters(sums, origins + i);
  __m512i b[8];
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) {
    b[i] = _mm512_unpacklo_epi16(a[2 * i], a[2 * i + 1]);
    b[i + 4] = _mm512_unpackhi_epi16(a[2 * i], a[2 * i + 1]);
  }
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm512_maskz_unpacklo_epi32(0xFFFF, b[2 * i], b[2 * i + 1]);
    a[2 * i + 1] = _mm512_maskz_unpackhi_epi32(0xFFFF, b[2 * i], b[2 * i + 1]);
  }
  // a: columns 01, 23 of windows 0-3, 4-7, then 45, 67.
  MIEN_UNROLL
  for (int i = 0; i < 2; ++i) {
    MIEN_UNROLL
    for (int j = 0; j < 2; ++j) {
      columns[4 * i + 2 * j] = _mm512_maskz_unpacklo_epi64(0xFF, a[4 * i + j], a[4 * i + j + 2]);
      columns[4 * i + 2 * j + 1] =
          _mm512_maskz_unpackhi_epi64(0xFF, a[4 * i + j], a[4 * i + j + 2]);
    }
  }
}

inline void gather_row(const std::uint16_t* sums, const std::int32_t* origins, int columns,
                       int to_step, std::uint16_t* to) noexcept {
  for (int first = 0; first < columns; first += 8) {
    __m512i gathered[8];
    gather_eight(sums + first, origins, gathered);
    MIEN_UNROLL
    for (int i = 0; i < 8; ++i) {
      if (first + i >= columns) break;
      std::uint16_t* place = to + (first + i) * to_step * haar_block;
      _mm512_storeu_si512(place, gathered[i]);
    }
  }
}
