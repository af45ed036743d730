// Fast minimal filtering, compiled once for each instruction set (see kernels.hpp).
//
// Input tiles are transformed; at each of the scheme's points a matrix product runs over the input
// channels, with the tiles as rows, through the register tiles of conv2d.inl; and a block of output
// channels is transformed back as soon as its products are there, while they are in cache.

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
  Vector sums[pairs];
  Vector differences[pairs];
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

/// Where a tile lies: its image's first value and the corner of its outputs there.
struct WinogradPlace {
  int image;
  int y;
  int x;
};

template <class Scheme>
inline WinogradPlace winograd_place(const WinogradTiling<Scheme>& tiling, int tile) noexcept {
  const int in_image = tile % tiling.tiles();
  return {tile / tiling.tiles(), in_image / tiling.columns * Scheme::Vertical::tile,
          in_image % tiling.columns * Scheme::Horizontal::tile};
}

/// Transforms one tile of `lanes` input channels; its points go to `to`, next_point apart. `input`
/// is the first value of the image's channels; top and left are the tile's corner, which may lie
/// outside, as may other parts of the tile unless Whole.
template <class Scheme, bool Whole>
inline void winograd_input_tile(const WindowGeometry& g, const float* input, int top, int left,
                                float* to, std::ptrdiff_t next_point) noexcept {
  constexpr int height = Scheme::Vertical::size;
  constexpr int width = Scheme::Horizontal::size;
  const std::ptrdiff_t next_row = std::ptrdiff_t{g.in_width} * g.in_channels;
  Vector grid[height][width];
  for (int x = 0; x < width; ++x) {
    const bool inside_x = Whole || (left + x >= 0 && left + x < g.in_width);
    const float* from = input + top * next_row + std::ptrdiff_t{left + x} * g.in_channels;
    Vector column[height];
    MIEN_UNROLL
    for (int y = 0; y < height; ++y) {
      const bool inside = Whole || (inside_x && top + y >= 0 && top + y < g.in_height);
      column[y] = inside ? load(from + y * next_row) : broadcast(0.0f);
    }
    winograd_transform_input<typename Scheme::Vertical, width>(column, &grid[0][x]);
  }
  for (int y = 0; y < height; ++y) {
    Vector row[width];
    winograd_transform_input<typename Scheme::Horizontal, 1>(grid[y], row);
    MIEN_UNROLL
    for (int x = 0; x < width; ++x) store(to + (y * width + x) * next_point, row[x]);
  }
}

/// Transforms one tile's products back, `lanes` output channels of them, and writes those of its
/// rows x columns outputs that exist, or the largest of every 2x2 of them.
template <class Scheme, bool Pooled>
inline void winograd_output_tile(const float* from, std::ptrdiff_t next_point, const float* bias,
                                 Clamp clamp, float* to, std::ptrdiff_t next_row,
                                 std::ptrdiff_t next_pixel, int rows, int columns) noexcept {
  constexpr int height = Scheme::Vertical::size;
  constexpr int width = Scheme::Horizontal::size;
  constexpr int step = Pooled ? 2 : 1;
  Vector grid[Scheme::Vertical::tile][width];
  for (int x = 0; x < width; ++x) {
    Vector column[height];
    MIEN_UNROLL
    for (int y = 0; y < height; ++y) column[y] = load(from + (y * width + x) * next_point);
    winograd_transform_output<typename Scheme::Vertical, width>(column, &grid[0][x]);
  }
  const Vector shift = load(bias);
  const Vector one = broadcast(1.0f);
  const Vector low = broadcast(clamp.low);
  const Vector high = broadcast(clamp.high);
  for (int y = 0; y + step <= rows; y += step, to += next_row) {
    Vector row[step][Scheme::Horizontal::tile];
    MIEN_UNROLL
    for (int i = 0; i < step; ++i) {
      winograd_transform_output<typename Scheme::Horizontal, 1>(grid[y + i], row[i]);
    }
    for (int x = 0; x + step <= columns; x += step) {
      Vector sum = row[0][x];
      if constexpr (Pooled) {
        sum = maximum(maximum(sum, row[0][x + 1]), maximum(row[1][x], row[1][x + 1]));
      }
      sum = multiply_add(one, sum, shift);
      store(to + x / step * next_pixel, minimum(maximum(sum, low), high));
    }
  }
}

