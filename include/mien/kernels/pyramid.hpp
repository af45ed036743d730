// What the kernels work on that make the detector's levels: the pattern of a bilinear resize. The
// fast kernels are in pyramid_baseline.inl and pyramid_avx2.inl.
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

/// Four taps in the form that byte shuffles take: two spans of source bytes, from which shuffles
/// pick the first and second sample of each tap as 16-bit numbers, and the samples' weights. The
/// first span has all taps or the first two.
struct TapGroup {
  std::int32_t starts[2];
  std::uint8_t shuffles[2][16];
  std::int16_t weights[8];
};

/// Source bytes of a TapGroup's span.
inline constexpr int tap_group_span = 16;
inline constexpr int tap_group_size = 4;

/// The taps of one row. There are groups for the first `group_count` x 4 taps, and single taps for
/// all. The first `narrow_group_count` groups have all their taps in one span.
struct RowTaps {
  const LinearTap* taps;
  std::int32_t count;
  const TapGroup* groups;
  std::int32_t narrow_group_count;
  std::int32_t group_count;
};

/// One row of each of two tables of sums: entry x is the sum over everything above and to the left
/// of pixel x, so that there is one entry more than pixels. Modulo 2^32.
struct SumRows {
  std::uint32_t* sums;
  std::uint32_t* squared_sums;
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
