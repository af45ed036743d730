// Fast convolution, compiled once for each instruction set.
//
// An implicit matrix product: the rows are output pixels, the columns output channels, and the
// depth runs over the window's taps, which lie in contiguous runs of the channels-last image.
// A tile of pixels x two vectors of channels stays in registers while the depth passes by
// (register blocking after Goto and van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication", 2008), so every weight loaded serves all pixels of the tile.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/nn/parts.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// Pixels of the widest tile: two accumulators for each, two weights and one input value must fit
/// in the register file.
constexpr int conv2d_pixels = registers >= 32 ? 12 : 6;

/// How the tiles of a block of channels end.
struct BlockEpilogue {
  const float* bias;
  Bounds bounds;
  std::ptrdiff_t next_pixel;  // of the output
  int channels;               // of the block that exist
};

/// Adds to a tile's sums and stores those of its channels that exist. Apart from the tiles, of
/// which there are many sizes, for they do it seldom.
inline void conv2d_store_part(const Vector (*sums)[2], int outputs, const BlockEpilogue& epilogue,
                              const float* added, float* output) noexcept {
  const VectorBounds bound(epilogue.bounds);
  // Masked stores are slow on some processors: no more of them than needed.
  const bool two = epilogue.channels > lanes;
  const int left = two ? epilogue.channels - lanes : epilogue.channels;
  for (int p = 0; p < outputs; ++p) {
    float* to = output + p * epilogue.next_pixel;
    const float* from = added == nullptr ? nullptr : added + p * epilogue.next_pixel;
    Vector last = sums[p][0];
    if (two) {
      if (from != nullptr) last = plus(last, load(from));
      store(to, bound(last));
      to += lanes;
      if (from != nullptr) from += lanes;
      last = sums[p][1];
    }
    if (from != nullptr) last = plus(last, load_first(from, left));
    store_first(to, bound(last), left);
  }
}

/// A tile is a row of pixels or, where they are pooled, two rows of which every 2x2 becomes one.
template <int Pixels, Pooling Pooled>
inline void conv2d_tile(const TapRuns& taps, const float* input, const float* weights,
                        const BlockEpilogue& epilogue, const float* added, float* output) noexcept {
  constexpr bool pools = Pooled == Pooling::max_2x2;
  constexpr int columns = pools ? Pixels / 2 : Pixels;
  Vector sum[std::size_t{Pixels}][2];
  const Vector bias0 = load(epilogue.bias);
  const Vector bias1 = load(epilogue.bias + lanes);
  MIEN_UNROLL
  for (int p = 0; p < Pixels; ++p) {
    sum[p][0] = bias0;
    sum[p][1] = bias1;
  }
  for (int row = 0; row < taps.rows; ++row) {
    for (int run = 0; run < taps.runs_per_row; ++run) {
      const float* from = input + row * taps.next_row + run * taps.next_run;
      for (int i = 0; i < taps.length; ++i, weights += block_channels) {
        const Vector weight0 = load(weights);
        const Vector weight1 = load(weights + lanes);
        MIEN_UNROLL
        for (int p = 0; p < Pixels; ++p) {
          const Vector value = broadcast(
              from[p / columns * taps.next_output_row + p % columns * taps.next_pixel + i]);
          sum[p][0] = multiply_add(value, weight0, sum[p][0]);
          sum[p][1] = multiply_add(value, weight1, sum[p][1]);
        }
      }
    }
  }
  const std::ptrdiff_t out_pixel = epilogue.next_pixel;
  constexpr int outputs = pools ? columns / 2 : columns;
  if constexpr (pools) {
    MIEN_UNROLL
    for (int p = 0; p < outputs; ++p) {
      const Vector* const upper = sum[2 * p];
      const Vector* const lower = sum[columns + 2 * p];
      sum[p][0] = maximum(maximum(upper[0], upper[2]), maximum(lower[0], lower[2]));
      sum[p][1] = maximum(maximum(upper[1], upper[3]), maximum(lower[1], lower[3]));
    }
  }
  if (epilogue.channels != block_channels) {
    // A copy, so that the sums themselves stay in registers.
    Vector part[std::size_t{outputs}][2];
    MIEN_UNROLL
    for (int p = 0; p < outputs; ++p) {
      part[p][0] = sum[p][0];
      part[p][1] = sum[p][1];
    }
    conv2d_store_part(part, outputs, epilogue, pools ? nullptr : added, output);
    return;
  }
  const VectorBounds bound(epilogue.bounds);
  if (!pools && added != nullptr) {
    MIEN_UNROLL
    for (int p = 0; p < outputs; ++p) {
      sum[p][0] = plus(sum[p][0], load(added + p * out_pixel));
      sum[p][1] = plus(sum[p][1], load(added + p * out_pixel + lanes));
    }
  }
  MIEN_UNROLL
  for (int p = 0; p < outputs; ++p) {
    store(output + p * out_pixel, bound(sum[p][0]));
    store(output + p * out_pixel + lanes, bound(sum[p][1]));
  }
}

