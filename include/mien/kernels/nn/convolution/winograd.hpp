// Minimal filtering: convolution in tiles by fewer multiplications (Winograd, "Arithmetic
// Complexity of Computations", 1980; Lavin and Gray, arXiv 1509.09308). The fast kernel is in
// winograd.inl.
#pragma once

#include <cstddef>

#include <mien/config.hpp>
#include <mien/kernels/nn/convolution/method.hpp>
#include <mien/kernels/nn/geometry.hpp>
#include <mien/kernels/nn/kernel_table.hpp>
#include <mien/tensor.hpp>

namespace mien::kernels {

/// F(Tile, Kernel) in one dimension: Tile outputs from Size products of a transformed input and a
/// transformed filter, where Size = Tile + Kernel - 1.
///
/// The transforms evaluate polynomials at 0, at pairs of points +a and -a, and at infinity (Toom
/// and Cook). In a pair everything but a sign is shared: with x^2 R(x^2) + a x R(x^2) for the point
/// +a, the even and odd parts are computed once.
template <int TileSize, int KernelSize>
struct WinogradAxis {
  static constexpr int tile = TileSize;
  static constexpr int kernel = KernelSize;
  static constexpr int size = TileSize + KernelSize - 1;
  static constexpr int pairs = size / 2 - 1;
  static_assert(size % 2 == 0 && pairs >= 1 && pairs <= 4, "points are chosen for 1 to 4 pairs");

  /// The positive points of the pairs: of all sets of sixteenths up to 3 those with the smallest
  /// error in single precision, or one within 2 % of it.
  static constexpr double point(int pair) {
    constexpr double points[4][4] = {
        {1, 0, 0, 0}, {0.75, 1.5, 0, 0}, {0.5, 1, 2, 0}, {0.4375, 0.75, 1.125, 2.25}};
    return points[pairs - 1][pair];
  }
};

/// F(TileHeight x TileWidth, Kernel x Kernel): a tile by two one-dimensional schemes.
template <int TileHeight, int TileWidth, int Kernel>
struct WinogradScheme {
  using Vertical = WinogradAxis<TileHeight, Kernel>;
  using Horizontal = WinogradAxis<TileWidth, Kernel>;
  static constexpr int kernel = Kernel;
  static constexpr int points = Vertical::size * Horizontal::size;
};

/// Input and output channels of a group are a multiple of this: whole vectors with every
/// instruction set.
inline constexpr int winograd_channels = 16;

/// 2.25 values multiplied for each output instead of 9, or 2.8 instead of 25. Measured with
/// AVX-512: 2.3 to 3 and 7 times as fast as the direct method. Rounding moves MiniFER's logits by
/// up to 1.4e-4; F(4x6,5x5) would move them by 4e-5, in 1.3 times the time.
using Winograd3x3 = WinogradScheme<4, 4, 3>;
using Winograd5x5 = WinogradScheme<6, 6, 5>;

/// For images of so few pixels that larger filters would not pay: 4 values multiplied instead of 9.
/// Measured with AVX-512 on 6x6 pixels of 256 channels: 1.7 times as fast as the direct method.
using Winograd3x3Small = WinogradScheme<2, 2, 3>;

/// The most points that a scheme has.
inline constexpr int winograd_most_points = Winograd5x5::points;

/// An axis's numbers, as floats for the kernel.
template <class Axis>
struct WinogradConstants {
  float all_pairs[Axis::pairs] = {};                 ///< S without its leading 1
  float other_pairs[Axis::pairs][Axis::pairs] = {};  ///< R of each pair, leading 1 last
  float point[Axis::pairs] = {};
  float power[Axis::pairs][Axis::tile] = {};  ///< point^0, point^1, ...

  constexpr WinogradConstants() {
    // S(y) is the product of (y - a^2) over all pairs, R(y) over all but one.
    double all[Axis::pairs + 1] = {};
    multiply(all, Axis::pairs);
    for (int k = 0; k < Axis::pairs; ++k) all_pairs[k] = static_cast<float>(all[k]);
    for (int pair = 0; pair < Axis::pairs; ++pair) {
      double others[Axis::pairs + 1] = {};
      multiply(others, pair);
      double value = 1.0;
      for (int k = 0; k < Axis::pairs; ++k) other_pairs[pair][k] = static_cast<float>(others[k]);
      for (int k = 0; k < Axis::tile; ++k, value *= Axis::point(pair)) {
        power[pair][k] = static_cast<float>(value);
      }
      point[pair] = static_cast<float>(Axis::point(pair));
    }
  }

