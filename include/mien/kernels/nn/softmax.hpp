// Softmax and its logarithm over a few logits: no fast kernel, its cost vanishes beside any
// layer's.
#pragma once

#include <cstddef>

#include <mien/config.hpp>

namespace mien::kernels {

/// output = exp(input / temperature) / sum, shifted by the largest input so that nothing overflows.
/// `input` and `output` may be the same.
void softmax(const float* input, std::size_t size, float temperature, float* output) noexcept;

/// output = input - log(the sum of exp(input)), shifted likewise. `input` and `output` may be the
/// same.
void log_softmax(const float* input, std::size_t size, float* output) noexcept;

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

MIEN_INLINE void log_softmax(const float* input, std::size_t size, float* output) noexcept {
  const float largest = *std::max_element(input, input + size);
  double sum = 0.0;
  for (std::size_t i = 0; i < size; ++i) sum += double{std::exp(input[i] - largest)};
  const auto shift = static_cast<float>(std::log(sum));
  for (std::size_t i = 0; i < size; ++i) output[i] = input[i] - largest - shift;
}

}  // namespace mien::kernels

#endif  // MIEN_HAS_DEFINITIONS
