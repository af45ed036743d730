// Fast depthwise convolution, compiled once for each instruction set (see kernels.hpp).
//
// Channels last makes neighbouring channels neighbours in memory: a vector holds `lanes` channels
// of one pixel, and a window that hangs over the border simply has fewer taps.

template <bool Whole>
inline void depthwise_conv2d_pixel(const WindowGeometry& g, int y, int x, int channel, int count,
                                   const float* input, const float* weights, const float* bias,
                                   Clamp clamp, float* output) noexcept {
  const Window window = clipped_window(g, y, x);
  Vector sum = load_part<Whole>(bias + channel, count);
  for (int ky = window.first_y; ky < window.last_y; ++ky) {
    for (int kx = window.first_x; kx < window.last_x; ++kx) {
      const float* pixel = input + tap_offset(g, y, x, ky, kx);
      const float* tap = weights + (std::ptrdiff_t{ky} * g.kernel_width + kx) * g.in_channels;
      sum = multiply_add(load_part<Whole>(pixel + channel, count),
                         load_part<Whole>(tap + channel, count), sum);
    }
  }
  sum = minimum(maximum(sum, broadcast(clamp.low)), broadcast(clamp.high));
  store_part<Whole>(output + channel, sum, count);
}

/// Weights [KH][KW][C], bias [C]; the image is without padding.
inline void depthwise_conv2d(const WindowGeometry& g, const float* input, const float* weights,
                             const float* bias, Clamp clamp, float* output) noexcept {
  const int whole = g.in_channels / lanes * lanes;
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; ++x, output += g.out_channels) {
      for (int c = 0; c < whole; c += lanes) {
        depthwise_conv2d_pixel<true>(g, y, x, c, lanes, input, weights, bias, clamp, output);
      }
      if (whole < g.in_channels) {
        depthwise_conv2d_pixel<false>(g, y, x, whole, g.in_channels - whole, input, weights, bias,
                                      clamp, output);
      }
    }
  }
}
