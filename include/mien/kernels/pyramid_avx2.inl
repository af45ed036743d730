// Rows of resized images and of tables of sums, in AVX registers. What is left of a row after the
// last whole register is the baseline's.

/// Eight samples at a time: shuffles bring the pairs of samples together.
inline void resize_row(const std::uint8_t* row, const RowTaps& taps, std::uint16_t* to) noexcept {
  const auto load = [](const void* from) {
    return _mm_loadu_si128(static_cast<const __m128i*>(from));
  };
  const auto span = [row, load](const TapGroup& group, int number) {
    return _mm_shuffle_epi8(load(row + group.starts[number]), load(group.shuffles[number]));
  };
  const auto narrow = [span, load](const TapGroup& group) {
    return _mm_madd_epi16(span(group, 0), load(group.weights));
  };
  const auto wide = [span, load](const TapGroup& group) {
    return _mm_madd_epi16(_mm_or_si128(span(group, 0), span(group, 1)), load(group.weights));
  };
  std::int32_t group = 0;
  const auto store_two = [&](const auto& four) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + group * tap_group_size),
                     _mm_packus_epi32(four(taps.groups[group]), four(taps.groups[group + 1])));
  };
  for (; group + 2 <= taps.narrow_group_count; group += 2) store_two(narrow);
  for (; group + 2 <= taps.group_count; group += 2) store_two(wide);
  const std::int32_t done = group * tap_group_size;
  baseline::resize_row(row, {taps.taps + done, taps.count - done, nullptr, 0, 0}, to + done);
}

/// Sixteen pixels at a time. Samples less 2^15 are signed, and the weights' sum brings it back.
inline void blend_rows(const std::uint16_t* first, const std::uint16_t* second,
                       std::int32_t second_weight, std::int32_t count, std::uint8_t* to) noexcept {
  const __m256i bias = _mm256_set1_epi16(static_cast<std::int16_t>(-0x8000));
  const __m256i weights = _mm256_set1_epi32((unit_weight - second_weight) | second_weight << 16);
  const __m256i rounding = _mm256_set1_epi32(unit_weight * 0x8000 + 0x8000);
  const auto blend = [weights, rounding](__m256i pairs) {
    return _mm256_srli_epi32(_mm256_add_epi32(_mm256_madd_epi16(pairs, weights), rounding), 16);
  };
  std::int32_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i a =
        _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(first + i)), bias);
    const __m256i b =
        _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(second + i)), bias);
    const __m256i words =
        _mm256_packs_epi32(blend(_mm256_unpacklo_epi16(a, b)), blend(_mm256_unpackhi_epi16(a, b)));
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(to + i),
        _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
  }
  baseline::blend_rows(first + i, second + i, second_weight, count - i, to + i);
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

/// Eight pixels at a time: running sums by shifts and additions.
inline void sum_row(const std::uint8_t* pixels, std::int32_t count, const SumRows& above,
                    const SumRows& to) noexcept {
  to.sums[0] = 0;
  to.squared_sums[0] = 0;
  __m256i carry = _mm256_setzero_si256();
  __m256i squared_carry = _mm256_setzero_si256();
  std::int32_t x = 0;
  for (; x + 8 <= count; x += 8) {
    const __m256i eight =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels + x)));
    const __m256i sums = running_sums(eight);
    const __m256i squared_sums = running_sums(_mm256_mullo_epi16(eight, eight));
    store_eight(to.sums + x + 1,
                _mm256_add_epi32(load_eight(above.sums + x + 1), _mm256_add_epi32(sums, carry)));
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

/// The low halves of two registers' lanes, in their order.
MIEN_ALWAYS_INLINE __m256i low_halves(__m256i a, __m256i b) noexcept {
  const __m256i low = _mm256_set1_epi32(0xFFFF);
  return _mm256_permute4x64_epi64(
      _mm256_packus_epi32(_mm256_and_si256(a, low), _mm256_and_si256(b, low)), 0xD8);
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
