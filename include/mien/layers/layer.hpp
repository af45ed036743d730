// What a layer is.
//
// A layer such as Conv2d<1, 64, Kernel<3>> is an empty type, a line of a paper's table, whose
// `name` is its kind ("Conv2d"). What runs is Compiled<Layer, Input>, the layer prepared for one
// input shape, which offers
//
//   using Output = Shape<...>                      its output's shape
//   static constexpr std::size_t parameter_count   as PyTorch counts: without running statistics
//   static constexpr std::size_t multiply_adds     for one input
//   static constexpr std::size_t scratch_size      floats of scratch memory an input, aligned
//   explicit Compiled(TensorReader&)               takes its tensors from the file; throws Error
//   void forward(int count, const float* inputs, float* outputs, float* scratch) const noexcept
//
// and, to be described and observed,
//
//   static constexpr LayerNames layer_names        the layers that run fused as this one
//   static constexpr std::size_t tensor_count      tensors that it takes from the file
//
// or, where other layers run inside it, what detail::Composite says instead.
//
// A batch is `count` tensors one after the other, each channels last; `scratch` has room for
// count * scratch_size floats and is aligned to 64 bytes. The three do not overlap.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include <mien/tensor.hpp>
#include <mien/weights.hpp>

namespace mien {

template <class Layer, class Input>
class Compiled;

/// Kinds of the layers that run as one, in order; empty where there are fewer.
using LayerNames = std::array<std::string_view, 4>;

/// One step of a network's forward pass: a layer, or several that run fused, so that only the last
/// one's output exists.
struct ForwardStep {
  LayerNames layers;  ///< e.g. {"Conv2d", "BatchNorm2d", "ReLU", ""}
  int channels;       ///< of its output
  int height;
  int width;
  std::size_t tensors;  ///< that it takes from a weight file
  std::size_t parameters;
  std::size_t multiply_adds;
};

namespace detail {

/// The names of layers, without those of places that nobody took.
template <class... Layers>
constexpr LayerNames collect_names() {
  LayerNames names{};
  std::size_t count = 0;
  for (const std::string_view name : {Layers::name...}) {
    if (!name.empty()) names[count++] = name;
  }
  return names;
}
template <class... Layers>
inline constexpr LayerNames names_of = collect_names<Layers...>();

/// What layers with others inside derive from. Besides Output, the counts and the constructor of
/// every layer they offer
///
///   static constexpr std::size_t step_count        steps that one forward pass shows
///   static constexpr void describe(ForwardStep*& to)
///       writes so many and moves `to` behind them
///   template <class Observer> void forward(..., Observer&) const
///       which after every step calls observer(the step's output)
struct Composite {};

/// Sees nothing, and costs nothing.
struct NoObserver {
  static constexpr bool never_throws = true;
  void operator()(const float*) const noexcept {}
};

template <class Layer>
constexpr std::size_t step_count() {
  if constexpr (std::is_base_of_v<Composite, Layer>) {
    return Layer::step_count;
  } else {
    return 1;
  }
}

/// A step that takes no tensors and does no counted work.
template <class Output>
constexpr ForwardStep step_without_tensors(const LayerNames& names) {
  return {names, Output::channels, Output::height, Output::width, 0, 0, 0};
}

template <class Layer>
constexpr void describe(ForwardStep*& to) {
  if constexpr (std::is_base_of_v<Composite, Layer>) {
    Layer::describe(to);
  } else {
    using Output = typename Layer::Output;
    *to++ = {Layer::layer_names,  Output::channels,       Output::height,      Output::width,
             Layer::tensor_count, Layer::parameter_count, Layer::multiply_adds};
  }
}

/// layer.forward() with an observer, whether others run inside the layer or not.
template <class Layer, class Observer>
void forward_observed(const Layer& layer, int count, const float* input, float* output,
                      float* scratch, Observer& observer) noexcept(Observer::never_throws) {
  if constexpr (std::is_base_of_v<Composite, Layer>) {
    layer.forward(count, input, output, scratch, observer);
  } else {
    layer.forward(count, input, output, scratch);
    observer(static_cast<const float*>(output));
  }
}

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
  static constexpr std::size_t tensor_count = 0;
  static constexpr std::size_t parameter_count = 0;
  static constexpr std::size_t multiply_adds = 0;
  static constexpr std::size_t scratch_size = 0;
};

}  // namespace detail
}  // namespace mien
