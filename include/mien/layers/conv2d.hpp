// 2-d convolution, with the batch normalisation and activation that follow it folded in.
#pragma once

#include <type_traits>
#include <vector>

#include <mien/kernels/kernels.hpp>
#include <mien/layers/batch_norm2d.hpp>
#include <mien/layers/layer.hpp>
#include <mien/layers/relu.hpp>
#include <mien/layers/window.hpp>

namespace mien {

/// PyTorch's Conv2d. Options in any order: Kernel (needed), Stride, Padding, Groups, NoBias.
/// Weights in files are [O][I / groups][KH][KW].
template <int InChannels, int OutChannels, class... Options>
struct Conv2d {
  using kernel = detail::find_option<detail::IsKernel, void, Options...>;
  using stride = detail::find_option<detail::IsStride, Stride<1>, Options...>;
  using padding = detail::find_option<detail::IsPadding, Padding<0>, Options...>;
  static constexpr int in_channels = InChannels;
  static constexpr int out_channels = OutChannels;
  static constexpr int groups = detail::find_option<detail::IsGroups, Groups<1>, Options...>::count;
  static constexpr bool has_bias =
      !std::is_same_v<detail::find_option<detail::IsNoBias, void, Options...>, NoBias>;

  static_assert(!std::is_same_v<kernel, void>, "Conv2d needs a Kernel<Height, Width>");
  static_assert(((detail::IsKernel<Options>::value || detail::IsStride<Options>::value ||
                  detail::IsPadding<Options>::value || detail::IsGroups<Options>::value ||
                  detail::IsNoBias<Options>::value) &&
                 ...),
                "Conv2d's options are Kernel, Stride, Padding, Groups and NoBias");
  static_assert(InChannels % groups == 0 && OutChannels % groups == 0,
                "Conv2d's groups must divide its input and output channels");
};

namespace detail {

/// A convolution, perhaps with batch normalisation, perhaps with an activation, as one step.
template <class Convolution, bool Normalised, class Activation>
struct FusedConv2d {};

/// Weights and bias in PyTorch's order, batch normalisation folded in.
struct FoldedConv2d {
  std::vector<float> weight;
  std::vector<float> bias;

  FoldedConv2d(TensorReader& tensors, const kernels::WindowGeometry& geometry, bool has_bias,
               bool normalised) {
    const auto channels = static_cast<std::uint32_t>(geometry.out_channels);
    weight =
        tensors.take("Conv2d", "weight",
                     {channels, static_cast<std::uint32_t>(geometry.in_channels / geometry.groups),
                      static_cast<std::uint32_t>(geometry.kernel_height),
                      static_cast<std::uint32_t>(geometry.kernel_width)});
    bias = has_bias ? tensors.take("Conv2d", "bias", {channels}) : std::vector<float>(channels);
    if (!normalised) return;
    const ChannelScale norm(tensors, geometry.out_channels);
    const std::size_t filter = weight.size() / channels;
    for (std::size_t o = 0; o < channels; ++o) {
      for (std::size_t i = o * filter; i < (o + 1) * filter; ++i) {
        weight[i] = static_cast<float>(double{weight[i]} * norm.scale[o]);
      }
      bias[o] = static_cast<float>(double{bias[o]} * norm.scale[o] + norm.shift[o]);
    }
  }
};

}  // namespace detail

template <class Convolution, bool Normalised, class Activation, class Input>
class Compiled<detail::FusedConv2d<Convolution, Normalised, Activation>, Input> {
  static_assert(detail::layer_takes_channels<
                Convolution, detail::ExpectedChannels<Convolution::in_channels>, Input>::value);

  using Window = detail::WindowOn<Input, Convolution::out_channels, typename Convolution::kernel,
                                  typename Convolution::stride, typename Convolution::padding,
                                  Convolution::groups>;
  static constexpr kernels::WindowGeometry geometry = Window::geometry;
  static constexpr bool depthwise =
      geometry.groups > 1 &&
      geometry.groups == geometry.in_channels&& geometry.groups == geometry.out_channels;
  static constexpr bool padded = geometry.padding_y > 0 || geometry.padding_x > 0;
  static constexpr std::size_t weight_count =
      static_cast<std::size_t>(geometry.out_channels) *
      static_cast<std::size_t>(geometry.in_channels / geometry.groups) *
      static_cast<std::size_t>(geometry.kernel_height * geometry.kernel_width);

 public:
  using Output = typename Window::Output;
  static constexpr std::size_t parameter_count = weight_count +
                                                 (Convolution::has_bias ? Output::channels : 0) +
                                                 (Normalised ? 2 * Output::channels : 0);
  static constexpr std::size_t multiply_adds =
      weight_count * static_cast<std::size_t>(Output::height * Output::width);
  static constexpr std::size_t scratch_size =
      padded && !depthwise ? detail::aligned_size(static_cast<std::size_t>(Input::channels) *
                                                  Window::padded_height * Window::padded_width)
                           : 0;

  explicit Compiled(TensorReader& tensors) : kernels_(&kernels::chosen_table()) {
    const detail::FoldedConv2d folded(tensors, geometry, Convolution::has_bias, Normalised);
    if constexpr (depthwise) {
      weights_ = detail::AlignedBuffer(folded.weight.size());
      kernels::pack_depthwise_conv2d(geometry, folded.weight.data(), weights_.data());
    } else {
      const int block = kernels_->conv2d_block;
      weights_ = detail::AlignedBuffer(kernels::packed_conv2d_size(geometry, block));
      kernels::pack_conv2d(geometry, block, folded.weight.data(), weights_.data());
    }
    pack_bias(folded.bias);
  }

  void forward(const float* input, float* output, float* scratch) const noexcept {
    if constexpr (depthwise) {
      kernels_->depthwise_conv2d(geometry, input, weights_.data(), bias_.data(), Activation::clamp,
                                 output);
    } else {
      if constexpr (padded) kernels::pad_image(geometry, input, scratch);
      kernels_->conv2d(geometry, padded ? scratch : input, weights_.data(), bias_.data(),
                       Activation::clamp, output);
    }
  }

 private:
  /// Each group's bias is padded to whole blocks, as its weights are.
  void pack_bias(const std::vector<float>& bias) {
    const std::size_t group = depthwise ? bias.size() : bias.size() / Convolution::groups;
    const std::size_t block = depthwise ? 1 : static_cast<std::size_t>(kernels_->conv2d_block);
    const std::size_t stride = (group + block - 1) / block * block;
    bias_ = detail::AlignedBuffer(bias.size() / group * stride);
    for (std::size_t o = 0; o < bias.size(); ++o) bias_[o / group * stride + o % group] = bias[o];
  }

  const kernels::KernelTable* kernels_;
  detail::AlignedBuffer weights_;
  detail::AlignedBuffer bias_;
};

/// A convolution by itself.
template <int InChannels, int OutChannels, class... Options, class Input>
class Compiled<Conv2d<InChannels, OutChannels, Options...>, Input>
    : public Compiled<detail::FusedConv2d<Conv2d<InChannels, OutChannels, Options...>, false,
                                          detail::NoActivation>,
                      Input> {
  using Compiled<
      detail::FusedConv2d<Conv2d<InChannels, OutChannels, Options...>, false, detail::NoActivation>,
      Input>::Compiled;
};

}  // namespace mien
