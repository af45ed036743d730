// Numbers that data/pseudo_random.py computes by the same formulas, to the last bit: so golden data
// need not hold what went into them.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/weights.hpp>

#include "random_weights.hpp"

/// `count` multiples of 2^-23 from -1 to below 1.
inline std::vector<double> pseudo_random(std::size_t count, std::uint32_t seed) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t value = static_cast<std::uint32_t>(i) * 2654435761u + seed * 40503u;
    value = (value ^ (value >> 15)) * 2246822519u;
    value = (value ^ (value >> 13)) * 3266489917u;
    value ^= value >> 16;
    values[i] = (value >> 8) / 8388608.0 - 1.0;
  }
  return values;
}

/// Whole numbers from -3 to 8, so that there are ties and values where rectifiers cut.
inline std::vector<float> pseudo_random_image(std::size_t size, std::uint32_t seed) {
  std::vector<float> image;
  for (const double value : pseudo_random(size, seed)) {
    image.push_back(static_cast<float>(std::floor(6.0 * value) + 3.0));
  }
  return image;
}

/// Values for a parameter. Filters keep the variance of their input behind a rectifier (He et al.,
/// arXiv 1502.01852); scales and variances are 0.5 to 1.5, the rest -0.5 to 0.5.
inline std::vector<float> pseudo_random_tensor(const mien::TensorSpec& tensor, std::uint32_t seed) {
  const bool is_filter = tensor.role == "weight" && tensor.rank > 1;
  const bool around_one = !is_filter && (tensor.role == "weight" || tensor.role == "running_var");
  const auto outputs = static_cast<std::size_t>(tensor.dimensions[0]);
  const auto fan_in = static_cast<double>(tensor.size() / outputs);
  const double range = is_filter ? std::sqrt(6.0 / fan_in) : 0.5;
  std::vector<float> values;
  for (const double value : pseudo_random(tensor.size(), seed)) {
    values.push_back(static_cast<float>(range * value + (around_one ? 1.0 : 0.0)));
  }
  return values;
}

/// A weight file of a network, whose tensors have `first_seed` and those that follow.
inline mien::WeightFile pseudo_random_file(const mien::Graph& graph,
                                           const mien::Preprocessing& preprocessing,
                                           std::size_t labels, std::uint32_t first_seed) {
  return mien::bench::make_weight_file(
      graph, preprocessing, mien::bench::numbered_labels(labels),
      [&](const mien::TensorSpec& tensor) { return pseudo_random_tensor(tensor, first_seed++); });
}
