// What the kernels of resize_antialiased (image/resize.hpp) work on. They are in
// triangle_filter.inl of the sets' folders.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mien::kernels {

/// Weights of a filter add up to 2^22: 8-bit samples times weights must fit into 32 bits with a
/// sign and room for the sum's overshoot.
inline constexpr int filter_fraction_bits = 22;

/// How many taps are summed up at a time.
inline constexpr int filter_lanes = 8;

/// The source samples that make up each of `target_count` samples of a row: `tap_count`, a multiple
/// of filter_lanes, from starts[i] on, with the weights from weights[i * tap_count] on. Those that
/// are not needed have weight 0.
struct RowFilter {
  const std::int32_t* starts;
  const std::int32_t* weights;
  std::int32_t target_count;
  std::int32_t tap_count;
};

/// Neighbouring rows and their weights, which make up one.
struct WeightedRows {
  const std::uint8_t* first;
  std::ptrdiff_t stride;
  const std::int32_t* weights;
  std::int32_t count;
};

}  // namespace mien::kernels
