// The gradient of the convolution. Only conv2d.hpp and dense.hpp include it, where definitions are
// seen.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include <mien/graph/step.hpp>
#include <mien/kernels/nn.hpp>
#include <mien/tensor.hpp>

namespace mien::detail {

/// Computed by the definition's sums, never by Winograd's transform: its rounding is coarser, and
/// would turn a rectifier here or there. Immutable when constructed.
///
/// Backward, a product with the transposed weights turns the gradient at an output pixel into what
/// each tap of its window adds to the input's gradient; then all of that is added where it belongs.
/// Depthwise, every tap is added at once.
class Conv2dGradient final : public Gradient {
 public:
  Conv2dGradient(const kernels::WindowGeometry& geometry, const GradientContext& context,
                 bool has_bias)
      : geometry_(geometry) {
    const std::vector<float> weight = context.tensors.values(context.node, 0);
    if (has_bias) bias_ = context.tensors.values(context.node, 1);
    const kernels::ConvolutionMethod& method =
        is_depthwise() ? kernels::depthwise_method : kernels::direct_method;
    forward_ =
        std::make_unique<kernels::PackedConvolution>(method, geometry, weight.data(), nullptr);
    if (is_depthwise()) {
      taps_ = by_taps(weight, static_cast<std::size_t>(geometry.in_channels));
    } else {
      backward_ = std::make_unique<kernels::PackedConvolution>(
          kernels::direct_method, product_with_shares(), transposed(weight).data(), nullptr);
    }
  }

  std::size_t scratch_size() const noexcept override {
    if (is_depthwise()) return 0;
    const std::size_t padded = forward_->scratch_size();
    const std::size_t shares =
        geometry_.is_pointwise()
            ? 0
            : kernels::WindowGeometry::product(share_count(geometry_), rows_at_once(geometry_),
                                               geometry_.out_width);
    return aligned_size(std::max(padded, shares));
  }

  void forward(const float* const* inputs, float* scratch, float* output) const noexcept override {
    const float* const input = inputs[0];
    forward_->run(1, input, nullptr, scratch, output);
    // The bias comes last, as in PyTorch.
    if (bias_.empty()) return;
    for (int pixel = geometry_.out_height * geometry_.out_width; pixel > 0; --pixel) {
      add(bias_.size(), bias_.data(), output);
      output += bias_.size();
    }
  }

  void backward(const float* const*, const float*, const float* output_gradient, float* scratch,
                float* const* input_gradients) const noexcept override {
    float* const input_gradient = input_gradients[0];
    if (geometry_.is_pointwise() && !is_depthwise()) {
      return multiply(geometry_.out_height, output_gradient, input_gradient);
    }
    std::fill_n(input_gradient, geometry_.input_size(), 0.0f);
    if (is_depthwise()) return add_depthwise(output_gradient, input_gradient);
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
  /// to += values
  void add(std::size_t size, const float* values, float* to) const noexcept {
    kernels_->arithmetic(kernels::Arithmetic::add, kernels::row_loops(size), to, values,
                         kernels::Activation::none, to);
  }

  bool is_depthwise() const noexcept { return kernels::depthwise_method.suits(geometry_); }

  /// What one output pixel adds to the input's gradient: [groups][KH][KW][I / groups].
  static constexpr int share_count(const kernels::WindowGeometry& g) {
    return g.in_channels * g.kernel_height * g.kernel_width;
  }

  /// As many output rows as have shares that fit into a second-level cache of a megabyte.
  static constexpr int rows_at_once(const kernels::WindowGeometry& g) {
    constexpr int floats_in_cache = 1 << 18;
    return std::clamp(floats_in_cache / (share_count(g) * g.out_width), 1, g.out_height);
  }

  /// The product as a convolution of one pixel.
  kernels::WindowGeometry product_with_shares() const noexcept {
    const kernels::WindowGeometry& g = geometry_;
    return {g.out_channels, 1, 1, share_count(g), 1, 1, 1, 1, 1, 1, 0, 0, g.groups};
  }

  /// From [C][1][KH][KW] to [KH][KW][C].
  static std::vector<float> by_taps(const std::vector<float>& weight, std::size_t channels) {
    std::vector<float> result(weight.size());
    to_channels_last(weight.data(), result.data(), channels, weight.size() / channels);
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
    backward_->run(rows * geometry_.out_width, output_gradient, nullptr, nullptr, shares);
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
            add(static_cast<std::size_t>(group_in), from, to);
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
          const float* const weights = taps_.data() + std::ptrdiff_t{tap} * channels;
          float* const to = input_gradient + offset;
          for (int c = 0; c < channels; ++c) to[c] += output_gradient[c] * weights[c];
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

  const kernels::KernelTable* kernels_ = &kernels::chosen_table();
  kernels::WindowGeometry geometry_;
  std::unique_ptr<kernels::PackedConvolution> forward_;
  std::unique_ptr<kernels::PackedConvolution> backward_;
  std::vector<float> taps_;  // of a depthwise one
  std::vector<float> bias_;  // empty: none
};

}  // namespace mien::detail
