// A 1x1 convolution, a depthwise 3x3 convolution of what it puts out and perhaps 2x2 pooling, band
// by band of rows, so that what lies between them stays in the second cache: it is as large as the
// output, and would else go to memory and back.
// YuNet's network takes 0.85 of the time at 640x480 pixels and 0.75 at 1280x960 (AVX2, Zen 3; both
// builds in turns beside other programs).
#pragma once

#include <cstddef>

#include <mien/config.hpp>
#include <mien/kernels/nn/convolution/packed_convolution.hpp>
#include <mien/kernels/nn/geometry.hpp>
#include <mien/kernels/nn/kernel_table.hpp>
#include <mien/tensor.hpp>

namespace mien::kernels {

/// Immutable when constructed.
class PointwiseDepthwise {
 public:
  /// `pointwise` is one that is_pointwise(), that of `depthwise` 3x3 with padding
  /// 1 on all sides.
  static constexpr bool suits_depthwise(const WindowGeometry& g) {
    return depthwise::suits(g) && g.kernel_height == 3 && g.kernel_width == 3 && g.stride_y == 1 &&
           g.stride_x == 1 && g.padding_y == 1 && g.padding_x == 1 && !g.is_dilated() &&
           g.out_height == g.in_height && g.out_width == g.in_width;
  }

  /// Floats for one image, and for any number of them.
  static constexpr std::size_t scratch_size(const WindowGeometry& pointwise, bool pools) {
    const std::size_t size = between_size(pointwise) + bytes_size(pointwise);
    return pools ? size + mien::detail::aligned_size(product(pointwise, band_rows(pointwise)))
                 : size;
  }

  struct Weights {
    const float* weight;  ///< as PyTorch has them
    const float* bias;
    const QuantizedWeights* quantized = nullptr;  ///< in place of `weight`

    MIEN_COLD PackedConvolution packed(const WindowGeometry& geometry,
                                       Activation activation) const {
      if (quantized != nullptr) return {geometry, *quantized, bias, activation};
      return {geometry, weight, bias, activation};
    }
  };

  MIEN_COLD PointwiseDepthwise(const WindowGeometry& pointwise, const Weights& pointwise_weights,
                               const Weights& depthwise_weights, Activation activation,
                               Pooling pooling);

  /// As PackedConvolution::run.
  void run(int count, const float* input, const float* added, float* scratch,
           float* output) const noexcept;

 private:
  /// Bytes of the rows between the convolutions: half of a common second cache.
  static constexpr std::size_t band_bytes = 128 * 1024;

  static constexpr std::size_t product(const WindowGeometry& pointwise, int rows) {
    return WindowGeometry::product(pointwise.out_channels, rows, pointwise.out_width);
  }

  /// Rows of a band's sums: an even number, so that they can be pooled.
  static constexpr int band_rows(const WindowGeometry& pointwise) {
    const std::size_t row = sizeof(float) * product(pointwise, 1);
    const std::size_t rows = band_bytes / row;
    const auto height = static_cast<std::size_t>(pointwise.out_height) + 1;
    const std::size_t most = rows < height ? rows : height;
    return most < 6 ? 4 : static_cast<int>((most - 2) / 2 * 2);
  }

  /// A band's sums and the rows above and below that they see.
  static constexpr std::size_t between_size(const WindowGeometry& pointwise) {
    return mien::detail::aligned_size(product(pointwise, band_rows(pointwise) + 2));
  }

  /// The rows of the input or of what lies between that a band sees, where products have 8 bits.
  static constexpr std::size_t bytes_size(const WindowGeometry& pointwise) {
    const int rows = band_rows(pointwise) + 2;
    const std::size_t of_input =
        static_cast<std::size_t>(rows) * quantized::scratch_size(row_of(pointwise));
    WindowGeometry band = depthwise_of(pointwise);
    band.in_height = band.out_height = rows;
    const std::size_t between = quantized::scratch_size(band);
    return of_input < between ? between : of_input;
  }

  static constexpr WindowGeometry row_of(WindowGeometry pointwise) {
    pointwise.in_height = 1;
    pointwise.out_height = 1;
    return pointwise;
  }

