// The VGG of depth 10 of Pramerdorfer and Kampel: 1,765,479 parameters, 118 million
// multiply-adds.
//
// "Facial Expression Recognition using Convolutional Neural Networks: State of the Art", arXiv
// 1612.02903, section 4.1: blocks CCPCCPCCPCCPFF on faces of 48x48 whose histogram is equalised.
//
//   layer                                       output C x H x W   parameters
//   ------------------------------------------------------------------------
//   input: gray, equalised, pixels / 255            1 x 48 x 48
//   conv 3x3, padding 1; batch norm; ReLU; twice   32 x 48 x 48     384 +   9,312
//   max pool 2x2                                   32 x 24 x 24
//   conv 3x3, padding 1; batch norm; ReLU; twice   64 x 24 x 24  18,624 +  37,056
//   max pool 2x2                                   64 x 12 x 12
//   conv 3x3, padding 1; batch norm; ReLU; twice  128 x 12 x 12  74,112 + 147,840
//   max pool 2x2                                  128 x  6 x  6
//   conv 3x3, padding 1; batch norm; ReLU; twice  256 x  6 x  6 295,680 + 590,592
//   max pool 2x2                                  256 x  3 x  3
//   flatten                                             2,304
//   dense, ReLU                                           256       590,080
//   dense                                                   7         1,799
//
// Assumptions: the paper gives 1.8 million parameters but no widths; these lead there. Its dropout
// does nothing here.
#pragma once

#include <string_view>

#include <mien/network.hpp>

namespace mien {

// clang-format off
struct Vgg10 : Network<Vgg10, Input<1, 48, 48>,
    Conv2d<1, 32, Kernel<3>, Padding<1>>, BatchNorm2d<32>, ReLU,
    Conv2d<32, 32, Kernel<3>, Padding<1>>, BatchNorm2d<32>, ReLU,
    MaxPool2d<Kernel<2>>,
    Conv2d<32, 64, Kernel<3>, Padding<1>>, BatchNorm2d<64>, ReLU,
    Conv2d<64, 64, Kernel<3>, Padding<1>>, BatchNorm2d<64>, ReLU,
    MaxPool2d<Kernel<2>>,
    Conv2d<64, 128, Kernel<3>, Padding<1>>, BatchNorm2d<128>, ReLU,
    Conv2d<128, 128, Kernel<3>, Padding<1>>, BatchNorm2d<128>, ReLU,
    MaxPool2d<Kernel<2>>,
    Conv2d<128, 256, Kernel<3>, Padding<1>>, BatchNorm2d<256>, ReLU,
    Conv2d<256, 256, Kernel<3>, Padding<1>>, BatchNorm2d<256>, ReLU,
    MaxPool2d<Kernel<2>>,
    Flatten,
    Dense<2304, 256>, ReLU,
    Dense<256, 7>> {
  static constexpr std::string_view name = "vgg10";
  using Network::Network;
};
// clang-format on

}  // namespace mien
