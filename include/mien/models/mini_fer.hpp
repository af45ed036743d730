// MiniFER: 784,263 parameters, 83 million multiply-adds.
//
//   layer                                       output C x H x W   parameters
//   ------------------------------------------------------------------------
//   input: gray, pixels / 255                       1 x 40 x 40
//   conv 3x3, padding 1; batch norm; ReLU          64 x 40 x 40           768
//   max pool 2x2                                   64 x 20 x 20
//   conv 5x5, padding 1; batch norm; ReLU         128 x 18 x 18       205,184
//   max pool 2x2                                  128 x  9 x  9
//   inverted residual, hidden 256, twice          128 x  9 x  9   2 x  68,864
//   max pool 2x2                                  128 x  4 x  4
//   inverted residual, hidden 512, twice          128 x  4 x  4   2 x 137,728
//   max pool 2x2                                  128 x  2 x  2
//   flatten                                               512
//   dense, ReLU                                           256       131,328
//   dense, ReLU                                           128        32,896
//   dense                                                   7           903
#pragma once

#include <string_view>

#include <mien/network.hpp>

namespace mien {

// clang-format off
struct MiniFer : Network<MiniFer, Input<1, 40, 40>,
    Conv2d<1, 64, Kernel<3>, Padding<1>>, BatchNorm2d<64>, ReLU,
    MaxPool2d<Kernel<2>>,
    Conv2d<64, 128, Kernel<5>, Padding<1>>, BatchNorm2d<128>, ReLU,
    MaxPool2d<Kernel<2>>,
    InvertedResidual<128, 256>,
    InvertedResidual<128, 256>,
    MaxPool2d<Kernel<2>>,
    InvertedResidual<128, 512>,
    InvertedResidual<128, 512>,
    MaxPool2d<Kernel<2>>,
    Flatten,
    Dense<512, 256>, ReLU,
    Dense<256, 128>, ReLU,
    Dense<128, 7>> {
  static constexpr std::string_view name = "mini_fer";
  using Network::Network;
};
// clang-format on

}  // namespace mien