 private:
  /// The product of (y - a^2) over all pairs but one; coefficients from y^0.
  static constexpr void multiply(double* polynomial, int left_out) {
    polynomial[0] = 1.0;
    for (int pair = 0; pair < Axis::pairs; ++pair) {
      if (pair == left_out) continue;
      const double square = Axis::point(pair) * Axis::point(pair);
      for (int k = Axis::pairs; k > 0; --k) {
        polynomial[k] = polynomial[k - 1] - square * polynomial[k];
      }
      polynomial[0] *= -square;
    }
  }
};

template <class Axis>
inline constexpr WinogradConstants<Axis> winograd_constants{};

/// How a scheme covers an output.
template <class Scheme>
struct WinogradTiling {
  int rows;
  int columns;

  explicit constexpr WinogradTiling(const WindowGeometry& g)
      : rows((g.out_height + Scheme::Vertical::tile - 1) / Scheme::Vertical::tile),
        columns((g.out_width + Scheme::Horizontal::tile - 1) / Scheme::Horizontal::tile) {}

  constexpr int tiles() const { return rows * columns; }
};

/// Tiles, of whatever image of a batch, that are worked on at a time: enough to use each filter
/// several times, few enough for their points to stay in the second cache.
inline constexpr int winograd_tiles_at_once = 18;

namespace winograd {

/// With fewer tiles the products wait for their filters, which are larger than untransformed ones:
/// measured, 5x5 pixels of 512 channels (4 tiles of 4x4) are slower than by the direct method,
/// 10x10 pixels of 256 channels (9 tiles) twice as fast.
template <class Scheme>
constexpr bool suits(const WindowGeometry& g) {
  constexpr int fewest_tiles = 9;
  return !g.is_dilated() && g.stride_y == 1 && g.stride_x == 1 &&
         g.kernel_height == Scheme::kernel && g.kernel_width == Scheme::kernel &&
         g.in_channels / g.groups % winograd_channels == 0 &&
         g.out_channels / g.groups % winograd_channels == 0 &&
         WinogradTiling<Scheme>(g).tiles() >= fewest_tiles;
}

/// Floats for a group's transformed input and one block's products.
template <class Scheme>
constexpr std::size_t scratch_size(const WindowGeometry& g) {
  const int tiles = WinogradTiling<Scheme>(g).tiles();
  const int at_once = tiles < winograd_tiles_at_once ? tiles : winograd_tiles_at_once;
  return mien::detail::aligned_size(
      static_cast<std::size_t>(Scheme::points) * static_cast<std::size_t>(at_once) *
      static_cast<std::size_t>(g.in_channels / g.groups + largest_block));
}

/// Length of the packed filters.
template <class Scheme>
constexpr std::size_t packed_size(const WindowGeometry& g, int block) {
  const int blocks = (g.out_channels / g.groups + block - 1) / block;
  return static_cast<std::size_t>(Scheme::points) * static_cast<std::size_t>(g.in_channels) *
         static_cast<std::size_t>(blocks * block);
}

/// Transform filters [O][I / groups][Kernel][Kernel], in double precision, and pack them as
/// [group][block of O][point][I / groups][O in block].
void pack_3x3(const WindowGeometry& g, int block, const float* weight, float* packed);
void run_3x3(const KernelTable& table, const WindowGeometry& g, int count, const float* input,
             const float* packed, const Epilogue& epilogue, float* scratch, float* output) noexcept;
void pack_3x3_small(const WindowGeometry& g, int block, const float* weight, float* packed);
void run_3x3_small(const KernelTable& table, const WindowGeometry& g, int count, const float* input,
                   const float* packed, const Epilogue& epilogue, float* scratch,
                   float* output) noexcept;
void pack_5x5(const WindowGeometry& g, int block, const float* weight, float* packed);
void run_5x5(const KernelTable& table, const WindowGeometry& g, int count, const float* input,
             const float* packed, const Epilogue& epilogue, float* scratch, float* output) noexcept;

template <class Scheme>
constexpr ConvolutionMethod method(const char* name, decltype(ConvolutionMethod::pack) pack,
                                   decltype(ConvolutionMethod::run) run) {
  ConvolutionMethod m{};
  m.name = name;
  m.suits = &suits<Scheme>;
  m.can_pool = true;
  m.in_blocks = true;
  m.scratch_size = &scratch_size<Scheme>;
  m.packed_size = &packed_size<Scheme>;
  m.pack = pack;
  m.run = run;
  return m;
}

}  // namespace winograd

inline constexpr ConvolutionMethod winograd_3x3_method =
    winograd::method<Winograd3x3>("winograd_3x3", &winograd::pack_3x3, &winograd::run_3x3);
inline constexpr ConvolutionMethod winograd_3x3_small_method = winograd::method<Winograd3x3Small>(
    "winograd_3x3_small", &winograd::pack_3x3_small, &winograd::run_3x3_small);
inline constexpr ConvolutionMethod winograd_5x5_method =
    winograd::method<Winograd5x5>("winograd_5x5", &winograd::pack_5x5, &winograd::run_5x5);

}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

