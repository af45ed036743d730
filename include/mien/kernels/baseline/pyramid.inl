// Rows of resized images and of tables of sums, in plain C++.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// One row of the resized image. Along the row and across rows weights are in 1/256; what they give
/// is rounded once.
inline void resize_row(const SourceRows& rows, const RowTaps& taps, std::uint8_t* to) noexcept {
  const auto second_weight = static_cast<std::uint32_t>(rows.second_weight);
  const std::uint32_t first_weight = unit_weight - second_weight;
  for (std::int32_t i = 0; i < taps.count; ++i) {
    const LinearTap& tap = taps.taps[i];
    const auto along = [&tap](const std::uint8_t* row) {
      return static_cast<std::uint32_t>((unit_weight - tap.second_weight) * row[tap.first] +
                                        tap.second_weight * row[tap.second]);
    };
    to[i] = static_cast<std::uint8_t>(
        (along(rows.first) * first_weight + along(rows.second) * second_weight + 0x8000u) >> 16);
  }
}

/// A row of sums from the row above.
inline void sum_row(const std::uint8_t* pixels, std::int32_t count, const SumRows& above,
                    const SumRows& to) noexcept {
  std::uint32_t sum = 0;
  std::uint32_t squared_sum = 0;
  to.sums[0] = 0;
  to.squared_sums[0] = 0;
  for (std::int32_t x = 0; x < count; ++x) {
    const std::uint32_t pixel = pixels[x];
    sum += pixel;
    squared_sum += pixel * pixel;
    to.sums[x + 1] = above.sums[x + 1] + sum;
    to.squared_sums[x + 1] = above.squared_sums[x + 1] + squared_sum;
  }
  if (to.low_sums == nullptr) return;
  for (std::int32_t x = 0; x <= count; ++x) {
    to.low_sums[x] = static_cast<std::uint16_t>(to.sums[x]);
  }
}

/// A row of tilted sums, `count` pixels wide, from the two rows above. A triangle is the two
/// triangles to the upper left and upper right, which overlap in the one two rows above, and the
/// two pixels at its tip that none of them covers. Triangles whose tip lies outside the image are
/// cut to what a neighbour covers. The first row has zeros above it.
inline void tilted_sum_row(const std::uint8_t* pixels, const std::uint8_t* pixels_above,
                           std::int32_t count, const std::uint32_t* above,
                           const std::uint32_t* two_above, std::uint32_t* to) noexcept {
  to[0] = above[1];
  for (std::int32_t x = 1; x < count; ++x) {
    to[x] = above[x - 1] + above[x + 1] - two_above[x] + pixels[x - 1] + pixels_above[x - 1];
  }
  to[count] = above[count - 1] + pixels[count - 1] + pixels_above[count - 1];
}

/// `count` entries of a row, split into planes.
inline void split_row(const std::uint32_t* from, std::int32_t count, const SplitRow& to) noexcept {
  for (std::int32_t first = 0; first < to.step; ++first) {
    std::uint32_t* entries = to.entries + first * to.plane;
    const std::int32_t plane_count = (count - first + to.step - 1) / to.step;
    for (std::int32_t i = 0; i < plane_count; ++i) entries[i] = from[first + i * to.step];
    if (to.low_entries == nullptr) continue;
    std::uint16_t* low = to.low_entries + first * to.plane;
    for (std::int32_t i = 0; i < plane_count; ++i) low[i] = static_cast<std::uint16_t>(entries[i]);
  }
}

}  // namespace mien::kernels::MIEN_SET
