// Fast minimal filtering, compiled once for each instruction set.
//
// Input tiles are transformed; at each of the scheme's points a matrix product runs over the input
// channels, with the tiles as rows, through the register tiles of direct.inl; and a block of output
// channels is transformed back as soon as its products are there, while they are in cache.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/nn/parts.inl>
//
#include <mien/kernels/nn/convolution/direct.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// `Axis::size` values to as many, ToStride apart: B^T of Lavin and Gray.
template <class Axis, int ToStride>
MIEN_ALWAYS_INLINE void winograd_transform_input(const Vector* from, Vector* to) noexcept {
  constexpr const WinogradConstants<Axis>& c = winograd_constants<Axis>;
  constexpr int pairs = Axis::pairs;
  Vector zero = from[2 * pairs];
  Vector infinity = from[2 * pairs + 1];
  MIEN_UNROLL
  for (int k = 0; k < pairs; ++k) {
    const Vector factor = broadcast(c.all_pairs[k]);
    zero = multiply_add(factor, from[2 * k], zero);
    infinity = multiply_add(factor, from[2 * k + 1], infinity);
  }
  to[0] = zero;
  to[(Axis::size - 1) * ToStride] = infinity;
  MIEN_UNROLL
  for (int pair = 0; pair < pairs; ++pair) {
    Vector even = from[2 * pairs];
    Vector odd = from[2 * pairs - 1];
    MIEN_UNROLL
    for (int k = 0; k < pairs - 1; ++k) {
      const Vector factor = broadcast(c.other_pairs[pair][k]);
      even = multiply_add(factor, from[2 * k + 2], even);
      odd = multiply_add(factor, from[2 * k + 1], odd);
    }
    to[(1 + 2 * pair) * ToStride] = multiply_add(broadcast(c.point[pair]), odd, even);
    to[(2 + 2 * pair) * ToStride] = multiply_add(broadcast(-c.point[pair]), odd, even);
  }
}

/// `Axis::size` products to `Axis::tile` outputs, ToStride apart: A^T of Lavin and Gray.
template <class Axis, int ToStride>
MIEN_ALWAYS_INLINE void winograd_transform_output(const Vector* from, Vector* to) noexcept {
  constexpr const WinogradConstants<Axis>& c = winograd_constants<Axis>;
  constexpr int pairs = Axis::pairs;
  Vector sums[std::size_t{pairs}];
  Vector differences[std::size_t{pairs}];
  const Vector one = broadcast(1.0f);
  const Vector minus_one = broadcast(-1.0f);
  MIEN_UNROLL
  for (int pair = 0; pair < pairs; ++pair) {
    sums[pair] = multiply_add(one, from[1 + 2 * pair], from[2 + 2 * pair]);
    differences[pair] = multiply_add(minus_one, from[2 + 2 * pair], from[1 + 2 * pair]);
  }
  MIEN_UNROLL
  for (int i = 0; i < Axis::tile; ++i) {
    Vector sum = i == 0 ? from[0] : broadcast(0.0f);
    if (i == Axis::tile - 1) sum = from[Axis::size - 1];
    MIEN_UNROLL
    for (int pair = 0; pair < pairs; ++pair) {
      sum = multiply_add(broadcast(c.power[pair][i]), i % 2 == 0 ? sums[pair] : differences[pair],
                         sum);
    }
    to[i * ToStride] = sum;
  }
}

/// Where the values of an image or a tile lie.
struct WinogradStrides {
  std::ptrdiff_t row;
  std::ptrdiff_t pixel;
};

/// Transforms one whole tile of `lanes` input channels; its points go to `to`, next_point apart.
template <class Scheme>
inline void winograd_input_tile(const float* input, WinogradStrides strides, float* to,
                                std::ptrdiff_t next_point) noexcept {
  constexpr int height = Scheme::Vertical::size;
  constexpr int width = Scheme::Horizontal::size;
  Vector grid[std::size_t{height}][std::size_t{width}];
  for (int x = 0; x < width; ++x, input += strides.pixel) {
    Vector column[std::size_t{height}];
    MIEN_UNROLL
    for (int y = 0; y < height; ++y) column[y] = load(input + y * strides.row);
    winograd_transform_input<typename Scheme::Vertical, width>(column, &grid[0][x]);
  }
  for (int y = 0; y < height; ++y) {
    Vector row[std::size_t{width}];
    winograd_transform_input<typename Scheme::Horizontal, 1>(grid[y], row);
    MIEN_UNROLL
    for (int x = 0; x < width; ++x) store(to + (y * width + x) * next_point, row[x]);
  }
}

