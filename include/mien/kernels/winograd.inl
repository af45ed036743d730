// Fast minimal filtering, compiled once for each instruction set (see kernels.hpp).
//
// All input tiles are transformed; at each of the scheme's points a matrix product runs over the
// input channels, with the tiles as rows, through the register tiles of conv2d.inl; and a block of
// output channels is transformed back as soon as its products are there, while they are in cache.

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

/// Transforms one tile of `lanes` input channels; `from` is its upper left corner, and the points
/// go to `to`, next_point apart.
template <class Scheme>
inline void winograd_input_tile(const float* from, std::ptrdiff_t next_row,
                                std::ptrdiff_t next_pixel, float* to,
                                std::ptrdiff_t next_point) noexcept {
  constexpr int height = Scheme::Vertical::size;
  constexpr int width = Scheme::Horizontal::size;
  Vector grid[height][width];
  for (int x = 0; x < width; ++x) {
    Vector column[height];
    MIEN_UNROLL
    for (int y = 0; y < height; ++y) column[y] = load(from + y * next_row + x * next_pixel);
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
/// rows x columns outputs that exist.
template <class Scheme>
inline void winograd_output_tile(const float* from, std::ptrdiff_t next_point, const float* bias,
                                 Clamp clamp, float* to, std::ptrdiff_t next_row,
                                 std::ptrdiff_t next_pixel, int rows, int columns) noexcept {
  constexpr int height = Scheme::Vertical::size;
  constexpr int width = Scheme::Horizontal::size;
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
  for (int y = 0; y < rows; ++y) {
    Vector row[Scheme::Horizontal::tile];
    winograd_transform_output<typename Scheme::Horizontal, 1>(grid[y], row);
    for (int x = 0; x < columns; ++x) {
      const Vector sum = multiply_add(one, row[x], shift);
      store(to + y * next_row + x * next_pixel, minimum(maximum(sum, low), high));
    }
  }
}

/// `image` is padded to WinogradTiling's size; input and output channels come in whole vectors, and
/// stride and groups are 1. `scratch` holds winograd_scratch_size floats.
template <class Scheme>
inline void winograd_conv2d(const WindowGeometry& g, const float* image, const float* packed,
                            const float* bias, Clamp clamp, float* scratch,
                            float* output) noexcept {
  constexpr int points = Scheme::points;
  constexpr int tile_height = Scheme::Vertical::tile;
  constexpr int tile_width = Scheme::Horizontal::tile;
  constexpr float no_bias[conv2d_block] = {};
  const WinogradTiling<Scheme> tiling(g);
  const std::ptrdiff_t image_row = std::ptrdiff_t{tiling.padded_width()} * g.in_channels;
  const std::ptrdiff_t output_row = std::ptrdiff_t{g.out_width} * g.out_channels;
  const std::ptrdiff_t tile_count = tiling.tiles();
  float* const transformed = scratch;  // [point][tile][input channel]
  float* const products = scratch + points * tile_count * g.in_channels;  // [point][tile][block]

  std::ptrdiff_t tile = 0;
  for (int y = 0; y < tiling.rows; ++y) {
    for (int x = 0; x < tiling.columns; ++x, ++tile) {
      const float* from =
          image + y * tile_height * image_row + std::ptrdiff_t{x} * tile_width * g.in_channels;
      for (int c = 0; c < g.in_channels; c += lanes) {
        winograd_input_tile<Scheme>(from + c, image_row, g.in_channels,
                                    transformed + tile * g.in_channels + c,
                                    tile_count * g.in_channels);
      }
    }
  }

  TapRuns channels{};
  channels.rows = 1;
  channels.runs_per_row = 1;
  channels.length = g.in_channels;
  channels.next_pixel = g.in_channels;
  for (int block = 0; block < g.out_channels; block += conv2d_block) {
    for (int point = 0; point < points; ++point) {
      conv2d_row(channels, transformed + point * tile_count * g.in_channels, packed, no_bias,
                 no_clamp, products + point * tile_count * conv2d_block, conv2d_block, conv2d_block,
                 static_cast<int>(tile_count));
      packed += std::ptrdiff_t{g.in_channels} * conv2d_block;
    }
    for (int c = block; c < g.out_channels && c < block + conv2d_block; c += lanes) {
      tile = 0;
      for (int y = 0; y < g.out_height; y += tile_height) {
        for (int x = 0; x < g.out_width; x += tile_width, ++tile) {
          const int rows = g.out_height - y < tile_height ? g.out_height - y : tile_height;
          const int columns = g.out_width - x < tile_width ? g.out_width - x : tile_width;
          winograd_output_tile<Scheme>(
              products + tile * conv2d_block + (c - block), tile_count * conv2d_block, bias + c,
              clamp, output + y * output_row + std::ptrdiff_t{x} * g.out_channels + c, output_row,
              g.out_channels, rows, columns);
        }
      }
    }
  }
}
