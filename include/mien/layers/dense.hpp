// Fully connected layer, with the batch normalisation, addition and activation that follow it fused
// in.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/layers/conv2d.hpp>
#include <mien/layers/window.hpp>

namespace mien {

namespace detail::dense {

enum : int { in_features, out_features, bias };

inline constexpr Option options[] = {required_size("in_features"), required_size("out_features"),
                                     whole_option("bias", 1, 0, 1)};

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  if (!inputs[0].is_flat()) return {{}, ShapeProblem::flat, 0};
  if (inputs[0].channels != node.option(in_features)) {
    return {{}, ShapeProblem::channels, node.option(in_features)};
  }
  return {{node.option(out_features), 1, 1}, ShapeProblem::none, 0};
}

constexpr TensorSpecs tensors(const Node& node) {
  TensorSpecs specs;
  specs.add("weight", {node.option(out_features), node.option(in_features), 0, 0}, 2);
  if (node.option(bias) != 0) specs.add("bias", {node.option(out_features), 0, 0, 0}, 1);
  return specs;
}

constexpr std::size_t multiply_adds(const Node& node, const TensorShape&, const TensorShape&) {
  return tensors(node).specs[0].size();
}

constexpr Fusions fusions(const Node&) {
  return {true, true, true, false};
}

/// A dense layer is a 1x1 convolution of an image of one pixel.
constexpr kernels::WindowGeometry geometry(const Node& node) {
  const int inputs = node.option(in_features);
  const int outputs = node.option(out_features);
  return {inputs, 1, 1, outputs, 1, 1, 1, 1, 1, 1, 0, 0, 1};
}

constexpr std::size_t scratch_size(const Node& node, const TensorShape&) {
  return conv2d::scratch_of(geometry(node));
}

constexpr bool can_be_quantized(const Node& node) {
  return kernels::quantized::suits(geometry(node));
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "Dense";
  type.options = options;
  type.option_count = static_cast<int>(std::size(options));
  type.output_shape = &output_shape;
  type.tensors = &tensors;
  type.multiply_adds = &multiply_adds;
  type.scratch_size = &scratch_size;
  type.fusions = &fusions;
  type.can_be_quantized = &can_be_quantized;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::dense

/// PyTorch's Linear on a flat vector. Option: NoBias. Weights in files are [Out][In].
template <int InFeatures, int OutFeatures, class... Options>
struct Dense {
  static_assert((std::is_same_v<Options, NoBias> && ...), "Dense's only option is NoBias");

  static constexpr Node node() {
    Node node;
    node.layer = &detail::dense::type;
    node.options[detail::dense::in_features] = InFeatures;
    node.options[detail::dense::out_features] = OutFeatures;
    node.options[detail::dense::bias] = sizeof...(Options) == 0 ? 1 : 0;
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <mien/layers/conv2d_gradient.hpp>

namespace mien::detail {

MIEN_INLINE std::unique_ptr<Step> dense::make_step(const StepContext& context) {
  return std::make_unique<ConvolutionStep>(geometry(context.node), context,
                                           context.node.option(bias) != 0);
}

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::dense::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::Conv2dGradient>(detail::dense::geometry(context.node), context,
                                                    context.node.option(detail::dense::bias) != 0);
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
