// Fast average pooling, compiled once for each instruction set: a vector holds `lanes` channels
// of one pixel.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/nn/parts.inl>
#endif

namespace mien::kernels::MIEN_SET {

template <bool Whole>
inline void avg_pool2d_pixel(const WindowGeometry& g, int y, int x, int channel, int count,
                             const float* input, Vector weight, float* output) noexcept {
  const std::ptrdiff_t next_row = std::ptrdiff_t{g.in_width} * g.in_channels;
  const Window window = clipped_window(g, y, x);
  const float* row = input + tap_offset(g, y, x, window.first_y, window.first_x) + channel;
  Vector average = broadcast(0.0f);
  for (int ky = window.first_y; ky < window.last_y; ++ky, row += next_row) {
    const float* pixel = row;
    for (int kx = window.first_x; kx < window.last_x; ++kx, pixel += g.in_channels) {
      average = multiply_add(load_part<Whole>(pixel, count), weight, average);
    }
  }
  store_part<Whole>(output + channel, average, count);
}

/// The image is without padding, which counts as zeros where it is counted.
inline void avg_pool2d(const WindowGeometry& g, const CountedPadding& counted, const float* input,
                       float* output) noexcept {
  const int whole = g.in_channels / lanes * lanes;
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; ++x, output += g.out_channels) {
      const Vector weight = broadcast(1.0f / static_cast<float>(counted_pixels(g, counted, y, x)));
      for (int c = 0; c < whole; c += lanes) {
        avg_pool2d_pixel<true>(g, y, x, c, lanes, input, weight, output);
      }
      if (whole < g.in_channels) {
        avg_pool2d_pixel<false>(g, y, x, whole, g.in_channels - whole, input, weight, output);
      }
    }
  }
}

}  // namespace mien::kernels::MIEN_SET