/// A row of pixels of a block whose channels fill its first vector at most.
template <int Pixels>
inline void conv2d_narrow_tile(const TapRuns& taps, const float* input, const float* weights,
                               const BlockEpilogue& epilogue, const float* added,
                               float* output) noexcept {
  Vector sum[std::size_t{Pixels}];
  const Vector bias = load(epilogue.bias);
  MIEN_UNROLL
  for (int p = 0; p < Pixels; ++p) sum[p] = bias;
  for (int row = 0; row < taps.rows; ++row) {
    for (int run = 0; run < taps.runs_per_row; ++run) {
      const float* from = input + row * taps.next_row + run * taps.next_run;
      for (int i = 0; i < taps.length; ++i, weights += block_channels) {
        const Vector weight = load(weights);
        MIEN_UNROLL
        for (int p = 0; p < Pixels; ++p) {
          sum[p] = multiply_add(broadcast(from[p * taps.next_pixel + i]), weight, sum[p]);
        }
      }
    }
  }
  const std::ptrdiff_t out_pixel = epilogue.next_pixel;
  const int channels = epilogue.channels;
  const VectorBounds bound(epilogue.bounds);
  if (added != nullptr) {
    MIEN_UNROLL
    for (int p = 0; p < Pixels; ++p) {
      sum[p] = plus(sum[p], load_first(added + p * out_pixel, channels));
    }
  }
  if (channels == lanes) {
    MIEN_UNROLL
    for (int p = 0; p < Pixels; ++p) store(output + p * out_pixel, bound(sum[p]));
  } else {
    MIEN_UNROLL
    for (int p = 0; p < Pixels; ++p) {
      store_first(output + p * out_pixel, bound(sum[p]), channels);
    }
  }
}

/// Pixels of the narrow tiles.
constexpr int conv2d_narrow_most = 8;
constexpr int conv2d_narrow_few = 4;

/// One row of at least conv2d_narrow_few output pixels of such a block; its last tile overlaps the
/// one before rather than being narrower. Measured with AVX2 against tiles of two vectors: from 8
/// to 8 channels, 3x3, 1.5 times as fast; from 24 to 24 1.2; from 1 to 6, 5x5, 1.3.
inline void conv2d_narrow_row(const TapRuns& taps, const float* input, const float* weights,
                              const BlockEpilogue& epilogue, const float* added, float* output,
                              int width) noexcept {
  for (int x = 0; x < width;) {
    const int left = width - x;
    const bool many = left > conv2d_narrow_few && width >= conv2d_narrow_most;
    const int pixels = many ? conv2d_narrow_most : conv2d_narrow_few;
    const auto tile =
        many ? &conv2d_narrow_tile<conv2d_narrow_most> : &conv2d_narrow_tile<conv2d_narrow_few>;
    if (pixels > left) x = width - pixels;
    const std::ptrdiff_t to = x * epilogue.next_pixel;
    tile(taps, input + x * taps.next_pixel, weights, epilogue,
         added == nullptr ? nullptr : added + to, output + to);
    x += pixels;
  }
}

