// A small network for tests; data/make_networks.py makes its weights.
#pragma once

#include <string_view>

#include <mien/network.hpp>

struct Tiny : mien::Network<Tiny, mien::Input<1, 8, 8>,
                            mien::Conv2d<1, 4, mien::Kernel<3>, mien::Padding<1>>,
                            mien::BatchNorm2d<4>, mien::ReLU, mien::MaxPool2d<mien::Kernel<2>>,
                            mien::InvertedResidual<4, 6>, mien::Flatten, mien::Dense<64, 7>> {
  static constexpr std::string_view name = "tiny";
  using Network::Network;
};
