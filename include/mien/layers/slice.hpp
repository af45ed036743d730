// Some of a value's channels.
#pragma once

#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>

namespace mien {

namespace detail::slice {

enum : int { first, count };

inline constexpr Option options[] = {whole_option("first", 0, 0), required_size("count")};

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  const int needed = node.option(first) + node.option(count);
  if (inputs[0].channels < needed) return {{}, ShapeProblem::few_channels, needed};
  return {{node.option(count), inputs[0].height, inputs[0].width}, ShapeProblem::none, 0};
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "Slice";
  type.options = options;
  type.option_count = static_cast<int>(std::size(options));
  type.output_shape = &output_shape;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::slice

/// The channels First, First + 1, ..., so many of them, as by PyTorch's x[:, first : first +
/// count].
template <int First, int Count>
struct Slice {
  static_assert(First >= 0 && Count > 0, "a Slice has at least one channel");

  static constexpr Node node() {
    Node node;
    node.layer = &detail::slice::type;
    node.options[detail::slice::first] = First;
    node.options[detail::slice::count] = Count;
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cstddef>

#include <mien/graph/copy_channels.hpp>

namespace mien::detail {

class SliceStep final : public Step {
 public:
  SliceStep(const Node& node, const TensorShape& input)
      : input_(input),
        first_(static_cast<std::size_t>(node.option(slice::first))),
        channels_(static_cast<std::size_t>(node.option(slice::count))) {}

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    copy_channels(static_cast<std::size_t>(count) * input_.pixels(), channels_, inputs[0] + first_,
                  static_cast<std::size_t>(input_.channels), output, channels_);
  }

  const TensorShape& input() const noexcept { return input_; }
  std::size_t first() const noexcept { return first_; }
  std::size_t channels() const noexcept { return channels_; }

 private:
  TensorShape input_;
  std::size_t first_;
  std::size_t channels_;
};

MIEN_INLINE std::unique_ptr<Step> slice::make_step(const StepContext& context) {
  return std::make_unique<SliceStep>(context.node, context.inputs[0]);
}

class SliceGradient final : public StepGradient<SliceStep> {
 public:
  using StepGradient::StepGradient;

  void backward(const float* const*, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    const TensorShape& input = step().input();
    std::fill_n(input_gradients[0], input.size(), 0.0f);
    copy_channels(input.pixels(), step().channels(), output_gradient, step().channels(),
                  input_gradients[0] + step().first(), static_cast<std::size_t>(input.channels));
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::slice::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::SliceGradient>(
        detail::SliceStep(context.node, context.inputs[0]));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