/// One row of output pixels in tiles of nearly equal width.
inline void conv2d_row(const TapRuns& taps, const float* input, const float* weights,
                       const BlockEpilogue& epilogue, const float* added, float* output,
                       int width) noexcept {
  for (int tiles = (width + conv2d_pixels - 1) / conv2d_pixels; tiles > 0; --tiles) {
    const int pixels = (width + tiles - 1) / tiles;
    switch (pixels) {
#define MIEN_CONV2D_TILE(count)                                                  \
  case count:                                                                    \
    conv2d_tile<(count < conv2d_pixels ? count : conv2d_pixels), Pooling::none>( \
        taps, input, weights, epilogue, added, output);                          \
    break;
      MIEN_CONV2D_TILE(1)
      MIEN_CONV2D_TILE(2)
      MIEN_CONV2D_TILE(3)
      MIEN_CONV2D_TILE(4)
      MIEN_CONV2D_TILE(5)
      MIEN_CONV2D_TILE(6)
      MIEN_CONV2D_TILE(7)
      MIEN_CONV2D_TILE(8)
      MIEN_CONV2D_TILE(9)
      MIEN_CONV2D_TILE(10)
      MIEN_CONV2D_TILE(11)
      MIEN_CONV2D_TILE(12)
#undef MIEN_CONV2D_TILE
    }
    input += pixels * taps.next_pixel;
    output += pixels * epilogue.next_pixel;
    if (added != nullptr) added += pixels * epilogue.next_pixel;
    width -= pixels;
  }
}

/// One row of pooled pixels, `width` of them.
inline void conv2d_pooled_row(const TapRuns& taps, const float* input, const float* weights,
                              const BlockEpilogue& epilogue, const float*, float* output,
                              int width) noexcept {
  constexpr int widest = conv2d_pixels / 4;
  for (; width >= widest; width -= widest) {
    conv2d_tile<4 * widest, Pooling::max_2x2>(taps, input, weights, epilogue, nullptr, output);
    input += 2 * widest * taps.next_pixel;
    output += widest * epilogue.next_pixel;
  }
  for (; width > 0; --width) {
    conv2d_tile<4, Pooling::max_2x2>(taps, input, weights, epilogue, nullptr, output);
    input += 2 * taps.next_pixel;
    output += epilogue.next_pixel;
  }
}

/// `image` has its padding around it.
inline void conv2d(const WindowGeometry& g, const float* image, const float* packed,
                   const Epilogue& epilogue, float* output) noexcept {
  const int group_in = g.in_channels / g.groups;
  const int group_out = g.out_channels / g.groups;
  const std::ptrdiff_t image_row = std::ptrdiff_t{g.padded_width()} * g.in_channels;
  TapRuns taps{};
  taps.rows = g.kernel_height;
  taps.next_row = g.dilation_y * image_row;
  taps.next_pixel = std::ptrdiff_t{g.stride_x} * g.in_channels;
  taps.next_output_row = g.stride_y * image_row;
  if (g.groups == 1 && g.dilation_x == 1) {
    // The taps of a window's row touch each other in memory.
    taps.runs_per_row = 1;
    taps.length = g.kernel_width * g.in_channels;
  } else {
    taps.runs_per_row = g.kernel_width;
    taps.length = group_in;
    taps.next_run = std::ptrdiff_t{g.dilation_x} * g.in_channels;
  }
  // A 1x1 convolution sees the image as one long row, which fills the tiles better.
  const bool pools = epilogue.pooling == Pooling::max_2x2;
  const bool flat = !pools && g.is_pointwise();
  const int step = pools ? 2 : 1;
  const int rows = flat ? 1 : g.out_height / step;
  const int width = flat ? g.out_height * g.out_width : g.out_width / step;

  const std::ptrdiff_t block_size =
      std::ptrdiff_t{g.kernel_height} * g.kernel_width * group_in * block_channels;
  BlockEpilogue of_block{epilogue.bias, bounds(epilogue.activation), g.out_channels, 0};
  for (int group = 0; group < g.groups; ++group) {
    for (int channel = 0; channel < group_out; channel += block_channels) {
      const int left = group_out - channel;
      of_block.channels = left < block_channels ? left : block_channels;
      const bool narrow = left <= lanes && width >= conv2d_narrow_few;
      const auto row = pools ? &conv2d_pooled_row : narrow ? &conv2d_narrow_row : &conv2d_row;
      for (int y = 0; y < rows; ++y) {
        const std::ptrdiff_t to =
            std::ptrdiff_t{y} * width * g.out_channels + group * group_out + channel;
        row(taps, image + y * step * taps.next_output_row + group * group_in, packed, of_block,
            epilogue.added == nullptr ? nullptr : epilogue.added + to, output + to, width);
      }
      packed += block_size;
      of_block.bias += block_channels;
    }
  }
}

}  // namespace mien::kernels::MIEN_SET
