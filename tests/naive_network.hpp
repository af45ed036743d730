// A network by its definition, node by node: nothing is fused, packed or planned.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include <mien/graph/graph.hpp>
#include <mien/kernels/nn/avg_pool2d.hpp>
#include <mien/kernels/nn/convolution/naive.hpp>
#include <mien/kernels/nn/local_response_norm.hpp>
#include <mien/kernels/nn/max_pool2d.hpp>
#include <mien/layers/layers.hpp>
#include <mien/tensor.hpp>
#include <mien/weights.hpp>

namespace mien::naive {

using Values = std::vector<float>;

inline void multiply(const Node& node, const NodeTensors& tensors, const Values& input,
                     Values& output) {
  const Values weight = tensors.values(node, 0);
  const bool has_bias = node.option(detail::dense::bias) != 0;
  const Values bias = has_bias ? tensors.values(node, 1) : Values(output.size());
  for (std::size_t o = 0; o < output.size(); ++o) {
    double sum = double{bias[o]};
    for (std::size_t i = 0; i < input.size(); ++i) {
      sum += double{weight[o * input.size() + i]} * double{input[i]};
    }
    output[o] = static_cast<float>(sum);
  }
}

inline void normalise(const Node& node, const NodeTensors& tensors, const Values& input,
                      Values& output) {
  const Values weight = tensors.values(node, 0);
  const Values bias = tensors.values(node, 1);
  const Values mean = tensors.values(node, 2);
  const Values variance = tensors.values(node, 3);
  for (std::size_t i = 0; i < input.size(); ++i) {
    const std::size_t c = i % weight.size();
    output[i] = (input[i] - mean[c]) / std::sqrt(variance[c] + 1e-5f) * weight[c] + bias[c];
  }
}

inline void arithmetic(kernels::Arithmetic operation, const std::vector<TensorShape>& shapes,
                       const std::vector<Values>& inputs, Values& output) {
  const auto extents = [](const TensorShape& shape) {
    return kernels::Extents{1, static_cast<std::size_t>(shape.height),
                            static_cast<std::size_t>(shape.width),
                            static_cast<std::size_t>(shape.channels)};
  };
  kernels::naive::arithmetic(
      operation, kernels::broadcast_loops(extents(shapes[0]), extents(shapes[1])), inputs[0].data(),
      inputs[1].data(), kernels::Activation::none, output.data());
}

inline void softmax(std::size_t channels, const Values& input, Values& output) {
  for (std::size_t first = 0; first < input.size(); first += channels) {
    const float largest = *std::max_element(&input[first], &input[first] + channels);
    double sum = 0.0;
    for (std::size_t i = first; i < first + channels; ++i) {
      sum += std::exp(double{input[i]} - double{largest});
    }
    for (std::size_t i = first; i < first + channels; ++i) {
      output[i] = static_cast<float>(std::exp(double{input[i]} - double{largest}) / sum);
    }
  }
}

/// One node's output for its inputs, all channels last.
inline Values evaluate(const Node& node, const NodeTensors& tensors,
                       const std::vector<TensorShape>& shapes, const std::vector<Values>& inputs,
                       const TensorShape& shape) {
  Values output(shape.size());
  const Values& input = inputs[0];
  const auto each = [&](auto function) {
    std::transform(input.begin(), input.end(), output.begin(), function);
  };
  const LayerType* const layer = node.layer;
  if (layer == find_layer("Conv2d")) {
    const Values weight = tensors.values(node, 0);
    const bool has_bias = node.option(detail::conv2d::bias) != 0;
    const Values bias =
        has_bias ? tensors.values(node, 1) : Values(static_cast<std::size_t>(shape.channels));
    kernels::naive::conv2d(detail::conv2d::geometry(node, shapes[0]), input.data(), weight.data(),
                           bias.data(), kernels::Activation::none, output.data());
  } else if (layer == find_layer("Dense")) {
    multiply(node, tensors, input, output);
  } else if (layer == find_layer("BatchNorm2d")) {
    normalise(node, tensors, input, output);
  } else if (layer == find_layer("ReLU")) {
    each([](float x) { return std::max(x, 0.0f); });
  } else if (layer == find_layer("ReLU6")) {
    each([](float x) { return std::min(std::max(x, 0.0f), 6.0f); });
  } else if (layer == find_layer("MaxPool2d")) {
    kernels::naive::max_pool2d(detail::max_pool2d::geometry(node, shapes[0]), input.data(),
                               output.data());
  } else if (layer == find_layer("AvgPool2d")) {
    kernels::naive::avg_pool2d(detail::avg_pool2d::geometry(node, shapes[0]),
                               detail::avg_pool2d::counted_padding(node), input.data(),
                               output.data());
  } else if (layer == find_layer("LocalResponseNorm")) {
    kernels::naive::local_response_norm(static_cast<int>(shape.pixels()), shape.channels,
                                        detail::local_response_norm::response(node), input.data(),
                                        output.data());
  } else if (layer == find_layer("Flatten")) {
    detail::to_channels_first(input.data(), output.data(),
                              static_cast<std::size_t>(shapes[0].channels), shapes[0].pixels());
  } else if (layer == find_layer("Softmax")) {
    softmax(static_cast<std::size_t>(shape.channels), input, output);
  } else if (layer == find_layer("Add")) {
    arithmetic(kernels::Arithmetic::add, shapes, inputs, output);
  } else if (layer == find_layer("Mul")) {
    arithmetic(kernels::Arithmetic::multiply, shapes, inputs, output);
  } else if (layer == find_layer("Concatenate")) {
    output.clear();
    for (std::size_t pixel = 0; pixel < shape.pixels(); ++pixel) {
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        const auto channels = static_cast<std::ptrdiff_t>(shapes[i].channels);
        const auto from = inputs[i].begin() + static_cast<std::ptrdiff_t>(pixel) * channels;
        output.insert(output.end(), from, from + channels);
      }
    }
  } else {
    throw Error("the naive network does not know " + std::string(layer->name));
  }
  return output;
}

/// All values of a file's network for its inputs, channels last.
inline std::vector<Values> evaluate(const WeightFile& file, const std::vector<TensorShape>& sizes,
                                    const std::vector<Values>& inputs) {
  const ShapedGraph shaped(file.graph(), sizes, file.name());
  const GraphView& graph = shaped.view();
  const FileTensors tensors(file);
  std::vector<Values> values = inputs;
  for (int n = 0; n < graph.node_count; ++n) {
    const Node& node = graph.nodes[n];
    std::vector<TensorShape> shapes;
    std::vector<Values> taken;
    for (int i = 0; i < node.input_count; ++i) {
      shapes.push_back(shaped.shape(graph.operand(node, i)));
      taken.push_back(values[static_cast<std::size_t>(graph.operand(node, i))]);
    }
    values.push_back(evaluate(node, tensors, shapes, taken, shaped.shape(graph.value_of(n))));
  }
  return values;
}

}  // namespace mien::naive
