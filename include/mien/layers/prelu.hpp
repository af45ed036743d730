// Rectifiers with learned slopes (He et al., arXiv 1502.01852).
#pragma once

#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>

namespace mien {

namespace detail::prelu {

enum : int { channels };

inline constexpr Option options[] = {required_size("channels")};

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  const int expected = node.option(channels);
  if (expected != 1 && inputs[0].channels != expected) {
    return {{}, ShapeProblem::channels, expected};
  }
  return {inputs[0], ShapeProblem::none, 0};
}

constexpr TensorSpecs tensors(const Node& node) {
  TensorSpecs specs;
  specs.add("weight", {node.option(channels), 0, 0, 0}, 1);
  return specs;
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "PReLU";
  type.options = options;
  type.option_count = static_cast<int>(std::size(options));
  type.output_shape = &output_shape;
  type.tensors = &tensors;
  type.is_in_place = true;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::prelu

/// x, or the slope of its channel times x below 0; of 1 channel: one slope for all.
template <int Channels>
struct PReLU {
  static constexpr Node node() {
    Node node;
    node.layer = &detail::prelu::type;
    node.options[detail::prelu::channels] = Channels;
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cstddef>
#include <vector>

#include <mien/kernels/nn.hpp>
#include <mien/layers/channel_pattern.hpp>

namespace mien::detail {

class PReLUStep final : public Step {
 public:
  PReLUStep(const Node& node, const TensorShape& shape, const NodeTensors& tensors)
      : kernels_(&kernels::chosen_table()),
        slopes_(tensors.values(node, 0)),
        pattern_(slopes_.size()),
        size_(shape.size()) {
    pattern_.repeat(slopes_);
  }

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    pattern_.each(static_cast<std::size_t>(count) * size_,
                  [&](std::size_t at, std::size_t pixels, std::size_t channels) {
                    kernels_->prelu(pixels, channels, inputs[0] + at, slopes_.data(), output + at);
                  });
  }

  float slope(std::size_t index) const noexcept { return slopes_[index % slopes_.size()]; }
  std::size_t size() const noexcept { return size_; }

 private:
  const kernels::KernelTable* kernels_;
  std::vector<float> slopes_;
  ChannelPattern pattern_;
  std::size_t size_;
};

MIEN_INLINE std::unique_ptr<Step> prelu::make_step(const StepContext& context) {
  return std::make_unique<PReLUStep>(context.node, context.output, context.tensors);
}

class PReLUGradient final : public StepGradient<PReLUStep> {
 public:
  using StepGradient::StepGradient;

  void backward(const float* const* inputs, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    for (std::size_t i = 0; i < step().size(); ++i) {
      input_gradients[0][i] = output_gradient[i] * (inputs[0][i] > 0.0f ? 1.0f : step().slope(i));
    }
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::prelu::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::PReLUGradient>(
        detail::PReLUStep(context.node, context.output, context.tensors));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
