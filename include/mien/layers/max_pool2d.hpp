// Max pooling.
#pragma once

#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/layers/pooling.hpp>

namespace mien {

namespace detail::max_pool2d {

enum : int { padding_bottom = 6, padding_right, dilation_y, dilation_x, ceil_mode };

inline constexpr Option options[] = {required_size("kernel_height"),
                                     required_size("kernel_width"),
                                     required_size("stride_y"),
                                     required_size("stride_x"),
                                     whole_option("padding_y", 0, 0),
                                     whole_option("padding_x", 0, 0),
                                     whole_option("padding_bottom", -1, -1),
                                     whole_option("padding_right", -1, -1),
                                     whole_option("dilation_y", 1, 1),
                                     whole_option("dilation_x", 1, 1),
                                     whole_option("ceil_mode", 0, 0, 1)};

inline constexpr MoreWindowOptions more_options = {padding_bottom, dilation_y, ceil_mode};

constexpr kernels::WindowGeometry geometry(const Node& node, const TensorShape& input) {
  return window_on(node, 0, more_options, input, input.channels, 1);
}

constexpr const char* check_options(const Node& node) {
  return check_pooling(node, more_options);
}

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  return window_output(geometry(node, inputs[0]));
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr bool is_2x2(const Node& node) {
  return node.option(kernel_height) == 2 && node.option(kernel_width) == 2 &&
         node.option(stride_y) == 2 && node.option(stride_x) == 2 && node.option(padding_y) == 0 &&
         node.option(padding_x) == 0 && padding_below(node, 0, more_options) == 0 &&
         padding_right_of(node, 0, more_options) == 0 && node.option(dilation_y) == 1 &&
         node.option(dilation_x) == 1 && node.option(ceil_mode) == 0;
}

constexpr LayerType make_type() {
  LayerType type = make_pooling_type("MaxPool2d", options);
  type.check_options = &check_options;
  type.output_shape = &output_shape;
  type.fused_as = FusedAs::max_pool;
  type.can_be_fused = &is_2x2;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::max_pool2d

/// PyTorch's MaxPool2d: rows and columns that do not fill a window are left out, unless with
/// CeilMode. Options in any order: Kernel (needed), Stride (default: the kernel), Padding,
/// Dilation, CeilMode. After a convolution a pooling of 2x2 costs nothing.
template <class... Options>
struct MaxPool2d {
  static constexpr Node node() {
    return detail::PoolingOptions<detail::IsDilation, Options...>::node(
        detail::max_pool2d::type, detail::max_pool2d::more_options);
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cstddef>

#include <mien/kernels/nn.hpp>

namespace mien::detail {

class MaxPool2dStep final : public Step {
 public:
  explicit MaxPool2dStep(const kernels::WindowGeometry& geometry)
      : kernels_(&kernels::chosen_table()), geometry_(geometry) {}

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    const float* input = inputs[0];
    for (int i = 0; i < count; ++i) {
      kernels_->max_pool2d(geometry_, input, output);
      input += geometry_.input_size();
      output += geometry_.output_size();
    }
  }

  const kernels::WindowGeometry& geometry() const noexcept { return geometry_; }

 private:
  const kernels::KernelTable* kernels_;
  kernels::WindowGeometry geometry_;
};

MIEN_INLINE std::unique_ptr<Step> max_pool2d::make_step(const StepContext& context) {
  return std::make_unique<MaxPool2dStep>(geometry(context.node, context.inputs[0]));
}

class MaxPool2dGradient final : public StepGradient<MaxPool2dStep> {
 public:
  using StepGradient::StepGradient;

  /// All of an output's gradient goes to its window's first maximum; that of a window without a
  /// pixel goes nowhere.
  void backward(const float* const* inputs, const float* output, const float* output_gradient,
                float*, float* const* input_gradients) const noexcept override {
    const kernels::WindowGeometry& geometry = step().geometry();
    std::fill_n(input_gradients[0], geometry.input_size(), 0.0f);
    for (int y = 0; y < geometry.out_height; ++y) {
      for (int x = 0; x < geometry.out_width; ++x) {
        for (int c = 0; c < geometry.in_channels; ++c) {
          const std::ptrdiff_t at = first_maximum(inputs[0], *output++, y, x, c);
          if (at >= 0) input_gradients[0][at] += *output_gradient;
          ++output_gradient;
        }
      }
    }
  }

 private:
  /// Where in a channel of the window of output (y, x) the value `maximum` stands first; negative
  /// if the window covers no pixel.
  std::ptrdiff_t first_maximum(const float* input, float maximum, int y, int x,
                               int channel) const noexcept {
    const kernels::Window window = kernels::clipped_window(step().geometry(), y, x);
    if (window.first_y >= window.last_y || window.first_x >= window.last_x) return -1;
    for (int tap_y = window.first_y; tap_y < window.last_y; ++tap_y) {
      for (int tap_x = window.first_x; tap_x < window.last_x; ++tap_x) {
        const std::ptrdiff_t at =
            kernels::tap_offset(step().geometry(), y, x, tap_y, tap_x) + channel;
        if (input[at] == maximum) return at;
      }
    }
    // Only what is not a number equals nothing.
    return kernels::tap_offset(step().geometry(), y, x, window.first_y, window.first_x) + channel;
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::max_pool2d::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::MaxPool2dGradient>(
        detail::MaxPool2dStep(detail::max_pool2d::geometry(context.node, context.inputs[0])));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
