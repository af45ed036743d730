// Rectifiers. After a convolution, dense layer or addition they cost nothing: they are its
// epilogue.
#pragma once

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/layers/elementwise.hpp>

namespace mien {

namespace detail {

// What is not a number stays so, as in PyTorch. Where a rectifier cuts, bounds included, its
// derivative is taken to be 0.

struct ReLUFunction {
  static float value(float x) noexcept { return x < 0.0f ? 0.0f : x; }
  static float derivative(float, float y) noexcept { return y > 0.0f ? 1.0f : 0.0f; }
};

struct ReLU6Function {
  static float value(float x) noexcept { return x < 0.0f ? 0.0f : (x > 6.0f ? 6.0f : x); }
  static float derivative(float, float y) noexcept { return y > 0.0f && y < 6.0f ? 1.0f : 0.0f; }
};

template <class Function>
constexpr LayerType make_rectifier_type(std::string_view name, kernels::Activation activation) {
  LayerType type = make_elementwise_type<Function>(name);
  type.fused_as = FusedAs::activation;
  type.activation = activation;
  return type;
}

inline constexpr LayerType relu_type =
    make_rectifier_type<ReLUFunction>("ReLU", kernels::Activation::relu);
inline constexpr LayerType relu6_type =
    make_rectifier_type<ReLU6Function>("ReLU6", kernels::Activation::relu6);

}  // namespace detail

/// max(0, x)
struct ReLU {
  static constexpr Node node() {
    Node node;
    node.layer = &detail::relu_type;
    return node;
  }
};

/// min(max(0, x), 6)
struct ReLU6 {
  static constexpr Node node() {
    Node node;
    node.layer = &detail::relu6_type;
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

namespace mien {

template <>
struct GradientOf<detail::relu_type> : detail::ElementwiseGradientOf<detail::ReLUFunction> {};
template <>
struct GradientOf<detail::relu6_type> : detail::ElementwiseGradientOf<detail::ReLU6Function> {};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
