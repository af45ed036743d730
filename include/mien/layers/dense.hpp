// Fully connected layer, with the activation that follows it folded in.
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include <mien/kernels/kernels.hpp>
#include <mien/layers/layer.hpp>
#include <mien/layers/relu.hpp>
#include <mien/layers/window.hpp>

namespace mien {

/// PyTorch's Linear on a flat vector. Option: NoBias. Weights in files are [Out][In].
template <int InFeatures, int OutFeatures, class... Options>
struct Dense {
  static constexpr int in_features = InFeatures;
  static constexpr int out_features = OutFeatures;
  static constexpr bool has_bias = sizeof...(Options) == 0;
  static_assert((std::is_same_v<Options, NoBias> && ...), "Dense's only option is NoBias");
};

namespace detail {

/// A dense layer, perhaps with an activation, as one step.
template <class Layer, class Activation>
struct FusedDense {};

}  // namespace detail

template <class Layer, class Activation, class Input>
class Compiled<detail::FusedDense<Layer, Activation>, Input> {
  static_assert(detail::layer_takes_channels<Layer, detail::ExpectedChannels<Layer::in_features>,
                                             Input>::value);
  static_assert(Input::height == 1 && Input::width == 1,
                "Dense takes a flat vector: put Flatten before it");

  /// A dense layer is a 1x1 convolution on an image of one column, with a pixel for each input.
  static constexpr kernels::WindowGeometry geometry(int count) {
    return {Layer::in_features, count, 1, Layer::out_features, count, 1, 1, 1, 1, 1, 0, 0, 1};
  }

 public:
  using Output = Shape<Layer::out_features, 1, 1>;
  static constexpr std::size_t multiply_adds =
      static_cast<std::size_t>(Layer::in_features) * Layer::out_features;
  static constexpr std::size_t parameter_count =
      multiply_adds + (Layer::has_bias ? Layer::out_features : 0);
  static constexpr std::size_t scratch_size = 0;

  explicit Compiled(TensorReader& tensors) : kernels_(&kernels::chosen_table()) {
    constexpr auto inputs = static_cast<std::uint32_t>(Layer::in_features);
    constexpr auto outputs = static_cast<std::uint32_t>(Layer::out_features);
    const std::vector<float> weight = tensors.take("Dense", "weight", {outputs, inputs});
    const int block = kernels_->conv2d_block;
    weights_ = detail::AlignedBuffer(kernels::packed_conv2d_size(geometry(1), block));
    kernels::pack_conv2d(geometry(1), block, weight.data(), weights_.data());
    bias_ = detail::AlignedBuffer(weights_.size() / inputs);
    if constexpr (Layer::has_bias) {
      const std::vector<float> bias = tensors.take("Dense", "bias", {outputs});
      std::copy(bias.begin(), bias.end(), bias_.data());
    }
  }

  void forward(int count, const float* input, float* output, float*) const noexcept {
    kernels_->conv2d(geometry(count), input, weights_.data(), bias_.data(), Activation::clamp,
                     kernels::Pooling::none, output);
  }

 private:
  const kernels::KernelTable* kernels_;
  detail::AlignedBuffer weights_;
  detail::AlignedBuffer bias_;
};

/// A dense layer by itself.
template <int InFeatures, int OutFeatures, class... Options, class Input>
class Compiled<Dense<InFeatures, OutFeatures, Options...>, Input>
    : public Compiled<
          detail::FusedDense<Dense<InFeatures, OutFeatures, Options...>, detail::NoActivation>,
          Input> {
  using Compiled<
      detail::FusedDense<Dense<InFeatures, OutFeatures, Options...>, detail::NoActivation>,
      Input>::Compiled;
};

}  // namespace mien
