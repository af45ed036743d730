// Pixel shuffle (Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient
// Sub-Pixel Convolutional Neural Network", arXiv 1609.05158).
#pragma once

#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>

namespace mien {

namespace detail::pixel_shuffle {

enum : int { factor };

inline constexpr Option options[] = {{"factor", 0.0, 1.0, 4096.0, true, true}};

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  const int times = node.option(factor);
  if (inputs[0].channels % (times * times) != 0) {
    return {{}, ShapeProblem::multiple, times * times};
  }
  constexpr int largest = static_cast<int>(largest_dimension);
  if (inputs[0].height > largest / times || inputs[0].width > largest / times) {
    return {{}, ShapeProblem::overflow, 0};
  }
  return {{inputs[0].channels / (times * times), inputs[0].height * times, inputs[0].width * times},
          ShapeProblem::none,
          0};
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "PixelShuffle";
  type.options = options;
  type.option_count = static_cast<int>(std::size(options));
  type.output_shape = &output_shape;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::pixel_shuffle

/// PyTorch's PixelShuffle: Factor x Factor neighbouring channels become as many pixels.
template <int Factor>
struct PixelShuffle {
  static_assert(Factor > 0, "a factor is at least 1");

  static constexpr Node node() {
    Node node;
    node.layer = &detail::pixel_shuffle::type;
    node.options[detail::pixel_shuffle::factor] = Factor;
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cstddef>

namespace mien::detail {

class PixelShuffleStep final : public Step {
 public:
  PixelShuffleStep(const Node& node, const TensorShape& input, const TensorShape& output)
      : factor_(node.option(pixel_shuffle::factor)), input_(input), output_(output) {}

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    const float* input = inputs[0];
    for (int i = 0; i < count; ++i, input += input_.size(), output += output_.size()) {
      for_each_value([&](std::ptrdiff_t from, std::ptrdiff_t to) { output[to] = input[from]; });
    }
  }

  /// Calls visit(offset in the input, offset in the output), outputs in order.
  template <class Visitor>
  void for_each_value(Visitor&& visit) const noexcept {
    const std::ptrdiff_t step = std::ptrdiff_t{factor_} * factor_;
    std::ptrdiff_t to = 0;
    for (int y = 0; y < output_.height; ++y) {
      const std::ptrdiff_t row = std::ptrdiff_t{y / factor_} * input_.width;
      for (int x = 0; x < input_.width; ++x) {
        for (int part = 0; part < factor_; ++part) {
          std::ptrdiff_t from =
              (row + x) * input_.channels + std::ptrdiff_t{y % factor_} * factor_ + part;
          for (int c = 0; c < output_.channels; ++c, from += step) visit(from, to++);
        }
      }
    }
  }

 private:
  int factor_;
  TensorShape input_;
  TensorShape output_;
};

MIEN_INLINE std::unique_ptr<Step> pixel_shuffle::make_step(const StepContext& context) {
  return std::make_unique<PixelShuffleStep>(context.node, context.inputs[0], context.output);
}

class PixelShuffleGradient final : public StepGradient<PixelShuffleStep> {
 public:
  using StepGradient::StepGradient;

  void backward(const float* const*, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    step().for_each_value([&](std::ptrdiff_t from, std::ptrdiff_t to) {
      input_gradients[0][from] = output_gradient[to];
    });
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::pixel_shuffle::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::PixelShuffleGradient>(
        detail::PixelShuffleStep(context.node, context.inputs[0], context.output));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
