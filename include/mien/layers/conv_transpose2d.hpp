// 2-d transposed convolution, with the batch normalisation and activation that follow it fused in.
//
// Outputs whose row and column leave the same remainder when divided by the stride see the same
// taps, at the same distances: a phase, which is an ordinary convolution of stride 1 with some of
// the filter's taps, in reverse (Shi et al., "Is the deconvolution layer the same as a
// convolutional layer?", arXiv 1609.07009). So every phase runs by whatever convolution method
// suits, without a multiplication by the zeros of a stretched input, and its pixels are then put
// between those of the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/kernels/nn/convolution/packed_convolution.hpp>
#include <mien/layers/window.hpp>
#include <mien/tensor.hpp>

namespace mien {

/// Rows below and columns to the right that a transposed convolution puts out besides.
template <int Y, int X = Y>
struct OutputPadding {
  static_assert(Y >= 0 && X >= 0, "padding is not negative");
  static constexpr int y = Y;
  static constexpr int x = X;
};

namespace detail {

template <class Option>
struct IsOutputPadding : std::false_type {};
template <int Y, int X>
struct IsOutputPadding<OutputPadding<Y, X>> : std::true_type {};

namespace conv_transpose2d {

enum : int {
  in_channels,
  out_channels,
  window,
  padding_bottom = window + 6,
  padding_right,
  output_padding_y,
  output_padding_x,
  groups,
  bias,
  dilation_y,
  dilation_x
};

/// Every stride makes a phase.
inline constexpr int largest_stride = 64;

inline constexpr Option options[] = {required_size("in_channels"),
                                     required_size("out_channels"),
                                     required_size("kernel_height"),
                                     required_size("kernel_width"),
                                     whole_option("stride_y", 1, 1, largest_stride),
                                     whole_option("stride_x", 1, 1, largest_stride),
                                     whole_option("padding_y", 0, 0),
                                     whole_option("padding_x", 0, 0),
                                     whole_option("padding_bottom", -1, -1),
                                     whole_option("padding_right", -1, -1),
                                     whole_option("output_padding_y", 0, 0),
                                     whole_option("output_padding_x", 0, 0),
                                     whole_option("groups", 1, 1),
                                     whole_option("bias", 1, 0, 1),
                                     whole_option("dilation_y", 1, 1),
                                     whole_option("dilation_x", 1, 1)};

inline constexpr MoreWindowOptions more_options = {padding_bottom, dilation_y};

/// One axis of the layer: output = input * stride + tap * dilation - padding.
struct Axis {
  int in;
  int out;
  int kernel;
  int stride;
  int dilation;
  int padding;

