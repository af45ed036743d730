// Sums, products and the like of two values, or of one and a constant; and the skip connections
// made of them (He et al., arXiv 1512.03385).
#pragma once

#include <iterator>
#include <memory>
#include <string_view>
#include <type_traits>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/kernels/nn/arithmetic.hpp>

namespace mien {

/// Of a constant: it is the first operand, such as 1 in 1 - x.
struct Reversed {};
/// Of a constant: it is the second operand.
struct InOrder {};

namespace detail::arithmetic {

enum : int { channels, height, width, reversed };

// The shape of the constant; 0: there is none, the layer takes two values.
inline constexpr Option options[] = {whole_option("channels", 0, 0), whole_option("height", 0, 0),
                                     whole_option("width", 0, 0),
                                     whole_option("reversed", 0, 0, 1)};

constexpr TensorShape constant_shape(const Node& node) {
  return {node.option(channels), node.option(height), node.option(width)};
}
constexpr bool has_constant(const Node& node) {
  return node.option(channels) > 0;
}

constexpr const char* check_options(const Node& node) {
  const bool is_present = has_constant(node);
  if ((node.option(height) > 0) != is_present || (node.option(width) > 0) != is_present) {
    return "the constant's channels, height and width are all 0 or none";
  }
  return !is_present && node.option(reversed) == 1 ? "reversed without a constant" : nullptr;
}

/// Of two sizes that are equal or one of them 1; 0 if they are not.
constexpr int broadcast(int a, int b) {
  return a == b || b == 1 ? a : a == 1 ? b : 0;
}
constexpr TensorShape broadcast(const TensorShape& a, const TensorShape& b) {
  return {broadcast(a.channels, b.channels), broadcast(a.height, b.height),
          broadcast(a.width, b.width)};
}

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int count) {
  if (count != (has_constant(node) ? 1 : 2)) return {{}, ShapeProblem::operands, 3 - count};
  const TensorShape shape = broadcast(inputs[0], count == 2 ? inputs[1] : constant_shape(node));
  if (shape.size() == 0) return {{}, ShapeProblem::broadcast, 0};
  return {shape, ShapeProblem::none, 0};
}

constexpr TensorSpecs tensors(const Node& node) {
  TensorSpecs specs;
  if (!has_constant(node)) return specs;
  specs.add("value", {node.option(channels), node.option(height), node.option(width), 0}, 3);
  return specs;
}

constexpr Fusions fusions(const Node&) {
  return {false, false, true, false};
}

MIEN_COLD std::unique_ptr<Step> make_step(kernels::Arithmetic operation,
                                          const StepContext& context);
MIEN_COLD std::unique_ptr<Gradient> make_gradient(kernels::Arithmetic operation,
                                                  const GradientContext& context);

template <kernels::Arithmetic operation>
std::unique_ptr<Step> make_step(const StepContext& context) {
  return make_step(operation, context);
}

template <kernels::Arithmetic operation>
constexpr LayerType make_type(std::string_view name) {
  LayerType type;
  type.name = name;
  type.options = options;
  type.option_count = static_cast<int>(std::size(options));
  type.most_inputs = 2;
  type.output_shape = &output_shape;
  type.check_options = &check_options;
  type.tensors = &tensors;
  type.fusions = &fusions;
  // Where both values are of one shape; see fuse() in graph/fusion.hpp.
  if (operation == kernels::Arithmetic::add) type.fused_as = FusedAs::add;
  type.is_in_place = true;
  type.make_step = &make_step<operation>;
  return type;
}

inline constexpr LayerType add = make_type<kernels::Arithmetic::add>("Add");
inline constexpr LayerType sub = make_type<kernels::Arithmetic::subtract>("Sub");
inline constexpr LayerType mul = make_type<kernels::Arithmetic::multiply>("Mul");
inline constexpr LayerType div = make_type<kernels::Arithmetic::divide>("Div");
inline constexpr LayerType min = make_type<kernels::Arithmetic::minimum>("Min");
inline constexpr LayerType max = make_type<kernels::Arithmetic::maximum>("Max");

template <const LayerType& type, class First, class Second>
struct OfTwo {
  static constexpr Node node() {
    Node node;
    node.layer = &type;
    return node;
  }
};

template <const LayerType& type, int Channels, int Height, int Width, class Order>
struct OfConstant {
  static_assert(Channels > 0 && Height > 0 && Width > 0,
                "a constant needs at least one channel, row and column");

  static constexpr Node node() {
    Node node;
    node.layer = &type;
    node.options[channels] = Channels;
    node.options[height] = Height;
    node.options[width] = Width;
    node.options[reversed] = std::is_same_v<Order, Reversed> ? 1.0 : 0.0;
    return node;
  }
};

}  // namespace detail::arithmetic

