// Rectifiers. After a convolution, dense layer or addition they cost nothing: they are its
// epilogue.
#pragma once

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/layers/elementwise.hpp>
#include <mien/layers/numbers.hpp>

namespace mien {

namespace detail {

// What is not a number stays so, as in PyTorch. Where a rectifier cuts, bounds included, its
// derivative is taken to be 0.

template <kernels::Elementwise kind>
constexpr LayerType make_rectifier_type(std::string_view name, kernels::Activation activation) {
  LayerType type = make_elementwise_type<kind>(name);
  type.fused_as = FusedAs::activation;
  type.activation = activation;
  return type;
}

inline constexpr LayerType relu_type =
    make_rectifier_type<kernels::Elementwise::relu>("ReLU", kernels::Activation::relu);
inline constexpr LayerType relu6_type =
    make_rectifier_type<kernels::Elementwise::relu6>("ReLU6", kernels::Activation::relu6);

}  // namespace detail

/// max(0, x)
struct ReLU : detail::LayerOfNumbers<detail::relu_type> {};

/// min(max(0, x), 6)
struct ReLU6 : detail::LayerOfNumbers<detail::relu6_type> {};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

namespace mien {

template <>
struct GradientOf<detail::relu_type> : detail::ElementwiseGradientOf<kernels::Elementwise::relu> {};
template <>
struct GradientOf<detail::relu6_type> : detail::ElementwiseGradientOf<kernels::Elementwise::relu6> {
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