template <class Scheme, bool Pooled>
inline void winograd_tiles(const WindowGeometry& g, int first_tile, int tile_count,
                           const float* input, const float* packed, const float* bias, Clamp clamp,
                           float* scratch, float* output) noexcept {
  constexpr int points = Scheme::points;
  constexpr float no_bias[conv2d_block] = {};
  const WinogradTiling<Scheme> tiling(g);
  const int group_in = g.in_channels / g.groups;
  const int group_out = g.out_channels / g.groups;
  const std::ptrdiff_t next_transformed = std::ptrdiff_t{tile_count} * group_in;
  const std::ptrdiff_t next_product = std::ptrdiff_t{tile_count} * conv2d_block;
  float* const transformed = scratch;                           // [point][tile][input channel]
  float* const products = scratch + points * next_transformed;  // [point][tile][block]

  constexpr int step = Pooled ? 2 : 1;
  const std::ptrdiff_t image_size = std::ptrdiff_t{g.in_height} * g.in_width * g.in_channels;
  const std::ptrdiff_t next_row = std::ptrdiff_t{g.out_width / step} * g.out_channels;
  const std::ptrdiff_t output_size = g.out_height / step * next_row;
  TapRuns channels{};
  channels.rows = 1;
  channels.runs_per_row = 1;
  channels.length = group_in;
  channels.next_pixel = group_in;
  for (int group = 0; group < g.groups; ++group, input += group_in, output += group_out) {
    for (int i = 0; i < tile_count; ++i) {
      const WinogradPlace place = winograd_place(tiling, first_tile + i);
      const int top = place.y - g.padding_y;
      const int left = place.x - g.padding_x;
      const bool whole = top >= 0 && left >= 0 && top + Scheme::Vertical::size <= g.in_height &&
                         left + Scheme::Horizontal::size <= g.in_width;
      const auto transform =
          whole ? &winograd_input_tile<Scheme, true> : &winograd_input_tile<Scheme, false>;
      for (int c = 0; c < group_in; c += lanes) {
        transform(g, input + place.image * image_size + c, top, left,
                  transformed + std::ptrdiff_t{i} * group_in + c, next_transformed);
      }
    }
    for (int block = 0; block < group_out; block += conv2d_block, bias += conv2d_block) {
      for (int point = 0; point < points; ++point) {
        conv2d_row(channels, transformed + point * next_transformed, packed, no_bias, no_clamp,
                   products + point * next_product, conv2d_block, conv2d_block, tile_count);
        packed += std::ptrdiff_t{group_in} * conv2d_block;
      }
      const int width = group_out - block < conv2d_block ? group_out - block : conv2d_block;
      for (int i = 0; i < tile_count; ++i) {
        const WinogradPlace place = winograd_place(tiling, first_tile + i);
        const int rows_left = g.out_height - place.y;
        const int columns_left = g.out_width - place.x;
        float* const to = output + place.image * output_size + place.y / step * next_row +
                          std::ptrdiff_t{place.x / step} * g.out_channels + block;
        for (int c = 0; c < width; c += lanes) {
          winograd_output_tile<Scheme, Pooled>(
              products + std::ptrdiff_t{i} * conv2d_block + c, next_product, bias + c, clamp,
              to + c, next_row, g.out_channels,
              rows_left < Scheme::Vertical::tile ? rows_left : Scheme::Vertical::tile,
              columns_left < Scheme::Horizontal::tile ? columns_left : Scheme::Horizontal::tile);
        }
      }
    }
  }
}

/// Images are without padding; a group's input and output channels come in whole vectors, and the
/// stride is 1. `bias` is padded as the packed weights' channels are; `scratch` holds
/// winograd_scratch_size floats for each image.
template <class Scheme>
inline void winograd_conv2d(const WindowGeometry& g, int images, const float* input,
                            const float* packed, const float* bias, Clamp clamp, Pooling pooling,
                            float* scratch, float* output) noexcept {
  const int tiles = images * WinogradTiling<Scheme>(g).tiles();
  int chunks = (tiles + winograd_tiles_at_once - 1) / winograd_tiles_at_once;
  for (int first = 0; chunks > 0; --chunks) {
    const int count = (tiles - first + chunks - 1) / chunks;
    const auto run = pooling == Pooling::max_2x2 ? &winograd_tiles<Scheme, true>
                                                 : &winograd_tiles<Scheme, false>;
    run(g, first, count, input, packed, bias, clamp, scratch, output);
    first += count;
  }
}
