// Rows of resized images and of tables of sums, in AVX registers. What is left of a row after the
// last whole register is the baseline's.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/avx2/haar_registers.inl>
#endif

namespace mien::kernels::MIEN_SET {

MIEN_ALWAYS_INLINE __m256i load_bytes(const void* from) noexcept {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

/// Eight pixels at a time: shuffles bring each tap's samples together, of two rows, which are
/// blended first, in 16 bits. One pass takes half the time of two, along rows and across them.
inline void resize_row(const SourceRows& source, const RowTaps& all_taps,
                       std::uint8_t* to) noexcept {
  // Copies, which the bytes that are written cannot overwrite.
  const SourceRows rows = source;
  const RowTaps taps = all_taps;
  const __m256i first_weight =
      _mm256_set1_epi16(static_cast<std::int16_t>(unit_weight - rows.second_weight));
  const __m256i second_weight = _mm256_set1_epi16(static_cast<std::int16_t>(rows.second_weight));
  // Blended samples less 2^15 are signed; the weights' sum brings it back.
  const __m256i bias = _mm256_set1_epi16(static_cast<std::int16_t>(-0x8000));
  const __m256i rounding = _mm256_set1_epi32(unit_weight * 0x8000 + 0x8000);
  const auto picked = [&](const std::uint8_t* row, const TapGroup& group, int span) {
    return _mm256_shuffle_epi8(
        _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(row + group.starts[1][span]),
                            reinterpret_cast<const __m128i*>(row + group.starts[0][span])),
        load_bytes(group.shuffles[span]));
  };
  const auto narrow = [picked](const std::uint8_t* row, const TapGroup& group) {
    return picked(row, group, 0);
  };
  const auto wide = [picked](const std::uint8_t* row, const TapGroup& group) {
    return _mm256_or_si256(picked(row, group, 0), picked(row, group, 1));
  };
  const auto resize_group = [&](std::int32_t number, const auto& samples) {
    const TapGroup& group = taps.groups[number];
    const __m256i blended =
        _mm256_add_epi16(_mm256_mullo_epi16(samples(rows.first, group), first_weight),
                         _mm256_mullo_epi16(samples(rows.second, group), second_weight));
    const __m256i sums =
        _mm256_madd_epi16(_mm256_xor_si256(blended, bias), load_bytes(group.weights));
    const __m256i pixels = _mm256_srli_epi32(_mm256_add_epi32(sums, rounding), 16);
    const __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(pixels), _mm256_extracti128_si256(pixels, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + first_tap(number, taps.count)),
                     _mm_packus_epi16(words, words));
  };
  std::int32_t number = 0;
  for (; number < taps.narrow_group_count; ++number) resize_group(number, narrow);
  for (; number < taps.group_count; ++number) resize_group(number, wide);
  const std::int32_t grouped = number * tap_group_size;
  const std::int32_t done = grouped < taps.count ? grouped : taps.count;
  baseline::resize_row(rows, {taps.taps + done, taps.count - done, nullptr, 0, 0}, to + done);
}

/// Running sums inside each half of eight 32-bit lanes, then over all.
MIEN_ALWAYS_INLINE __m256i running_sums(__m256i v) noexcept {
  v = _mm256_add_epi32(v, _mm256_slli_si256(v, 4));
  v = _mm256_add_epi32(v, _mm256_slli_si256(v, 8));
  const __m256i totals = _mm256_shuffle_epi32(v, 0xFF);
  return _mm256_add_epi32(v, _mm256_permute2x128_si256(totals, totals, 0x08));
}
MIEN_ALWAYS_INLINE __m256i last_lane(__m256i v) noexcept {
  return _mm256_permutevar8x32_epi32(v, _mm256_set1_epi32(7));
}

MIEN_ALWAYS_INLINE __m256i load_eight(const std::uint32_t* from) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
MIEN_ALWAYS_INLINE void store_eight(std::uint32_t* to, __m256i v) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v);
}

/// The low halves of two registers' lanes, in their order.
MIEN_ALWAYS_INLINE __m256i low_halves(__m256i a, __m256i b) noexcept {
  const __m256i low = _mm256_set1_epi32(0xFFFF);
  return _mm256_permute4x64_epi64(
      _mm256_packus_epi32(_mm256_and_si256(a, low), _mm256_and_si256(b, low)), 0xD8);
}

