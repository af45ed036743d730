// Normalisation by the mean and variance of the values themselves: naive references. The fast
// kernels are in normalisation.inl.
#pragma once

#include <cstddef>
#include <initializer_list>

#include <mien/config.hpp>

namespace mien::kernels {

/// What the mean and variance are taken over, and what comes after them:
/// (x - mean) / sqrt(variance + epsilon) weight + bias, both of every channel.
struct Normalisation {
  int channels;
  int groups;  ///< of channels, of an image; group_norm's alone
  float epsilon;
  const float* weight;
  const float* bias;
};

/// Floats of scratch memory that group_norm needs: three numbers a channel, in whole vectors.
constexpr std::size_t group_norm_scratch_size(int channels) {
  constexpr std::size_t widest_vector = 16;
  const auto count = static_cast<std::size_t>(channels);
  return 3 * ((count + widest_vector - 1) / widest_vector * widest_vector);
}

namespace naive {

/// The definition for one image (Wu and He, arXiv 1803.08494), in double precision: over all pixels
/// and the channels of a group. As many groups as channels are instance normalisation.
void group_norm(std::size_t pixels, const Normalisation& norm, const float* input, float* output);

/// The same over the channels of each pixel (Ba, Kiros and Hinton, arXiv 1607.06450).
void layer_norm(std::size_t pixels, const Normalisation& norm, const float* input, float* output);

}  // namespace naive
}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

#include <cmath>

namespace mien::kernels::naive {

/// Some channels of some pixels.
struct Moments {
  double mean = 0.0;
  double variance = 0.0;

  Moments(std::size_t pixels, std::size_t all_channels, std::size_t channels, const float* first) {
    const double count = static_cast<double>(pixels * channels);
    for (const bool is_mean : {true, false}) {
      double sum = 0.0;
      for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
        for (std::size_t c = 0; c < channels; ++c) {
          const double x = double{first[pixel * all_channels + c]};
          sum += is_mean ? x : (x - mean) * (x - mean);
        }
      }
      (is_mean ? mean : variance) = sum / count;
    }
  }
};

MIEN_INLINE void group_norm(std::size_t pixels, const Normalisation& norm, const float* input,
                            float* output) {
  const auto channels = static_cast<std::size_t>(norm.channels);
  const std::size_t of_group = channels / static_cast<std::size_t>(norm.groups);
  for (std::size_t first = 0; first < channels; first += of_group) {
    const Moments moments(pixels, channels, of_group, input + first);
    const double scale = 1.0 / std::sqrt(moments.variance + double{norm.epsilon});
    for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
      for (std::size_t c = first; c < first + of_group; ++c) {
        const std::size_t at = pixel * channels + c;
        output[at] =
            static_cast<float>((double{input[at]} - moments.mean) * scale * double{norm.weight[c]} +
                               double{norm.bias[c]});
      }
    }
  }
}

MIEN_INLINE void layer_norm(std::size_t pixels, const Normalisation& norm, const float* input,
                            float* output) {
  const Normalisation of_pixel = {norm.channels, 1, norm.epsilon, norm.weight, norm.bias};
  const auto channels = static_cast<std::size_t>(norm.channels);
  for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
    group_norm(1, of_pixel, input + pixel * channels, output + pixel * channels);
  }
}

}  // namespace mien::kernels::naive

#endif  // MIEN_HAS_DEFINITIONS
