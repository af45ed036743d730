// Weighted sums of 8-bit samples along and across rows, in plain C++.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// A weighted sum, rounded. It is never negative.
inline std::uint8_t rounded_sample(std::int32_t sum) noexcept {
  constexpr std::int32_t half = 1 << (filter_fraction_bits - 1);
  const std::int32_t rounded = (sum + half) >> filter_fraction_bits;
  return static_cast<std::uint8_t>(rounded < 255 ? rounded : 255);
}

/// A row, resized. It can be read as far as the last sample's taps reach, whatever their weights.
inline void filter_row(const std::uint8_t* row, const RowFilter& filter,
                       std::uint8_t* to) noexcept {
  for (std::int32_t i = 0; i < filter.target_count; ++i) {
    const std::uint8_t* from = row + filter.starts[i];
    const std::int32_t* weights = filter.weights + std::ptrdiff_t{i} * filter.tap_count;
    std::int32_t sum = 0;
    for (std::int32_t k = 0; k < filter.tap_count; ++k) sum += from[k] * weights[k];
    to[i] = rounded_sample(sum);
  }
}

/// A row that is made up of others.
inline void filter_column(const WeightedRows& rows, std::int32_t count, std::uint8_t* to) noexcept {
  for (std::int32_t x = 0; x < count; ++x) {
    std::int32_t sum = 0;
    for (std::int32_t k = 0; k < rows.count; ++k) {
      sum += rows.first[k * rows.stride + x] * rows.weights[k];
    }
    to[x] = rounded_sample(sum);
  }
}

}  // namespace mien::kernels::MIEN_SET
