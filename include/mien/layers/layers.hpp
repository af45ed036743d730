// All layers, and the list of what files may name. A new one adds its include and its type.
#pragma once

#include <string_view>

#include <mien/config.hpp>
#include <mien/layers/add.hpp>
#include <mien/layers/avg_pool2d.hpp>
#include <mien/layers/batch_norm2d.hpp>
#include <mien/layers/concatenate.hpp>
#include <mien/layers/conv2d.hpp>
#include <mien/layers/dense.hpp>
#include <mien/layers/flatten.hpp>
#include <mien/layers/inverted_residual.hpp>
#include <mien/layers/local_response_norm.hpp>
#include <mien/layers/max_pool2d.hpp>
#include <mien/layers/relu.hpp>
#include <mien/layers/sequential.hpp>
#include <mien/layers/softmax.hpp>

namespace mien {

inline constexpr const LayerType* layer_types[] = {
    &detail::add::type,          &detail::avg_pool2d::type,
    &detail::batch_norm2d::type, &detail::concatenate::type,
    &detail::conv2d::type,       &detail::dense::type,
    &detail::flatten::type,      &detail::local_response_norm::type,
    &detail::max_pool2d::type,   &detail::relu_type,
    &detail::relu6_type,         &detail::softmax::type,
};

/// The layer of a name; null if there is none.
constexpr const LayerType* find_layer(std::string_view name) {
  for (const LayerType* const type : layer_types) {
    if (type->name == name) return type;
  }
  return nullptr;
}

}  // namespace mien
