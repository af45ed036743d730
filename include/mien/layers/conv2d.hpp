// 2-d convolution, with the batch normalisation, activation and pooling that follow it folded in.
#pragma once

#include <cstddef>
#include <string_view>
#include <type_traits>

#include <mien/kernels/kernels.hpp>
#include <mien/layers/batch_norm2d.hpp>
#include <mien/layers/layer.hpp>
#include <mien/layers/max_pool2d.hpp>
#include <mien/layers/packed_convolution.hpp>
#include <mien/layers/relu.hpp>
#include <mien/layers/window.hpp>

namespace mien {

/// PyTorch's Conv2d. Options in any order: Kernel (needed), Stride, Padding, Groups, NoBias.
/// Weights in files are [O][I / groups][KH][KW].
template <int InChannels, int OutChannels, class... Options>
struct Conv2d {
  static constexpr std::string_view name = "Conv2d";
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
struct NoPooling {
  static constexpr std::string_view name = "";
};

/// A convolution, perhaps with batch normalisation, an activation and a pooling, as one step.
template <class Convolution, bool Normalised, class Activation, class Pooling = NoPooling>
struct FusedConv2d {};

/// What every convolution's step has in common.
template <class Convolution, bool Normalised, class Activation, class Pooling, class Input>
class ConvolutionStep {
  static_assert(
      layer_takes_channels<Convolution, ExpectedChannels<Convolution::in_channels>, Input>::value);

 protected:
  using Window =
      WindowOn<Input, Convolution::out_channels, typename Convolution::kernel,
               typename Convolution::stride, typename Convolution::padding, Convolution::groups>;
  static constexpr kernels::WindowGeometry geometry = Window::geometry;
  static constexpr std::size_t weight_count =
      static_cast<std::size_t>(geometry.out_channels) *
      static_cast<std::size_t>(geometry.in_channels / geometry.groups) *
      static_cast<std::size_t>(geometry.kernel_height * geometry.kernel_width);

 public:
  static constexpr LayerNames layer_names =
      names_of<Convolution, NormalisedBy<Normalised>, Activation, Pooling>;
  static constexpr std::size_t tensor_count =
      1 + (Convolution::has_bias ? 1 : 0) + (Normalised ? ChannelScale::tensor_count : 0);
  static constexpr std::size_t parameter_count =
      weight_count + (Convolution::has_bias ? Convolution::out_channels : 0) +
      (Normalised ? 2 * Convolution::out_channels : 0);
  /// Those of the definition, whatever the method.
  static constexpr std::size_t multiply_adds =
      weight_count * static_cast<std::size_t>(geometry.out_height * geometry.out_width);

  explicit ConvolutionStep(TensorReader& tensors)
      : packed_(geometry, false, Convolution::has_bias, Normalised, tensors) {}

 protected:
  PackedConvolution packed_;
};

}  // namespace detail

template <class Convolution, bool Normalised, class Activation, class Input>
class Compiled<detail::FusedConv2d<Convolution, Normalised, Activation>, Input>
    : public detail::ConvolutionStep<Convolution, Normalised, Activation, detail::NoPooling,
                                     Input> {
  using Base =
      detail::ConvolutionStep<Convolution, Normalised, Activation, detail::NoPooling, Input>;

 public:
  using Base::Base;
  using Output = typename Base::Window::Output;
  static constexpr std::size_t scratch_size = detail::convolution_scratch_size(Base::geometry);

  void forward(int count, const float* input, float* output, float* scratch) const noexcept {
    this->packed_.run(count, input, Activation::clamp, kernels::Pooling::none, scratch, output);
  }
};

/// Where the pooling is 2x2, what it drops never leaves the registers.
template <class Convolution, bool Normalised, class Activation, class... PoolOptions, class Input>
class Compiled<detail::FusedConv2d<Convolution, Normalised, Activation, MaxPool2d<PoolOptions...>>,
               Input> : public detail::ConvolutionStep<Convolution, Normalised, Activation,
                                                       MaxPool2d<PoolOptions...>, Input> {
  using Base = detail::ConvolutionStep<Convolution, Normalised, Activation,
                                       MaxPool2d<PoolOptions...>, Input>;
  using Convolved = typename Base::Window::Output;
  using PoolWindow = detail::PoolingOn<MaxPool2d<PoolOptions...>, Convolved>;
  static constexpr kernels::WindowGeometry pool = PoolWindow::geometry;
  static constexpr bool in_registers =
      detail::can_pool(detail::method_for(Base::geometry)) && pool.kernel_height == 2 &&
      pool.kernel_width == 2 && pool.stride_y == 2 && pool.stride_x == 2 && !pool.is_padded();
  static constexpr std::size_t convolved_size =
      in_registers ? 0 : detail::aligned_size(Convolved::size);

 public:
  using Base::Base;
  using Output = typename PoolWindow::Output;
  static constexpr std::size_t scratch_size =
      convolved_size + detail::convolution_scratch_size(Base::geometry);

  void forward(int count, const float* input, float* output, float* scratch) const noexcept {
    if constexpr (in_registers) {
      this->packed_.run(count, input, Activation::clamp, kernels::Pooling::max_2x2, scratch,
                        output);
    } else {
      float* const rest = scratch + static_cast<std::size_t>(count) * convolved_size;
      this->packed_.run(count, input, Activation::clamp, kernels::Pooling::none, rest, scratch);
      for (int i = 0; i < count; ++i, scratch += Convolved::size, output += Output::size) {
        this->packed_.kernels().max_pool2d(pool, scratch, output);
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
