// Fast average pooling, compiled once for each instruction set: a vector holds `lanes` channels
// of one pixel.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/nn/parts.inl>
//
#include <mien/kernels/nn/adaptive_pool2d.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// The image is without padding, which counts as zeros where it is counted.
inline void avg_pool2d(const WindowGeometry& g, const CountedPadding& counted, const float* input,
                       float* output) noexcept {
  PoolWindow part{};
  part.next_pixel = g.in_channels;
  part.next_row = std::ptrdiff_t{g.in_width} * g.in_channels;
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; ++x, output += g.out_channels) {
      const Window window = clipped_window(g, y, x);
      part.first = input + tap_offset(g, y, x, window.first_y, window.first_x);
      part.rows = window.last_y - window.first_y;
      part.columns = window.last_x - window.first_x;
      part.size = static_cast<float>(counted_pixels(g, counted, y, x));
      pool2d_pixel<false>(part, g.in_channels, output);
    }
  }
}

}  // namespace mien::kernels::MIEN_SET
