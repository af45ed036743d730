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

/// How a convolution of one geometry is computed: scratch memory, packing, and the call. There are
/// three ways; each takes the image without padding.
template <class Window>
struct Depthwise {
  static constexpr kernels::WindowGeometry geometry = Window::geometry;
  static constexpr std::size_t scratch_size = 0;
  static constexpr bool applies = geometry.groups > 1 &&
                                  (geometry.groups == geometry.in_channels) &&
                                  (geometry.groups == geometry.out_channels);

  static AlignedBuffer pack(const kernels::KernelTable&, const std::vector<float>& weight) {
    AlignedBuffer packed(weight.size());
    kernels::pack_depthwise_conv2d(geometry, weight.data(), packed.data());
    return packed;
  }

  static void run(const kernels::KernelTable& table, const float* input, const float* weights,
                  const float* bias, kernels::Clamp clamp, float*, float* output) noexcept {
    table.depthwise_conv2d(geometry, input, weights, bias, clamp, output);
  }
};

template <class Window>
struct Winograd {
  static constexpr kernels::WindowGeometry geometry = Window::geometry;
  using Scheme =
      std::conditional_t<geometry.kernel_height == 3, kernels::Winograd3x3, kernels::Winograd5x5>;
  static constexpr kernels::WinogradTiling<Scheme> tiling{geometry};
  // With fewer tiles the products wait for their filters, which are larger than untransformed ones:
  // measured, 5x5 pixels of 512 channels (4 tiles) are slower than by the direct way, 10x10 pixels
  // of 256 channels (9 tiles) twice as fast.
  static constexpr int fewest_tiles = 9;
  static constexpr bool applies =
      geometry.groups == 1 && geometry.stride_y == 1 && geometry.stride_x == 1 &&
      geometry.kernel_height == Scheme::kernel && geometry.kernel_width == Scheme::kernel &&
      geometry.in_channels % kernels::winograd_channels == 0 &&
      geometry.out_channels % kernels::winograd_channels == 0 && tiling.tiles() >= fewest_tiles;

  static constexpr std::size_t padded_size =
      aligned_size(static_cast<std::size_t>(geometry.in_channels) *
                   static_cast<std::size_t>(tiling.padded_height() * tiling.padded_width()));
  static constexpr std::size_t scratch_size =
      padded_size +
      aligned_size(kernels::winograd_scratch_size<Scheme>(geometry, kernels::largest_conv2d_block));

  static AlignedBuffer pack(const kernels::KernelTable& table, const std::vector<float>& weight) {
    AlignedBuffer packed(kernels::packed_winograd_size<Scheme>(geometry, table.conv2d_block));
    kernels::pack_winograd<Scheme>(geometry, table.conv2d_block, weight.data(), packed.data());
    return packed;
  }

  static void run(const kernels::KernelTable& table, const float* input, const float* weights,
                  const float* bias, kernels::Clamp clamp, float* scratch, float* output) noexcept {
    kernels::pad_image(geometry, tiling.padded_height(), tiling.padded_width(), input, scratch);
    const auto convolve = Scheme::kernel == 3 ? table.winograd_3x3 : table.winograd_5x5;
    convolve(geometry, scratch, weights, bias, clamp, scratch + padded_size, output);
  }
};

template <class Window>
struct Direct {
  static constexpr kernels::WindowGeometry geometry = Window::geometry;
  static constexpr bool padded = geometry.padding_y > 0 || geometry.padding_x > 0;
  static constexpr std::size_t scratch_size =
      padded ? aligned_size(static_cast<std::size_t>(geometry.in_channels) *
                            static_cast<std::size_t>(Window::padded_height * Window::padded_width))
             : 0;

  static AlignedBuffer pack(const kernels::KernelTable& table, const std::vector<float>& weight) {
    AlignedBuffer packed(kernels::packed_conv2d_size(geometry, table.conv2d_block));
    kernels::pack_conv2d(geometry, table.conv2d_block, weight.data(), packed.data());
    return packed;
  }

  static void run(const kernels::KernelTable& table, const float* input, const float* weights,
                  const float* bias, kernels::Clamp clamp, float* scratch, float* output) noexcept {
    if constexpr (padded) {
      kernels::pad_image(geometry, Window::padded_height, Window::padded_width, input, scratch);
    }
    table.conv2d(geometry, padded ? scratch : input, weights, bias, clamp, output);
  }
};

template <class Window>
using ConvolutionMethod = std::conditional_t<
    Depthwise<Window>::applies, Depthwise<Window>,
    std::conditional_t<Winograd<Window>::applies, Winograd<Window>, Direct<Window>>>;

}  // namespace detail

template <class Convolution, bool Normalised, class Activation, class Input>
class Compiled<detail::FusedConv2d<Convolution, Normalised, Activation>, Input> {
  static_assert(detail::layer_takes_channels<
                Convolution, detail::ExpectedChannels<Convolution::in_channels>, Input>::value);

  using Window = detail::WindowOn<Input, Convolution::out_channels, typename Convolution::kernel,
                                  typename Convolution::stride, typename Convolution::padding,
                                  Convolution::groups>;
  using Method = detail::ConvolutionMethod<Window>;
  static constexpr kernels::WindowGeometry geometry = Window::geometry;
  static constexpr std::size_t weight_count =
      static_cast<std::size_t>(geometry.out_channels) *
      static_cast<std::size_t>(geometry.in_channels / geometry.groups) *
      static_cast<std::size_t>(geometry.kernel_height * geometry.kernel_width);

 public:
  using Output = typename Window::Output;
  static constexpr std::size_t parameter_count = weight_count +
                                                 (Convolution::has_bias ? Output::channels : 0) +
                                                 (Normalised ? 2 * Output::channels : 0);
  /// Those of the definition, whatever the method.
  static constexpr std::size_t multiply_adds =
      weight_count * static_cast<std::size_t>(Output::height * Output::width);
  static constexpr std::size_t scratch_size = Method::scratch_size;

  explicit Compiled(TensorReader& tensors) : kernels_(&kernels::chosen_table()) {
    const detail::FoldedConv2d folded(tensors, geometry, Convolution::has_bias, Normalised);
    weights_ = Method::pack(*kernels_, folded.weight);
    pack_bias(folded.bias);
  }

  void forward(const float* input, float* output, float* scratch) const noexcept {
    Method::run(*kernels_, input, weights_.data(), bias_.data(), Activation::clamp, scratch,
                output);
  }

 private:
  /// Each group's bias is padded to whole blocks, as its weights are.
  void pack_bias(const std::vector<float>& bias) {
    const std::size_t block =
        detail::Depthwise<Window>::applies ? 1 : static_cast<std::size_t>(kernels_->conv2d_block);
    const std::size_t group = bias.size() / static_cast<std::size_t>(geometry.groups);
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
