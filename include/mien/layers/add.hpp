// Sums, and the skip connections made of them (He et al., arXiv 1512.03385).
#pragma once

#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>

namespace mien {

namespace detail::add {

constexpr ShapeResult output_shape(const Node&, const TensorShape* inputs, int) {
  if (inputs[0] != inputs[1]) return {{}, ShapeProblem::shapes, 0};
  return {inputs[0], ShapeProblem::none, 0};
}

constexpr Fusions fusions(const Node&) {
  return {false, false, true, false};
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "Add";
  type.fewest_inputs = 2;
  type.most_inputs = 2;
  type.output_shape = &output_shape;
  type.fusions = &fusions;
  type.fused_as = FusedAs::add;
  type.is_in_place = true;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::add

/// As a branch of Add or Concatenate: the value as it is.
struct Identity {};

/// First(x) + Second(x), of equal shapes, where both are layers, Sequentials, Identity or From. The
/// first one's nodes come first.
template <class First, class Second>
struct Add {
  static constexpr Node node() {
    Node node;
    node.layer = &detail::add::type;
    return node;
  }
};

/// A skip connection: Body(x) + Shortcut(x).
template <class Body, class Shortcut = Identity>
using Residual = Add<Body, Shortcut>;

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cstddef>

#include <mien/kernels/nn.hpp>

namespace mien::detail {

class AddStep final : public Step {
 public:
  AddStep(std::size_t size, kernels::Activation activation)
      : kernels_(&kernels::chosen_table()), size_(size), activation_(activation) {}

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    kernels_->add(static_cast<std::size_t>(count) * size_, inputs[0], inputs[1], activation_,
                  output);
  }

  std::size_t size() const noexcept { return size_; }

 private:
  const kernels::KernelTable* kernels_;
  std::size_t size_;
  kernels::Activation activation_;
};

MIEN_INLINE std::unique_ptr<Step> add::make_step(const StepContext& context) {
  return std::make_unique<AddStep>(context.output.size(), context.activation);
}

class AddGradient final : public StepGradient<AddStep> {
 public:
  using StepGradient::StepGradient;

  void backward(const float* const*, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    std::copy_n(output_gradient, step().size(), input_gradients[0]);
    std::copy_n(output_gradient, step().size(), input_gradients[1]);
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::add::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::AddGradient>(
        detail::AddStep(context.output.size(), kernels::Activation::none));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
