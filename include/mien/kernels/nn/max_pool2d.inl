// Fast max pooling, compiled once for each instruction set: a vector holds `lanes` channels of
// one pixel.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/nn/parts.inl>
#endif

namespace mien::kernels::MIEN_SET {

template <bool Whole>
inline void max_pool2d_pixel(const WindowGeometry& g, int y, int x, int channel, int count,
                             const float* input, float* output) noexcept {
  const std::ptrdiff_t next_pixel = std::ptrdiff_t{g.dilation_x} * g.in_channels;
  const Window window = clipped_window(g, y, x);
  Vector largest = broadcast(max_pool2d_padding);
  for (int ky = window.first_y; ky < window.last_y; ++ky) {
    const float* pixel = input + tap_offset(g, y, x, ky, window.first_x) + channel;
    for (int kx = window.first_x; kx < window.last_x; ++kx, pixel += next_pixel) {
      largest = maximum(load_part<Whole>(pixel, count), largest);
    }
  }
  store_part<Whole>(output + channel, largest, count);
}

/// The image is without padding; a window that covers none of its pixels has minus infinity.
inline void max_pool2d(const WindowGeometry& g, const float* input, float* output) noexcept {
  const int whole = g.in_channels / lanes * lanes;
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; ++x, output += g.out_channels) {
      for (int c = 0; c < whole; c += lanes) {
        max_pool2d_pixel<true>(g, y, x, c, lanes, input, output);
      }
      if (whole < g.in_channels) {
        max_pool2d_pixel<false>(g, y, x, whole, g.in_channels - whole, input, output);
      }
    }
  }
}

}  // namespace mien::kernels::MIEN_SET
