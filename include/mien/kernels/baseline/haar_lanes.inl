// A block's lanes for any processor: by SSE2 on x86-64, in plain C++ elsewhere, which compilers
// turn into what every processor of a kind has.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// Blocks that are evaluated at once. Two are no faster with so few registers, and twice the code.
inline constexpr int most_blocks = 1;

#if MIEN_X86_TARGETS

// By SSE2: as fast as compilers make the loops below, and far quicker to compile.
struct Values {
  __m128i parts[2];
};
struct Floats {
  __m128 parts[4];
};
struct Totals {
  __m128i parts[4];
};
using Mask = Totals;

MIEN_ALWAYS_INLINE Values load_values(const std::uint16_t* from) noexcept {
  const auto* const parts = reinterpret_cast<const __m128i*>(from);
  return {{_mm_loadu_si128(parts), _mm_loadu_si128(parts + 1)}};
}
MIEN_ALWAYS_INLINE Values add(const Values& a, const Values& b) noexcept {
  return {{_mm_add_epi16(a.parts[0], b.parts[0]), _mm_add_epi16(a.parts[1], b.parts[1])}};
}
MIEN_ALWAYS_INLINE Values subtract(const Values& a, const Values& b) noexcept {
  return {{_mm_sub_epi16(a.parts[0], b.parts[0]), _mm_sub_epi16(a.parts[1], b.parts[1])}};
}
/// The factor stands in both halves of a word.
MIEN_ALWAYS_INLINE Values multiply(const Values& a, std::int32_t doubled_factor) noexcept {
  const __m128i factor = _mm_set1_epi32(doubled_factor);
  return {{_mm_mullo_epi16(a.parts[0], factor), _mm_mullo_epi16(a.parts[1], factor)}};
}

MIEN_ALWAYS_INLINE Floats zero_floats() noexcept {
  const __m128 zero = _mm_setzero_ps();
  return {{zero, zero, zero, zero}};
}
MIEN_ALWAYS_INLINE Floats add(const Floats& a, const Floats& b) noexcept {
  Floats f;
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) f.parts[i] = _mm_add_ps(a.parts[i], b.parts[i]);
  return f;
}
MIEN_ALWAYS_INLINE Floats load_wide(const float* from) noexcept {
  Floats f;
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) f.parts[i] = _mm_loadu_ps(from + 4 * i);
  return f;
}
MIEN_ALWAYS_INLINE Floats load_factors(const float* from) noexcept {
  return load_wide(from);
}
MIEN_ALWAYS_INLINE Floats to_floats(const Values& v) noexcept {
  Floats f;
  MIEN_UNROLL
  for (int i = 0; i < 2; ++i) {
    const __m128i low = _mm_srai_epi32(_mm_unpacklo_epi16(v.parts[i], v.parts[i]), 16);
    const __m128i high = _mm_srai_epi32(_mm_unpackhi_epi16(v.parts[i], v.parts[i]), 16);
    f.parts[2 * i] = _mm_cvtepi32_ps(low);
    f.parts[2 * i + 1] = _mm_cvtepi32_ps(high);
  }
  return f;
}
MIEN_ALWAYS_INLINE Floats multiply(const Floats& a, const Floats& b) noexcept {
  Floats f;
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) f.parts[i] = _mm_mul_ps(a.parts[i], b.parts[i]);
  return f;
}
MIEN_ALWAYS_INLINE Mask is_below(const Floats& a, float bound) noexcept {
  const __m128 b = _mm_set1_ps(bound);
  Mask m;
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) m.parts[i] = _mm_castps_si128(_mm_cmplt_ps(a.parts[i], b));
  return m;
}

