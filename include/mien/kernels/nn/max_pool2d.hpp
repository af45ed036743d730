// Max pooling: naive reference. The fast kernel is in max_pool2d.inl.
#pragma once

#include <limits>

#include <mien/config.hpp>
#include <mien/kernels/nn/geometry.hpp>

namespace mien::kernels {

/// What a pixel of padding counts as.
inline constexpr float max_pool2d_padding = -std::numeric_limits<float>::infinity();

namespace naive {

/// The definition.
void max_pool2d(const WindowGeometry& g, const float* input, float* output);

}  // namespace naive
}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

#include <algorithm>

namespace mien::kernels::naive {

MIEN_INLINE void max_pool2d(const WindowGeometry& g, const float* input, float* output) {
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; ++x) {
      for (int c = 0; c < g.in_channels; ++c) {
        float largest = max_pool2d_padding;
        for (int ky = 0; ky < g.kernel_height; ++ky) {
          for (int kx = 0; kx < g.kernel_width; ++kx) {
            const int from_y = y * g.stride_y + ky * g.dilation_y - g.padding_y;
            const int from_x = x * g.stride_x + kx * g.dilation_x - g.padding_x;
            if (from_y < 0 || from_y >= g.in_height || from_x < 0 || from_x >= g.in_width) continue;
            largest = std::max(largest, input[(from_y * g.in_width + from_x) * g.in_channels + c]);
          }
        }
        output[(y * g.out_width + x) * g.in_channels + c] = largest;
      }
    }
  }
}

}  // namespace mien::kernels::naive

#endif  // MIEN_HAS_DEFINITIONS
