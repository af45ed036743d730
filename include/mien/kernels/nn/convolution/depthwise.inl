// Fast depthwise convolution, and grouped convolution of few channels a group, compiled once for
// each instruction set.
//
// Channels last makes neighbouring channels neighbours in memory: a vector holds `lanes` channels
// of one pixel. A tile of neighbouring outputs of a row stays in registers while the window's rows
// pass by, so that every weight loaded serves all of them and every value all outputs that see it;
// a tile that hangs over the border simply has fewer rows and columns.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/nn/parts.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// Outputs of a tile: their sums, a row of weights and a value must fit in the register file. Seven
/// divides the widths of networks for images of 224x224.
constexpr int depthwise_pixels = 7;
/// Of 3x3 windows of stride 1, whose sums are as many chains of nine additions: seven do not hide
/// their latency. Not where the width is a multiple of seven, which leaves no rest. All of YuNet's
/// network takes 0.97 of the time with AVX2.
constexpr int depthwise_most_pixels = 10;
/// Of one for narrow images and what is left of wide ones.
constexpr int depthwise_few_pixels = 4;

/// Neighbouring outputs of a row, all their channels.
struct DepthwiseTile {
  const WindowGeometry& g;
  const float* image;
  const float* weights;
  const float* bias;
  VectorBounds bound;
  const float* added = nullptr;  // for the first output, or null
  float* output = nullptr;       // the first
  std::ptrdiff_t origin = 0;     // of the pixel under its first tap, which may be outside
  int outputs = 0;
  // Rows of taps that the image has, and columns of it under the tile, counted from that pixel.
  int first_row = 0;
  int last_row = 0;
  int first_column = 0;
  int last_column = 0;
  // Of groups of several channels, how many those are and, for each, where a vector's lanes find
  // it, from their group's first.
  int group = 1;
  const Spread* spreads = nullptr;

  MIEN_ALWAYS_INLINE DepthwiseTile(const WindowGeometry& geometry, const float* from,
                                   const float* packed, const Epilogue& epilogue) noexcept
      : g(geometry),
        image(from),
        weights(packed),
        bias(epilogue.bias),
        bound(epilogue.activation) {}
};

/// By windows of any size, stride and dilation, or of fewer channels than a vector has lanes if not
/// Whole.
template <bool Whole>
inline void depthwise_conv2d_tile(const DepthwiseTile& tile) noexcept {
  const std::ptrdiff_t next = tile.g.in_channels;
  const std::ptrdiff_t next_tap_row = next * tile.g.in_width * tile.g.dilation_y;
  const int dilation = tile.g.dilation_x;
  const int stride = tile.g.stride_x;
  const int taps = tile.g.kernel_width;
  const int count = tile.g.in_channels;
  const std::ptrdiff_t last = next - lanes;
  for (std::ptrdiff_t first = 0; first < next; first += lanes) {
    const std::ptrdiff_t channel = Whole && first > last ? last : first;
    Vector sum[depthwise_pixels];
    const Vector bias = load_part<Whole>(tile.bias + channel, count);
    MIEN_UNROLL
    for (int p = 0; p < depthwise_pixels; ++p) sum[p] = bias;
    for (int row = tile.first_row; row < tile.last_row; ++row) {
      const std::ptrdiff_t from = tile.origin + row * next_tap_row + channel;
      for (int tap = 0; tap < taps; ++tap) {
        const Vector weight = load_part<Whole>(
            tile.weights + ((std::ptrdiff_t{row} * taps + tap) * next + channel), count);
        MIEN_UNROLL
        for (int p = 0; p < depthwise_pixels; ++p) {
          const int column = p * stride + tap * dilation;
          if (column < tile.first_column || column >= tile.last_column) continue;
          sum[p] = multiply_add(load_part<Whole>(tile.image + (from + column * next), count),
                                weight, sum[p]);
        }
      }
    }
    MIEN_UNROLL
    for (int p = 0; p < depthwise_pixels; ++p) {
      if (p < tile.outputs) {
        const std::ptrdiff_t to = p * next + channel;
        if (tile.added != nullptr) sum[p] = plus(sum[p], load_part<Whole>(tile.added + to, count));
        store_part<Whole>(tile.output + to, tile.bound(sum[p]), count);
      }
    }
  }
}

/// Where a vector of output channels has its inputs.
enum class Inputs {
  own,     ///< each its own, if depthwise
  groups,  ///< in a vector as wide, of several groups, to be spread over the lanes of each
  group    ///< in one group, which is as wide as a vector or wider
};