MIEN_ALWAYS_INLINE Totals broadcast_total(std::int32_t value) noexcept {
  const __m128i v = _mm_set1_epi32(value);
  return {{v, v, v, v}};
}
MIEN_ALWAYS_INLINE Totals add(const Totals& a, const Totals& b) noexcept {
  Totals t;
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) t.parts[i] = _mm_add_epi32(a.parts[i], b.parts[i]);
  return t;
}
MIEN_ALWAYS_INLINE Totals select(const Mask& m, const Totals& a, const Totals& b) noexcept {
  Totals t;
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) {
    t.parts[i] = _mm_or_si128(_mm_and_si128(m.parts[i], a.parts[i]),
                              _mm_andnot_si128(m.parts[i], b.parts[i]));
  }
  return t;
}
/// The value is added where the mask is.
MIEN_ALWAYS_INLINE Totals add_where(const Mask& m, const Totals& a, std::int32_t value) noexcept {
  const __m128i v = _mm_set1_epi32(value);
  Totals t;
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) {
    t.parts[i] = _mm_add_epi32(a.parts[i], _mm_and_si128(m.parts[i], v));
  }
  return t;
}
MIEN_ALWAYS_INLINE Mask is_above(const Totals& a, std::int32_t bound) noexcept {
  const __m128i b = _mm_set1_epi32(bound);
  Mask m;
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) m.parts[i] = _mm_cmpgt_epi32(a.parts[i], b);
  return m;
}
MIEN_ALWAYS_INLINE std::uint32_t bits(const Mask& m) noexcept {
  const __m128i low = _mm_packs_epi32(m.parts[0], m.parts[1]);
  const __m128i high = _mm_packs_epi32(m.parts[2], m.parts[3]);
  return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high)));
}

#else

struct Values {
  std::uint16_t lanes[haar_block];
};
struct Floats {
  float lanes[haar_block];
};
struct Totals {
  std::int32_t lanes[haar_block];
};
struct Mask {
  bool lanes[haar_block];
};

MIEN_ALWAYS_INLINE Values load_values(const std::uint16_t* from) noexcept {
  Values v;
  for (int i = 0; i < haar_block; ++i) v.lanes[i] = from[i];
  return v;
}
MIEN_ALWAYS_INLINE Values add(const Values& a, const Values& b) noexcept {
  Values v;
  for (int i = 0; i < haar_block; ++i) {
    v.lanes[i] = static_cast<std::uint16_t>(a.lanes[i] + b.lanes[i]);
  }
  return v;
}
MIEN_ALWAYS_INLINE Values subtract(const Values& a, const Values& b) noexcept {
  Values v;
  for (int i = 0; i < haar_block; ++i) {
    v.lanes[i] = static_cast<std::uint16_t>(a.lanes[i] - b.lanes[i]);
  }
  return v;
}
/// The factor stands in both halves of a word.
MIEN_ALWAYS_INLINE Values multiply(const Values& a, std::int32_t doubled_factor) noexcept {
  Values v;
  for (int i = 0; i < haar_block; ++i) {
    v.lanes[i] =
        static_cast<std::uint16_t>(a.lanes[i] * static_cast<std::uint32_t>(doubled_factor));
  }
  return v;
}

MIEN_ALWAYS_INLINE Floats zero_floats() noexcept {
  return {};
}
MIEN_ALWAYS_INLINE Floats add(const Floats& a, const Floats& b) noexcept {
  Floats f;
  for (int i = 0; i < haar_block; ++i) f.lanes[i] = a.lanes[i] + b.lanes[i];
  return f;
}
MIEN_ALWAYS_INLINE Floats load_wide(const float* from) noexcept {
  Floats f;
  for (int i = 0; i < haar_block; ++i) f.lanes[i] = from[i];
  return f;
}
MIEN_ALWAYS_INLINE Floats load_factors(const float* from) noexcept {
  return load_wide(from);
}
MIEN_ALWAYS_INLINE Floats to_floats(const Values& v) noexcept {
  Floats f;
  for (int i = 0; i < haar_block; ++i) f.lanes[i] = static_cast<std::int16_t>(v.lanes[i]);
  return f;
}
MIEN_ALWAYS_INLINE Floats multiply(const Floats& a, const Floats& b) noexcept {
  Floats f;
  for (int i = 0; i < haar_block; ++i) f.lanes[i] = a.lanes[i] * b.lanes[i];
  return f;
}
MIEN_ALWAYS_INLINE Mask is_below(const Floats& a, float bound) noexcept {
  Mask m;
  for (int i = 0; i < haar_block; ++i) m.lanes[i] = a.lanes[i] < bound;
  return m;
}

