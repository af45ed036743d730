// Gradient of the convolution.
#pragma once

#include <cstddef>

#include <mien/layers/conv2d.hpp>
#include <mien/saliency/gradient.hpp>
#include <mien/saliency/plain_convolution.hpp>

namespace mien::detail {

template <int InChannels, int OutChannels, class... Options, class Input>
class Gradient<Conv2d<InChannels, OutChannels, Options...>, Input> {
  using Convolution = Conv2d<InChannels, OutChannels, Options...>;
  static_assert(layer_takes_channels<Convolution, ExpectedChannels<InChannels>, Input>::value);
  using Window =
      WindowOn<Input, OutChannels, typename Convolution::kernel, typename Convolution::stride,
               typename Convolution::padding, Convolution::groups>;

 public:
  using Output = typename Window::Output;
  static constexpr std::size_t memory_size = 0;
  static constexpr std::size_t scratch_size = PlainConvolution::scratch_size(Window::geometry);

  explicit Gradient(TensorReader& tensors)
      : convolution_(Window::geometry, tensors, Convolution::has_bias) {}

  void forward(const float* input, float* output, float*, float* scratch) const noexcept {
    convolution_.forward(input, output, scratch);
  }

  void backward(const ForwardPass&, const float* output_gradient, float* input_gradient,
                float* scratch) const noexcept {
    convolution_.backward(output_gradient, input_gradient, scratch);
  }

 private:
  PlainConvolution convolution_;
};

}  // namespace mien::detail
