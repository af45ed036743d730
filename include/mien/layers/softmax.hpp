// Softmax.
#pragma once

#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/layers/elementwise.hpp>

namespace mien {

namespace detail::softmax {

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "Softmax";
  type.output_shape = &same_shape;
  type.is_in_place = true;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::softmax

/// PyTorch's Softmax over the channels, at every pixel.
struct Softmax {
  static constexpr Node node() {
    Node node;
    node.layer = &detail::softmax::type;
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cstddef>

#include <mien/kernels/nn/softmax.hpp>

namespace mien::detail {

class SoftmaxStep final : public Step {
 public:
  explicit SoftmaxStep(const TensorShape& shape)
      : channels_(static_cast<std::size_t>(shape.channels)), size_(shape.size()) {}

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    const std::size_t size = static_cast<std::size_t>(count) * size_;
    for (std::size_t i = 0; i < size; i += channels_) {
      kernels::softmax(inputs[0] + i, channels_, 1.0f, output + i);
    }
  }

  std::size_t channels() const noexcept { return channels_; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::size_t channels_;
  std::size_t size_;
};

MIEN_INLINE std::unique_ptr<Step> softmax::make_step(const StepContext& context) {
  return std::make_unique<SoftmaxStep>(context.output);
}

class SoftmaxGradient final : public StepGradient<SoftmaxStep> {
 public:
  using StepGradient::StepGradient;

  /// With y the probabilities and g their gradient: y (g - g . y), at every pixel.
  void backward(const float* const*, const float* output, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    const std::size_t channels = step().channels();
    for (std::size_t i = 0; i < step().size(); i += channels) {
      double mean = 0.0;
      for (std::size_t c = i; c < i + channels; ++c) {
        mean += double{output_gradient[c]} * double{output[c]};
      }
      for (std::size_t c = i; c < i + channels; ++c) {
        input_gradients[0][c] =
            static_cast<float>(double{output[c]} * (double{output_gradient[c]} - mean));
      }
    }
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::softmax::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::SoftmaxGradient>(detail::SoftmaxStep(context.output));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
