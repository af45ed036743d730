// Flattening an image to a vector.
#pragma once

#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>

namespace mien {

namespace detail::flatten {

constexpr ShapeResult output_shape(const Node&, const TensorShape* inputs, int) {
  const std::size_t size = inputs[0].size();
  if (size > static_cast<std::size_t>(largest_dimension)) return {{}, ShapeProblem::overflow, 0};
  return {{static_cast<int>(size), 1, 1}, ShapeProblem::none, 0};
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "Flatten";
  type.output_shape = &output_shape;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::flatten

/// PyTorch's Flatten: the elements in the order C, H, W, whatever the order in memory.
struct Flatten {
  static constexpr Node node() {
    Node node;
    node.layer = &detail::flatten::type;
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cstddef>

#include <mien/tensor.hpp>

namespace mien::detail {

class FlattenStep final : public Step {
 public:
  explicit FlattenStep(const TensorShape& input) : input_(input) {}

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    const float* input = inputs[0];
    for (int i = 0; i < count; ++i, input += input_.size(), output += input_.size()) {
      to_channels_first(input, output, static_cast<std::size_t>(input_.channels), input_.pixels());
    }
  }

  const TensorShape& input() const noexcept { return input_; }

 private:
  TensorShape input_;
};

MIEN_INLINE std::unique_ptr<Step> flatten::make_step(const StepContext& context) {
  return std::make_unique<FlattenStep>(context.inputs[0]);
}

class FlattenGradient final : public StepGradient<FlattenStep> {
 public:
  using StepGradient::StepGradient;

  void backward(const float* const*, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    to_channels_last(output_gradient, input_gradients[0],
                     static_cast<std::size_t>(step().input().channels), step().input().pixels());
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::flatten::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::FlattenGradient>(detail::FlattenStep(context.inputs[0]));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
