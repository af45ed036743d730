// 2-d convolution, with the depthwise convolution, batch normalisation, addition, activation and
// pooling that follow it fused in.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/kernels/nn/convolution/packed_convolution.hpp>
#include <mien/kernels/nn/convolution/pointwise_depthwise.hpp>
#include <mien/layers/window.hpp>

namespace mien {

namespace detail::conv2d {

enum : int {
  in_channels,
  out_channels,
  window,
  groups = window + 6,
  bias,
  padding_bottom,
  padding_right,
  dilation_y,
  dilation_x
};

inline constexpr Option options[] = {
    required_size("in_channels"),           required_size("out_channels"),
    required_size("kernel_height"),         required_size("kernel_width"),
    whole_option("stride_y", 1, 1),         whole_option("stride_x", 1, 1),
    whole_option("padding_y", 0, 0),        whole_option("padding_x", 0, 0),
    whole_option("groups", 1, 1),           whole_option("bias", 1, 0, 1),
    whole_option("padding_bottom", -1, -1), whole_option("padding_right", -1, -1),
    whole_option("dilation_y", 1, 1),       whole_option("dilation_x", 1, 1)};

inline constexpr MoreWindowOptions more_options = {padding_bottom, dilation_y};

constexpr kernels::WindowGeometry geometry(const Node& node, const TensorShape& input) {
  return window_on(node, window, more_options, input, node.option(out_channels),
                   node.option(groups));
}

constexpr bool is_depthwise(const Node& node) {
  return node.option(groups) > 1 && node.option(groups) == node.option(in_channels) &&
         node.option(groups) == node.option(out_channels);
}

constexpr const char* check_options(const Node& node) {
  const bool divides = node.option(in_channels) % node.option(groups) == 0 &&
                       node.option(out_channels) % node.option(groups) == 0;
  if (!divides) return "its groups must divide its input and output channels";
  return has_sane_extent(node, window, more_options) ? nullptr : "its kernel is too large";
}

/// An image that shows what the options are: whether a window is one pixel and the like.
constexpr TensorShape small_image(const Node& node) {
  return {node.option(in_channels), 4, 4};
}

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  if (inputs[0].channels != node.option(in_channels)) {
    return {{}, ShapeProblem::channels, node.option(in_channels)};
  }
  return window_output(geometry(node, inputs[0]));
}

constexpr TensorSpecs tensors(const Node& node) {
  const int out = node.option(out_channels);
  TensorSpecs specs;
  specs.add("weight",
            {out, node.option(in_channels) / node.option(groups),
             node.option(window + kernel_height), node.option(window + kernel_width)},
            4);
  if (node.option(bias) != 0) specs.add("bias", {out, 0, 0, 0}, 1);
  return specs;
}

constexpr std::size_t multiply_adds(const Node& node, const TensorShape&,
                                    const TensorShape& output) {
  return tensors(node).specs[0].size() * output.pixels();
}

constexpr bool is_pointwise(const Node& node) {
  return node.option(groups) == 1 && geometry(node, small_image(node)).is_pointwise();
}

constexpr Fusions fusions(const Node& node) {
  const bool may_be_grouped = kernels::grouped::has_small_groups(
      node.option(in_channels), node.option(out_channels), node.option(groups));
  return {true, true, true, !is_depthwise(node) && !may_be_grouped, is_pointwise(node)};
}

/// What a pointwise convolution can run inside its step.
constexpr bool can_follow_pointwise(const Node& node) {
  return kernels::PointwiseDepthwise::suits_depthwise(geometry(node, small_image(node)));
}

constexpr std::size_t depthwise_scratch_size(const Node& node, const TensorShape& input,
                                             bool pools) {
  return kernels::PointwiseDepthwise::scratch_size(geometry(node, input), pools);
}

/// Whichever way its products are computed: a typed network's memory is planned before its file is
/// there.
constexpr std::size_t scratch_of(const kernels::WindowGeometry& g) {
  const std::size_t size = kernels::choose_convolution_method(g).scratch_size(g);
  const std::size_t quantized = kernels::quantized::scratch_size(g);
  return size < quantized ? quantized : size;
}

constexpr std::size_t scratch_size(const Node& node, const TensorShape& input) {
  return scratch_of(geometry(node, input));
}

constexpr bool can_be_quantized(const Node& node) {
  return kernels::quantized::suits(geometry(node, small_image(node)));
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "Conv2d";
  type.options = options;
  type.option_count = static_cast<int>(std::size(options));
  type.check_options = &check_options;
  type.output_shape = &output_shape;
  type.tensors = &tensors;
  type.multiply_adds = &multiply_adds;
  type.scratch_size = &scratch_size;
  type.depthwise_scratch_size = &depthwise_scratch_size;
  type.fusions = &fusions;
  type.fused_as = FusedAs::depthwise;
  type.can_be_fused = &can_follow_pointwise;
  type.can_be_quantized = &can_be_quantized;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::conv2d

/// PyTorch's Conv2d. Options in any order: Kernel (needed), Stride, Padding, Dilation, Groups,
/// NoBias.
/// Weights in files are [O][I / groups][KH][KW].
template <int InChannels, int OutChannels, class... Options>
struct Conv2d {
  using kernel = detail::find_option<detail::IsKernel, void, Options...>;
  using stride = detail::find_option<detail::IsStride, Stride<1>, Options...>;
  using padding = detail::find_option<detail::IsPadding, Padding<0>, Options...>;
  using dilation = detail::find_option<detail::IsDilation, Dilation<1>, Options...>;
  static constexpr int groups = detail::find_option<detail::IsGroups, Groups<1>, Options...>::count;
  static constexpr bool has_bias =
      !std::is_same_v<detail::find_option<detail::IsNoBias, void, Options...>, NoBias>;

  static_assert(!std::is_same_v<kernel, void>, "Conv2d needs a Kernel<Height, Width>");
  static_assert(((detail::IsKernel<Options>::value || detail::IsStride<Options>::value ||
                  detail::IsPadding<Options>::value || detail::IsDilation<Options>::value ||
                  detail::IsGroups<Options>::value || detail::IsNoBias<Options>::value) &&
                 ...),
                "Conv2d's options are Kernel, Stride, Padding, Dilation, Groups and NoBias");
  static_assert(InChannels % groups == 0 && OutChannels % groups == 0,
                "Conv2d's groups must divide its input and output channels");

  static constexpr Node node() {
    Node node;
    node.layer = &detail::conv2d::type;
    node.options[detail::conv2d::in_channels] = InChannels;
    node.options[detail::conv2d::out_channels] = OutChannels;
    detail::set_window<kernel, stride, padding, dilation>(node, detail::conv2d::window,
                                                          detail::conv2d::more_options);
    node.options[detail::conv2d::groups] = groups;
    node.options[detail::conv2d::bias] = has_bias ? 1 : 0;
    return node;
  }
};

/// PyTorch's Conv2d with as many groups as channels, one filter for each. Options: Kernel (needed),
/// Stride, Padding, Dilation, NoBias. Weights in files are [C][1][KH][KW].
template <int Channels, class... Options>
using DepthwiseConv2d = Conv2d<Channels, Channels, Groups<Channels>, Options...>;

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <optional>
#include <vector>

#include <mien/layers/batch_norm2d.hpp>
#include <mien/layers/conv2d_gradient.hpp>

namespace mien::detail {

/// A convolution's tensors, with the batch normalisation behind it.
class FoldedWeights {
 public:
  /// In 8 bits where the file has them so.
  MIEN_COLD FoldedWeights(const Node& node, const Node* batch_norm, const NodeTensors& tensors,
                          bool has_bias)
      : quantized_(tensors.quantized(node, 0)) {
    const auto out = static_cast<std::size_t>(node.layer->tensors(node).specs[0].dimensions[0]);
    bias_ = has_bias ? tensors.values(node, 1) : std::vector<float>(out);
    if (quantized_) {
      // What is folded into the scales need not change the bytes.
      if (batch_norm != nullptr) {
        ChannelScale(*batch_norm, tensors).fold_into(quantized_->scale, bias_);
      }
      view_ = {quantized_->bytes.data(), quantized_->scale.data(), quantized_->input_scale,
               quantized_->input_zero_point};
    } else {
      weight_ = tensors.values(node, 0);
      if (batch_norm != nullptr) ChannelScale(*batch_norm, tensors).fold_into(weight_, bias_);
    }
  }
  FoldedWeights(const FoldedWeights&) = delete;
  FoldedWeights& operator=(const FoldedWeights&) = delete;

  kernels::PointwiseDepthwise::Weights view() const noexcept {
    return {weight_.data(), bias_.data(), quantized_ ? &view_ : nullptr};
  }
  MIEN_COLD kernels::PackedConvolution packed(const kernels::WindowGeometry& geometry,
                                              kernels::Activation activation,
                                              kernels::Pooling pooling) const {
    if (quantized_) return {geometry, view_, bias_.data(), activation, pooling};
    return {geometry, weight_.data(), bias_.data(), activation, pooling};
  }

 private:
  std::vector<float> weight_;
  std::vector<float> bias_;
  std::optional<QuantizedTensor> quantized_;
  kernels::QuantizedWeights view_{};
};

/// A convolution, or the dense layer that it is on one pixel.
class ConvolutionStep final : public Step {
 public:
  ConvolutionStep(const kernels::WindowGeometry& geometry, const StepContext& context,
                  bool has_bias)
      : packed_(FoldedWeights(context.node, context.batch_norm, context.tensors, has_bias)
                    .packed(geometry, context.activation, context.pooling)) {}

  void run(int count, const float* const* inputs, const float* added, float* scratch,
           float* output) const noexcept override {
    packed_.run(count, inputs[0], added, scratch, output);
  }

 private:
  kernels::PackedConvolution packed_;
};

class PointwiseDepthwiseStep final : public Step {
 public:
  MIEN_COLD explicit PointwiseDepthwiseStep(const StepContext& context)
      : convolutions_(conv2d::geometry(context.node, context.inputs[0]),
                      folded(context.node, nullptr, context).view(),
                      folded(*context.depthwise, context.batch_norm, context).view(),
                      context.activation, context.pooling) {}

  void run(int count, const float* const* inputs, const float* added, float* scratch,
           float* output) const noexcept override {
    convolutions_.run(count, inputs[0], added, scratch, output);
  }

 private:
  MIEN_COLD static FoldedWeights folded(const Node& node, const Node* batch_norm,
                                        const StepContext& context) {
    return FoldedWeights(node, batch_norm, context.tensors, node.option(conv2d::bias) != 0);
  }

  kernels::PointwiseDepthwise convolutions_;
};

MIEN_INLINE std::unique_ptr<Step> conv2d::make_step(const StepContext& context) {
  if (context.depthwise != nullptr) return std::make_unique<PointwiseDepthwiseStep>(context);
  return std::make_unique<ConvolutionStep>(geometry(context.node, context.inputs[0]), context,
                                           context.node.option(bias) != 0);
}

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::conv2d::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::Conv2dGradient>(
        detail::conv2d::geometry(context.node, context.inputs[0]), context,
        context.node.option(detail::conv2d::bias) != 0);
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
