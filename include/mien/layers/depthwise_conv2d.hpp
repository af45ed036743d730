// Depthwise convolution: one filter for each channel.
#pragma once

#include <mien/layers/conv2d.hpp>

namespace mien {

/// PyTorch's Conv2d with as many groups as channels. Options: Kernel (needed), Stride, Padding,
/// NoBias. Weights in files are [C][1][KH][KW].
template <int Channels, class... Options>
using DepthwiseConv2d = Conv2d<Channels, Channels, Groups<Channels>, Options...>;

}  // namespace mien