namespace mien::kernels::winograd {

/// What the filter transform, G of Lavin and Gray, multiplies by: each point's powers over the
/// product of its distances to the other points.
template <class Axis>
struct WinogradFilterConstants {
  double zero = 1.0;
  double powers[Axis::pairs][Axis::kernel] = {};

  constexpr WinogradFilterConstants() {
    double zero_distances = 1.0;
    for (int pair = 0; pair < Axis::pairs; ++pair) {
      const double a = Axis::point(pair);
      zero_distances *= -a * a;
      double distances = 2.0 * a * a;
      for (int other = 0; other < Axis::pairs; ++other) {
        const double b = Axis::point(other);
        if (other != pair) distances *= a * a - b * b;
      }
      double power = 1.0 / distances;
      for (int k = 0; k < Axis::kernel; ++k, power *= a) powers[pair][k] = power;
    }
    zero = 1.0 / zero_distances;
  }
};

/// Filters that are transformed together.
inline constexpr int winograd_filters = 8;
static_assert(winograd_channels % winograd_filters == 0, "output channels come in whole groups");

/// A number of each filter: the compiler's own vector where it has one. MiniFER takes 1.1 ms at -O2
/// then, instead of 2.5 by loops.
#if defined(__GNUC__) || defined(__clang__)
using WinogradFilters = double __attribute__((vector_size(winograd_filters * sizeof(double))));
#else
struct WinogradFilters {
  double values[winograd_filters];

