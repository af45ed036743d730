// Normalisation of each channel by its neighbours: parameters and naive reference. The fast kernel
// is in local_response_norm.inl.
#pragma once

#include <cstddef>

#include <mien/config.hpp>

namespace mien::kernels {

/// Each channel is divided by (k + alpha / size * the sum of squares over the `size` channels
/// around it)^beta, where channels that do not exist count as zeros.
struct LocalResponse {
  int size;
  float alpha;
  float beta;
  float k;

  /// Channels of the window that lie before the middle one: one more than behind it if the size is
  /// even, as in PyTorch.
  constexpr int before() const { return size / 2; }
  constexpr int after() const { return size - 1 - size / 2; }
};

/// The fast kernel takes roots instead of powers: betas of 1/4, 1/2, 3/4 and 1.
constexpr bool has_fast_power(float beta) {
  return beta == 0.25f || beta == 0.5f || beta == 0.75f || beta == 1.0f;
}

/// Floats behind a pixel's channels in the fast kernel's scratch memory: the widest vector.
inline constexpr int largest_vector = 16;

/// Floats of scratch memory that the fast kernel needs: a pixel's squares with zeros around them.
constexpr std::size_t local_response_norm_scratch_size(int channels,
                                                       const LocalResponse& response) {
  return static_cast<std::size_t>(response.before() + channels + response.after() + largest_vector);
}

namespace naive {

/// The definition, for a row of pixels of so many channels, in double precision.
void local_response_norm(int pixels, int channels, const LocalResponse& response,
                         const float* input, float* output) noexcept;

}  // namespace naive
}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>

namespace mien::kernels::naive {

MIEN_INLINE void local_response_norm(int pixels, int channels, const LocalResponse& response,
                                     const float* input, float* output) noexcept {
  for (int pixel = 0; pixel < pixels; ++pixel, input += channels, output += channels) {
    for (int c = 0; c < channels; ++c) {
      const int last = std::min(c + response.after(), channels - 1);
      double sum = 0.0;
      for (int other = std::max(c - response.before(), 0); other <= last; ++other) {
        sum += double{input[other]} * double{input[other]};
      }
      const double divisor = std::pow(
          double{response.k} + double{response.alpha} / response.size * sum, double{response.beta});
      output[c] = static_cast<float>(double{input[c]} / divisor);
    }
  }
}

}  // namespace mien::kernels::naive

#endif  // MIEN_HAS_DEFINITIONS
