// VGGNet for faces: 29,890,759 parameters, 351 million multiply-adds.
//
// Khaireddin and Chen, "Facial Emotion Recognition: State of the Art Performance on FER2013",
// arXiv 2105.03588, section 3 and figure 2.
//
//   layer                                       output C x H x W   parameters
//   ------------------------------------------------------------------------
//   input: gray, pixels / 255                       1 x 40 x 40
//   conv 3x3, padding 1; batch norm; ReLU; twice   64 x 40 x 40      768 +    37,056
//   max pool 2x2                                   64 x 20 x 20
//   conv 3x3, padding 1; batch norm; ReLU; twice  128 x 20 x 20   74,112 +   147,840
//   max pool 2x2                                  128 x 10 x 10
//   conv 3x3, padding 1; batch norm; ReLU; twice  256 x 10 x 10  295,680 +   590,592
//   max pool 2x2                                  256 x  5 x  5
//   conv 3x3, padding 1; batch norm; ReLU; twice  512 x  5 x  5 1,181,184 + 2,360,832
//   max pool 2x2                                  512 x  2 x  2
//   flatten                                             2,048
//   dense, ReLU                                         4,096     8,392,704
//   dense, ReLU                                         4,096    16,781,312
//   dense                                                   7        28,679
//
// It trains with dropout of 0.2 after both hidden dense layers, which does nothing here.
#pragma once

#include <string_view>

#include <mien/network.hpp>

namespace mien {

// clang-format off
struct VggNet : Network<VggNet, Input<1, 40, 40>,
    Conv2d<1, 64, Kernel<3>, Padding<1>>, BatchNorm2d<64>, ReLU,
    Conv2d<64, 64, Kernel<3>, Padding<1>>, BatchNorm2d<64>, ReLU,
    MaxPool2d<Kernel<2>>,
    Conv2d<64, 128, Kernel<3>, Padding<1>>, BatchNorm2d<128>, ReLU,
    Conv2d<128, 128, Kernel<3>, Padding<1>>, BatchNorm2d<128>, ReLU,
    MaxPool2d<Kernel<2>>,
    Conv2d<128, 256, Kernel<3>, Padding<1>>, BatchNorm2d<256>, ReLU,
    Conv2d<256, 256, Kernel<3>, Padding<1>>, BatchNorm2d<256>, ReLU,
    MaxPool2d<Kernel<2>>,
    Conv2d<256, 512, Kernel<3>, Padding<1>>, BatchNorm2d<512>, ReLU,
    Conv2d<512, 512, Kernel<3>, Padding<1>>, BatchNorm2d<512>, ReLU,
    MaxPool2d<Kernel<2>>,
    Flatten,
    Dense<2048, 4096>, ReLU,
    Dense<4096, 4096>, ReLU,
    Dense<4096, 7>> {
  static constexpr std::string_view name = "vgg_net";
  using Network::Network;
};
// clang-format on

}  // namespace mien
