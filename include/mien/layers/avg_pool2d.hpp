// Average pooling.
#pragma once

#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/kernels/nn/avg_pool2d.hpp>
#include <mien/layers/pooling.hpp>

namespace mien {

/// An average pooling divides by the image's pixels alone: padding is no part of the mean.
struct ExcludePadding {};

namespace detail {

template <class Option>
struct IsExcludePadding : std::is_same<Option, ExcludePadding> {};

namespace avg_pool2d {

enum : int { padding_bottom = 6, padding_right, ceil_mode, count_include_pad };

inline constexpr Option options[] = {required_size("kernel_height"),
                                     required_size("kernel_width"),
                                     required_size("stride_y"),
                                     required_size("stride_x"),
                                     whole_option("padding_y", 0, 0),
                                     whole_option("padding_x", 0, 0),
                                     whole_option("padding_bottom", -1, -1),
                                     whole_option("padding_right", -1, -1),
                                     whole_option("ceil_mode", 0, 0, 1),
                                     whole_option("count_include_pad", 1, 0, 1)};

inline constexpr MoreWindowOptions more_options = {padding_bottom, -1, ceil_mode};

constexpr kernels::WindowGeometry geometry(const Node& node, const TensorShape& input) {
  return window_on(node, 0, more_options, input, input.channels, 1);
}

constexpr kernels::CountedPadding counted_padding(const Node& node) {
  if (node.option(count_include_pad) == 0) return {};
  return {node.option(padding_y), node.option(padding_x), padding_below(node, 0, more_options),
          padding_right_of(node, 0, more_options)};
}

constexpr const char* check_options(const Node& node) {
  return check_pooling(node, more_options);
}

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  return window_output(geometry(node, inputs[0]));
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type = make_pooling_type("AvgPool2d", options);
  type.check_options = &check_options;
  type.output_shape = &output_shape;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace avg_pool2d
}  // namespace detail

/// PyTorch's AvgPool2d: rows and columns that do not fill a window are left out, unless with
/// CeilMode, and padding counts as zeros, which are part of the average, unless with
/// ExcludePadding. AvgPool2d<Kernel<H, W>> of an image of H x W is global average pooling. Options
/// in any order: Kernel (needed), Stride (default: the kernel), Padding, CeilMode, ExcludePadding.
template <class... Options>
struct AvgPool2d {
  static constexpr Node node() {
    using List = detail::PoolingOptions<detail::IsExcludePadding, Options...>;
    Node node = List::node(detail::avg_pool2d::type, detail::avg_pool2d::more_options);
    constexpr bool excludes = (detail::IsExcludePadding<Options>::value || ...);
    node.options[detail::avg_pool2d::count_include_pad] = excludes ? 0 : 1;
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cstddef>

#include <mien/kernels/nn.hpp>

namespace mien::detail {

class AvgPool2dStep final : public Step {
 public:
  AvgPool2dStep(const Node& node, const TensorShape& input)
      : kernels_(&kernels::chosen_table()),
        geometry_(avg_pool2d::geometry(node, input)),
        counted_(avg_pool2d::counted_padding(node)) {}

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    const float* input = inputs[0];
    for (int i = 0; i < count; ++i) {
      kernels_->avg_pool2d(geometry_, counted_, input, output);
      input += geometry_.input_size();
      output += geometry_.output_size();
    }
  }

  const kernels::WindowGeometry& geometry() const noexcept { return geometry_; }
  const kernels::CountedPadding& counted() const noexcept { return counted_; }

 private:
  const kernels::KernelTable* kernels_;
  kernels::WindowGeometry geometry_;
  kernels::CountedPadding counted_;
};

MIEN_INLINE std::unique_ptr<Step> avg_pool2d::make_step(const StepContext& context) {
  return std::make_unique<AvgPool2dStep>(context.node, context.inputs[0]);
}

class AvgPool2dGradient final : public StepGradient<AvgPool2dStep> {
 public:
  using StepGradient::StepGradient;

  /// Every pixel of a window gets an equal share of the output's gradient; padding keeps its own.
  void backward(const float* const*, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    const kernels::WindowGeometry& geometry = step().geometry();
    const int channels = geometry.in_channels;
    std::fill_n(input_gradients[0], geometry.input_size(), 0.0f);
    for (int y = 0; y < geometry.out_height; ++y) {
      for (int x = 0; x < geometry.out_width; ++x, output_gradient += channels) {
        const kernels::Window window = kernels::clipped_window(geometry, y, x);
        const float share =
            1.0f / static_cast<float>(kernels::counted_pixels(geometry, step().counted(), y, x));
        for (int tap_y = window.first_y; tap_y < window.last_y; ++tap_y) {
          for (int tap_x = window.first_x; tap_x < window.last_x; ++tap_x) {
            float* const to =
                input_gradients[0] + kernels::tap_offset(geometry, y, x, tap_y, tap_x);
            for (int c = 0; c < channels; ++c) to[c] += output_gradient[c] * share;
          }
        }
      }
    }
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::avg_pool2d::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::AvgPool2dGradient>(
        detail::AvgPool2dStep(context.node, context.inputs[0]));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
