// Max pooling.
#pragma once

#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/layers/pooling.hpp>

namespace mien {

namespace detail::max_pool2d {

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr bool is_2x2(const Node& node) {
  return node.option(kernel_height) == 2 && node.option(kernel_width) == 2 &&
         node.option(stride_y) == 2 && node.option(stride_x) == 2 && node.option(padding_y) == 0 &&
         node.option(padding_x) == 0;
}

constexpr LayerType make_type() {
  LayerType type = make_pooling_type("MaxPool2d");
  type.fused_as = FusedAs::max_pool;
  type.can_be_fused = &is_2x2;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::max_pool2d

/// PyTorch's MaxPool2d: rows and columns that do not fill a window are left out (floor). Options in
/// any order: Kernel (needed), Stride (default: the kernel), Padding. After a convolution a pooling
/// of 2x2 costs nothing.
template <class... Options>
struct MaxPool2d {
  static constexpr Node node() {
    return detail::PoolingOptions<Options...>::node(detail::max_pool2d::type);
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
  return std::make_unique<MaxPool2dStep>(pooling_geometry(context.node, context.inputs[0]));
}

class MaxPool2dGradient final : public StepGradient<MaxPool2dStep> {
 public:
  using StepGradient::StepGradient;

  /// All of an output's gradient goes to its window's first maximum.
  void backward(const float* const* inputs, const float* output, const float* output_gradient,
                float*, float* const* input_gradients) const noexcept override {
    const kernels::WindowGeometry& geometry = step().geometry();
    std::fill_n(input_gradients[0], geometry.input_size(), 0.0f);
    for (int y = 0; y < geometry.out_height; ++y) {
      for (int x = 0; x < geometry.out_width; ++x) {
        for (int c = 0; c < geometry.in_channels; ++c) {
          input_gradients[0][first_maximum(inputs[0], *output++, y, x, c)] += *output_gradient++;
        }
      }
    }
  }

 private:
  /// Where in a channel of the window of output (y, x) the value `maximum` stands first.
  std::ptrdiff_t first_maximum(const float* input, float maximum, int y, int x,
                               int channel) const noexcept {
    const kernels::Window window = kernels::clipped_window(step().geometry(), y, x);
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
        detail::MaxPool2dStep(detail::pooling_geometry(context.node, context.inputs[0])));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
