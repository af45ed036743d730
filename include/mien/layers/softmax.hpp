// Softmax.
#pragma once

#include <string_view>

#include <mien/kernels/softmax.hpp>
#include <mien/layers/layer.hpp>

namespace mien {

/// PyTorch's Softmax over the channels, at every pixel.
struct Softmax {
  static constexpr std::string_view name = "Softmax";
};

template <class Input>
class Compiled<Softmax, Input> : public detail::WithoutParameters {
 public:
  using Output = Input;
  static constexpr LayerNames layer_names = {Softmax::name};

  explicit Compiled(TensorReader&) {}

  void forward(int count, const float* input, float* output, float*) const noexcept {
    for (std::size_t i = 0; i < detail::value_count<Input>(count); i += Input::channels) {
      kernels::softmax(input + i, Input::channels, 1.0f, output + i);
    }
  }
};

}  // namespace mien