  constexpr int extent() const { return (kernel - 1) * dilation + 1; }
};

constexpr Axis make_axis(int in, int kernel, int stride, int dilation, int padding, int after,
                         int output_padding) {
  Axis axis{in, 0, kernel, stride, dilation, padding};
  axis.out = (in - 1) * stride + axis.extent() + output_padding - padding - after;
  return axis;
}

constexpr Axis vertical(const Node& node, const TensorShape& input) {
  return make_axis(input.height, node.option(window + kernel_height),
                   node.option(window + stride_y), node.option(dilation_y),
                   node.option(window + padding_y), padding_below(node, window, more_options),
                   node.option(output_padding_y));
}

constexpr Axis horizontal(const Node& node, const TensorShape& input) {
  return make_axis(input.width, node.option(window + kernel_width), node.option(window + stride_x),
                   node.option(dilation_x), node.option(window + padding_x),
                   padding_right_of(node, window, more_options), node.option(output_padding_x));
}

/// The outputs of an axis whose place, padding counted, leaves one remainder.
struct Phase {
  int first;     ///< of these outputs; the others follow a stride apart
  int outputs;   ///< may be 0
  int taps;      ///< of its convolution; those that the filter has not are zeros
  int last_tap;  ///< of the filter, which is the convolution's first or, after zeros, a later one
  int next_tap;  ///< how far before it in the filter the next one stands
  int zeros;     ///< taps of the convolution before it
  int padding;   ///< of its convolution
  int dilation;
};

constexpr int greatest_divisor(int a, int b) {
  return b == 0 ? a : greatest_divisor(b, a % b);
}

constexpr Phase phase_of(const Axis& axis, int remainder) {
  Phase phase{};
  const int stride = axis.stride;
  phase.first = (remainder + stride - axis.padding % stride) % stride;
  phase.outputs = phase.first < axis.out ? (axis.out - 1 - phase.first) / stride + 1 : 0;
  const int divisor = greatest_divisor(stride, axis.dilation);
  phase.next_tap = stride / divisor;
  phase.dilation = axis.dilation / divisor;
  // Of each row of taps so far apart at most one has the remainder.
  int tap = 0;
  while (tap < phase.next_tap && std::int64_t{tap} * axis.dilation % stride != remainder) ++tap;
  const bool has_taps = tap < phase.next_tap && tap < axis.kernel;
  phase.taps = has_taps ? (axis.kernel - 1 - tap) / phase.next_tap + 1 : 1;
  phase.last_tap = has_taps ? tap + (phase.taps - 1) * phase.next_tap : -1;
  // The input pixel under the last tap of the first output: later taps of the filter see earlier
  // pixels.
  int begin = 0;
  if (has_taps) {
    begin = (phase.first + axis.padding - remainder) / stride -
            (phase.last_tap * axis.dilation - remainder) / stride;
  }
  // A convolution's padding is not negative.
  while (begin > 0) {
    begin -= phase.dilation;
    ++phase.taps;
    ++phase.zeros;
  }
  phase.padding = -begin;
  return phase;
}

constexpr kernels::WindowGeometry phase_geometry(const Node& node, const TensorShape& input,
                                                 const Phase& down, const Phase& across) {
  kernels::WindowGeometry g{input.channels,
                            input.height,
                            input.width,
                            node.option(out_channels),
                            down.outputs,
                            across.outputs,
                            down.taps,
                            across.taps,
                            1,
                            1,
                            down.padding,
                            across.padding,
                            node.option(groups)};
  g.dilation_y = down.dilation;
  g.dilation_x = across.dilation;
  return g;
}

constexpr const char* check_options(const Node& node) {
  if (node.option(in_channels) % node.option(groups) != 0 ||
      node.option(out_channels) % node.option(groups) != 0) {
    return "its groups must divide its input and output channels";
  }
  if (!has_sane_extent(node, window, more_options)) return "its kernel is too large";
  const Axis y = vertical(node, {1, 1, 1});
  const Axis x = horizontal(node, {1, 1, 1});
  if (y.padding >= y.extent() || x.padding >= x.extent() ||
      padding_below(node, window, more_options) >= y.extent() ||
      padding_right_of(node, window, more_options) >= x.extent()) {
    return "its padding is less than its kernel";
  }
  const auto allowed = [](const Axis& axis) {
    return axis.stride > axis.dilation ? axis.stride : axis.dilation;
  };
  if (node.option(output_padding_y) >= allowed(y) || node.option(output_padding_x) >= allowed(x)) {
    return "its output padding is less than its stride or dilation";
  }
  return nullptr;
}

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  if (inputs[0].channels != node.option(in_channels)) {
    return {{}, ShapeProblem::channels, node.option(in_channels)};
  }
  const int height = vertical(node, inputs[0]).out;
  const int width = horizontal(node, inputs[0]).out;
  if (height < 1 || width < 1) return {{}, ShapeProblem::kernel, 0};
  constexpr int largest = static_cast<int>(largest_dimension);
  if (height > largest || width > largest) return {{}, ShapeProblem::overflow, 0};
  return {{node.option(out_channels), height, width}, ShapeProblem::none, 0};
}

constexpr TensorSpecs tensors(const Node& node) {
  const int out = node.option(out_channels);
  TensorSpecs specs;
  specs.add("weight",
            {node.option(in_channels), out / node.option(groups),
             node.option(window + kernel_height), node.option(window + kernel_width)},
            4);
  if (node.option(bias) != 0) specs.add("bias", {out, 0, 0, 0}, 1);
  return specs;
}

constexpr std::size_t multiply_adds(const Node& node, const TensorShape& input,
                                    const TensorShape&) {
  return tensors(node).specs[0].size() * input.pixels();
}

constexpr Fusions fusions(const Node&) {
  return {true, false, true, false};
}

/// Floats for one image: the scratch memory of each phase's convolution, and what it puts out.
struct Scratch {
  std::size_t of_convolution = 0;
  std::size_t output = 0;
};

constexpr Scratch scratch(const Node& node, const TensorShape& input) {
  Scratch largest;
  const Axis y = vertical(node, input);
  const Axis x = horizontal(node, input);
  for (int down = 0; down < y.stride; ++down) {
    for (int across = 0; across < x.stride; ++across) {
      const kernels::WindowGeometry g =
          phase_geometry(node, input, phase_of(y, down), phase_of(x, across));
      if (g.output_size() == 0) continue;
      const std::size_t wanted = kernels::choose_convolution_method(g).scratch_size(g);
      if (wanted > largest.of_convolution) largest.of_convolution = wanted;
      const std::size_t output = aligned_size(g.output_size());
      if (output > largest.output) largest.output = output;
    }
  }
  // The only phase writes the output itself.
  if (y.stride == 1 && x.stride == 1) largest.output = 0;
  return largest;
}

constexpr std::size_t scratch_size(const Node& node, const TensorShape& input) {
  const Scratch needed = scratch(node, input);
  return needed.of_convolution + needed.output;
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "ConvTranspose2d";
  type.options = options;
  type.option_count = static_cast<int>(std::size(options));
  type.check_options = &check_options;
  type.output_shape = &output_shape;
  type.tensors = &tensors;
  type.multiply_adds = &multiply_adds;
  type.scratch_size = &scratch_size;
  type.fusions = &fusions;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace conv_transpose2d
}  // namespace detail

/// PyTorch's ConvTranspose2d. Options in any order: Kernel (needed), Stride, Padding,
/// OutputPadding, Dilation, Groups, NoBias. Weights in files are [I][O / groups][KH][KW].
template <int InChannels, int OutChannels, class... Options>
struct ConvTranspose2d {
  using kernel = detail::find_option<detail::IsKernel, void, Options...>;
  using stride = detail::find_option<detail::IsStride, Stride<1>, Options...>;
  using padding = detail::find_option<detail::IsPadding, Padding<0>, Options...>;
  using output_padding = detail::find_option<detail::IsOutputPadding, OutputPadding<0>, Options...>;
  using dilation = detail::find_option<detail::IsDilation, Dilation<1>, Options...>;
  static constexpr int groups = detail::find_option<detail::IsGroups, Groups<1>, Options...>::count;
  static constexpr bool has_bias =
      !std::is_same_v<detail::find_option<detail::IsNoBias, void, Options...>, NoBias>;

