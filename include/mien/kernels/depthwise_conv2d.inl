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

/// A row of outputs by 3x3 windows of stride 1 and padding 1, `lanes` channels of it. Every value
/// is loaded once for the three outputs of the row that need it. Measured: 3.3 times as fast as
/// pixel by pixel with AVX-512.
inline void depthwise_conv2d_3x3_row(const WindowGeometry& g, int y, int channel,
                                     const float* input, const float* weights, const float* bias,
                                     Clamp clamp, float* output) noexcept {
  constexpr float zeros[lanes] = {};
  const Vector zero = broadcast(0.0f);
  const Vector shift = load(bias + channel);
  const Vector low = broadcast(clamp.low);
  const Vector high = broadcast(clamp.high);
  const float* row[3];
  std::ptrdiff_t next_pixel[3];
  Vector weight[3][3];
  Vector left[3];
  Vector middle[3];
  MIEN_UNROLL
  for (int ky = 0; ky < 3; ++ky) {
    const int from_y = y + ky - 1;
    const bool inside = from_y >= 0 && from_y < g.in_height;
    row[ky] =
        inside ? input + std::ptrdiff_t{from_y} * g.in_width * g.in_channels + channel : zeros;
    next_pixel[ky] = inside ? g.in_channels : 0;
    MIEN_UNROLL
    for (int kx = 0; kx < 3; ++kx) {
      weight[ky][kx] = load(weights + (std::ptrdiff_t{ky} * 3 + kx) * g.in_channels + channel);
    }
    left[ky] = zero;
    middle[ky] = load(row[ky]);
  }
  for (int x = 0; x < g.out_width; ++x) {
    Vector sum = shift;
    MIEN_UNROLL
    for (int ky = 0; ky < 3; ++ky) {
      row[ky] += next_pixel[ky];
      const Vector right = x + 1 < g.in_width ? load(row[ky]) : zero;
      sum = multiply_add(left[ky], weight[ky][0], sum);
      sum = multiply_add(middle[ky], weight[ky][1], sum);
      sum = multiply_add(right, weight[ky][2], sum);
      left[ky] = middle[ky];
      middle[ky] = right;
    }
    store(output + std::ptrdiff_t{x} * g.out_channels + channel, minimum(maximum(sum, low), high));
  }
}

/// Weights [KH][KW][C], bias [C]; the image is without padding.
inline void depthwise_conv2d(const WindowGeometry& g, const float* input, const float* weights,
                             const float* bias, Clamp clamp, float* output) noexcept {
  const bool by_rows = g.kernel_height == 3 && g.kernel_width == 3 && g.stride_y == 1 &&
                       g.stride_x == 1 && g.padding_y == 1 && g.padding_x == 1;
  const int whole = g.in_channels / lanes * lanes;
  for (int y = 0; y < g.out_height; ++y) {
    if (by_rows) {
      for (int c = 0; c < whole; c += lanes) {
        depthwise_conv2d_3x3_row(g, y, c, input, weights, bias, clamp, output);
      }
    }
    for (int x = 0; x < g.out_width; ++x, output += g.out_channels) {
      for (int c = by_rows ? whole : 0; c < whole; c += lanes) {
        depthwise_conv2d_pixel<true>(g, y, x, c, lanes, input, weights, bias, clamp, output);
      }
      if (whole < g.in_channels) {
        depthwise_conv2d_pixel<false>(g, y, x, whole, g.in_channels - whole, input, weights, bias,
                                      clamp, output);
      }
    }
  }
}
