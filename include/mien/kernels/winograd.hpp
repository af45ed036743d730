// Minimal filtering: convolution in tiles by fewer multiplications (Winograd, "Arithmetic
// Complexity of Computations", 1980; Lavin and Gray, arXiv 1509.09308). Schemes and packing; the
// fast kernel is in winograd.inl, its reference is naive::conv2d.
#pragma once

#include <cstddef>

#include <mien/kernels/geometry.hpp>

namespace mien::kernels {

/// F(Tile x Tile, Kernel x Kernel): an output tile from Size x Size products of a transformed input
/// tile and a transformed filter, where Size = Tile + Kernel - 1.
///
/// The transforms evaluate polynomials at 0, at pairs of points +a and -a, and at infinity (Toom
/// and Cook). In a pair everything but a sign is shared: with x^2 R(x^2) + a x R(x^2) for the point
/// +a, the even and odd parts are computed once.
template <int TileSize, int KernelSize>
struct WinogradScheme {
  static constexpr int tile = TileSize;
  static constexpr int kernel = KernelSize;
  static constexpr int size = TileSize + KernelSize - 1;
  static constexpr int pairs = size / 2 - 1;
  static_assert(size % 2 == 0 && (pairs == 2 || pairs == 3), "points are chosen for 2 or 3 pairs");

  /// The positive points of the pairs: of all sets of eighths up to 3 those with the smallest error
  /// in single precision, or one within 2 % of it.
  static constexpr double point(int pair) {
    constexpr double of_two[] = {0.75, 1.5};
    constexpr double of_three[] = {0.5, 1.0, 2.0};
    return pairs == 2 ? of_two[pair] : of_three[pair];
  }
};

/// Input and output channels are a multiple of this: whole vectors with every instruction set.
inline constexpr int winograd_channels = 16;

/// 2.25 values multiplied for each output instead of 9, or 4 instead of 25. Measured: 2.3 to 3 and
/// 4 times as fast as the direct way with AVX-512. F(6x6,5x5) would be 1.5 times faster still, but
/// its rounding moves MiniFER's logits by up to 1.4e-4.
using Winograd3x3 = WinogradScheme<4, 3>;
using Winograd5x5 = WinogradScheme<4, 5>;

/// A scheme's numbers, as floats for the kernel.
template <class Scheme>
struct WinogradConstants {
  float zero[Scheme::pairs] = {};                     ///< S without its leading 1
  float odd_even[Scheme::pairs][Scheme::pairs] = {};  ///< R of each pair, leading 1 last
  float point[Scheme::pairs] = {};
  float power[Scheme::pairs][Scheme::tile] = {};  ///< point^0, point^1, ...

  constexpr WinogradConstants() {
    // S(y) is the product of (y - a^2) over all pairs, R(y) over all but one.
    double all[Scheme::pairs + 1] = {};
    multiply(all, Scheme::pairs);
    for (int k = 0; k < Scheme::pairs; ++k) zero[k] = static_cast<float>(all[k]);
    for (int pair = 0; pair < Scheme::pairs; ++pair) {
      double others[Scheme::pairs + 1] = {};
      multiply(others, pair);
      double value = 1.0;
      for (int k = 0; k < Scheme::pairs; ++k) odd_even[pair][k] = static_cast<float>(others[k]);
      for (int k = 0; k < Scheme::tile; ++k, value *= Scheme::point(pair)) {
        power[pair][k] = static_cast<float>(value);
      }
      point[pair] = static_cast<float>(Scheme::point(pair));
    }
  }

 private:
  /// The product of (y - a^2) over all pairs but one; coefficients from y^0.
  static constexpr void multiply(double* polynomial, int left_out) {
    polynomial[0] = 1.0;
    for (int pair = 0; pair < Scheme::pairs; ++pair) {
      if (pair == left_out) continue;
      const double square = Scheme::point(pair) * Scheme::point(pair);
      for (int k = Scheme::pairs; k > 0; --k) {
        polynomial[k] = polynomial[k - 1] - square * polynomial[k];
      }
      polynomial[0] *= -square;
    }
  }
};

template <class Scheme>
inline constexpr WinogradConstants<Scheme> winograd_constants{};

/// How a scheme covers an output.
template <class Scheme>
struct WinogradTiling {
  int rows;
  int columns;

