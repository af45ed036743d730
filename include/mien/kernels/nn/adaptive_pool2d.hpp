// Pooling to a given size: naive reference. The fast kernels are in adaptive_pool2d.inl.
#pragma once

#include <cstddef>
#include <cstdint>

#include <mien/config.hpp>
#include <mien/kernels/nn/max_pool2d.hpp>

namespace mien::kernels {

/// An image's sizes before and after.
struct AdaptiveGeometry {
  int channels;
  int in_height;
  int in_width;
  int out_height;
  int out_width;

  constexpr std::size_t input_size() const { return product(in_height, in_width); }
  constexpr std::size_t output_size() const { return product(out_height, out_width); }

 private:
  constexpr std::size_t product(int height, int width) const {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(width);
  }
};

/// PyTorch's windows: the inputs of output `place` of `out` are [begin, end) of `in`. They touch,
/// or share an input where the sizes do not divide.
constexpr int adaptive_begin(int place, int in, int out) noexcept {
  return static_cast<int>(std::int64_t{place} * in / out);
}
constexpr int adaptive_end(int place, int in, int out) noexcept {
  return static_cast<int>((std::int64_t{place + 1} * in + out - 1) / out);
}

namespace naive {

/// The mean, in double precision, or the largest value of every window.
void adaptive_avg_pool2d(const AdaptiveGeometry& g, const float* input, float* output);
void adaptive_max_pool2d(const AdaptiveGeometry& g, const float* input, float* output);

}  // namespace naive
}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

#include <algorithm>

namespace mien::kernels::naive {

/// Calls visit(output's value, window's value) for all of them, and finish(output's value, size).
template <class Visit, class Finish>
void visit_adaptive_windows(const AdaptiveGeometry& g, const float* input, Visit&& visit,
                            Finish&& finish) {
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; ++x) {
      for (int c = 0; c < g.channels; ++c) {
        int size = 0;
        for (int row = adaptive_begin(y, g.in_height, g.out_height);
             row < adaptive_end(y, g.in_height, g.out_height); ++row) {
          for (int column = adaptive_begin(x, g.in_width, g.out_width);
               column < adaptive_end(x, g.in_width, g.out_width); ++column, ++size) {
            visit(input[(std::ptrdiff_t{row} * g.in_width + column) * g.channels + c]);
          }
        }
        finish(size);
      }
    }
  }
}

MIEN_INLINE void adaptive_avg_pool2d(const AdaptiveGeometry& g, const float* input, float* output) {
  double sum = 0.0;
  visit_adaptive_windows(
      g, input, [&](float value) { sum += double{value}; },
      [&](int size) {
        *output++ = static_cast<float>(sum / size);
        sum = 0.0;
      });
}

MIEN_INLINE void adaptive_max_pool2d(const AdaptiveGeometry& g, const float* input, float* output) {
  float largest = max_pool2d_padding;
  visit_adaptive_windows(
      g, input, [&](float value) { largest = std::max(largest, value); },
      [&](int) {
        *output++ = largest;
        largest = max_pool2d_padding;
      });
}

}  // namespace mien::kernels::naive

#endif  // MIEN_HAS_DEFINITIONS
