// Flattening an image to a vector.
#pragma once

#include <string_view>

#include <mien/layers/layer.hpp>

namespace mien {

/// PyTorch's Flatten: the elements in the order C, H, W, whatever the order in memory.
struct Flatten {
  static constexpr std::string_view name = "Flatten";
};

template <class Input>
class Compiled<Flatten, Input> : public detail::WithoutParameters {
 public:
  using Output = Shape<static_cast<int>(Input::size), 1, 1>;
  static constexpr LayerNames layer_names = {Flatten::name};

  explicit Compiled(TensorReader&) {}

  void forward(int count, const float* input, float* output, float*) const noexcept {
    for (int i = 0; i < count; ++i, input += Input::size, output += Input::size) {
      detail::to_channels_first(input, output, Input::channels,
                                static_cast<std::size_t>(Input::height * Input::width));
    }
  }
};

}  // namespace mien
