// Softmax and its logarithm, over the channels of every pixel.
#pragma once

#include <memory>
#include <string_view>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/layers/elementwise.hpp>
#include <mien/layers/numbers.hpp>

namespace mien {

namespace detail::softmax {

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);
MIEN_COLD std::unique_ptr<Step> make_log_step(const StepContext& context);

constexpr LayerType make_type(std::string_view name,
                              std::unique_ptr<Step> (*make)(const StepContext&)) {
  LayerType type;
  type.name = name;
  type.output_shape = &same_shape;
  type.is_in_place = true;
  type.make_step = make;
  return type;
}

inline constexpr LayerType type = make_type("Softmax", &make_step);
inline constexpr LayerType log_type = make_type("LogSoftmax", &make_log_step);

}  // namespace detail::softmax

/// PyTorch's Softmax over the channels, at every pixel.
struct Softmax : detail::LayerOfNumbers<detail::softmax::type> {};

/// PyTorch's LogSoftmax over the channels, at every pixel.
struct LogSoftmax : detail::LayerOfNumbers<detail::softmax::log_type> {};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cmath>
#include <cstddef>

#include <mien/kernels/nn/softmax.hpp>

namespace mien::detail {

struct SoftmaxFunction {
  static void values(const float* input, std::size_t channels, float* output) noexcept {
    kernels::softmax(input, channels, 1.0f, output);
  }

  /// With y the probabilities and g their gradient: y (g - g . y).
  static void gradient(const float* y, const float* g, std::size_t channels, float* to) noexcept {
    double mean = 0.0;
    for (std::size_t c = 0; c < channels; ++c) mean += double{g[c]} * double{y[c]};
    for (std::size_t c = 0; c < channels; ++c) {
      to[c] = static_cast<float>(double{y[c]} * (double{g[c]} - mean));
    }
  }
};

struct LogSoftmaxFunction {
  static void values(const float* input, std::size_t channels, float* output) noexcept {
    kernels::log_softmax(input, channels, output);
  }

  /// With y the logarithms and g their gradient: g - e^y times the sum of g.
  static void gradient(const float* y, const float* g, std::size_t channels, float* to) noexcept {
    double sum = 0.0;
    for (std::size_t c = 0; c < channels; ++c) sum += double{g[c]};
    for (std::size_t c = 0; c < channels; ++c) {
      to[c] = static_cast<float>(double{g[c]} - std::exp(double{y[c]}) * sum);
    }
  }
};

/// A function of each pixel's channels.
template <class Function>
class ChannelsStep final : public Step {
 public:
  explicit ChannelsStep(const TensorShape& shape)
      : channels_(static_cast<std::size_t>(shape.channels)), size_(shape.size()) {}

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    const std::size_t size = static_cast<std::size_t>(count) * size_;
    for (std::size_t i = 0; i < size; i += channels_) {
      Function::values(inputs[0] + i, channels_, output + i);
    }
  }

  std::size_t channels() const noexcept { return channels_; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::size_t channels_;
  std::size_t size_;
};

MIEN_INLINE std::unique_ptr<Step> softmax::make_step(const StepContext& context) {
  return std::make_unique<ChannelsStep<SoftmaxFunction>>(context.output);
}

MIEN_INLINE std::unique_ptr<Step> softmax::make_log_step(const StepContext& context) {
  return std::make_unique<ChannelsStep<LogSoftmaxFunction>>(context.output);
}

template <class Function>
class ChannelsGradient final : public StepGradient<ChannelsStep<Function>> {
 public:
  using StepGradient<ChannelsStep<Function>>::StepGradient;

  void backward(const float* const*, const float* output, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    const std::size_t channels = this->step().channels();
    for (std::size_t i = 0; i < this->step().size(); i += channels) {
      Function::gradient(output + i, output_gradient + i, channels, input_gradients[0] + i);
    }
  }
};

template <class Function>
struct ChannelsGradientOf {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<ChannelsGradient<Function>>(ChannelsStep<Function>(context.output));
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::softmax::type> : detail::ChannelsGradientOf<detail::SoftmaxFunction> {};
template <>
struct GradientOf<detail::softmax::log_type>
    : detail::ChannelsGradientOf<detail::LogSoftmaxFunction> {};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
