// FER-net: 1,687,943 parameters and 108 million multiply-adds at 48x48, 17,807,239 and 3.1 billion
// at 256x256.
//
// Mohan, Seal, Krejcar and Yazidi, "FER-net: facial expression recognition using deep neural net",
// Neural Computing and Applications 33, 2021: four times convolution, batch normalisation, ReLU,
// max pooling; then two dense layers with batch normalisation.
//
//   layer                                       output C x H x W   parameters
//   ------------------------------------------------------------------------
//   input: gray, pixels / 255                       1 x 48 x 48
//   conv 3x3, padding 1; batch norm; ReLU          64 x 48 x 48           768
//   max pool 2x2                                   64 x 24 x 24
//   conv 3x3, padding 1; batch norm; ReLU         128 x 24 x 24        74,112
//   max pool 2x2                                  128 x 12 x 12
//   conv 3x3, padding 1; batch norm; ReLU         256 x 12 x 12       295,680
//   max pool 2x2                                  256 x  6 x  6
//   conv 3x3, padding 1; batch norm; ReLU         256 x  6 x  6       590,592
//   max pool 2x2                                  256 x  3 x  3
//   flatten                                             2,304
//   dense, batch norm, ReLU                               256       590,592
//   dense, batch norm, ReLU                               512       132,608
//   dense                                                   7         3,591
//
// FerNet256 has the maps of the paper's figure: the same convolutions on 256x256, 128x128, 64x64
// and 32x32 pixels, and dense layers of 256, 256 and 7.
//
// Assumptions, where the publication is silent: kernels of 3x3, the dense layers' widths, and the
// order of batch normalisation before ReLU. It trains with dropout, 0.25 after every pooling and
// 0.5 after both hidden dense layers, which does nothing here.
#pragma once

#include <string_view>

#include <mien/network.hpp>

namespace mien {

// clang-format off
struct FerNet : Network<FerNet, Input<1, 48, 48>,
    Conv2d<1, 64, Kernel<3>, Padding<1>>, BatchNorm2d<64>, ReLU,
    MaxPool2d<Kernel<2>>,
    Conv2d<64, 128, Kernel<3>, Padding<1>>, BatchNorm2d<128>, ReLU,
    MaxPool2d<Kernel<2>>,
    Conv2d<128, 256, Kernel<3>, Padding<1>>, BatchNorm2d<256>, ReLU,
    MaxPool2d<Kernel<2>>,
    Conv2d<256, 256, Kernel<3>, Padding<1>>, BatchNorm2d<256>, ReLU,
    MaxPool2d<Kernel<2>>,
    Flatten,
    Dense<2304, 256>, BatchNorm2d<256>, ReLU,
    Dense<256, 512>, BatchNorm2d<512>, ReLU,
    Dense<512, 7>> {
  static constexpr std::string_view name = "fer_net";
  using Network::Network;
};

struct FerNet256 : Network<FerNet256, Input<1, 256, 256>,
    Conv2d<1, 64, Kernel<3>, Padding<1>>, BatchNorm2d<64>, ReLU,
    MaxPool2d<Kernel<2>>,
    Conv2d<64, 128, Kernel<3>, Padding<1>>, BatchNorm2d<128>, ReLU,
    MaxPool2d<Kernel<2>>,
    Conv2d<128, 256, Kernel<3>, Padding<1>>, BatchNorm2d<256>, ReLU,
    MaxPool2d<Kernel<2>>,
    Conv2d<256, 256, Kernel<3>, Padding<1>>, BatchNorm2d<256>, ReLU,
    MaxPool2d<Kernel<2>>,
    Flatten,
    Dense<65536, 256>, BatchNorm2d<256>, ReLU,
    Dense<256, 256>, BatchNorm2d<256>, ReLU,
    Dense<256, 7>> {
  static constexpr std::string_view name = "fer_net_256";
  using Network::Network;
};
// clang-format on

}  // namespace mien