MIEN_ALWAYS_INLINE Totals broadcast_total(std::int32_t value) noexcept {
  Totals t;
  for (int i = 0; i < haar_block; ++i) t.lanes[i] = value;
  return t;
}
MIEN_ALWAYS_INLINE Totals add(const Totals& a, const Totals& b) noexcept {
  Totals t;
  for (int i = 0; i < haar_block; ++i) {
    // Sums in between may wrap.
    t.lanes[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(a.lanes[i]) +
                                           static_cast<std::uint32_t>(b.lanes[i]));
  }
  return t;
}
MIEN_ALWAYS_INLINE Totals select(const Mask& m, const Totals& a, const Totals& b) noexcept {
  Totals t;
  for (int i = 0; i < haar_block; ++i) t.lanes[i] = m.lanes[i] ? a.lanes[i] : b.lanes[i];
  return t;
}
/// The value is added where the mask is.
MIEN_ALWAYS_INLINE Totals add_where(const Mask& m, const Totals& a, std::int32_t value) noexcept {
  Totals t;
  for (int i = 0; i < haar_block; ++i) t.lanes[i] = m.lanes[i] ? value : 0;
  return add(a, t);
}
MIEN_ALWAYS_INLINE Mask is_above(const Totals& a, std::int32_t bound) noexcept {
  Mask m;
  for (int i = 0; i < haar_block; ++i) m.lanes[i] = a.lanes[i] > bound;
  return m;
}
MIEN_ALWAYS_INLINE std::uint32_t bits(const Mask& m) noexcept {
  std::uint32_t word = 0;
  for (int i = 0; i < haar_block; ++i) word |= std::uint32_t{m.lanes[i]} << i;
  return word;
}

#endif  // MIEN_X86_TARGETS

/// The value of a wide feature in a block of windows side by side.
inline Floats wide_adjacent_values(const HaarWideNode& node, const std::uint32_t* sums) noexcept {
  std::uint32_t values[haar_block] = {};
  for (int k = 0; k < node.corner_count; ++k) {
    const std::uint32_t weight = static_cast<std::uint32_t>(node.weights[k]);
    const std::uint32_t* entries = sums + node.corners[k];
    for (int i = 0; i < haar_block; ++i) values[i] += weight * entries[i];
  }
  float floats[haar_block];
  for (int i = 0; i < haar_block; ++i) {
    floats[i] = static_cast<float>(static_cast<std::int32_t>(values[i]));
  }
  return load_wide(floats);
}

/// The entries of haar_block windows, which begin at `origins` in a table, as
/// [height][width][haar_block]: aligned as a block.
inline void gather_windows(const HaarWindows& windows, const std::uint16_t* sums,
                           const std::int32_t* origins, std::uint16_t* gathered) noexcept {
  for (std::int32_t y = 0; y < windows.height; ++y) {
    for (std::int32_t x = 0; x < windows.width; ++x, gathered += haar_block) {
      const std::uint16_t* entry =
          sums + y * windows.row + x % windows.step * windows.plane + x / windows.step;
      for (int i = 0; i < haar_block; ++i) gathered[i] = entry[origins[i]];
    }
  }
}

/// For `count` windows of a row: 1 / sqrt(spread) as `factors`, where spread = area x squared sum -
/// sum^2, and the bits of the windows that are not flat, whose spread is at least
/// `smallest_spread`.
inline void measure_contrast(const ContrastRows& sums, const ContrastRows& squared_sums,
                             std::int32_t area, std::int64_t smallest_spread, std::int32_t count,
                             float* factors, std::uint32_t* not_flat) noexcept {
  for (int i = 0; i < count; ++i) {
    if (i % haar_word == 0) not_flat[i / haar_word] = 0;
    const std::int64_t sum = static_cast<std::int32_t>(sums.top_left[i] - sums.top_right[i] -
                                                       sums.bottom_left[i] + sums.bottom_right[i]);
    const std::int64_t squared_sum = squared_sums.top_left[i] - squared_sums.top_right[i] -
                                     squared_sums.bottom_left[i] + squared_sums.bottom_right[i];
    const std::int64_t spread = area * squared_sum - sum * sum;
    factors[i] = 0;
    if (spread < smallest_spread) continue;
    factors[i] = static_cast<float>(1.0 / std::sqrt(static_cast<double>(spread)));
    not_flat[i / haar_word] |= 1u << (i % haar_word);
  }
}

}  // namespace mien::kernels::MIEN_SET
