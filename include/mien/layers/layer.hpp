// What a layer is.
//
// A layer such as Conv2d<1, 64, Kernel<3>> is an empty type, a line of a paper's table. What runs
// is Compiled<Layer, Input>, the layer prepared for one input shape, which offers
//
//   using Output = Shape<...>                        its output's shape
//   static constexpr std::size_t parameter_count     as PyTorch counts: without running statistics
//   static constexpr std::size_t multiply_adds       for one input
//   static constexpr std::size_t scratch_size        floats of scratch memory for one input,
//   aligned explicit Compiled(TensorReader&)                 takes its tensors from the file;
//   throws Error void forward(int count, const float* inputs, float* outputs, float* scratch) const
//   noexcept
//
// A batch is `count` tensors one after the other, each channels last; `scratch` has room for
// count * scratch_size floats and is aligned to 64 bytes. The three do not overlap.
#pragma once

#include <cstddef>

#include <mien/tensor.hpp>
#include <mien/weights.hpp>

namespace mien {

template <class Layer, class Input>
class Compiled;

namespace detail {

template <int Channels>
struct ExpectedChannels {};

/// Stands in a compiler's message as the sentence it is.
template <class Layer, class Expected, class Found>
struct layer_takes_channels;
template <class Layer, int Channels, class Found>
struct layer_takes_channels<Layer, ExpectedChannels<Channels>, Found> {
  static_assert(Channels == Found::channels,
                "a layer's input channels differ from what the layer before it puts out: see "
                "layer_takes_channels<Layer, ExpectedChannels<...>, Shape<C, H, W> found> in this "
                "message");
  static constexpr bool value = true;
};

/// The parts of Compiled that a layer without parameters or scratch memory shares.
struct WithoutParameters {
  static constexpr std::size_t parameter_count = 0;
  static constexpr std::size_t multiply_adds = 0;
  static constexpr std::size_t scratch_size = 0;
};

}  // namespace detail
}  // namespace mien
