// What the gradient of a layer is.
//
// Gradient<Layer, Input> is a layer's own arithmetic, kept apart from Compiled<Layer, Input>, which
// fuses layers and rearranges sums for speed. It runs forward, then backward, for one input:
//
//   using Output = Shape<...>                   its output's shape
//   static constexpr std::size_t memory_size    floats that forward() leaves for backward()
//   static constexpr std::size_t scratch_size   floats of memory for either of them alone
//   explicit Gradient(TensorReader&)            takes its tensors from the file; throws Error
//   void forward(const float* input, float* output, float* memory, float* scratch) const noexcept
//   void backward(const ForwardPass&, const float* output_gradient, float* input_gradient,
//                 float* scratch) const noexcept
//
// Given the derivatives of some number by the layer's output, backward() computes those by its
// input, as PyTorch's autograd does in evaluation. Tensors are channels last; memory is aligned to
// 64 bytes, sizes are rounded up to that; none of them overlap.
#pragma once

#include <cstddef>

#include <Eigen/Core>

#include <mien/layers/layer.hpp>

namespace mien::detail {

/// What a layer's forward() read and wrote.
struct ForwardPass {
  const float* input;
  const float* output;
  const float* memory;
};

template <class Layer, class Input>
class Gradient;

/// An image as Eigen sees it: a column for each pixel, a row for each channel.
template <class Shape>
Eigen::Map<Eigen::ArrayXXf> pixels(float* image) noexcept {
  return {image, Shape::channels, Shape::height * Shape::width};
}
template <class Shape>
Eigen::Map<const Eigen::ArrayXXf> pixels(const float* image) noexcept {
  return {image, Shape::channels, Shape::height * Shape::width};
}

/// The parts of Gradient that are the layer's as it computes alone.
template <class Layer, class Input>
class ForwardAsCompiled {
  using Alone = Compiled<Layer, Input>;

 public:
  using Output = typename Alone::Output;
  static constexpr std::size_t memory_size = 0;
  static constexpr std::size_t scratch_size = aligned_size(Alone::scratch_size);

  explicit ForwardAsCompiled(TensorReader& tensors) : layer_(tensors) {}

  void forward(const float* input, float* output, float*, float* scratch) const noexcept {
    layer_.forward(1, input, output, scratch);
  }

 private:
  Alone layer_;
};

}  // namespace mien::detail
