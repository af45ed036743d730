// Depthwise convolution, one filter a channel: packing. Its naive reference is naive::conv2d with
// as many groups as channels; the fast kernel is in depthwise_conv2d.inl.
#pragma once

#include <cstddef>

#include <mien/kernels/geometry.hpp>

namespace mien::kernels {

/// From PyTorch's [C][1][KH][KW] to [KH][KW][C].
inline void pack_depthwise_conv2d(const WindowGeometry& g, const float* weights, float* packed) {
  const std::ptrdiff_t taps = std::ptrdiff_t{g.kernel_height} * g.kernel_width;
  for (std::ptrdiff_t tap = 0; tap < taps; ++tap) {
    for (int c = 0; c < g.in_channels; ++c)
      packed[tap * g.in_channels + c] = weights[c * taps + tap];
  }
}

}  // namespace mien::kernels
