// Minimal filtering: convolution in tiles by fewer multiplications (Winograd, "Arithmetic
// Complexity of Computations", 1980; Lavin and Gray, arXiv 1509.09308). Schemes and packing; the
// fast kernel is in winograd.inl, its reference is naive::conv2d.
#pragma once

#include <cstddef>

#include <mien/kernels/geometry.hpp>

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
  static_assert(size % 2 == 0 && pairs >= 2 && pairs <= 4, "points are chosen for 2 to 4 pairs");

  /// The positive points of the pairs: of all sets of sixteenths up to 3 those with the smallest
  /// error in single precision, or one within 2 % of it.
  static constexpr double point(int pair) {
    constexpr double points[3][4] = {
        {0.75, 1.5, 0, 0}, {0.5, 1, 2, 0}, {0.4375, 0.75, 1.125, 2.25}};
    return points[pairs - 2][pair];
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

/// Input and output channels are a multiple of this: whole vectors with every instruction set.
inline constexpr int winograd_channels = 16;

/// 2.25 values multiplied for each output instead of 9, or 3.3 instead of 25. Measured: 2.3 to 3
/// and 5 times as fast as the direct way with AVX-512. F(6x6,5x5) would be 1.2 times faster still,
/// but its rounding moves MiniFER's logits by up to 1.4e-4; this one by 4e-5.
using Winograd3x3 = WinogradScheme<4, 4, 3>;
using Winograd5x5 = WinogradScheme<4, 6, 5>;

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
  /// The image that the tiles read, its padding included.
  constexpr int padded_height() const { return rows * Scheme::Vertical::tile + Scheme::kernel - 1; }
  constexpr int padded_width() const {
    return columns * Scheme::Horizontal::tile + Scheme::kernel - 1;
  }
};

/// Length of the packed filters.
template <class Scheme>
constexpr std::size_t packed_winograd_size(const WindowGeometry& g, int block) {
  const int blocks = (g.out_channels + block - 1) / block;
  return static_cast<std::size_t>(Scheme::points) * static_cast<std::size_t>(g.in_channels) *
         static_cast<std::size_t>(blocks * block);
}

/// Floats of scratch memory for the transformed input and one block's products.
template <class Scheme>
constexpr std::size_t winograd_scratch_size(const WindowGeometry& g, int block) {
  return static_cast<std::size_t>(Scheme::points) *
         static_cast<std::size_t>(WinogradTiling<Scheme>(g).tiles()) *
         static_cast<std::size_t>(g.in_channels + block);
}

/// G of Lavin and Gray: the powers of each point, over the product of its distances to the others.
template <class Axis>
struct WinogradFilterTransform {
  double value[Axis::size][Axis::kernel] = {};

  constexpr WinogradFilterTransform() {
    value[Axis::size - 1][Axis::kernel - 1] = 1.0;
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
      for (int k = 0; k < Axis::kernel; ++k, power *= a) {
        value[1 + 2 * pair][k] = power;
        value[2 + 2 * pair][k] = k % 2 == 0 ? power : -power;
      }
    }
    value[0][0] = 1.0 / zero_distances;
  }
};

/// Transforms filters [O][I][Kernel][Kernel] and packs them as [block of O][point][I][O in block],
/// in double precision. `packed` holds packed_winograd_size zeros.
template <class Scheme>
void pack_winograd(const WindowGeometry& g, int block, const float* weights, float* packed) {
  using Vertical = typename Scheme::Vertical;
  using Horizontal = typename Scheme::Horizontal;
  constexpr int kernel = Scheme::kernel;
  constexpr WinogradFilterTransform<Vertical> vertical;
  constexpr WinogradFilterTransform<Horizontal> horizontal;
  // Several filters at a time, which compilers vectorise: 1.5 ms for MiniFER instead of 4.
  constexpr int together = 8;
  static_assert(winograd_channels % together == 0, "output channels come in whole groups");
  const std::ptrdiff_t filter_size = std::ptrdiff_t{g.in_channels} * kernel * kernel;
  for (int o = 0; o < g.out_channels; o += together) {
    for (int i = 0; i < g.in_channels; ++i) {
      const float* filters = weights + o * filter_size + i * kernel * kernel;
      double half[Vertical::size][kernel][together] = {};
      for (int y = 0; y < kernel; ++y) {
        for (int x = 0; x < kernel; ++x) {
          double tap[together];
          for (int f = 0; f < together; ++f) tap[f] = filters[f * filter_size + y * kernel + x];
          for (int p = 0; p < Vertical::size; ++p) {
            for (int f = 0; f < together; ++f) half[p][x][f] += vertical.value[p][y] * tap[f];
          }
        }
      }
      float* to = packed +
                  (std::ptrdiff_t{o / block} * Scheme::points * g.in_channels + i) * block +
                  o % block;
      for (int p = 0; p < Vertical::size; ++p) {
        for (int q = 0; q < Horizontal::size; ++q) {
          double value[together] = {};
          for (int x = 0; x < kernel; ++x) {
            for (int f = 0; f < together; ++f) value[f] += half[p][x][f] * horizontal.value[q][x];
          }
          for (int f = 0; f < together; ++f) to[f] = static_cast<float>(value[f]);
          to += std::ptrdiff_t{g.in_channels} * block;
        }
      }
    }
  }
}

}  // namespace mien::kernels
