// Average pooling: naive reference. The fast kernel is in avg_pool2d.inl.
#pragma once

#include <mien/config.hpp>
#include <mien/kernels/nn/geometry.hpp>

namespace mien::kernels::naive {

/// The definition, in double precision; padding counts as zeros, which are part of the average.
void avg_pool2d(const WindowGeometry& g, const float* input, float* output);

}  // namespace mien::kernels::naive

#if MIEN_HAS_DEFINITIONS

namespace mien::kernels::naive {

MIEN_INLINE void avg_pool2d(const WindowGeometry& g, const float* input, float* output) {
  const double taps = g.kernel_height * g.kernel_width;
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; ++x) {
      for (int c = 0; c < g.in_channels; ++c) {
        double sum = 0.0;
        for (int ky = 0; ky < g.kernel_height; ++ky) {
          for (int kx = 0; kx < g.kernel_width; ++kx) {
            const int from_y = y * g.stride_y + ky - g.padding_y;
            const int from_x = x * g.stride_x + kx - g.padding_x;
            if (from_y < 0 || from_y >= g.in_height || from_x < 0 || from_x >= g.in_width) continue;
            sum += double{input[(from_y * g.in_width + from_x) * g.in_channels + c]};
          }
        }
        output[(y * g.out_width + x) * g.in_channels + c] = static_cast<float>(sum / taps);
      }
    }
  }
}

}  // namespace mien::kernels::naive

#endif  // MIEN_HAS_DEFINITIONS
