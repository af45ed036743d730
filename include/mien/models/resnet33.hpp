// The residual network of depth 33 of Pramerdorfer and Kampel: 5,325,159 parameters, 652
// million multiply-adds.
//
// "Facial Expression Recognition using Convolutional Neural Networks: State of the Art", arXiv
// 1612.02903, section 4.1: 3, 4, 6 and 3 residual blocks as in ResNet-34 (He et al., arXiv
// 1512.03385), on faces of 48x48 whose histogram is equalised.
//
//   layer                                       output C x H x W   parameters
//   ------------------------------------------------------------------------
//   input: gray, equalised, pixels / 255            1 x 48 x 48
//   conv 3x3, padding 1; batch norm; ReLU          32 x 48 x 48           352
//   3 blocks                                       32 x 48 x 48   3 x    18,560
//   1 block, stride 2                              64 x 24 x 24          57,728
//   3 blocks                                       64 x 24 x 24   3 x    73,984
//   1 block, stride 2                             128 x 12 x 12         230,144
//   5 blocks                                      128 x 12 x 12   5 x   295,424
//   1 block, stride 2                             256 x  6 x  6         919,040
//   2 blocks                                      256 x  6 x  6   2 x 1,180,672
//   average pool 6x6                              256 x  1 x  1
//   dense                                                   7           1,799
//
// A block is twice conv 3x3 with padding 1 and batch norm, the first followed by ReLU, plus the
// block's input, then ReLU. Where the first has stride 2, the input passes a conv 1x1 of stride 2
// with batch norm.
//
// Assumptions: the paper gives about 5 million parameters; half the widths of ResNet-34 lead there.
// Its first layers, made for 224x224 pixels (7x7 with stride 2 and pooling), give way to a 3x3.
#pragma once

#include <string_view>

#include <mien/network.hpp>

namespace mien {

namespace detail {

template <int In, int Out, class Stride>
using ResNetBody =
    Sequential<Conv2d<In, Out, Kernel<3>, Stride, Padding<1>, NoBias>, BatchNorm2d<Out>, ReLU,
               Conv2d<Out, Out, Kernel<3>, Padding<1>, NoBias>, BatchNorm2d<Out>>;

template <int Channels>
using ResNetBlock = Sequential<Residual<ResNetBody<Channels, Channels, Stride<1>>>, ReLU>;

/// Halves height and width.
template <int In, int Out>
using ResNetDownBlock = Sequential<
    Residual<ResNetBody<In, Out, Stride<2>>,
             Sequential<Conv2d<In, Out, Kernel<1>, Stride<2>, NoBias>, BatchNorm2d<Out>>>,
    ReLU>;

}  // namespace detail

// clang-format off
struct ResNet33 : Network<ResNet33, Input<1, 48, 48>,
    Conv2d<1, 32, Kernel<3>, Padding<1>, NoBias>, BatchNorm2d<32>, ReLU,
    detail::ResNetBlock<32>,
    detail::ResNetBlock<32>,
    detail::ResNetBlock<32>,
    detail::ResNetDownBlock<32, 64>,
    detail::ResNetBlock<64>,
    detail::ResNetBlock<64>,
    detail::ResNetBlock<64>,
    detail::ResNetDownBlock<64, 128>,
    detail::ResNetBlock<128>,
    detail::ResNetBlock<128>,
    detail::ResNetBlock<128>,
    detail::ResNetBlock<128>,
    detail::ResNetBlock<128>,
    detail::ResNetDownBlock<128, 256>,
    detail::ResNetBlock<256>,
    detail::ResNetBlock<256>,
    AvgPool2d<Kernel<6>>,
    Flatten,
    Dense<256, 7>> {
  static constexpr std::string_view name = "resnet33";
  using Network::Network;
};
// clang-format on

}  // namespace mien
