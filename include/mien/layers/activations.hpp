// Activations that each value goes through by itself; kernels/nn/elementwise.hpp has what they
// compute and where it is published. They run in place, a pass over memory each.
#pragma once

#include <iterator>
#include <ratio>
#include <type_traits>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/layers/elementwise.hpp>
#include <mien/layers/numbers.hpp>

namespace mien {

namespace detail {

inline constexpr Option hard_sigmoid_options[] = {real_option("alpha", 1.0 / 6.0),
                                                  real_option("beta", 0.5)};
inline constexpr Option leaky_relu_options[] = {real_option("negative_slope", 0.01)};
inline constexpr Option elu_options[] = {real_option("alpha", 1.0)};
inline constexpr Option gelu_options[] = {whole_option("approximate", 0, 0, 1)};
inline constexpr Option clip_options[] = {real_option("lowest", -largest_real),
                                          real_option("highest", largest_real)};

constexpr const char* check_clip(const Node& node) {
  return node.options[0] > node.options[1] ? "lowest is more than highest" : nullptr;
}

constexpr LayerType make_clip_type() {
  LayerType type = make_elementwise_type<kernels::Elementwise::clip>("Clip", clip_options, 2);
  type.check_options = &check_clip;
  return type;
}

inline constexpr LayerType sigmoid_type =
    make_elementwise_type<kernels::Elementwise::sigmoid>("Sigmoid");
inline constexpr LayerType tanh_type = make_elementwise_type<kernels::Elementwise::tanh>("Tanh");
inline constexpr LayerType silu_type = make_elementwise_type<kernels::Elementwise::silu>("SiLU");
inline constexpr LayerType hard_swish_type =
    make_elementwise_type<kernels::Elementwise::hard_swish>("HardSwish");
inline constexpr LayerType hard_sigmoid_type =
    make_elementwise_type<kernels::Elementwise::hard_sigmoid>(
        "HardSigmoid", hard_sigmoid_options, static_cast<int>(std::size(hard_sigmoid_options)));
inline constexpr LayerType leaky_relu_type =
    make_elementwise_type<kernels::Elementwise::leaky_relu>(
        "LeakyReLU", leaky_relu_options, static_cast<int>(std::size(leaky_relu_options)));
inline constexpr LayerType elu_type = make_elementwise_type<kernels::Elementwise::elu>(
    "ELU", elu_options, static_cast<int>(std::size(elu_options)));
inline constexpr LayerType selu_type = make_elementwise_type<kernels::Elementwise::selu>("SELU");
inline constexpr LayerType gelu_type = make_elementwise_type<kernels::Elementwise::gelu>(
    "GELU", gelu_options, static_cast<int>(std::size(gelu_options)));
inline constexpr LayerType mish_type = make_elementwise_type<kernels::Elementwise::mish>("Mish");
inline constexpr LayerType clip_type = make_clip_type();
inline constexpr LayerType softplus_type =
    make_elementwise_type<kernels::Elementwise::softplus>("Softplus");

template <class Number>
constexpr double bound_or(double unbounded) {
  static_assert(RatioValue<Number>::is_ratio || std::is_same_v<Number, Unbounded>,
                "Clip's limits are std::ratio or Unbounded");
  return std::is_same_v<Number, Unbounded> ? unbounded : RatioValue<Number>::value;
}

}  // namespace detail

/// 1 / (1 + e^-x)
struct Sigmoid : detail::LayerOfNumbers<detail::sigmoid_type> {};

struct Tanh : detail::LayerOfNumbers<detail::tanh_type> {};

/// x / (1 + e^-x), also called Swish
struct SiLU : detail::LayerOfNumbers<detail::silu_type> {};

/// x min(max(0, x + 3), 6) / 6
struct HardSwish : detail::LayerOfNumbers<detail::hard_swish_type> {};

/// min(max(0, Alpha x + Beta), 1); the defaults are PyTorch's.
template <class Alpha = std::ratio<1, 6>, class Beta = std::ratio<1, 2>>
struct HardSigmoid : detail::LayerOfNumbers<detail::hard_sigmoid_type, Alpha, Beta> {};

/// x, or NegativeSlope x below 0
template <class NegativeSlope = std::ratio<1, 100>>
struct LeakyReLU : detail::LayerOfNumbers<detail::leaky_relu_type, NegativeSlope> {};

/// x, or Alpha (e^x - 1) below 0
template <class Alpha = std::ratio<1>>
struct ELU : detail::LayerOfNumbers<detail::elu_type, Alpha> {};

/// 1.0507 times ELU with an alpha of 1.6733
struct SELU : detail::LayerOfNumbers<detail::selu_type> {};

/// x times the share of a normal distribution below x
struct GELU : detail::LayerOfNumbers<detail::gelu_type, std::ratio<0>> {};

/// GELU approximated by a hyperbolic tangent: PyTorch's approximate="tanh"
struct TanhGELU : detail::LayerOfNumbers<detail::gelu_type, std::ratio<1>> {};

/// x tanh(log(1 + e^x))
struct Mish : detail::LayerOfNumbers<detail::mish_type> {};

/// min(max(Lowest, x), Highest), where either may be Unbounded
template <class Lowest, class Highest>
struct Clip {
  static constexpr Node node() {
    Node node;
    node.layer = &detail::clip_type;
    node.options[0] = detail::bound_or<Lowest>(-detail::largest_real);
    node.options[1] = detail::bound_or<Highest>(detail::largest_real);
    return node;
  }
};

/// log(1 + e^x)
struct Softplus : detail::LayerOfNumbers<detail::softplus_type> {};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

namespace mien {

template <>
struct GradientOf<detail::sigmoid_type>
    : detail::ElementwiseGradientOf<kernels::Elementwise::sigmoid> {};
template <>
struct GradientOf<detail::tanh_type> : detail::ElementwiseGradientOf<kernels::Elementwise::tanh> {};
template <>
struct GradientOf<detail::silu_type> : detail::ElementwiseGradientOf<kernels::Elementwise::silu> {};
template <>
struct GradientOf<detail::hard_swish_type>
    : detail::ElementwiseGradientOf<kernels::Elementwise::hard_swish> {};
template <>
struct GradientOf<detail::hard_sigmoid_type>
    : detail::ElementwiseGradientOf<kernels::Elementwise::hard_sigmoid> {};
template <>
struct GradientOf<detail::leaky_relu_type>
    : detail::ElementwiseGradientOf<kernels::Elementwise::leaky_relu> {};
template <>
struct GradientOf<detail::elu_type> : detail::ElementwiseGradientOf<kernels::Elementwise::elu> {};
template <>
struct GradientOf<detail::selu_type> : detail::ElementwiseGradientOf<kernels::Elementwise::selu> {};
template <>
struct GradientOf<detail::gelu_type> : detail::ElementwiseGradientOf<kernels::Elementwise::gelu> {};
template <>
struct GradientOf<detail::mish_type> : detail::ElementwiseGradientOf<kernels::Elementwise::mish> {};
template <>
struct GradientOf<detail::clip_type> : detail::ElementwiseGradientOf<kernels::Elementwise::clip> {};
template <>
struct GradientOf<detail::softplus_type>
    : detail::ElementwiseGradientOf<kernels::Elementwise::softplus> {};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
