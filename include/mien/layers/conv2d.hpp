// 2-d convolution, with the batch normalisation, activation and pooling that follow it folded in.
#pragma once

#include <type_traits>
#include <vector>

#include <mien/kernels/kernels.hpp>
#include <mien/layers/batch_norm2d.hpp>
#include <mien/layers/layer.hpp>
#include <mien/layers/max_pool2d.hpp>
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

/// A fused convolution's place for a pooling where none follows.
struct NoPooling {};

/// A convolution, perhaps with batch normalisation, an activation and a pooling, as one step.
template <class Convolution, bool Normalised, class Activation, class Pooling = NoPooling>
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

/// Memory for packed weights. Zeros, where output channels do not fill their last block.
inline AlignedBuffer packed_memory(const kernels::WindowGeometry& g, int block, std::size_t size) {
  const bool filled = g.out_channels / g.groups % block == 0;
  return filled ? AlignedBuffer::uninitialized(size) : AlignedBuffer(size);
}

/// How a convolution of one geometry is computed: scratch memory for an image, packing, and the
/// call for a batch. There are three ways; each takes images without padding.
template <class Window>
struct Depthwise {
  static constexpr kernels::WindowGeometry geometry = Window::geometry;
  static constexpr std::size_t scratch_size = 0;
  static constexpr bool can_pool = false;
  static constexpr bool applies = geometry.groups > 1 &&
                                  (geometry.groups == geometry.in_channels) &&
                                  (geometry.groups == geometry.out_channels);

  static AlignedBuffer pack(const kernels::KernelTable&, const std::vector<float>& weight) {
    AlignedBuffer packed(weight.size());
    kernels::pack_depthwise_conv2d(geometry, weight.data(), packed.data());
    return packed;
  }

  template <kernels::Pooling>
  static void run(const kernels::KernelTable& table, int count, const float* input,
                  const float* weights, const float* bias, kernels::Clamp clamp, float*,
                  float* output) noexcept {
    for (int i = 0; i < count; ++i, input += Window::Input::size, output += Window::Output::size) {
      table.depthwise_conv2d(geometry, input, weights, bias, clamp, output);
    }
  }
};

template <class Window>
struct Winograd {
  static constexpr kernels::WindowGeometry geometry = Window::geometry;
  using Scheme =
      std::conditional_t<geometry.kernel_height == 3, kernels::Winograd3x3, kernels::Winograd5x5>;
  // With fewer tiles the products wait for their filters, which are larger than untransformed ones:
  // measured, 5x5 pixels of 512 channels (4 tiles) are slower than by the direct way, 10x10 pixels
  // of 256 channels (9 tiles) twice as fast.
  static constexpr int fewest_tiles = 9;
  static constexpr bool can_pool = true;
  static constexpr bool applies =
      geometry.groups == 1 && geometry.stride_y == 1 && geometry.stride_x == 1 &&
      geometry.kernel_height == Scheme::kernel && geometry.kernel_width == Scheme::kernel &&
      geometry.in_channels % kernels::winograd_channels == 0 &&
      geometry.out_channels % kernels::winograd_channels == 0 &&
      kernels::WinogradTiling<Scheme>(geometry).tiles() >= fewest_tiles;

  static constexpr std::size_t scratch_size =
      aligned_size(kernels::winograd_scratch_size<Scheme>(geometry, kernels::largest_conv2d_block));

  static AlignedBuffer pack(const kernels::KernelTable& table, const std::vector<float>& weight) {
    const int block = table.conv2d_block;
    AlignedBuffer packed =
        packed_memory(geometry, block, kernels::packed_winograd_size<Scheme>(geometry, block));
    kernels::pack_winograd<Scheme>(geometry, block, weight.data(), packed.data());
    return packed;
  }

  template <kernels::Pooling pooling>
  static void run(const kernels::KernelTable& table, int count, const float* input,
                  const float* weights, const float* bias, kernels::Clamp clamp, float* scratch,
                  float* output) noexcept {
    const auto convolve = Scheme::kernel == 3 ? table.winograd_3x3 : table.winograd_5x5;
    convolve(geometry, count, input, weights, bias, clamp, pooling, scratch, output);
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
  static constexpr bool can_pool = true;
  /// A batch is one tall image to a window of one pixel.
  static constexpr bool pointwise = geometry.kernel_height == 1 && geometry.kernel_width == 1 &&
                                    geometry.stride_y == 1 && geometry.stride_x == 1 && !padded;

  static AlignedBuffer pack(const kernels::KernelTable& table, const std::vector<float>& weight) {
    const int block = table.conv2d_block;
    AlignedBuffer packed =
        packed_memory(geometry, block, kernels::packed_conv2d_size(geometry, block));
    kernels::pack_conv2d(geometry, block, weight.data(), packed.data());
    return packed;
  }

  template <kernels::Pooling pooling>
  static void run(const kernels::KernelTable& table, int count, const float* input,
                  const float* weights, const float* bias, kernels::Clamp clamp, float* scratch,
                  float* output) noexcept {
    if (pointwise && pooling == kernels::Pooling::none) {
      kernels::WindowGeometry tall = geometry;
      tall.in_height *= count;
      tall.out_height *= count;
      table.conv2d(tall, input, weights, bias, clamp, pooling, output);
      return;
    }
    constexpr int step = pooling == kernels::Pooling::max_2x2 ? 2 : 1;
    constexpr int output_size =
        Window::Output::channels * (Window::Output::height / step) * (Window::Output::width / step);
    for (int i = 0; i < count; ++i, input += Window::Input::size, output += output_size) {
      if (padded) {
        kernels::pad_image(geometry, Window::padded_height, Window::padded_width, input, scratch);
      }
      table.conv2d(geometry, padded ? scratch : input, weights, bias, clamp, pooling, output);
    }
  }
};

template <class Window>
using ConvolutionMethod = std::conditional_t<
    Depthwise<Window>::applies, Depthwise<Window>,
    std::conditional_t<Winograd<Window>::applies, Winograd<Window>, Direct<Window>>>;

/// A convolution's weights, packed for the way it is computed.
template <class Convolution, bool Normalised, class Activation, class Input>
class PackedConv2d {
  static_assert(
      layer_takes_channels<Convolution, ExpectedChannels<Convolution::in_channels>, Input>::value);