  static constexpr WindowGeometry depthwise_of(const WindowGeometry& pointwise) {
    WindowGeometry g = pointwise;
    g.in_channels = pointwise.out_channels;
    g.groups = pointwise.out_channels;
    g.kernel_height = 3;
    g.kernel_width = 3;
    g.padding_y = 1;
    g.padding_x = 1;
    return g;
  }

  void run_image(const float* input, const float* added, float* scratch,
                 float* output) const noexcept;

  WindowGeometry geometry_;
  WindowGeometry depthwise_geometry_;
  bool pools_;
  const KernelTable* table_;
  PackedConvolution pointwise_;
  PackedConvolution depthwise_;
};

}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

#include <algorithm>

namespace mien::kernels {

MIEN_INLINE PointwiseDepthwise::PointwiseDepthwise(const WindowGeometry& pointwise,
                                                   const Weights& pointwise_weights,
                                                   const Weights& depthwise_weights,
                                                   Activation activation, Pooling pooling)
    : geometry_(pointwise),
      depthwise_geometry_(depthwise_of(pointwise)),
      pools_(pooling == Pooling::max_2x2),
      table_(&chosen_table()),
      pointwise_(pointwise_weights.packed(row_of(pointwise), Activation::none)),
      depthwise_(depthwise_weights.packed(depthwise_geometry_, activation)) {}

MIEN_INLINE void PointwiseDepthwise::run(int count, const float* input, const float* added,
                                         float* scratch, float* output) const noexcept {
  const int step = pools_ ? 2 : 1;
  const std::size_t output_size = WindowGeometry::product(
      geometry_.out_channels, geometry_.out_height / step, geometry_.out_width / step);
  for (int i = 0; i < count; ++i) {
    run_image(input, added, scratch, output);
    input += geometry_.input_size();
    output += output_size;
    if (added != nullptr) added += output_size;
  }
}

MIEN_INLINE void PointwiseDepthwise::run_image(const float* input, const float* added,
                                               float* scratch, float* output) const noexcept {
  const int height = geometry_.out_height;
  const int used_height = pools_ ? height / 2 * 2 : height;
  const int band = band_rows(geometry_);
  const std::size_t input_row =
      WindowGeometry::product(geometry_.in_channels, 1, geometry_.in_width);
  const std::size_t row = product(geometry_, 1);
  float* const between = scratch;
  float* const bytes = scratch + between_size(geometry_);
  float* const sums = bytes + bytes_size(geometry_);
  WindowGeometry rows = depthwise_geometry_;
  WindowGeometry pooled = geometry_;
  pooled.in_channels = pooled.out_channels;
  pooled.kernel_height = pooled.kernel_width = pooled.stride_y = pooled.stride_x = 2;
  pooled.out_width = geometry_.out_width / 2;
  int first = 0;  // of the rows that lie between
  int last = 0;
  for (int y = 0; y < used_height; y += band) {
    const int end = std::min(y + band, used_height);
    const int top = std::max(y - 1, 0);
    const int bottom = std::min(end + 1, height);
    // Two rows were there for the band before.
    std::copy_n(between + static_cast<std::size_t>(top - first) * row,
                static_cast<std::size_t>(last - top) * row, between);
    first = top;
    pointwise_.run(bottom - last, input + static_cast<std::size_t>(last) * input_row, nullptr,
                   bytes, between + static_cast<std::size_t>(last - top) * row);
    last = bottom;
    rows.in_height = bottom - top;
    rows.out_height = end - y;
    rows.padding_y = y == 0 ? 1 : 0;
    const std::size_t at = static_cast<std::size_t>(y) * row;
    depthwise_.run_rows(rows, between, added == nullptr ? nullptr : added + at, bytes,
                        pools_ ? sums : output + at);
    if (!pools_) continue;
    pooled.in_height = end - y;
    pooled.out_height = pooled.in_height / 2;
    table_->max_pool2d(pooled, sums, output);
    output += pooled.output_size();
  }
}

}  // namespace mien::kernels

#endif  // MIEN_HAS_DEFINITIONS
