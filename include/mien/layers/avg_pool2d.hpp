// Average pooling.
#pragma once

#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/layers/pooling.hpp>

namespace mien {

namespace detail::avg_pool2d {

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type = make_pooling_type("AvgPool2d");
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::avg_pool2d

/// PyTorch's AvgPool2d with its defaults: rows and columns that do not fill a window are left out
/// (floor), and padding counts as zeros, which are part of the average. AvgPool2d<Kernel<H, W>> of
/// an image of H x W is global average pooling. Options in any order: Kernel (needed), Stride
/// (default: the kernel), Padding.
template <class... Options>
struct AvgPool2d {
  static constexpr Node node() {
    return detail::PoolingOptions<Options...>::node(detail::avg_pool2d::type);
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
  explicit AvgPool2dStep(const kernels::WindowGeometry& geometry)
      : kernels_(&kernels::chosen_table()), geometry_(geometry) {}

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    const float* input = inputs[0];
    for (int i = 0; i < count; ++i) {
      kernels_->avg_pool2d(geometry_, input, output);
      input += geometry_.input_size();
      output += geometry_.output_size();
    }
  }

  const kernels::WindowGeometry& geometry() const noexcept { return geometry_; }

 private:
  const kernels::KernelTable* kernels_;
  kernels::WindowGeometry geometry_;
};

MIEN_INLINE std::unique_ptr<Step> avg_pool2d::make_step(const StepContext& context) {
  return std::make_unique<AvgPool2dStep>(pooling_geometry(context.node, context.inputs[0]));
}

class AvgPool2dGradient final : public StepGradient<AvgPool2dStep> {
 public:
  using StepGradient::StepGradient;

  /// Every pixel of a window gets an equal share of the output's gradient; padding keeps its own.
  void backward(const float* const*, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    const kernels::WindowGeometry& geometry = step().geometry();
    const int channels = geometry.in_channels;
    const float share = 1.0f / static_cast<float>(geometry.kernel_height * geometry.kernel_width);
    std::fill_n(input_gradients[0], geometry.input_size(), 0.0f);
    for (int y = 0; y < geometry.out_height; ++y) {
      for (int x = 0; x < geometry.out_width; ++x, output_gradient += channels) {
        const kernels::Window window = kernels::clipped_window(geometry, y, x);
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
        detail::AvgPool2dStep(detail::pooling_geometry(context.node, context.inputs[0])));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
