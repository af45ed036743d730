// What the kernels work on that make the levels of the detector's pyramid: the pattern of a
// bilinear resize, and rows of tables of sums. The kernels are in pyramid.inl of the sets' folders.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mien::kernels {

/// Weights of a linear interpolation add up to this.
inline constexpr int unit_weight = 256;

/// Two neighbouring source samples and the second one's weight in 1/256; the first has the rest.
struct LinearTap {
  std::int32_t first;
  std::int32_t second;
  std::int32_t second_weight;
};

/// Taps that are evaluated together. A byte shuffle picks the first and the second sample of each
/// tap out of a span of source bytes, widens them to 16 bits and so lays them beside their weights.
/// In a narrow group each half of the taps needs one span, in a wide one two.
struct TapGroup {
  std::int32_t starts[2][2];     // of a half's spans
  std::uint8_t shuffles[2][32];  // of the halves' first spans and of their second ones
  std::int16_t weights[16];
};

inline constexpr int tap_group_size = 8;
/// Source bytes of a span.
inline constexpr int tap_group_span = 16;

/// The first tap of a group: a row's last group may overlap the one before.
inline std::int32_t first_tap(std::int32_t group, std::int32_t tap_count) noexcept {
  const std::int32_t first = group * tap_group_size;
  return first + tap_group_size <= tap_count ? first : tap_count - tap_group_size;
}

/// The taps of one row, and the groups that they form from the left on, as far as they do. The
/// first `narrow_group_count` groups are narrow.
struct RowTaps {
  const LinearTap* taps;
  std::int32_t count;
  const TapGroup* groups;
  std::int32_t narrow_group_count;
  std::int32_t group_count;
};

/// Two rows of the source and the second one's weight in 1/256.
struct SourceRows {
  const std::uint8_t* first;
  const std::uint8_t* second;
  std::int32_t second_weight;
};

/// One row of each table of sums: entry x is the sum of all pixels above it and to the left of
/// column x, so that there is one entry more than pixels. Modulo 2^32.
struct SumRows {
  std::uint32_t* sums;
  std::uint32_t* squared_sums;
  std::uint16_t* low_sums = nullptr;  // the sums modulo 2^16, if wanted
};

/// A row of a table as the detector reads it: entries that lie `step` (1 or 2) columns apart are
/// neighbours. Column x is entry x / step of the plane x % step.
struct SplitRow {
  std::uint32_t* entries;
  std::uint16_t* low_entries;  // modulo 2^16; null where not wanted
  std::ptrdiff_t plane;        // entries from one plane to the next
  std::int32_t step;
};

}  // namespace mien::kernels
