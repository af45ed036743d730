// Softmax over a few logits: no fast kernel, its cost vanishes beside any layer's.
#pragma once

#include <cstddef>

#include <mien/config.hpp>

namespace mien::kernels {

/// output = exp(input / temperature) / sum, shifted by the largest input so that nothing overflows.
/// `input` and `output` may be the same.
void softmax(const float* input, std::size_t size, float temperature, float* output) noexcept;

}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>

namespace mien::kernels {

MIEN_INLINE void softmax(const float* input, std::size_t size, float temperature,
                         float* output) noexcept {
  const float largest = *std::max_element(input, input + size);
  float sum = 0.0f;
  for (std::size_t i = 0; i < size; ++i) {
    output[i] = std::exp((input[i] - largest) / temperature);
    sum += output[i];
  }
  for (std::size_t i = 0; i < size; ++i) output[i] /= sum;
}

}  // namespace mien::kernels

#endif  // MIEN_HAS_DEFINITIONS
