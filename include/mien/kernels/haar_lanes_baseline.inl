// Sixteen lanes in plain C++, which compilers turn into what every processor of a kind has.

constexpr int haar_lanes = 16;

struct Values {
  std::uint16_t lanes[haar_lanes];
};
struct Floats {
  float lanes[haar_lanes];
};
struct Totals {
  std::int32_t lanes[haar_lanes];
};
struct Mask {
  bool lanes[haar_lanes];
};

MIEN_ALWAYS_INLINE Values load_values(const std::uint16_t* from) noexcept {
  Values v;
  for (int i = 0; i < haar_lanes; ++i) v.lanes[i] = from[i];
  return v;
}
MIEN_ALWAYS_INLINE Values add(const Values& a, const Values& b) noexcept {
  Values v;
  for (int i = 0; i < haar_lanes; ++i) {
    v.lanes[i] = static_cast<std::uint16_t>(a.lanes[i] + b.lanes[i]);
  }
  return v;
}
MIEN_ALWAYS_INLINE Values subtract(const Values& a, const Values& b) noexcept {
  Values v;
  for (int i = 0; i < haar_lanes; ++i) {
    v.lanes[i] = static_cast<std::uint16_t>(a.lanes[i] - b.lanes[i]);
  }
  return v;
}
MIEN_ALWAYS_INLINE Values multiply(const Values& a, std::int32_t factor) noexcept {
  Values v;
  for (int i = 0; i < haar_lanes; ++i) {
    v.lanes[i] = static_cast<std::uint16_t>(a.lanes[i] * static_cast<std::uint32_t>(factor));
  }
  return v;
}

MIEN_ALWAYS_INLINE Floats zero_floats() noexcept {
  return {};
}
MIEN_ALWAYS_INLINE Floats add(const Floats& a, const Floats& b) noexcept {
  Floats f;
  for (int i = 0; i < haar_lanes; ++i) f.lanes[i] = a.lanes[i] + b.lanes[i];
  return f;
}
MIEN_ALWAYS_INLINE Floats load_wide(const float* from) noexcept {
  Floats f;
  for (int i = 0; i < haar_lanes; ++i) f.lanes[i] = from[i];
  return f;
}
MIEN_ALWAYS_INLINE Floats load_factors(const float* from) noexcept {
  return load_wide(from);
}
MIEN_ALWAYS_INLINE Floats to_floats(const Values& v) noexcept {
  Floats f;
  for (int i = 0; i < haar_lanes; ++i) f.lanes[i] = static_cast<std::int16_t>(v.lanes[i]);
  return f;
}
MIEN_ALWAYS_INLINE Floats multiply(const Floats& a, const Floats& b) noexcept {
  Floats f;
  for (int i = 0; i < haar_lanes; ++i) f.lanes[i] = a.lanes[i] * b.lanes[i];
  return f;
}
MIEN_ALWAYS_INLINE Mask is_below(const Floats& a, float bound) noexcept {
  Mask m;
  for (int i = 0; i < haar_lanes; ++i) m.lanes[i] = a.lanes[i] < bound;
  return m;
}

MIEN_ALWAYS_INLINE Totals broadcast_total(std::int32_t value) noexcept {
  Totals t;
  for (int i = 0; i < haar_lanes; ++i) t.lanes[i] = value;
  return t;
}
MIEN_ALWAYS_INLINE Totals add(const Totals& a, const Totals& b) noexcept {
  Totals t;
  for (int i = 0; i < haar_lanes; ++i) {
    // Sums in between may wrap.
    t.lanes[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(a.lanes[i]) +
                                           static_cast<std::uint32_t>(b.lanes[i]));
  }
  return t;
}
MIEN_ALWAYS_INLINE Totals select(const Mask& m, const Totals& a, const Totals& b) noexcept {
  Totals t;
  for (int i = 0; i < haar_lanes; ++i) t.lanes[i] = m.lanes[i] ? a.lanes[i] : b.lanes[i];
  return t;
}
/// The value is added where the mask is.
MIEN_ALWAYS_INLINE Totals add_where(const Mask& m, const Totals& a, std::int32_t value) noexcept {
  Totals t;
  for (int i = 0; i < haar_lanes; ++i) t.lanes[i] = m.lanes[i] ? value : 0;
  return add(a, t);
}
MIEN_ALWAYS_INLINE Mask is_above(const Totals& a, std::int32_t bound) noexcept {
  Mask m;
  for (int i = 0; i < haar_lanes; ++i) m.lanes[i] = a.lanes[i] > bound;
  return m;
}
MIEN_ALWAYS_INLINE std::uint32_t bits(const Mask& m) noexcept {
  std::uint32_t word = 0;
  for (int i = 0; i < haar_lanes; ++i) word |= std::uint32_t{m.lanes[i]} << i;
  return word;
}

/// The value of a wide feature in sixteen windows side by side.
MIEN_ALWAYS_INLINE Floats wide_adjacent_values(const HaarWideNode& node,
                                               const std::uint32_t* sums) noexcept {
  std::uint32_t values[haar_lanes] = {};
  for (int k = 0; k < node.corner_count; ++k) {
    const std::uint32_t weight = static_cast<std::uint32_t>(node.weights[k]);
    const std::uint32_t* entries = sums + node.corners[k];
    for (int i = 0; i < haar_lanes; ++i) values[i] += weight * entries[i];
  }
  Floats f;
  for (int i = 0; i < haar_lanes; ++i) {
    f.lanes[i] = static_cast<float>(static_cast<std::int32_t>(values[i]));
  }
  return f;
}

/// The entries of haar_lanes windows: `columns` of each, the first ones at `to`, the next ones
/// `to_step` columns of haar_block entries on.
inline void gather_row(const std::uint16_t* sums, const std::int32_t* origins, int columns,
                       int to_step, std::uint16_t* to) noexcept {
  for (int i = 0; i < haar_lanes; ++i) {
    const std::uint16_t* from = sums + origins[i];
    for (int x = 0; x < columns; ++x) to[x * to_step * haar_block + i] = from[x];
  }
}

/// For `count` windows of a row: 1 / sqrt(spread) as `factors`, and the bits of those whose spread,
/// area x squared sum - sum^2, is at least `smallest_spread`.
inline void measure_contrast(const ContrastRows& sums, const ContrastRows& squared_sums,
                             std::int32_t area, std::int64_t smallest_spread, std::int32_t count,
                             float* factors, std::uint32_t* contrasted) noexcept {
  for (int i = 0; i < count; ++i) {
    if (i % haar_block == 0) contrasted[i / haar_block] = 0;
    const std::int64_t sum = static_cast<std::int32_t>(sums.top_left[i] - sums.top_right[i] -
                                                       sums.bottom_left[i] + sums.bottom_right[i]);
    const std::int64_t squared_sum = squared_sums.top_left[i] - squared_sums.top_right[i] -
                                     squared_sums.bottom_left[i] + squared_sums.bottom_right[i];
    const std::int64_t spread = area * squared_sum - sum * sum;
    factors[i] = 0;
    if (spread < smallest_spread) continue;
    factors[i] = static_cast<float>(1.0 / std::sqrt(static_cast<double>(spread)));
    contrasted[i / haar_block] |= 1u << (i % haar_block);
  }
}
