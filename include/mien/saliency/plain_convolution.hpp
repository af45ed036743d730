// A convolution that runs backward, too. No templates over shapes: a network of many convolutions
// compiles hardly longer than one of few.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <Eigen/Core>

#include <mien/kernels/kernels.hpp>
#include <mien/layers/packed_convolution.hpp>
#include <mien/tensor.hpp>
#include <mien/weights.hpp>

namespace mien::detail {

/// Computed by the definition's sums, never by Winograd's transform: its rounding is coarser, and
/// would turn a rectifier here or there. Immutable when constructed.
///
/// Backward, a product with the transposed weights turns the gradient at an output pixel into what
/// each tap of its window adds to the input's gradient; then all of that is added where it belongs.
/// Depthwise, every tap is added at once.
class PlainConvolution {
 public:
  /// Floats of scratch memory for either direction.
  static constexpr std::size_t scratch_size(const kernels::WindowGeometry& g) {
    if (is_depthwise(g)) return 0;
    const std::size_t padded = g.is_padded() ? g.padded_size() : 0;
    const std::size_t shares = g.is_pointwise() ? 0
                                                : kernels::WindowGeometry::product(
                                                      share_count(g), rows_at_once(g), g.out_width);
    return aligned_size(std::max(padded, shares));
  }

  /// Takes its tensors from the file. Throws Error.
  PlainConvolution(const kernels::WindowGeometry& geometry, TensorReader& tensors, bool has_bias)
      : kernels_(&kernels::chosen_table()), geometry_(geometry) {
    const auto channels = static_cast<std::uint32_t>(geometry.out_channels);
    const std::vector<float> weight =
        tensors.take("Conv2d", "weight",
                     {channels, static_cast<std::uint32_t>(geometry.in_channels / geometry.groups),
                      static_cast<std::uint32_t>(geometry.kernel_height),
                      static_cast<std::uint32_t>(geometry.kernel_width)});
    const std::vector<float> bias =
        has_bias ? tensors.take("Conv2d", "bias", {channels}) : std::vector<float>(channels);
    bias_ = Eigen::Map<const Eigen::ArrayXf>(bias.data(), geometry.out_channels);
    if (is_depthwise(geometry)) {
      forward_weights_ = AlignedBuffer(weight.size());
      kernels::pack_depthwise_conv2d(geometry, weight.data(), forward_weights_.data());
    } else {
      forward_weights_ = packed(geometry, weight);
      backward_weights_ = packed(product_with_shares(1), transposed(weight));
    }
    zeros_ = AlignedBuffer(std::max(forward_weights_.size(), backward_weights_.size()));
  }

  void forward(const float* input, float* output, float* scratch) const noexcept {
    const float* const weights = forward_weights_.data();
    if (is_depthwise(geometry_)) {
      kernels_->depthwise_conv2d(geometry_, input, weights, zeros_.data(), kernels::no_clamp,
                                 output);
    } else {
      if (geometry_.is_padded()) kernels::pad_image(geometry_, input, scratch);
      kernels_->conv2d(geometry_, geometry_.is_padded() ? scratch : input, weights, zeros_.data(),
                       kernels::no_clamp, kernels::Pooling::none, output);
    }
    Eigen::Map<Eigen::ArrayXXf>(output, geometry_.out_channels,
                                geometry_.out_height * geometry_.out_width)
        .colwise() += bias_;
  }

  void backward(const float* output_gradient, float* input_gradient,
                float* scratch) const noexcept {
    if (geometry_.is_pointwise() && !is_depthwise(geometry_)) {
      return multiply(geometry_.out_height, output_gradient, input_gradient);
    }
    std::fill_n(input_gradient, geometry_.input_size(), 0.0f);
    if (is_depthwise(geometry_)) return add_depthwise(output_gradient, input_gradient);
    const int step = rows_at_once(geometry_);
    for (int first = 0; first < geometry_.out_height; first += step) {
      const int last = std::min(first + step, geometry_.out_height);
      multiply(last - first, output_gradient, scratch);
      add_shares(first, last, scratch, input_gradient);
      output_gradient +=
          std::ptrdiff_t{last - first} * geometry_.out_width * geometry_.out_channels;
    }
  }

 private:
  using Values = Eigen::Map<Eigen::ArrayXf>;
  using ConstValues = Eigen::Map<const Eigen::ArrayXf>;

  static constexpr bool is_depthwise(const kernels::WindowGeometry& g) {
    return method_for(g) == ConvolutionMethod::depthwise;
  }

  /// What one output pixel adds to the input's gradient: [groups][KH][KW][I / groups].
  static constexpr int share_count(const kernels::WindowGeometry& g) {
    return g.in_channels * g.kernel_height * g.kernel_width;
  }

