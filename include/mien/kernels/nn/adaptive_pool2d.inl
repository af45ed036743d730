// Fast pooling to a given size, compiled once for each instruction set: a vector holds `lanes`
// channels of one pixel. Four vectors at a time, so that additions do not wait for each other.
// Means add up row by row, which keeps the rounding of large windows small.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/nn/parts.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// Some channels of a window.
struct PoolWindow {
  const float* first;
  int rows;
  int columns;
  std::ptrdiff_t next_row;
  std::ptrdiff_t next_pixel;
  float size = 1.0f;  ///< what a mean divides by
};

template <bool IsMax, int Vectors, bool Whole>
inline void pool2d_part(const PoolWindow& window, int count, float* output) noexcept {
  Vector total[std::size_t{Vectors}];
  const Vector start = broadcast(IsMax ? max_pool2d_padding : 0.0f);
  MIEN_UNROLL
  for (int v = 0; v < Vectors; ++v) total[v] = start;
  for (int y = 0; y < window.rows; ++y) {
    const float* pixel = window.first + y * window.next_row;
    Vector row[std::size_t{Vectors}];
    MIEN_UNROLL
    for (int v = 0; v < Vectors; ++v) row[v] = IsMax ? total[v] : start;
    for (int x = 0; x < window.columns; ++x, pixel += window.next_pixel) {
      MIEN_UNROLL
      for (int v = 0; v < Vectors; ++v) {
        const Vector value = load_part<Whole>(pixel + v * lanes, count);
        row[v] = IsMax ? maximum(value, row[v]) : plus(row[v], value);
      }
    }
    MIEN_UNROLL
    for (int v = 0; v < Vectors; ++v) total[v] = IsMax ? row[v] : plus(total[v], row[v]);
  }
  const Vector size = broadcast(window.size);
  MIEN_UNROLL
  for (int v = 0; v < Vectors; ++v) {
    store_part<Whole>(output + v * lanes, IsMax ? total[v] : divide(total[v], size), count);
  }
}

/// All channels of a window.
template <bool IsMax>
inline void pool2d_pixel(PoolWindow window, int channels, float* output) noexcept {
  constexpr int at_once = 4;
  int c = 0;
  for (; c + at_once * lanes <= channels; c += at_once * lanes) {
    pool2d_part<IsMax, at_once, true>(window, lanes, output + c);
    window.first += at_once * lanes;
  }
  for (; c + lanes <= channels; c += lanes, window.first += lanes) {
    pool2d_part<IsMax, 1, true>(window, lanes, output + c);
  }
  if (c < channels) pool2d_part<IsMax, 1, false>(window, channels - c, output + c);
}

template <bool IsMax>
inline void adaptive_pool2d(const AdaptiveGeometry& g, const float* input, float* output) noexcept {
  PoolWindow window{};
  window.next_pixel = g.channels;
  window.next_row = std::ptrdiff_t{g.in_width} * g.channels;
  for (int y = 0; y < g.out_height; ++y) {
    const int top = adaptive_begin(y, g.in_height, g.out_height);
    window.rows = adaptive_end(y, g.in_height, g.out_height) - top;
    for (int x = 0; x < g.out_width; ++x, output += g.channels) {
      const int left = adaptive_begin(x, g.in_width, g.out_width);
      window.columns = adaptive_end(x, g.in_width, g.out_width) - left;
      window.first = input + top * window.next_row + left * window.next_pixel;
      window.size = static_cast<float>(window.rows) * static_cast<float>(window.columns);
      pool2d_pixel<IsMax>(window, g.channels, output);
    }
  }
}

}  // namespace mien::kernels::MIEN_SET