  static_assert(!std::is_same_v<kernel, void>, "ConvTranspose2d needs a Kernel<Height, Width>");
  static_assert(((detail::IsKernel<Options>::value || detail::IsStride<Options>::value ||
                  detail::IsPadding<Options>::value || detail::IsOutputPadding<Options>::value ||
                  detail::IsDilation<Options>::value || detail::IsGroups<Options>::value ||
                  detail::IsNoBias<Options>::value) &&
                 ...),
                "ConvTranspose2d's options are Kernel, Stride, Padding, OutputPadding, Dilation, "
                "Groups and NoBias");

  static constexpr Node node() {
    namespace own = detail::conv_transpose2d;
    Node node;
    node.layer = &own::type;
    node.options[own::in_channels] = InChannels;
    node.options[own::out_channels] = OutChannels;
    detail::set_window<kernel, stride, padding, dilation>(node, own::window, own::more_options);
    node.options[own::output_padding_y] = output_padding::y;
    node.options[own::output_padding_x] = output_padding::x;
    node.options[own::groups] = groups;
    node.options[own::bias] = has_bias ? 1 : 0;
    return node;
  }

  static_assert(detail::conv_transpose2d::check_options(node()) == nullptr,
                "ConvTranspose2d's groups must divide its channels, its padding is less than its "
                "kernel, and its output padding less than its stride or dilation");
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <vector>

#include <mien/layers/batch_norm2d.hpp>

namespace mien::detail {

class ConvTranspose2dStep final : public Step {
 public:
  /// `by_definition`: without Winograd's transform, as gradients are computed.
  ConvTranspose2dStep(const StepContext& context, bool by_definition)
      : input_(context.inputs[0]),
        output_(context.output),
        stride_x_(context.node.option(conv_transpose2d::window + stride_x)),
        stride_y_(context.node.option(conv_transpose2d::window + stride_y)),
        scratch_(conv_transpose2d::scratch(context.node, context.inputs[0])) {
    make_phases(context, by_definition);
  }

