// A network of one layer.
#pragma once

#include <string_view>

#include <mien/network.hpp>

namespace mien {

/// Its file says which layer.
template <class Layer, class InputShape>
struct OneLayer : Network<OneLayer<Layer, InputShape>, InputShape, Layer> {
  static constexpr std::string_view name = "layer";
  using OneLayer::Network::Network;
};

}  // namespace mien
