// AlexNet on gray faces: 56,873,671 parameters, 650 million multiply-adds.
//
// Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural
// Networks", 2012: layers as in section 3.5, order of rectifier, normalisation and pooling as in
// sections 3.3 and 3.5. Faces are enlarged to 256x256, of which views of 227x227 are cropped
// (section 4.1).
//
//   layer                                       output C x H x W   parameters
//   ------------------------------------------------------------------------
//   input: gray, pixels / 255                       1 x 227 x 227
//   conv 11x11, stride 4; ReLU                     96 x  55 x  55      11,712
//   local response normalisation                   96 x  55 x  55
//   max pool 3x3, stride 2                         96 x  27 x  27
//   conv 5x5, padding 2, 2 groups; ReLU           256 x  27 x  27     307,456
//   local response normalisation                  256 x  27 x  27
//   max pool 3x3, stride 2                        256 x  13 x  13
//   conv 3x3, padding 1; ReLU                     384 x  13 x  13     885,120
//   conv 3x3, padding 1, 2 groups; ReLU           384 x  13 x  13     663,936
//   conv 3x3, padding 1, 2 groups; ReLU           256 x  13 x  13     442,624
//   max pool 3x3, stride 2                        256 x   6 x   6
//   flatten                                              9,216
//   dense, ReLU                                          4,096     37,752,832
//   dense, ReLU                                          4,096     16,781,312
//   dense                                                    7         28,679
//
// Assumptions: one gray channel in place of three colours, and seven outputs. The paper says 224
// pixels, but only 227 give its maps of 55. The normalisation divides its alpha by its size, as
// LocalResponseNorm says.
#pragma once

#include <ratio>
#include <string_view>

#include <mien/network.hpp>

namespace mien {

namespace detail {

using AlexNetNorm = LocalResponseNorm<5, std::ratio<1, 10000>, std::ratio<3, 4>, std::ratio<2>>;

}  // namespace detail

// clang-format off
struct AlexNet : Network<AlexNet, Input<1, 227, 227>,
    Conv2d<1, 96, Kernel<11>, Stride<4>>, ReLU,
    detail::AlexNetNorm,
    MaxPool2d<Kernel<3>, Stride<2>>,
    Conv2d<96, 256, Kernel<5>, Padding<2>, Groups<2>>, ReLU,
    detail::AlexNetNorm,
    MaxPool2d<Kernel<3>, Stride<2>>,
    Conv2d<256, 384, Kernel<3>, Padding<1>>, ReLU,
    Conv2d<384, 384, Kernel<3>, Padding<1>, Groups<2>>, ReLU,
    Conv2d<384, 256, Kernel<3>, Padding<1>, Groups<2>>, ReLU,
    MaxPool2d<Kernel<3>, Stride<2>>,
    Flatten,
    Dense<9216, 4096>, ReLU,
    Dense<4096, 4096>, ReLU,
    Dense<4096, 7>> {
  static constexpr std::string_view name = "alexnet";
  using Network::Network;
};
// clang-format on

}  // namespace mien