 protected:
  using Window =
      WindowOn<Input, Convolution::out_channels, typename Convolution::kernel,
               typename Convolution::stride, typename Convolution::padding, Convolution::groups>;
  using Method = ConvolutionMethod<Window>;
  static constexpr kernels::WindowGeometry geometry = Window::geometry;
  static constexpr std::size_t weight_count =
      static_cast<std::size_t>(geometry.out_channels) *
      static_cast<std::size_t>(geometry.in_channels / geometry.groups) *
      static_cast<std::size_t>(geometry.kernel_height * geometry.kernel_width);

 public:
  static constexpr std::size_t parameter_count =
      weight_count + (Convolution::has_bias ? Convolution::out_channels : 0) +
      (Normalised ? 2 * Convolution::out_channels : 0);
  /// Those of the definition, whatever the method.
  static constexpr std::size_t multiply_adds =
      weight_count * static_cast<std::size_t>(geometry.out_height * geometry.out_width);

  explicit PackedConv2d(TensorReader& tensors) : kernels_(&kernels::chosen_table()) {
    const FoldedConv2d folded(tensors, geometry, Convolution::has_bias, Normalised);
    weights_ = Method::pack(*kernels_, folded.weight);
    pack_bias(folded.bias);
  }

 protected:
  template <kernels::Pooling pooling>
  void convolve(int count, const float* input, float* output, float* scratch) const noexcept {
    Method::template run<pooling>(*kernels_, count, input, weights_.data(), bias_.data(),
                                  Activation::clamp, scratch, output);
  }

  const kernels::KernelTable* kernels_;
  AlignedBuffer weights_;
  AlignedBuffer bias_;

 private:
  /// Each group's bias is padded to whole blocks, as its weights are.
  void pack_bias(const std::vector<float>& bias) {
    const std::size_t block =
        Depthwise<Window>::applies ? 1 : static_cast<std::size_t>(kernels_->conv2d_block);
    const std::size_t group = bias.size() / static_cast<std::size_t>(geometry.groups);
    const std::size_t stride = (group + block - 1) / block * block;
    bias_ = AlignedBuffer(bias.size() / group * stride);
    for (std::size_t o = 0; o < bias.size(); ++o) bias_[o / group * stride + o % group] = bias[o];
  }
};

}  // namespace detail

template <class Convolution, bool Normalised, class Activation, class Input>
class Compiled<detail::FusedConv2d<Convolution, Normalised, Activation>, Input>
    : public detail::PackedConv2d<Convolution, Normalised, Activation, Input> {
  using Packed = detail::PackedConv2d<Convolution, Normalised, Activation, Input>;

 public:
  using Packed::Packed;
  using Output = typename Packed::Window::Output;
  static constexpr std::size_t scratch_size = Packed::Method::scratch_size;

  void forward(int count, const float* input, float* output, float* scratch) const noexcept {
    this->template convolve<kernels::Pooling::none>(count, input, output, scratch);
  }
};

/// Where the pooling is 2x2, what it drops never leaves the registers.
template <class Convolution, bool Normalised, class Activation, class... PoolOptions, class Input>
class Compiled<detail::FusedConv2d<Convolution, Normalised, Activation, MaxPool2d<PoolOptions...>>,
               Input> : public detail::PackedConv2d<Convolution, Normalised, Activation, Input> {
  using Packed = detail::PackedConv2d<Convolution, Normalised, Activation, Input>;
  using Method = typename Packed::Method;
  using Convolved = typename Packed::Window::Output;
  using PoolWindow = detail::PoolingOn<MaxPool2d<PoolOptions...>, Convolved>;
  static constexpr kernels::WindowGeometry pool = PoolWindow::geometry;
  static constexpr bool in_registers =
      Method::can_pool && pool.kernel_height == 2 && pool.kernel_width == 2 && pool.stride_y == 2 &&
      pool.stride_x == 2 && pool.padding_y == 0 && pool.padding_x == 0;
  static constexpr std::size_t convolved_size =
      in_registers ? 0 : detail::aligned_size(Convolved::size);

 public:
  using Packed::Packed;
  using Output = typename PoolWindow::Output;
  static constexpr std::size_t scratch_size = convolved_size + Method::scratch_size;

  void forward(int count, const float* input, float* output, float* scratch) const noexcept {
    if constexpr (in_registers) {
      this->template convolve<kernels::Pooling::max_2x2>(count, input, output, scratch);
    } else {
      float* const rest = scratch + static_cast<std::size_t>(count) * convolved_size;
      this->template convolve<kernels::Pooling::none>(count, input, scratch, rest);
      for (int i = 0; i < count; ++i, scratch += Convolved::size, output += Output::size) {
        this->kernels_->max_pool2d(pool, scratch, output);
      }
    }
  }
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
