// Weighted sums of 8-bit samples along and across rows, eight at a time: three times
// as fast as the baseline for a face.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
#endif

namespace mien::kernels::MIEN_SET {

MIEN_ALWAYS_INLINE __m256i load_eight_samples(const std::uint8_t* from) noexcept {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}

/// The sums of eight lanes of each of four registers.
MIEN_ALWAYS_INLINE __m128i sums_of_lanes(const __m256i (&v)[4]) noexcept {
  const __m256i sums =
      _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
  return _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
}

inline void filter_row(const std::uint8_t* row, const RowFilter& filter,
                       std::uint8_t* to) noexcept {
  const std::int32_t taps = filter.tap_count;
  std::int32_t i = 0;
  for (; i + 4 <= filter.target_count; i += 4) {
    __m256i sums[4];
    MIEN_UNROLL
    for (int j = 0; j < 4; ++j) {
      const std::uint8_t* from = row + filter.starts[i + j];
      const auto* weights =
          reinterpret_cast<const __m256i*>(filter.weights + std::ptrdiff_t{i + j} * taps);
      sums[j] = _mm256_setzero_si256();
      for (std::int32_t k = 0; k < taps; k += filter_lanes) {
        sums[j] = _mm256_add_epi32(
            sums[j], _mm256_mullo_epi32(load_eight_samples(from + k),
                                        _mm256_loadu_si256(weights + k / filter_lanes)));
      }
    }
    const __m128i half = _mm_set1_epi32(1 << (filter_fraction_bits - 1));
    const __m128i samples =
        _mm_srli_epi32(_mm_add_epi32(sums_of_lanes(sums), half), filter_fraction_bits);
    const __m128i words = _mm_packus_epi32(samples, samples);
    const std::int32_t four = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    std::memcpy(to + i, &four, sizeof(four));
  }
  baseline::filter_row(
      row,
      {filter.starts + i, filter.weights + std::ptrdiff_t{i} * taps, filter.target_count - i, taps},
      to + i);
}

inline void filter_column(const WeightedRows& rows, std::int32_t count, std::uint8_t* to) noexcept {
  std::int32_t x = 0;
  for (; x + 8 <= count; x += 8) {
    __m256i sums = _mm256_set1_epi32(1 << (filter_fraction_bits - 1));
    for (std::int32_t k = 0; k < rows.count; ++k) {
      sums = _mm256_add_epi32(
          sums, _mm256_mullo_epi32(load_eight_samples(rows.first + k * rows.stride + x),
                                   _mm256_set1_epi32(rows.weights[k])));
    }
    const __m256i samples = _mm256_srli_epi32(sums, filter_fraction_bits);
    const __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(samples), _mm256_extracti128_si256(samples, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + x), _mm_packus_epi16(words, words));
  }
  baseline::filter_column({rows.first + x, rows.stride, rows.weights, rows.count}, count - x,
                          to + x);
}

}  // namespace mien::kernels::MIEN_SET