  void run(int count, const float* const* inputs, const float*, float* scratch,
           float* output) const noexcept override {
    const auto images = static_cast<std::size_t>(count);
    if (scratch_.output == 0) {
      phases_.front().convolution.run(count, inputs[0], nullptr, scratch, output);
      return;
    }
    float* const pixels = scratch + images * scratch_.of_convolution;
    for (const BoundPhase& phase : phases_) {
      phase.convolution.run(count, inputs[0], nullptr, scratch, pixels);
      spread(count, phase, pixels, output);
    }
  }

  std::size_t scratch_size() const noexcept { return scratch_.of_convolution + scratch_.output; }

 private:
  struct BoundPhase {
    int first_y;
    int first_x;
    kernels::PackedConvolution convolution;
  };

  void make_phases(const StepContext& context, bool by_definition) {
    using namespace conv_transpose2d;
    const Node& node = context.node;
    const std::vector<float> weight = context.tensors.values(node, 0);
    const std::vector<float> own_bias =
        node.option(bias) != 0
            ? context.tensors.values(node, 1)
            : std::vector<float>(static_cast<std::size_t>(node.option(out_channels)));
    const Axis y = vertical(node, input_);
    const Axis x = horizontal(node, input_);
    for (int remainder_y = 0; remainder_y < y.stride; ++remainder_y) {
      const Phase down = phase_of(y, remainder_y);
      for (int remainder_x = 0; remainder_x < x.stride; ++remainder_x) {
        const Phase across = phase_of(x, remainder_x);
        const kernels::WindowGeometry g = phase_geometry(node, input_, down, across);
        if (g.output_size() == 0) continue;
        std::vector<float> part = taps_of(node, weight, down, across);
        std::vector<float> shift = own_bias;
        if (context.batch_norm != nullptr) {
          ChannelScale(*context.batch_norm, context.tensors).fold_into(part, shift);
        }
        const kernels::ConvolutionMethod& exact =
            kernels::depthwise_method.suits(g) ? kernels::depthwise_method : kernels::direct_method;
        const kernels::ConvolutionMethod& method =
            by_definition ? exact : kernels::choose_convolution_method(g);
        if (by_definition) {
          scratch_.of_convolution = std::max(scratch_.of_convolution, method.scratch_size(g));
        }
        phases_.push_back(
            {down.first, across.first,
             kernels::PackedConvolution(method, g, part.data(), shift.data(), context.activation)});
      }
    }
  }