/// By windows of a width and stride, of at least `lanes` channels; all of `Outputs` exist, and the
/// image lacks at most half a window's columns on either side. Measured with AVX2 against pixel by
/// pixel, on 14x14 to 56x56 pixels of 24 to 240 channels: 3x3 windows of stride 2 are 2.2 to 3.3
/// times as fast, 5x5 windows 2.7 to 4.9 times; against a loop that slides along the row, 3x3
/// windows of stride 1 are 1.2 to 1.8 times as fast. Groups of 4 channels, 32 of them, take 0.22 of
/// the direct method's time (by a shuffle for each row of taps; a shuffle across the whole register
/// makes it 0.29), groups of 8 take 0.50.
template <int Width, int Stride, int Outputs, Inputs From>
inline void depthwise_conv2d_tile(const DepthwiseTile& tile) noexcept {
  constexpr int columns = (Outputs - 1) * Stride + Width;
  const std::ptrdiff_t next = tile.g.in_channels;
  const std::ptrdiff_t next_row = next * tile.g.in_width;
  const int first_column = tile.first_column;
  const int last_column = tile.last_column;
  // Copies, which the values that are stored cannot overwrite.
  const int rows = tile.last_row - tile.first_row;
  const int group = From == Inputs::own ? 1 : tile.group;
  const Spread* const spreads = tile.spreads;
  const float* const first_weights = tile.weights + tile.first_row * group * Width * next;
  const float* const first_input = tile.image + (tile.origin + tile.first_row * next_row);
  const float* const all_bias = tile.bias;
  const float* const added = tile.added;
  float* const output = tile.output;
  const VectorBounds bound = tile.bound;
  const std::ptrdiff_t last = next - lanes;
  for (std::ptrdiff_t first = 0; first < next; first += lanes) {
    const std::ptrdiff_t channel = first > last ? last : first;
    Vector sum[std::size_t{Outputs}];
    const Vector bias = load(all_bias + channel);
    MIEN_UNROLL
    for (int p = 0; p < Outputs; ++p) sum[p] = bias;
    const float* weights = first_weights + channel;
    const float* from = first_input + (From == Inputs::group ? channel / group * group : channel);
    for (int row = 0; row < rows; ++row) {
      for (int input = 0; input < group; ++input) {
        Vector weight[std::size_t{Width}];
        MIEN_UNROLL
        for (int tap = 0; tap < Width; ++tap) weight[tap] = load(weights + tap * next);
        // In two loops, for none may have more rounds than compilers unroll.
        MIEN_UNROLL
        for (int p = 0; p <= (columns - 1) / Stride; ++p) {
          MIEN_UNROLL
          for (int phase = 0; phase < Stride; ++phase) {
            const int column = p * Stride + phase;
            if (column >= columns) continue;
            if (column < Width / 2 && column < first_column) continue;
            if (column >= columns - Width / 2 && column >= last_column) continue;
            const float* const pixel = from + column * next;
            const Vector value = From == Inputs::own      ? load(pixel)
                                 : From == Inputs::groups ? load_spread(pixel, spreads[input])
                                                          : broadcast(pixel[input]);
            MIEN_UNROLL
            for (int tap = phase; tap < Width; tap += Stride) {
              const int of = p - tap / Stride;
              if (of >= 0 && of < Outputs) sum[of] = multiply_add(value, weight[tap], sum[of]);
            }
          }
        }
        weights += Width * next;
      }
      from += next_row;
    }
    if (added != nullptr) {
      MIEN_UNROLL
      for (int p = 0; p < Outputs; ++p) sum[p] = plus(sum[p], load(added + (p * next + channel)));
    }
    MIEN_UNROLL
    for (int p = 0; p < Outputs; ++p) store(output + (p * next + channel), bound(sum[p]));
  }
}

using DepthwiseTileRun = void(const DepthwiseTile&) noexcept;

/// What computes tiles of so many outputs; null if there is nothing faster than what computes any.
template <int Outputs>
inline DepthwiseTileRun* depthwise_tile_run(const WindowGeometry& g) noexcept {
  const int width = g.kernel_width;
  const int beyond = (g.out_width - 1) * g.stride_x + width - g.padding_x - g.in_width;
  if (g.is_dilated() || g.out_width < Outputs) return nullptr;
  if (g.padding_x > width / 2 || beyond > width / 2) return nullptr;
  if (width == 3 && g.stride_x == 1) return &depthwise_conv2d_tile<3, 1, Outputs, Inputs::own>;
  if (width == 3 && g.stride_x == 2) return &depthwise_conv2d_tile<3, 2, Outputs, Inputs::own>;
  if (width == 5 && g.stride_x == 1) return &depthwise_conv2d_tile<5, 1, Outputs, Inputs::own>;
  if (width == 5 && g.stride_x == 2) return &depthwise_conv2d_tile<5, 2, Outputs, Inputs::own>;
  return nullptr;
}

