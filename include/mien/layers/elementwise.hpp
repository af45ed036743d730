// Layers that compute each value from its own input alone.
#pragma once

#include <memory>
#include <string_view>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/kernels/nn/elementwise.hpp>

namespace mien::detail {

constexpr ShapeResult same_shape(const Node&, const TensorShape* inputs, int) {
  return {inputs[0], ShapeProblem::none, 0};
}

/// The kernels' function; its parameters are the layer's first two options.
template <kernels::Elementwise kind>
constexpr kernels::ElementwiseFunction elementwise_function(const Node& node) {
  return {kind, static_cast<float>(node.options[0]), static_cast<float>(node.options[1])};
}

std::unique_ptr<Step> make_elementwise_step(const kernels::ElementwiseFunction& function,
                                            const TensorShape& shape);

template <kernels::Elementwise kind>
std::unique_ptr<Step> make_elementwise_step(const StepContext& context) {
  return make_elementwise_step(elementwise_function<kind>(context.node), context.output);
}

/// The layer of a function that the kernels know.
template <kernels::Elementwise kind>
constexpr LayerType make_elementwise_type(std::string_view name, const Option* options = nullptr,
                                          int option_count = 0) {
  LayerType type;
  type.name = name;
  type.options = options;
  type.option_count = option_count;
  type.output_shape = &same_shape;
  type.is_in_place = true;
  type.make_step = &make_elementwise_step<kind>;
  return type;
}

std::unique_ptr<Gradient> make_elementwise_gradient(const kernels::ElementwiseFunction& function,
                                                    const TensorShape& shape);

/// GradientOf an elementwise layer.
template <kernels::Elementwise kind>
struct ElementwiseGradientOf {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return make_elementwise_gradient(elementwise_function<kind>(context.node), context.output);
  }
};

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <cstddef>

#include <mien/kernels/nn.hpp>

namespace mien::detail {

class ElementwiseStep final : public Step {
 public:
  ElementwiseStep(const kernels::ElementwiseFunction& function, std::size_t size)
      : kernels_(&kernels::chosen_table()), function_(function), size_(size) {}

  const kernels::ElementwiseFunction& function() const noexcept { return function_; }
  std::size_t size() const noexcept { return size_; }

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    kernels_->elementwise(function_, static_cast<std::size_t>(count) * size_, inputs[0], output);
  }

 private:
  const kernels::KernelTable* kernels_;
  kernels::ElementwiseFunction function_;
  std::size_t size_;
};

MIEN_INLINE std::unique_ptr<Step> make_elementwise_step(
    const kernels::ElementwiseFunction& function, const TensorShape& shape) {
  return std::make_unique<ElementwiseStep>(function, shape.size());
}

class ElementwiseGradient final : public StepGradient<ElementwiseStep> {
 public:
  using StepGradient::StepGradient;

  void backward(const float* const* inputs, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    for (std::size_t i = 0; i < step().size(); ++i) {
      const double slope = kernels::naive::derivative(step().function(), double{inputs[0][i]});
      input_gradients[0][i] = static_cast<float>(double{output_gradient[i]} * slope);
    }
  }
};

MIEN_INLINE std::unique_ptr<Gradient> make_elementwise_gradient(
    const kernels::ElementwiseFunction& function, const TensorShape& shape) {
  return std::make_unique<ElementwiseGradient>(ElementwiseStep(function, shape.size()));
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