/// Eight pixels at a time: running sums by shifts and additions.
inline void sum_row(const std::uint8_t* pixels, std::int32_t count, const SumRows& above,
                    const SumRows& to) noexcept {
  to.sums[0] = 0;
  to.squared_sums[0] = 0;
  if (to.low_sums != nullptr) to.low_sums[0] = 0;
  __m256i carry = _mm256_setzero_si256();
  __m256i squared_carry = _mm256_setzero_si256();
  std::int32_t x = 0;
  for (; x + 8 <= count; x += 8) {
    const __m256i eight =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels + x)));
    const __m256i sums = running_sums(eight);
    const __m256i squared_sums = running_sums(_mm256_mullo_epi16(eight, eight));
    const __m256i totals =
        _mm256_add_epi32(load_eight(above.sums + x + 1), _mm256_add_epi32(sums, carry));
    store_eight(to.sums + x + 1, totals);
    if (to.low_sums != nullptr) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to.low_sums + x + 1),
                       _mm256_castsi256_si128(low_halves(totals, totals)));
    }
    store_eight(to.squared_sums + x + 1,
                _mm256_add_epi32(load_eight(above.squared_sums + x + 1),
                                 _mm256_add_epi32(squared_sums, squared_carry)));
    carry = _mm256_add_epi32(carry, last_lane(sums));
    squared_carry = _mm256_add_epi32(squared_carry, last_lane(squared_sums));
  }
  auto sum = static_cast<std::uint32_t>(_mm256_cvtsi256_si32(carry));
  auto squared_sum = static_cast<std::uint32_t>(_mm256_cvtsi256_si32(squared_carry));
  for (; x < count; ++x) {
    const std::uint32_t pixel = pixels[x];
    sum += pixel;
    squared_sum += pixel * pixel;
    to.sums[x + 1] = above.sums[x + 1] + sum;
    to.squared_sums[x + 1] = above.squared_sums[x + 1] + squared_sum;
    if (to.low_sums != nullptr) to.low_sums[x + 1] = static_cast<std::uint16_t>(to.sums[x + 1]);
  }
}

/// Eight entries at a time.
inline void tilted_sum_row(const std::uint8_t* pixels, const std::uint8_t* pixels_above,
                           std::int32_t count, const std::uint32_t* above,
                           const std::uint32_t* two_above, std::uint32_t* to) noexcept {
  to[0] = above[1];
  std::int32_t x = 1;
  for (; x + 8 <= count; x += 8) {
    const __m256i triangles =
        _mm256_sub_epi32(_mm256_add_epi32(load_eight(above + x - 1), load_eight(above + x + 1)),
                         load_eight(two_above + x));
    const __m128i tip = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels + x - 1));
    const __m128i tip_above =
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels_above + x - 1));
    store_eight(to + x,
                _mm256_add_epi32(triangles, _mm256_add_epi32(_mm256_cvtepu8_epi32(tip),
                                                             _mm256_cvtepu8_epi32(tip_above))));
  }
  for (; x < count; ++x) {
    to[x] = above[x - 1] + above[x + 1] - two_above[x] + pixels[x - 1] + pixels_above[x - 1];
  }
  to[count] = above[count - 1] + pixels[count - 1] + pixels_above[count - 1];
}

inline void split_row(const std::uint32_t* from, std::int32_t count, const SplitRow& to) noexcept {
  std::int32_t x = 0;
  for (; x + 16 <= count; x += 16) {
    __m256i a = load_eight(from + x);
    __m256i b = load_eight(from + x + 8);
    std::uint32_t* to_b = to.entries + x + 8;
    if (to.step == 2) {
      const Floats planes = split(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
      a = _mm256_castps_si256(planes.even);
      b = _mm256_castps_si256(planes.odd);
      to_b = to.entries + to.plane + x / 2;
    }
    store_eight(to.entries + x / to.step, a);
    store_eight(to_b, b);
    if (to.low_entries == nullptr) continue;
    const __m256i low = low_halves(a, b);
    std::uint16_t* to_low = to.low_entries + x / to.step;
    std::uint16_t* to_low_b = to.step == 2 ? to_low + to.plane : to_low + 8;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to_low), _mm256_castsi256_si128(low));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to_low_b), _mm256_extracti128_si256(low, 1));
  }
  const std::int32_t done = x / to.step;
  baseline::split_row(
      from + x, count - x,
      {to.entries + done, to.low_entries == nullptr ? nullptr : to.low_entries + done, to.plane,
       to.step});
}

}  // namespace mien::kernels::MIEN_SET
