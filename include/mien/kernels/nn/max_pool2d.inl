// Fast max pooling, compiled once for each instruction set: a vector holds `lanes` channels of
// one pixel. Squares of 2x2 and 3x3 have loops of their own, which with AVX2 take 0.36 of the time
// of loops over the taps of each window (SqueezeNet's three poolings).
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

constexpr int clamped(int i, int size) noexcept {
  return i < 0 ? 0 : i < size ? i : size - 1;
}

/// Windows of Size x Size that each cover some pixel. A tap outside the image takes the nearest
/// one inside, which the window has anyway, so all windows are alike.
template <int Size, bool Whole>
inline void max_pool2d_square(const WindowGeometry& g, const float* input, float* output) noexcept {
  const int channels = g.in_channels;
  const std::ptrdiff_t last = channels - lanes;
  for (int y = 0; y < g.out_height; ++y) {
    const float* rows[std::size_t{Size}];
    for (int i = 0; i < Size; ++i) {
      const int row = clamped(y * g.stride_y - g.padding_y + i, g.in_height);
      rows[i] = input + std::ptrdiff_t{row} * g.in_width * channels;
    }
    for (int x = 0; x < g.out_width; ++x, output += channels) {
      std::ptrdiff_t columns[std::size_t{Size}];
      for (int i = 0; i < Size; ++i) {
        columns[i] =
            std::ptrdiff_t{clamped(x * g.stride_x - g.padding_x + i, g.in_width)} * channels;
      }
      for (std::ptrdiff_t first = 0; first < channels; first += lanes) {
        // The last vector overlaps the one before.
        const std::ptrdiff_t channel = Whole && first > last ? last : first;
        Vector largest = broadcast(max_pool2d_padding);
        MIEN_UNROLL
        for (int i = 0; i < Size; ++i) {
          MIEN_UNROLL
          for (int j = 0; j < Size; ++j) {
            largest =
                maximum(load_part<Whole>(rows[i] + (columns[j] + channel), channels), largest);
          }
        }
        store_part<Whole>(output + channel, largest, channels);
      }
    }
  }
}

/// The image is without padding; a window that covers none of its pixels has minus infinity.
inline void max_pool2d(const WindowGeometry& g, const float* input, float* output) noexcept {
  const int size = g.kernel_height;
  const bool whole = g.in_channels >= lanes;
  const bool all_cover = g.padding_y < size && g.padding_x < size &&
                         (g.out_height - 1) * g.stride_y - g.padding_y < g.in_height &&
                         (g.out_width - 1) * g.stride_x - g.padding_x < g.in_width;
  if (g.kernel_width == size && !g.is_dilated() && all_cover) {
    if (size == 2 && whole) return max_pool2d_square<2, true>(g, input, output);
    if (size == 3 && whole) return max_pool2d_square<3, true>(g, input, output);
    if (size == 3) return max_pool2d_square<3, false>(g, input, output);
  }
  PoolWindow part{};
  part.next_pixel = std::ptrdiff_t{g.dilation_x} * g.in_channels;
  part.next_row = std::ptrdiff_t{g.dilation_y} * g.in_width * g.in_channels;
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; ++x, output += g.out_channels) {
      const Window window = clipped_window(g, y, x);
      part.first = input + tap_offset(g, y, x, window.first_y, window.first_x);
      part.rows = window.last_y - window.first_y;
      part.columns = window.last_x - window.first_x;
      pool2d_pixel<true>(part, g.in_channels, output);
    }
  }
}

}  // namespace mien::kernels::MIEN_SET
