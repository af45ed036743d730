// Average pooling: naive reference. The fast kernel is in avg_pool2d.inl.
#pragma once

#include <mien/config.hpp>
#include <mien/kernels/nn/geometry.hpp>

namespace mien::kernels {

/// Rows and columns of zeros around an image that are part of averages; a window may reach beyond.
struct CountedPadding {
  int top = 0;
  int left = 0;
  int bottom = 0;
  int right = 0;
};

/// How many pixels of the window of output (y, x) count.
constexpr int counted_pixels(const WindowGeometry& g, const CountedPadding& padding, int y,
                             int x) noexcept {
  const int first_y = y * g.stride_y - g.padding_y;
  const int first_x = x * g.stride_x - g.padding_x;
  const int last_y = first_y + g.kernel_height;
  const int last_x = first_x + g.kernel_width;
  const int top = first_y < -padding.top ? -padding.top : first_y;
  const int left = first_x < -padding.left ? -padding.left : first_x;
  const int end_y = g.in_height + padding.bottom;
  const int end_x = g.in_width + padding.right;
  return ((last_y > end_y ? end_y : last_y) - top) * ((last_x > end_x ? end_x : last_x) - left);
}

namespace naive {

/// The definition, in double precision. Every window has at least one pixel that counts.
void avg_pool2d(const WindowGeometry& g, const CountedPadding& counted, const float* input,
                float* output);

}  // namespace naive
}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

namespace mien::kernels::naive {

MIEN_INLINE void avg_pool2d(const WindowGeometry& g, const CountedPadding& counted,
                            const float* input, float* output) {
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; ++x) {
      for (int c = 0; c < g.in_channels; ++c) {
        double sum = 0.0;
        int taps = 0;
        for (int ky = 0; ky < g.kernel_height; ++ky) {
          for (int kx = 0; kx < g.kernel_width; ++kx) {
            const int from_y = y * g.stride_y + ky - g.padding_y;
            const int from_x = x * g.stride_x + kx - g.padding_x;
            if (from_y >= -counted.top && from_y < g.in_height + counted.bottom &&
                from_x >= -counted.left && from_x < g.in_width + counted.right) {
              ++taps;
            }
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
