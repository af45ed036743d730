// A vector becomes an image.
#pragma once

#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>

namespace mien {

namespace detail::unflatten {

enum : int { channels, height, width };

inline constexpr Option options[] = {required_size("channels"), required_size("height"),
                                     required_size("width")};

constexpr const char* check_options(const Node& node) {
  const double size =
      node.options[channels] * node.options[height] * node.options[width];  // exact below 2^53
  return size <= largest_dimension ? nullptr : "its image is too large";
}

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  const TensorShape image = {node.option(channels), node.option(height), node.option(width)};
  const int size = static_cast<int>(image.size());
  if (!inputs[0].is_flat()) return {{}, ShapeProblem::flat, 0};
  if (inputs[0].channels != size) return {{}, ShapeProblem::channels, size};
  return {image, ShapeProblem::none, 0};
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "Unflatten";
  type.options = options;
  type.option_count = static_cast<int>(std::size(options));
  type.check_options = &check_options;
  type.output_shape = &output_shape;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::unflatten

/// PyTorch's Unflatten of a flat vector whose elements are in the order C, H, W.
template <int Channels, int Height, int Width>
struct Unflatten {
  static_assert(Channels > 0 && Height > 0 && Width > 0,
                "an image has at least one channel, row and column");

  static constexpr Node node() {
    Node node;
    node.layer = &detail::unflatten::type;
    node.options[detail::unflatten::channels] = Channels;
    node.options[detail::unflatten::height] = Height;
    node.options[detail::unflatten::width] = Width;
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cstddef>

#include <mien/tensor.hpp>

namespace mien::detail {

class UnflattenStep final : public Step {
 public:
  explicit UnflattenStep(const TensorShape& output) : output_(output) {}

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    const float* input = inputs[0];
    for (int i = 0; i < count; ++i, input += output_.size(), output += output_.size()) {
      to_channels_last(input, output, static_cast<std::size_t>(output_.channels), output_.pixels());
    }
  }

  const TensorShape& output() const noexcept { return output_; }

 private:
  TensorShape output_;
};

MIEN_INLINE std::unique_ptr<Step> unflatten::make_step(const StepContext& context) {
  return std::make_unique<UnflattenStep>(context.output);
}

class UnflattenGradient final : public StepGradient<UnflattenStep> {
 public:
  using StepGradient::StepGradient;

  void backward(const float* const*, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    to_channels_first(output_gradient, input_gradients[0],
                      static_cast<std::size_t>(step().output().channels), step().output().pixels());
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::unflatten::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::UnflattenGradient>(detail::UnflattenStep(context.output));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