  explicit constexpr WinogradTiling(const WindowGeometry& g)
      : rows((g.out_height + Scheme::tile - 1) / Scheme::tile),
        columns((g.out_width + Scheme::tile - 1) / Scheme::tile) {}

  constexpr int tiles() const { return rows * columns; }
  /// The image that the tiles read, its padding included.
  constexpr int padded_height() const { return rows * Scheme::tile + Scheme::kernel - 1; }
  constexpr int padded_width() const { return columns * Scheme::tile + Scheme::kernel - 1; }
};

/// Length of the packed filters.
template <class Scheme>
constexpr std::size_t packed_winograd_size(const WindowGeometry& g, int block) {
  const int blocks = (g.out_channels + block - 1) / block;
  return static_cast<std::size_t>(Scheme::size * Scheme::size) *
         static_cast<std::size_t>(g.in_channels) * static_cast<std::size_t>(blocks * block);
}

/// Floats of scratch memory for the transformed input and one block's products.
template <class Scheme>
constexpr std::size_t winograd_scratch_size(const WindowGeometry& g, int block) {
  return static_cast<std::size_t>(Scheme::size * Scheme::size) *
         static_cast<std::size_t>(WinogradTiling<Scheme>(g).tiles()) *
         static_cast<std::size_t>(g.in_channels + block);
}

/// Transforms filters [O][I][Kernel][Kernel] and packs them as [block of O][point][I][O in block],
/// in double precision. `packed` holds packed_winograd_size zeros.
template <class Scheme>
void pack_winograd(const WindowGeometry& g, int block, const float* weights, float* packed) {
  constexpr int size = Scheme::size;
  constexpr int kernel = Scheme::kernel;
  // G: the powers of each point, over the product of its distances to the others.
  double evaluate[size][kernel] = {};
  evaluate[size - 1][kernel - 1] = 1.0;
  double zero_distances = 1.0;
  for (int pair = 0; pair < Scheme::pairs; ++pair) {
    const double a = Scheme::point(pair);
    zero_distances *= -a * a;
    double distances = 2.0 * a * a;
    for (int other = 0; other < Scheme::pairs; ++other) {
      const double b = Scheme::point(other);
      if (other != pair) distances *= a * a - b * b;
    }
    double power = 1.0 / distances;
    for (int k = 0; k < kernel; ++k, power *= a) {
      evaluate[1 + 2 * pair][k] = power;
      evaluate[2 + 2 * pair][k] = k % 2 == 0 ? power : -power;
    }
  }
  evaluate[0][0] = 1.0 / zero_distances;

  for (int o = 0; o < g.out_channels; ++o) {
    for (int i = 0; i < g.in_channels; ++i) {
      const float* filter = weights + (std::ptrdiff_t{o} * g.in_channels + i) * kernel * kernel;
      double half[size][kernel] = {};
      for (int p = 0; p < size; ++p) {
        for (int y = 0; y < kernel; ++y) {
          for (int x = 0; x < kernel; ++x) {
            half[p][x] += evaluate[p][y] * double{filter[y * kernel + x]};
          }
        }
      }
      float* to = packed + (std::ptrdiff_t{o / block} * size * size * g.in_channels + i) * block +
                  o % block;
      for (int p = 0; p < size; ++p) {
        for (int q = 0; q < size; ++q) {
          double value = 0.0;
          for (int x = 0; x < kernel; ++x) value += half[p][x] * evaluate[q][x];
          to[(std::ptrdiff_t{p} * size + q) * g.in_channels * block] = static_cast<float>(value);
        }
      }
    }
  }
}

}  // namespace mien::kernels