/// As a branch of Add, Mul, Concatenate and the like: the value as it is.
struct Identity {};

/// First(x) + Second(x), where both are layers, Sequentials, Identity or From. The first one's
/// nodes come first. Channels, heights and widths are equal or 1, which broadcasts, here as below.
template <class First, class Second>
using Add = detail::arithmetic::OfTwo<detail::arithmetic::add, First, Second>;
/// First(x) - Second(x)
template <class First, class Second>
using Sub = detail::arithmetic::OfTwo<detail::arithmetic::sub, First, Second>;
/// First(x) Second(x)
template <class First, class Second>
using Mul = detail::arithmetic::OfTwo<detail::arithmetic::mul, First, Second>;
/// First(x) / Second(x)
template <class First, class Second>
using Div = detail::arithmetic::OfTwo<detail::arithmetic::div, First, Second>;
/// The smaller of First(x) and Second(x)
template <class First, class Second>
using Min = detail::arithmetic::OfTwo<detail::arithmetic::min, First, Second>;
/// The larger of First(x) and Second(x)
template <class First, class Second>
using Max = detail::arithmetic::OfTwo<detail::arithmetic::max, First, Second>;

/// A skip connection: Body(x) + Shortcut(x).
template <class Body, class Shortcut = Identity>
using Residual = Add<Body, Shortcut>;

/// x + a constant of this shape from the weight file, which broadcasts like a value.
template <int Channels, int Height, int Width, class Order = InOrder>
using AddConstant =
    detail::arithmetic::OfConstant<detail::arithmetic::add, Channels, Height, Width, Order>;
/// x - the constant, or Reversed
template <int Channels, int Height, int Width, class Order = InOrder>
using SubConstant =
    detail::arithmetic::OfConstant<detail::arithmetic::sub, Channels, Height, Width, Order>;
template <int Channels, int Height, int Width, class Order = InOrder>
using MulConstant =
    detail::arithmetic::OfConstant<detail::arithmetic::mul, Channels, Height, Width, Order>;
/// x / the constant, or Reversed
template <int Channels, int Height, int Width, class Order = InOrder>
using DivConstant =
    detail::arithmetic::OfConstant<detail::arithmetic::div, Channels, Height, Width, Order>;
template <int Channels, int Height, int Width, class Order = InOrder>
using MinConstant =
    detail::arithmetic::OfConstant<detail::arithmetic::min, Channels, Height, Width, Order>;
template <int Channels, int Height, int Width, class Order = InOrder>
using MaxConstant =
    detail::arithmetic::OfConstant<detail::arithmetic::max, Channels, Height, Width, Order>;

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cstddef>
#include <vector>

#include <mien/kernels/nn.hpp>
#include <mien/layers/channel_pattern.hpp>
#include <mien/tensor.hpp>

namespace mien::detail {

class ArithmeticStep final : public Step {
 public:
  ArithmeticStep(kernels::Arithmetic operation, const Node& node, const TensorShape* inputs,
                 const NodeTensors& tensors, kernels::Activation activation)
      : kernels_(&kernels::chosen_table()),
        operation_(operation),
        activation_(activation),
        is_reversed_(node.option(arithmetic::reversed) == 1),
        first_(inputs[0]),
        second_(arithmetic::constant_shape(node)),
        pattern_(static_cast<std::size_t>(first_.channels)) {
    if (!arithmetic::has_constant(node)) {
      second_ = inputs[1];
      return;
    }
    const std::vector<float> values = tensors.values(node, 0);
    constant_.resize(values.size());
    to_channels_last(values.data(), constant_.data(), static_cast<std::size_t>(second_.channels),
                     second_.pixels());
    is_of_channels_ = second_.is_flat() && second_.channels == first_.channels;
    if (is_of_channels_) pattern_.repeat(constant_);
  }

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    const float* const first = inputs[0];
    const float* const second = constant_.empty() ? inputs[1] : constant_.data();
    if (!is_of_channels_) {
      combine(extents(count, first_), extents(constant_.empty() ? count : 1, second_), first,
              second, output);
      return;
    }
    pattern_.each(
        static_cast<std::size_t>(count) * first_.size(),
        [&](std::size_t at, std::size_t pixels, std::size_t channels) {
          combine({1, 1, pixels, channels}, {1, 1, 1, channels}, first + at, second, output + at);
        });
  }

  kernels::Arithmetic operation() const noexcept { return operation_; }
  bool is_reversed() const noexcept { return is_reversed_; }
  const TensorShape& first() const noexcept { return first_; }
  const TensorShape& second() const noexcept { return second_; }
  const std::vector<float>& constant() const noexcept { return constant_; }