/// What computes a geometry's tiles of each size.
struct DepthwiseTileRuns {
  DepthwiseTileRun* any;
  DepthwiseTileRun* most;  // depthwise_pixels outputs; may be null
  DepthwiseTileRun* few;   // depthwise_few_pixels outputs; may be null
  DepthwiseTileRun* wide;  // depthwise_most_pixels outputs; may be null
};

/// All tiles of an image.
inline void run_depthwise_tiles(const DepthwiseTileRuns& runs, const WindowGeometry& g,
                                const Epilogue& epilogue, DepthwiseTile& tile,
                                float* output) noexcept {
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; x += tile.outputs) {
      const int left = g.out_width - x;
      DepthwiseTileRun* run = runs.any;
      tile.outputs = left < depthwise_pixels ? left : depthwise_pixels;
      if (runs.wide != nullptr && left >= depthwise_most_pixels) {
        run = runs.wide;
        tile.outputs = depthwise_most_pixels;
      } else if (runs.most != nullptr && left > depthwise_few_pixels) {
        run = runs.most;
        tile.outputs = depthwise_pixels;
      } else if (runs.few != nullptr) {
        run = runs.few;
        tile.outputs = depthwise_few_pixels;
      }
      // The last tile overlaps the one before rather than being narrower.
      if (tile.outputs > left) x = g.out_width - tile.outputs;
      const Window window = clipped_window(g, y, x);
      const int column = x * g.stride_x - g.padding_x;
      const int end = (tile.outputs - 1) * g.stride_x + g.extent_x();
      tile.first_row = window.first_y;
      tile.last_row = window.last_y;
      tile.first_column = column < 0 ? -column : 0;
      tile.last_column = column + end > g.in_width ? g.in_width - column : end;
      tile.origin = tap_offset(g, y, x, 0, 0);
      const std::ptrdiff_t to = (std::ptrdiff_t{y} * g.out_width + x) * g.out_channels;
      tile.output = output + to;
      if (epilogue.added != nullptr) tile.added = epilogue.added + to;
      run(tile);
    }
  }
}

/// Weights [KH][KW][C], bias [C]; the image is without padding. Never pooled.
inline void depthwise_conv2d(const WindowGeometry& g, const float* input, const float* weights,
                             const Epilogue& epilogue, float* output) noexcept {
  DepthwiseTileRuns runs{&depthwise_conv2d_tile<false>, nullptr, nullptr, nullptr};
  if (g.in_channels >= lanes) {
    runs = {&depthwise_conv2d_tile<true>, depthwise_tile_run<depthwise_pixels>(g),
            depthwise_tile_run<depthwise_few_pixels>(g), nullptr};
    const bool is_3x3 = g.kernel_width == 3 && g.stride_x == 1;
    if (is_3x3 && g.out_width % depthwise_pixels != 0) {
      runs.wide = depthwise_tile_run<depthwise_most_pixels>(g);
    }
  }
  DepthwiseTile tile(g, input, weights, epilogue);
  run_depthwise_tiles(runs, g, epilogue, tile, output);
}

/// Of windows three pixels wide.
template <Inputs From>
inline DepthwiseTileRuns grouped_tile_runs(const WindowGeometry& g) noexcept {
  if (g.stride_x == 1) {
    return {nullptr, &depthwise_conv2d_tile<3, 1, depthwise_pixels, From>,
            &depthwise_conv2d_tile<3, 1, depthwise_few_pixels, From>, nullptr};
  }
  return {nullptr, &depthwise_conv2d_tile<3, 2, depthwise_pixels, From>,
          &depthwise_conv2d_tile<3, 2, depthwise_few_pixels, From>, nullptr};
}

/// Groups of several channels, as grouped::suits says: as if depthwise, once for each input channel
/// of the groups, which is spread over the lanes of its group's outputs. Weights
/// [KH][I / groups][KW][O].
inline void grouped_conv2d(const WindowGeometry& g, const float* input, const float* weights,
                           const Epilogue& epilogue, float* output) noexcept {
  DepthwiseTileRuns runs = g.in_channels / g.groups < lanes ? grouped_tile_runs<Inputs::groups>(g)
                                                            : grouped_tile_runs<Inputs::group>(g);
  if (g.out_width < depthwise_pixels) runs.most = nullptr;
  DepthwiseTile tile(g, input, weights, epilogue);
  Spread spreads[grouped::largest_group];
  tile.group = g.in_channels / g.groups;
  tile.spreads = spreads;
  for (int i = 0; i < tile.group; ++i) {
    int from[lanes];
    for (int lane = 0; lane < lanes; ++lane) from[lane] = lane / tile.group * tile.group + i;
    spreads[i] = spread(from);
  }
  run_depthwise_tiles(runs, g, epilogue, tile, output);
}

}  // namespace mien::kernels::MIEN_SET