/// Transforms one tile's products back, `lanes` output channels of them: the first `rows` rows of
/// outputs.
template <class Scheme>
inline void winograd_output_tile(const float* products, std::ptrdiff_t next_point, int rows,
                                 Vector* to) noexcept {
  constexpr int height = Scheme::Vertical::size;
  constexpr int width = Scheme::Horizontal::size;
  Vector grid[Scheme::Vertical::tile][std::size_t{width}];
  for (int x = 0; x < width; ++x) {
    Vector column[std::size_t{height}];
    MIEN_UNROLL
    for (int y = 0; y < height; ++y) column[y] = load(products + (y * width + x) * next_point);
    winograd_transform_output<typename Scheme::Vertical, width>(column, &grid[0][x]);
  }
  for (int y = 0; y < rows; ++y, to += Scheme::Horizontal::tile) {
    winograd_transform_output<typename Scheme::Horizontal, 1>(grid[y], to);
  }
}

/// What of a scheme the loop over tiles needs: one loop serves all schemes, as fast as one for
/// each and far quicker to compile.
struct WinogradTiles {
  int points;
  int tile_height;  // of outputs
  int tile_width;
  int input_height;  // of a tile
  int input_width;
  void (*transform_input)(const float* input, WinogradStrides, float* to,
                          std::ptrdiff_t next_point) noexcept;
  void (*transform_output)(const float* products, std::ptrdiff_t next_point, int rows,
                           Vector* to) noexcept;
};

template <class Scheme>
constexpr WinogradTiles winograd_tiles_of() noexcept {
  WinogradTiles tiles{};
  tiles.points = Scheme::points;
  tiles.tile_height = Scheme::Vertical::tile;
  tiles.tile_width = Scheme::Horizontal::tile;
  tiles.input_height = Scheme::Vertical::size;
  tiles.input_width = Scheme::Horizontal::size;
  tiles.transform_input = &winograd_input_tile<Scheme>;
  tiles.transform_output = &winograd_output_tile<Scheme>;
  return tiles;
}

/// Copies the part of a tile, `lanes` channels of it, that lies inside the image between zeros.
/// `input` is the first value of the image's channels; the tile's corner may lie outside.
inline void winograd_clip_tile(const WindowGeometry& g, const WinogradTiles& tiles,
                               const float* input, int top, int left, float* to) noexcept {
  const Vector zero = broadcast(0.0f);
  const int first = left < 0 ? -left : 0;
  const int last = left + tiles.input_width > g.in_width ? g.in_width - left : tiles.input_width;
  for (int y = top; y < top + tiles.input_height; ++y) {
    int x = 0;
    if (y >= 0 && y < g.in_height) {
      for (; x < first; ++x, to += lanes) store(to, zero);
      const float* pixel = input + (std::ptrdiff_t{y} * g.in_width + left + x) * g.in_channels;
      for (; x < last; ++x, to += lanes, pixel += g.in_channels) store(to, load(pixel));
    }
    for (; x < tiles.input_width; ++x, to += lanes) store(to, zero);
  }
}

/// Writes those rows x columns of a tile's outputs that exist, or the largest of every 2x2 of them.
inline void winograd_store_tile(const Vector* tile, int tile_width, int rows, int columns,
                                const BlockEpilogue& epilogue, Pooling pooling, const float* added,
                                float* to, WinogradStrides strides) noexcept {
  const Vector bias = load(epilogue.bias);
  const VectorBounds bound(epilogue.bounds);
  if (pooling == Pooling::max_2x2) {
    for (int y = 0; y + 2 <= rows; y += 2, to += strides.row) {
      const Vector* const upper = tile + y * tile_width;
      const Vector* const lower = upper + tile_width;
      float* pixel = to;
      for (int x = 0; x + 2 <= columns; x += 2, pixel += strides.pixel) {
        const Vector largest =
            maximum(maximum(upper[x], upper[x + 1]), maximum(lower[x], lower[x + 1]));
        store(pixel, bound(plus(largest, bias)));
      }
    }
    return;
  }
  for (int y = 0; y < rows; ++y, tile += tile_width) {
    for (int x = 0; x < columns; ++x) {
      const std::ptrdiff_t offset = y * strides.row + x * strides.pixel;
      Vector sum = plus(tile[x], bias);
      if (added != nullptr) sum = plus(sum, load(added + offset));
      store(to + offset, bound(sum));
    }
  }
}

