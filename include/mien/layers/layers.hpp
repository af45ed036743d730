// All layers, and the list of what files may name. A new one adds its include and its type.
#pragma once

#include <string_view>

#include <mien/config.hpp>
#include <mien/layers/activations.hpp>
#include <mien/layers/adaptive_pool2d.hpp>
#include <mien/layers/arithmetic.hpp>
#include <mien/layers/avg_pool2d.hpp>
#include <mien/layers/batch_norm2d.hpp>
#include <mien/layers/channel_shuffle.hpp>
#include <mien/layers/concatenate.hpp>
#include <mien/layers/conv2d.hpp>
#include <mien/layers/conv_transpose2d.hpp>
#include <mien/layers/dense.hpp>
#include <mien/layers/flatten.hpp>
#include <mien/layers/inverted_residual.hpp>
#include <mien/layers/local_response_norm.hpp>
#include <mien/layers/max_pool2d.hpp>
#include <mien/layers/normalisation.hpp>
#include <mien/layers/pad.hpp>
#include <mien/layers/pixel_shuffle.hpp>
#include <mien/layers/prelu.hpp>
#include <mien/layers/relu.hpp>
#include <mien/layers/resize.hpp>
#include <mien/layers/sequential.hpp>
#include <mien/layers/slice.hpp>
#include <mien/layers/softmax.hpp>
#include <mien/layers/unflatten.hpp>

namespace mien {

inline constexpr const LayerType* layer_types[] = {
    &detail::arithmetic::add,
    &detail::adaptive_pool2d::avg_type,
    &detail::adaptive_pool2d::max_type,
    &detail::avg_pool2d::type,
    &detail::batch_norm2d::type,
    &detail::channel_shuffle::type,
    &detail::clip_type,
    &detail::concatenate::type,
    &detail::conv2d::type,
    &detail::dense::type,
    &detail::arithmetic::div,
    &detail::elu_type,
    &detail::flatten::type,
    &detail::gelu_type,
    &detail::normalisation::group_norm,
    &detail::hard_sigmoid_type,
    &detail::hard_swish_type,
    &detail::normalisation::instance_norm2d,
    &detail::normalisation::layer_norm2d,
    &detail::conv_transpose2d::type,
    &detail::leaky_relu_type,
    &detail::local_response_norm::type,
    &detail::softmax::log_type,
    &detail::max_pool2d::type,
    &detail::arithmetic::max,
    &detail::arithmetic::min,
    &detail::mish_type,
    &detail::arithmetic::mul,
    &detail::pad::type,
    &detail::pixel_shuffle::type,
    &detail::prelu::type,
    &detail::relu6_type,
    &detail::relu_type,
    &detail::resize::type,
    &detail::selu_type,
    &detail::sigmoid_type,
    &detail::silu_type,
    &detail::slice::type,
    &detail::softmax::type,
    &detail::softplus_type,
    &detail::arithmetic::sub,
    &detail::tanh_type,
    &detail::unflatten::type,
};

/// The layer of a name; null if there is none.
constexpr const LayerType* find_layer(std::string_view name) {
  for (const LayerType* const type : layer_types) {
    if (type->name == name) return type;
  }
  return nullptr;
}

}  // namespace mien