  /// A phase's filters, [O][I / groups][taps][taps], from the layer's, [I][O / groups][KH][KW].
  static std::vector<float> taps_of(const Node& node, const std::vector<float>& weight,
                                    const conv_transpose2d::Phase& down,
                                    const conv_transpose2d::Phase& across) {
    using namespace conv_transpose2d;
    const int group_in = node.option(in_channels) / node.option(groups);
    const int group_out = node.option(out_channels) / node.option(groups);
    const int height = node.option(window + kernel_height);
    const int width = node.option(window + kernel_width);
    std::vector<float> part;
    part.reserve(kernels::WindowGeometry::product(node.option(out_channels) * group_in, down.taps,
                                                  across.taps));
    for (int o = 0; o < node.option(out_channels); ++o) {
      for (int i = 0; i < group_in; ++i) {
        const std::ptrdiff_t channel = std::ptrdiff_t{o / group_out} * group_in + i;
        const float* const filter =
            weight.data() + (channel * group_out + o % group_out) * height * width;
        for (int y = 0; y < down.taps; ++y) {
          const int tap_y = down.last_tap - (y - down.zeros) * down.next_tap;
          for (int x = 0; x < across.taps; ++x) {
            const int tap_x = across.last_tap - (x - across.zeros) * across.next_tap;
            const bool exists = y >= down.zeros && x >= across.zeros && tap_y >= 0 && tap_x >= 0;
            part.push_back(exists ? filter[tap_y * width + tap_x] : 0.0f);
          }
        }
      }
    }
    return part;
  }

  /// Puts a phase's pixels where they belong.
  void spread(int count, const BoundPhase& phase, const float* pixels,
              float* output) const noexcept {
    const kernels::WindowGeometry& g = phase.convolution.geometry();
    const std::ptrdiff_t channels = output_.channels;
    for (int i = 0; i < count; ++i, output += output_.size()) {
      for (int y = 0; y < g.out_height; ++y) {
        float* to = output + ((std::ptrdiff_t{phase.first_y} + std::ptrdiff_t{y} * stride_y_) *
                                  output_.width +
                              phase.first_x) *
                                 channels;
        for (int x = 0; x < g.out_width; ++x, to += stride_x_ * channels) {
          std::copy_n(pixels, channels, to);
          pixels += channels;
        }
      }
    }
  }

  TensorShape input_;
  TensorShape output_;
  int stride_x_;
  int stride_y_;
  conv_transpose2d::Scratch scratch_;
  std::vector<BoundPhase> phases_;
};

MIEN_INLINE std::unique_ptr<Step> conv_transpose2d::make_step(const StepContext& context) {
  return std::make_unique<ConvTranspose2dStep>(context, false);
}

class ConvTranspose2dGradient final : public StepGradient<ConvTranspose2dStep> {
 public:
  explicit ConvTranspose2dGradient(const GradientContext& context)
      : StepGradient(ConvTranspose2dStep(
            {context.node, context.inputs, context.output, context.tensors}, true)),
        backward_(make_backward(context)) {}

  std::size_t scratch_size() const noexcept override {
    return std::max(step().scratch_size(), backward_.scratch_size());
  }

  /// What it is the transpose of: a convolution of the output's gradient.
  void backward(const float* const*, const float*, const float* output_gradient, float* scratch,
                float* const* input_gradients) const noexcept override {
    backward_.run(1, output_gradient, nullptr, scratch, input_gradients[0]);
  }

 private:
  static kernels::PackedConvolution make_backward(const GradientContext& context) {
    using namespace conv_transpose2d;
    const Node& node = context.node;
    const TensorShape& input = context.inputs[0];
    const Axis y = vertical(node, input);
    const Axis x = horizontal(node, input);
    kernels::WindowGeometry g{context.output.channels,
                              y.out,
                              x.out,
                              input.channels,
                              input.height,
                              input.width,
                              y.kernel,
                              x.kernel,
                              y.stride,
                              x.stride,
                              y.padding,
                              x.padding,
                              node.option(groups)};
    g.dilation_y = y.dilation;
    g.dilation_x = x.dilation;
    const std::vector<float> weight = context.tensors.values(node, 0);
    return kernels::PackedConvolution(kernels::direct_method, g, weight.data(), nullptr);
  }

  kernels::PackedConvolution backward_;
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::conv_transpose2d::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::ConvTranspose2dGradient>(context);
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