  static kernels::Extents extents(int images, const TensorShape& shape) noexcept {
    return {static_cast<std::size_t>(images), static_cast<std::size_t>(shape.height),
            static_cast<std::size_t>(shape.width), static_cast<std::size_t>(shape.channels)};
  }

 private:
  void combine(const kernels::Extents& first_extents, const kernels::Extents& second_extents,
               const float* first, const float* second, float* output) const noexcept {
    if (is_reversed_) {
      kernels_->arithmetic(operation_, kernels::broadcast_loops(second_extents, first_extents),
                           second, first, activation_, output);
    } else {
      kernels_->arithmetic(operation_, kernels::broadcast_loops(first_extents, second_extents),
                           first, second, activation_, output);
    }
  }

  const kernels::KernelTable* kernels_;
  kernels::Arithmetic operation_;
  kernels::Activation activation_;
  bool is_reversed_;
  bool is_of_channels_ = false;  ///< the constant has a value for every channel
  TensorShape first_;
  TensorShape second_;
  ChannelPattern pattern_;
  std::vector<float> constant_;  ///< channels last; empty: there is none
};

MIEN_INLINE std::unique_ptr<Step> arithmetic::make_step(kernels::Arithmetic operation,
                                                        const StepContext& context) {
  return std::make_unique<ArithmeticStep>(operation, context.node, context.inputs, context.tensors,
                                          context.activation);
}

class ArithmeticGradient final : public StepGradient<ArithmeticStep> {
 public:
  using StepGradient::StepGradient;

  void backward(const float* const* inputs, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    const bool has_constant = !step().constant().empty();
    const float* const first = inputs[0];
    const float* const second = has_constant ? step().constant().data() : inputs[1];
    std::fill_n(input_gradients[0], step().first().size(), 0.0f);
    if (!has_constant) std::fill_n(input_gradients[1], step().second().size(), 0.0f);
    const auto loops = kernels::broadcast_loops(ArithmeticStep::extents(1, step().first()),
                                                ArithmeticStep::extents(1, step().second()));
    kernels::walk(loops, [&](std::size_t at_first, std::size_t at_second) {
      const double x = double{first[at_first]};
      const double y = double{second[at_second]};
      const double gradient = double{*output_gradient++};
      const Slopes slopes = step().is_reversed() ? reversed(slopes_at(y, x)) : slopes_at(x, y);
      input_gradients[0][at_first] += static_cast<float>(gradient * slopes.first);
      if (!has_constant) {
        input_gradients[1][at_second] += static_cast<float>(gradient * slopes.second);
      }
    });
  }

 private:
  struct Slopes {
    double first;
    double second;
  };

  static Slopes reversed(const Slopes& slopes) noexcept { return {slopes.second, slopes.first}; }

  Slopes slopes_at(double a, double b) const noexcept {
    // Equal values share what a minimum or maximum hands back.
    const double share = a == b ? 0.5 : a < b ? 1.0 : 0.0;
    switch (step().operation()) {
      case kernels::Arithmetic::add:
        return {1.0, 1.0};
      case kernels::Arithmetic::subtract:
        return {1.0, -1.0};
      case kernels::Arithmetic::multiply:
        return {b, a};
      case kernels::Arithmetic::divide:
        return {1.0 / b, -a / (b * b)};
      case kernels::Arithmetic::minimum:
        return {share, 1.0 - share};
      case kernels::Arithmetic::maximum:
        return {1.0 - share, share};
    }
    return {1.0, 1.0};
  }
};

MIEN_INLINE std::unique_ptr<Gradient> arithmetic::make_gradient(kernels::Arithmetic operation,
                                                                const GradientContext& context) {
  return std::make_unique<ArithmeticGradient>(ArithmeticStep(
      operation, context.node, context.inputs, context.tensors, kernels::Activation::none));
}

template <kernels::Arithmetic operation>
struct ArithmeticGradientOf {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return arithmetic::make_gradient(operation, context);
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::arithmetic::add>
    : detail::ArithmeticGradientOf<kernels::Arithmetic::add> {};
template <>
struct GradientOf<detail::arithmetic::sub>
    : detail::ArithmeticGradientOf<kernels::Arithmetic::subtract> {};
template <>
struct GradientOf<detail::arithmetic::mul>
    : detail::ArithmeticGradientOf<kernels::Arithmetic::multiply> {};
template <>
struct GradientOf<detail::arithmetic::div>
    : detail::ArithmeticGradientOf<kernels::Arithmetic::divide> {};
template <>
struct GradientOf<detail::arithmetic::min>
    : detail::ArithmeticGradientOf<kernels::Arithmetic::minimum> {};
template <>
struct GradientOf<detail::arithmetic::max>
    : detail::ArithmeticGradientOf<kernels::Arithmetic::maximum> {};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
