// Batch normalisation with the running statistics (Ioffe and Szegedy, arXiv 1502.03167).
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>

namespace mien {

namespace detail {

/// y = scale x + shift, in double so that folding rounds but once.
struct ChannelScale {
  std::vector<double> scale;
  std::vector<double> shift;

  /// Throws Error for a variance below 0.
  MIEN_COLD ChannelScale(const Node& batch_norm, const NodeTensors& tensors);

  /// Into the weights of a layer before it, [channel][inputs], and its bias.
  void fold_into(std::vector<float>& weight, std::vector<float>& bias) const;
};

namespace batch_norm2d {

enum : int { channels };

inline constexpr Option options[] = {required_size("channels")};

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  if (inputs[0].channels != node.option(channels)) {
    return {{}, ShapeProblem::channels, node.option(channels)};
  }
  return {inputs[0], ShapeProblem::none, 0};
}

constexpr TensorSpecs tensors(const Node& node) {
  TensorSpecs specs;
  for (const char* role : {"weight", "bias", "running_mean", "running_var"}) {
    specs.add(role, {node.option(channels), 0, 0, 0}, 1);
  }
  return specs;
}

constexpr std::size_t multiply_adds(const Node&, const TensorShape& input, const TensorShape&) {
  return input.size();
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "BatchNorm2d";
  type.options = options;
  type.option_count = static_cast<int>(std::size(options));
  type.output_shape = &output_shape;
  type.tensors = &tensors;
  type.multiply_adds = &multiply_adds;
  type.fused_as = FusedAs::batch_norm;
  type.is_in_place = true;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace batch_norm2d
}  // namespace detail

/// PyTorch's BatchNorm2d in evaluation, and, on a flat vector, its BatchNorm1d:
/// (x - mean) / sqrt(variance + 1e-5) * weight + bias. After a convolution or dense layer it costs
/// nothing: it is folded into that layer's weights when they are loaded.
template <int Channels>
struct BatchNorm2d {
  static constexpr Node node() {
    Node node;
    node.layer = &detail::batch_norm2d::type;
    node.options[detail::batch_norm2d::channels] = Channels;
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cmath>
#include <string>

#include <mien/error.hpp>
#include <mien/kernels/nn.hpp>
#include <mien/layers/channel_pattern.hpp>

namespace mien::detail {

MIEN_INLINE ChannelScale::ChannelScale(const Node& batch_norm, const NodeTensors& tensors) {
  constexpr double epsilon = 1e-5;
  const std::vector<float> weight = tensors.values(batch_norm, 0);
  const std::vector<float> bias = tensors.values(batch_norm, 1);
  const std::vector<float> mean = tensors.values(batch_norm, 2);
  const std::vector<float> variance = tensors.values(batch_norm, 3);
  for (std::size_t c = 0; c < weight.size(); ++c) {
    const double sum = double{variance[c]} + epsilon;
    if (!(sum > 0.0)) {
      detail::fail({tensors.where(batch_norm), ": running_var, element ", detail::Digits(c),
                    ": expected a variance of 0 or more, found ", std::to_string(variance[c])});
    }
    scale.push_back(double{weight[c]} / std::sqrt(sum));
    shift.push_back(double{bias[c]} - double{mean[c]} * scale[c]);
  }
}

MIEN_INLINE void ChannelScale::fold_into(std::vector<float>& weight,
                                         std::vector<float>& bias) const {
  const std::size_t inputs = weight.size() / scale.size();
  for (std::size_t c = 0; c < scale.size(); ++c) {
    for (std::size_t i = c * inputs; i < (c + 1) * inputs; ++i) {
      weight[i] = static_cast<float>(double{weight[i]} * scale[c]);
    }
    bias[c] = static_cast<float>(double{bias[c]} * scale[c] + shift[c]);
  }
}

/// By itself, in both directions.
class BatchNormStep final : public Step {
 public:
  BatchNormStep(const Node& node, const TensorShape& shape, const NodeTensors& tensors)
      : kernels_(&kernels::chosen_table()),
        pattern_(static_cast<std::size_t>(shape.channels)),
        size_(shape.size()) {
    const ChannelScale folded(node, tensors);
    scale_.assign(folded.scale.begin(), folded.scale.end());
    shift_.assign(folded.shift.begin(), folded.shift.end());
    pattern_.repeat(scale_);
    pattern_.repeat(shift_);
  }

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    pattern_.each(static_cast<std::size_t>(count) * size_,
                  [&](std::size_t at, std::size_t pixels, std::size_t channels) {
                    kernels_->scale_channels(pixels, channels, inputs[0] + at, scale_.data(),
                                             shift_.data(), output + at);
                  });
  }

  std::size_t size() const noexcept { return size_; }
  float scale(std::size_t index) const noexcept { return scale_[index % scale_.size()]; }

 private:
  const kernels::KernelTable* kernels_;
  ChannelPattern pattern_;
  std::size_t size_;
  std::vector<float> scale_;
  std::vector<float> shift_;
};

MIEN_INLINE std::unique_ptr<Step> batch_norm2d::make_step(const StepContext& context) {
  return std::make_unique<BatchNormStep>(context.node, context.output, context.tensors);
}

class BatchNormGradient final : public StepGradient<BatchNormStep> {
 public:
  using StepGradient::StepGradient;

  void backward(const float* const*, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    for (std::size_t i = 0; i < step().size(); ++i) {
      input_gradients[0][i] = output_gradient[i] * step().scale(i);
    }
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::batch_norm2d::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::BatchNormGradient>(
        detail::BatchNormStep(context.node, context.output, context.tensors));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
