// Values joined along the channels (Szegedy et al., "Going Deeper with Convolutions", arXiv
// 1409.4842).
#pragma once

#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/shapes.hpp>
#include <mien/graph/step.hpp>

namespace mien {

namespace detail::concatenate {

constexpr ShapeResult output_shape(const Node&, const TensorShape* inputs, int count) {
  TensorShape sum = inputs[0];
  for (int i = 1; i < count; ++i) {
    if (inputs[i].height != sum.height || inputs[i].width != sum.width) {
      return {{}, ShapeProblem::sizes, 0};
    }
    sum.channels += inputs[i].channels;
    if (sum.channels > static_cast<int>(largest_dimension)) return {{}, ShapeProblem::overflow, 0};
  }
  return {sum, ShapeProblem::none, 0};
}

constexpr LayerType make_type() {
  LayerType type;
  type.name = "Concatenate";
  type.fewest_inputs = 2;
  type.most_inputs = NodeShapes::most;
  type.output_shape = &output_shape;
  type.gathers = true;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::concatenate

/// PyTorch's torch.cat(..., dim=1) of the outputs of branches, which are layers, Sequentials,
/// Identity or From, and take the same value: the first branch's channels, then the second's.
template <class... Branches>
struct Concatenate {
  static_assert(sizeof...(Branches) > 1, "Concatenate needs at least two branches");

  static constexpr Node node() {
    Node node;
    node.layer = &detail::concatenate::type;
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cstddef>
#include <vector>

#include <mien/graph/copy_channels.hpp>

namespace mien::detail {

class ConcatenateGradient final : public Gradient {
 public:
  explicit ConcatenateGradient(const GradientContext& context) : output_(context.output) {
    for (int i = 0; i < context.node.input_count; ++i) {
      channels_.push_back(static_cast<std::size_t>(context.inputs[i].channels));
    }
  }

  void forward(const float* const* inputs, float*, float* output) const noexcept override {
    for (const std::size_t channels : channels_) {
      copy_channels(output_.pixels(), channels, *inputs++, channels, output, step());
      output += channels;
    }
  }

  void backward(const float* const*, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    for (const std::size_t channels : channels_) {
      copy_channels(output_.pixels(), channels, output_gradient, step(), *input_gradients++,
                    channels);
      output_gradient += channels;
    }
  }

 private:
  std::size_t step() const noexcept { return static_cast<std::size_t>(output_.channels); }

  TensorShape output_;
  std::vector<std::size_t> channels_;
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::concatenate::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::ConcatenateGradient>(context);
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