/// Tiles from `first_tile` on, counted through all images.
inline void winograd_run_tiles(const WindowGeometry& g, const WinogradTiles& tiles, int first_tile,
                               int tile_count, const float* input, const float* packed,
                               const Epilogue& epilogue, float* scratch, float* output) noexcept {
  constexpr float no_bias[block_channels] = {};
  const BlockEpilogue of_products{no_bias, bounds(Activation::none), block_channels,
                                  block_channels};
  BlockEpilogue of_block{epilogue.bias, bounds(epilogue.activation), g.out_channels, lanes};
  const int tile_columns = (g.out_width + tiles.tile_width - 1) / tiles.tile_width;
  const int tile_rows = (g.out_height + tiles.tile_height - 1) / tiles.tile_height;
  const int group_in = g.in_channels / g.groups;
  const int group_out = g.out_channels / g.groups;
  const std::ptrdiff_t next_transformed = std::ptrdiff_t{tile_count} * group_in;
  const std::ptrdiff_t next_product = std::ptrdiff_t{tile_count} * block_channels;
  float* const transformed = scratch;  // [point][tile][input channel]
  float* const products = scratch + tiles.points * next_transformed;  // [point][tile][block]

  const int step = epilogue.pooling == Pooling::max_2x2 ? 2 : 1;
  const WinogradStrides in_image{std::ptrdiff_t{g.in_width} * g.in_channels, g.in_channels};
  const WinogradStrides in_clipped{std::ptrdiff_t{tiles.input_width} * lanes, lanes};
  const WinogradStrides in_output{std::ptrdiff_t{g.out_width / step} * g.out_channels,
                                  g.out_channels};
  TapRuns channels{};
  channels.rows = 1;
  channels.runs_per_row = 1;
  channels.length = group_in;
  channels.next_pixel = group_in;
  for (int group = 0; group < g.groups; ++group, input += group_in) {
    for (int i = 0; i < tile_count; ++i) {
      const int tile = (first_tile + i) % (tile_rows * tile_columns);
      const int image = (first_tile + i) / (tile_rows * tile_columns);
      const int top = tile / tile_columns * tiles.tile_height - g.padding_y;
      const int left = tile % tile_columns * tiles.tile_width - g.padding_x;
      const bool whole = top >= 0 && left >= 0 && top + tiles.input_height <= g.in_height &&
                         left + tiles.input_width <= g.in_width;
      const float* from = input + image * g.in_height * in_image.row;
      float* to = transformed + std::ptrdiff_t{i} * group_in;
      for (int c = 0; c < group_in; c += lanes, from += lanes, to += lanes) {
        if (whole) {
          tiles.transform_input(from + top * in_image.row + left * in_image.pixel, in_image, to,
                                next_transformed);
        } else {
          float clipped[winograd_most_points * lanes];
          winograd_clip_tile(g, tiles, from, top, left, clipped);
          tiles.transform_input(clipped, in_clipped, to, next_transformed);
        }
      }
    }
    for (int block = 0; block < group_out; block += block_channels) {
      for (int point = 0; point < tiles.points; ++point) {
        conv2d_row(channels, transformed + point * next_transformed, packed, of_products, nullptr,
                   products + point * next_product, tile_count);
        packed += std::ptrdiff_t{group_in} * block_channels;
      }
      const int width = group_out - block < block_channels ? group_out - block : block_channels;
      for (int i = 0; i < tile_count; ++i) {
        const int tile = (first_tile + i) % (tile_rows * tile_columns);
        const int image = (first_tile + i) / (tile_rows * tile_columns);
        const int y = tile / tile_columns * tiles.tile_height;
        const int x = tile % tile_columns * tiles.tile_width;
        const int rows =
            g.out_height - y < tiles.tile_height ? g.out_height - y : tiles.tile_height;
        const int columns = g.out_width - x < tiles.tile_width ? g.out_width - x : tiles.tile_width;
        const std::ptrdiff_t first = (image * (g.out_height / step) + y / step) * in_output.row +
                                     x / step * in_output.pixel + group * group_out + block;
        for (int c = 0; c < width; c += lanes) {
          Vector outputs[winograd_most_points];
          tiles.transform_output(products + std::ptrdiff_t{i} * block_channels + c, next_product,
                                 rows, outputs);
          BlockEpilogue of_lanes = of_block;
          of_lanes.bias += c;
          const std::ptrdiff_t to = first + c;
          winograd_store_tile(outputs, tiles.tile_width, rows, columns, of_lanes, epilogue.pooling,
                              epilogue.added == nullptr ? nullptr : epilogue.added + to,
                              output + to, in_output);
        }
      }
      of_block.bias += block_channels;
    }
  }
}

/// Images are without padding; a group's input and output channels come in whole vectors, and the
/// stride is 1. `scratch` holds winograd::scratch_size floats for each image.
template <class Scheme>
inline void winograd_conv2d(const WindowGeometry& g, int images, const float* input,
                            const float* packed, const Epilogue& epilogue, float* scratch,
                            float* output) noexcept {
  constexpr WinogradTiles scheme = winograd_tiles_of<Scheme>();
  static_assert(scheme.points <= winograd_most_points, "local buffers hold every tile");
  const int tiles = images * WinogradTiling<Scheme>(g).tiles();
  int chunks = (tiles + winograd_tiles_at_once - 1) / winograd_tiles_at_once;
  for (int first = 0; chunks > 0; --chunks) {
    const int count = (tiles - first + chunks - 1) / chunks;
    winograd_run_tiles(g, scheme, first, count, input, packed, epilogue, scratch, output);
    first += count;
  }
}

}  // namespace mien::kernels::MIEN_SET
