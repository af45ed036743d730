// The inverted residual of MobileNetV2 (Sandler et al., arXiv 1801.04381), as MiniFER uses it.
#pragma once

#include <mien/layers/arithmetic.hpp>
#include <mien/layers/batch_norm2d.hpp>
#include <mien/layers/conv2d.hpp>
#include <mien/layers/relu.hpp>
#include <mien/layers/sequential.hpp>

namespace mien {

/// Expand to Hidden channels, filter each by 3x3, project back, add the input. Unlike
/// MobileNetV2's, the projection has no batch normalisation.
template <int Channels, int Hidden>
using InvertedResidual =
    Residual<Sequential<Conv2d<Channels, Hidden, Kernel<1>, NoBias>, BatchNorm2d<Hidden>, ReLU6,
                        DepthwiseConv2d<Hidden, Kernel<3>, Padding<1>, NoBias>, BatchNorm2d<Hidden>,
                        ReLU6, Conv2d<Hidden, Channels, Kernel<1>, NoBias>>>;

}  // namespace mien
