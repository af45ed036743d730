// The logarithm of softmax.
#pragma once

#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/layers/elementwise.hpp>
#include <mien/layers/numbers.hpp>

namespace mien {

namespace detail::log_softmax {

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "LogSoftmax";
  type.output_shape = &same_shape;
  type.is_in_place = true;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::log_softmax

/// PyTorch's LogSoftmax over the channels, at every pixel.
struct LogSoftmax : detail::LayerOfNumbers<detail::log_softmax::type> {};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cmath>
#include <cstddef>

#include <mien/kernels/nn/softmax.hpp>

namespace mien::detail {

class LogSoftmaxStep final : public Step {
 public:
  explicit LogSoftmaxStep(const TensorShape& shape)
      : channels_(static_cast<std::size_t>(shape.channels)), size_(shape.size()) {}

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    const std::size_t size = static_cast<std::size_t>(count) * size_;
    for (std::size_t i = 0; i < size; i += channels_) {
      kernels::log_softmax(inputs[0] + i, channels_, output + i);
    }
  }

  std::size_t channels() const noexcept { return channels_; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::size_t channels_;
  std::size_t size_;
};

MIEN_INLINE std::unique_ptr<Step> log_softmax::make_step(const StepContext& context) {
  return std::make_unique<LogSoftmaxStep>(context.output);
}

class LogSoftmaxGradient final : public StepGradient<LogSoftmaxStep> {
 public:
  using StepGradient::StepGradient;

  /// With y the logarithms and g their gradient: g - e^y times the sum of g, at every pixel.
  void backward(const float* const*, const float* output, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    const std::size_t channels = step().channels();
    for (std::size_t i = 0; i < step().size(); i += channels) {
      double sum = 0.0;
      for (std::size_t c = i; c < i + channels; ++c) sum += double{output_gradient[c]};
      for (std::size_t c = i; c < i + channels; ++c) {
        input_gradients[0][c] =
            static_cast<float>(double{output_gradient[c]} - std::exp(double{output[c]}) * sum);
      }
    }
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::log_softmax::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::LogSoftmaxGradient>(detail::LogSoftmaxStep(context.output));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
