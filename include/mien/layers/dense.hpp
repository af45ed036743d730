// Fully connected layer, with the batch normalisation and activation that follow it folded in.
#pragma once

#include <cstddef>
#include <string_view>
#include <type_traits>

#include <mien/kernels/kernels.hpp>
#include <mien/layers/batch_norm2d.hpp>
#include <mien/layers/layer.hpp>
#include <mien/layers/packed_convolution.hpp>
#include <mien/layers/relu.hpp>
#include <mien/layers/window.hpp>

namespace mien {

/// PyTorch's Linear on a flat vector. Option: NoBias. Weights in files are [Out][In].
template <int InFeatures, int OutFeatures, class... Options>
struct Dense {
  static constexpr std::string_view name = "Dense";
  static constexpr int in_features = InFeatures;
  static constexpr int out_features = OutFeatures;
  static constexpr bool has_bias = sizeof...(Options) == 0;
  static_assert((std::is_same_v<Options, NoBias> && ...), "Dense's only option is NoBias");
};

namespace detail {

/// A dense layer, perhaps with batch normalisation and an activation, as one step.
template <class Layer, bool Normalised, class Activation>
struct FusedDense {};

}  // namespace detail

template <class Layer, bool Normalised, class Activation, class Input>
class Compiled<detail::FusedDense<Layer, Normalised, Activation>, Input> {
  static_assert(detail::layer_takes_channels<Layer, detail::ExpectedChannels<Layer::in_features>,
                                             Input>::value);
  static_assert(Input::height == 1 && Input::width == 1,
                "Dense takes a flat vector: put Flatten before it");

  /// A dense layer is a 1x1 convolution on an image of one pixel.
  static constexpr kernels::WindowGeometry geometry = {
      Layer::in_features, 1, 1, Layer::out_features, 1, 1, 1, 1, 1, 1, 0, 0, 1};

 public:
  using Output = Shape<Layer::out_features, 1, 1>;
  static constexpr LayerNames layer_names =
      detail::names_of<Layer, detail::NormalisedBy<Normalised>, Activation>;
  static constexpr std::size_t tensor_count =
      1 + (Layer::has_bias ? 1 : 0) + (Normalised ? detail::ChannelScale::tensor_count : 0);
  static constexpr std::size_t multiply_adds =
      static_cast<std::size_t>(Layer::in_features) * Layer::out_features;
  static constexpr std::size_t parameter_count = multiply_adds +
                                                 (Layer::has_bias ? Layer::out_features : 0) +
                                                 (Normalised ? 2 * Layer::out_features : 0);
  static constexpr std::size_t scratch_size = 0;

  explicit Compiled(TensorReader& tensors)
      : packed_(geometry, true, Layer::has_bias, Normalised, tensors) {}

  void forward(int count, const float* input, float* output, float* scratch) const noexcept {
    packed_.run(count, input, Activation::clamp, kernels::Pooling::none, scratch, output);
  }

 private:
  detail::PackedConvolution packed_;
};

/// A dense layer by itself.
template <int InFeatures, int OutFeatures, class... Options, class Input>
class Compiled<Dense<InFeatures, OutFeatures, Options...>, Input>
    : public Compiled<detail::FusedDense<Dense<InFeatures, OutFeatures, Options...>, false,
                                         detail::NoActivation>,
                      Input> {
  using Compiled<
      detail::FusedDense<Dense<InFeatures, OutFeatures, Options...>, false, detail::NoActivation>,
      Input>::Compiled;
};

}  // namespace mien