  double& operator[](int i) noexcept { return values[i]; }
  const double& operator[](int i) const noexcept { return values[i]; }
  WinogradFilters& operator+=(const WinogradFilters& other) noexcept {
    for (int i = 0; i < winograd_filters; ++i) values[i] += other[i];
    return *this;
  }
  friend WinogradFilters operator+(WinogradFilters a, const WinogradFilters& b) noexcept {
    return a += b;
  }
  friend WinogradFilters operator-(WinogradFilters a, const WinogradFilters& b) noexcept {
    return a += -1.0 * b;
  }
  friend WinogradFilters operator*(double factor, WinogradFilters v) noexcept {
    for (int i = 0; i < winograd_filters; ++i) v[i] *= factor;
    return v;
  }
};
#endif

/// `Axis::kernel` taps to `Axis::size` points, both Apart elements apart.
template <class Axis, int Apart>
void transform_filters(const WinogradFilters* taps, WinogradFilters* points) {
  constexpr WinogradFilterConstants<Axis> constants;
  points[0] = constants.zero * taps[0];
  for (int pair = 0; pair < Axis::pairs; ++pair) {
    const double* const powers = constants.powers[pair];
    WinogradFilters even = powers[0] * taps[0];
    WinogradFilters odd = powers[1] * taps[Apart];
    for (int k = 2; k < Axis::kernel; k += 2) even += powers[k] * taps[k * Apart];
    for (int k = 3; k < Axis::kernel; k += 2) odd += powers[k] * taps[k * Apart];
    points[(1 + 2 * pair) * Apart] = even + odd;
    points[(2 + 2 * pair) * Apart] = even - odd;
  }
  points[(Axis::size - 1) * Apart] = taps[(Axis::kernel - 1) * Apart];
}

/// Transforms filters [O][I / groups][Kernel][Kernel] and packs them as
/// [group][block of O][point][I / groups][O in block], in double precision. `packed` holds
/// packed_size zeros.
template <class Scheme>
void pack_filters(const WindowGeometry& g, int block, const float* weight, float* packed) {
  using Vertical = typename Scheme::Vertical;
  using Horizontal = typename Scheme::Horizontal;
  constexpr int kernel = Scheme::kernel;
  constexpr int taps = kernel * kernel;
  const int group_in = g.in_channels / g.groups;
  const int group_out = g.out_channels / g.groups;
  const int blocks = (group_out + block - 1) / block;
  const std::ptrdiff_t filter_size = std::ptrdiff_t{group_in} * taps;
  const std::ptrdiff_t next_point = std::ptrdiff_t{group_in} * block;
  for (int o = 0; o < g.out_channels; o += winograd_filters) {
    const int channel = o % group_out;
    const int block_number = o / group_out * blocks + channel / block;
    for (int i = 0; i < group_in; ++i) {
      const float* from = weight + o * filter_size + std::ptrdiff_t{i} * taps;
      WinogradFilters filters[std::size_t{taps}];
      for (int f = 0; f < winograd_filters; ++f, from += filter_size) {
        for (int tap = 0; tap < taps; ++tap) filters[tap][f] = from[tap];
      }
      WinogradFilters columns[Vertical::size * kernel];
      for (int x = 0; x < kernel; ++x) {
        transform_filters<Vertical, kernel>(filters + x, columns + x);
      }
      float* to = packed + std::ptrdiff_t{block_number} * Scheme::points * next_point +
                  std::ptrdiff_t{i} * block + channel % block;
      for (int p = 0; p < Vertical::size; ++p) {
        WinogradFilters row[Horizontal::size];
        transform_filters<Horizontal, 1>(columns + p * kernel, row);
        for (int q = 0; q < Horizontal::size; ++q, to += next_point) {
          for (int f = 0; f < winograd_filters; ++f) to[f] = static_cast<float>(row[q][f]);
        }
      }
    }
  }
}

MIEN_INLINE void pack_3x3(const WindowGeometry& g, int block, const float* weight, float* packed) {
  pack_filters<Winograd3x3>(g, block, weight, packed);
}
MIEN_INLINE void run_3x3(const KernelTable& table, const WindowGeometry& g, int count,
                         const float* input, const float* packed, const Epilogue& epilogue,
                         float* scratch, float* output) noexcept {
  table.winograd_3x3(g, count, input, packed, epilogue, scratch, output);
}

MIEN_INLINE void pack_3x3_small(const WindowGeometry& g, int block, const float* weight,
                                float* packed) {
  pack_filters<Winograd3x3Small>(g, block, weight, packed);
}
MIEN_INLINE void run_3x3_small(const KernelTable& table, const WindowGeometry& g, int count,
                               const float* input, const float* packed, const Epilogue& epilogue,
                               float* scratch, float* output) noexcept {
  table.winograd_3x3_small(g, count, input, packed, epilogue, scratch, output);
}

MIEN_INLINE void pack_5x5(const WindowGeometry& g, int block, const float* weight, float* packed) {
  pack_filters<Winograd5x5>(g, block, weight, packed);
}
MIEN_INLINE void run_5x5(const KernelTable& table, const WindowGeometry& g, int count,
                         const float* input, const float* packed, const Epilogue& epilogue,
                         float* scratch, float* output) noexcept {
  table.winograd_5x5(g, count, input, packed, epilogue, scratch, output);
}

}  // namespace mien::kernels::winograd

#endif  // MIEN_HAS_DEFINITIONS
