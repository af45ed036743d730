// The Inception network of Pramerdorfer and Kampel: 1,189,167 parameters, 155 million
// multiply-adds.
//
// "Facial Expression Recognition using Convolutional Neural Networks: State of the Art", arXiv
// 1612.02903, section 4.1: blocks CIPIIPIIPIIPF, depth 16, on faces of 48x48 whose histogram is
// equalised; the blocks are those of GoogLeNet (Szegedy et al., arXiv 1409.4842).
//
//   layer                                       output C x H x W   parameters
//   ------------------------------------------------------------------------
//   input: gray, equalised, pixels / 255            1 x 48 x 48
//   conv 3x3, padding 1; batch norm; ReLU          64 x 48 x 48           704
//   inception 32                                   72 x 48 x 48         8,920
//   max pool 3x3, stride 2, padding 1              72 x 24 x 24
//   inception 64                                  144 x 24 x 24        29,488
//   inception 96                                  216 x 24 x 24        71,688
//   max pool 3x3, stride 2, padding 1             216 x 12 x 12
//   inception 128                                 288 x 12 x 12       132,192
//   inception 160                                 360 x 12 x 12       211,000
//   max pool 3x3, stride 2, padding 1             360 x  6 x  6
//   inception 192                                 432 x  6 x  6       308,112
//   inception 224                                 504 x  6 x  6       423,528
//   average pool 6x6                              504 x  1 x  1
//   dense                                                   7         3,535
//
// Inception N joins four branches, in which a batch normalisation and a ReLU follow every
// convolution: 1x1 to 3N/4 channels; 1x1 to N/2 and 3x3 to N; 1x1 to N/8 and 5x5 to N/4; and a max
// pooling of 3x3 at stride 1, then 1x1 to N/4.
//
// Assumptions: the paper gives about 1.2 million parameters; the ratios are those that public
// re-implementations report of it. The first convolution's 64 channels and global average pooling
// as the last P follow GoogLeNet, as does training with dropout of 0.4 before the dense layer,
// which does nothing here.
#pragma once

#include <string_view>

#include <mien/network.hpp>

namespace mien {

namespace detail {

template <int In, int Out, class... Options>
using InceptionConvolution =
    Sequential<Conv2d<In, Out, Options..., NoBias>, BatchNorm2d<Out>, ReLU>;

template <int In, int N>
using InceptionBlock =
    Concatenate<InceptionConvolution<In, 3 * N / 4, Kernel<1>>,
                Sequential<InceptionConvolution<In, N / 2, Kernel<1>>,
                           InceptionConvolution<N / 2, N, Kernel<3>, Padding<1>>>,
                Sequential<InceptionConvolution<In, N / 8, Kernel<1>>,
                           InceptionConvolution<N / 8, N / 4, Kernel<5>, Padding<2>>>,
                Sequential<MaxPool2d<Kernel<3>, Stride<1>, Padding<1>>,
                           InceptionConvolution<In, N / 4, Kernel<1>>>>;

}  // namespace detail

// clang-format off
struct InceptionFer : Network<InceptionFer, Input<1, 48, 48>,
    Conv2d<1, 64, Kernel<3>, Padding<1>, NoBias>, BatchNorm2d<64>, ReLU,
    detail::InceptionBlock<64, 32>,
    MaxPool2d<Kernel<3>, Stride<2>, Padding<1>>,
    detail::InceptionBlock<72, 64>,
    detail::InceptionBlock<144, 96>,
    MaxPool2d<Kernel<3>, Stride<2>, Padding<1>>,
    detail::InceptionBlock<216, 128>,
    detail::InceptionBlock<288, 160>,
    MaxPool2d<Kernel<3>, Stride<2>, Padding<1>>,
    detail::InceptionBlock<360, 192>,
    detail::InceptionBlock<432, 224>,
    AvgPool2d<Kernel<6>>,
    Flatten,
    Dense<504, 7>> {
  static constexpr std::string_view name = "inception_fer";
  using Network::Network;
};
// clang-format on

}  // namespace mien