  /// As many output rows as have shares that fit into a second-level cache of a megabyte.
  static constexpr int rows_at_once(const kernels::WindowGeometry& g) {
    constexpr int floats_in_cache = 1 << 18;
    return std::clamp(floats_in_cache / (share_count(g) * g.out_width), 1, g.out_height);
  }

  /// The product as a convolution of one pixel, on an image of a single column.
  kernels::WindowGeometry product_with_shares(int pixels) const noexcept {
    const kernels::WindowGeometry& g = geometry_;
    return {g.out_channels, pixels, 1, share_count(g), pixels, 1, 1, 1, 1, 1, 0, 0, g.groups};
  }

  AlignedBuffer packed(const kernels::WindowGeometry& g, const std::vector<float>& weight) const {
    AlignedBuffer result(kernels::packed_conv2d_size(g, kernels_->conv2d_block));
    kernels::pack_conv2d(g, kernels_->conv2d_block, weight.data(), result.data());
    return result;
  }

  /// From [O][I / groups][KH][KW] to [groups][KH][KW][I / groups][O / groups].
  std::vector<float> transposed(const std::vector<float>& weight) const {
    const int taps = geometry_.kernel_height * geometry_.kernel_width;
    const int group_in = geometry_.in_channels / geometry_.groups;
    const int group_out = geometry_.out_channels / geometry_.groups;
    std::vector<float> result(weight.size());
    const float* from = weight.data();
    for (int o = 0; o < geometry_.out_channels; ++o) {
      for (int i = 0; i < group_in; ++i) {
        for (int tap = 0; tap < taps; ++tap) {
          const std::ptrdiff_t share = (std::ptrdiff_t{o / group_out} * taps + tap) * group_in + i;
          result[static_cast<std::size_t>(share * group_out + o % group_out)] = *from++;
        }
      }
    }
    return result;
  }

  /// The shares of the pixels in some rows.
  void multiply(int rows, const float* output_gradient, float* shares) const noexcept {
    kernels_->conv2d(product_with_shares(rows * geometry_.out_width), output_gradient,
                     backward_weights_.data(), zeros_.data(), kernels::no_clamp,
                     kernels::Pooling::none, shares);
  }

  void add_shares(int first_row, int last_row, const float* shares,
                  float* input_gradient) const noexcept {
    const int group_in = geometry_.in_channels / geometry_.groups;
    const int taps = geometry_.kernel_height * geometry_.kernel_width;
    for (int y = first_row; y < last_row; ++y) {
      for (int x = 0; x < geometry_.out_width; ++x, shares += share_count(geometry_)) {
        for_each_tap(y, x, [&](int tap, std::ptrdiff_t offset) {
          const float* from = shares + std::ptrdiff_t{tap} * group_in;
          float* to = input_gradient + offset;
          for (int group = 0; group < geometry_.groups; ++group) {
            Values(to, group_in) += ConstValues(from, group_in);
            from += std::ptrdiff_t{taps} * group_in;
            to += group_in;
          }
        });
      }
    }
  }

  void add_depthwise(const float* output_gradient, float* input_gradient) const noexcept {
    const int channels = geometry_.in_channels;
    for (int y = 0; y < geometry_.out_height; ++y) {
      for (int x = 0; x < geometry_.out_width; ++x, output_gradient += channels) {
        for_each_tap(y, x, [&](int tap, std::ptrdiff_t offset) {
          Values(input_gradient + offset, channels) +=
              ConstValues(output_gradient, channels) *
              ConstValues(forward_weights_.data() + std::ptrdiff_t{tap} * channels, channels);
        });
      }
    }
  }

  /// Calls visit(tap's number, offset of the pixel under it) for the taps of an output's window
  /// that lie inside the image.
  template <class Visitor>
  void for_each_tap(int y, int x, Visitor&& visit) const noexcept {
    const kernels::Window window = kernels::clipped_window(geometry_, y, x);
    for (int tap_y = window.first_y; tap_y < window.last_y; ++tap_y) {
      for (int tap_x = window.first_x; tap_x < window.last_x; ++tap_x) {
        visit(tap_y * geometry_.kernel_width + tap_x,
              kernels::tap_offset(geometry_, y, x, tap_y, tap_x));
      }
    }
  }

  const kernels::KernelTable* kernels_;
  kernels::WindowGeometry geometry_;
  AlignedBuffer forward_weights_;
  AlignedBuffer backward_weights_;
  AlignedBuffer zeros_;  // in a bias's place
  Eigen::ArrayXf bias_;
};

}  // namespace mien::detail
