// Layers that compute each value from its own input alone.
#pragma once

#include <memory>
#include <string_view>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>

namespace mien::detail {

constexpr ShapeResult same_shape(const Node&, const TensorShape* inputs, int) {
  return {inputs[0], ShapeProblem::none, 0};
}

template <class Function>
std::unique_ptr<Step> make_elementwise_step(const StepContext& context);

/// The layer of a function with two static members:
///
///   float value(float input)
///   float derivative(float input, float value)
template <class Function>
constexpr LayerType make_elementwise_type(std::string_view name) {
  LayerType type;
  type.name = name;
  type.output_shape = &same_shape;
  type.is_in_place = true;
  type.make_step = &make_elementwise_step<Function>;
  return type;
}

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <cstddef>

namespace mien::detail {

template <class Function>
class ElementwiseStep final : public Step {
 public:
  explicit ElementwiseStep(std::size_t size) : size_(size) {}

  std::size_t size() const noexcept { return size_; }

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    const float* const input = inputs[0];
    const std::size_t size = static_cast<std::size_t>(count) * size_;
    for (std::size_t i = 0; i < size; ++i) output[i] = Function::value(input[i]);
  }

 private:
  std::size_t size_;
};

template <class Function>
std::unique_ptr<Step> make_elementwise_step(const StepContext& context) {
  return std::make_unique<ElementwiseStep<Function>>(context.output.size());
}

template <class Function>
class ElementwiseGradient final : public StepGradient<ElementwiseStep<Function>> {
 public:
  using StepGradient<ElementwiseStep<Function>>::StepGradient;

  void backward(const float* const* inputs, const float* output, const float* output_gradient,
                float*, float* const* input_gradients) const noexcept override {
    for (std::size_t i = 0; i < this->step().size(); ++i) {
      input_gradients[0][i] = output_gradient[i] * Function::derivative(inputs[0][i], output[i]);
    }
  }
};

/// GradientOf an elementwise layer.
template <class Function>
struct ElementwiseGradientOf {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<ElementwiseGradient<Function>>(
        ElementwiseStep<Function>(context.output.size()));
  }
};

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
