// Rectifiers. After a convolution or dense layer they cost nothing: Sequential fuses them.
#pragma once

#include <limits>
#include <string_view>

#include <mien/kernels/geometry.hpp>
#include <mien/layers/layer.hpp>

namespace mien {

/// max(0, x)
struct ReLU {
  static constexpr std::string_view name = "ReLU";
  static constexpr kernels::Clamp clamp = {0.0f, std::numeric_limits<float>::infinity()};
};

/// min(max(0, x), 6)
struct ReLU6 {
  static constexpr std::string_view name = "ReLU6";
  static constexpr kernels::Clamp clamp = {0.0f, 6.0f};
};

namespace detail {

/// A fused layer's place for an activation where none follows.
struct NoActivation {
  static constexpr std::string_view name = "";
  static constexpr kernels::Clamp clamp = kernels::no_clamp;
};

template <class Activation, class Input>
struct CompiledActivation : WithoutParameters {
  using Output = Input;
  static constexpr LayerNames layer_names = {Activation::name};

  explicit CompiledActivation(TensorReader&) {}

  void forward(int count, const float* input, float* output, float*) const noexcept {
    constexpr kernels::Clamp clamp = Activation::clamp;
    for (std::size_t i = 0; i < value_count<Input>(count); ++i) {
      const float raised = input[i] < clamp.low ? clamp.low : input[i];
      output[i] = raised > clamp.high ? clamp.high : raised;
    }
  }
};

}  // namespace detail

template <class Input>
class Compiled<ReLU, Input> : public detail::CompiledActivation<ReLU, Input> {
  using detail::CompiledActivation<ReLU, Input>::CompiledActivation;
};

template <class Input>
class Compiled<ReLU6, Input> : public detail::CompiledActivation<ReLU6, Input> {
  using detail::CompiledActivation<ReLU6, Input>::CompiledActivation;
};

}  // namespace mien
