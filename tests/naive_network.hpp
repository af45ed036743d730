// A network by its definition, node by node: nothing is fused, packed or planned.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <mien/graph/graph.hpp>
#include <mien/kernels/nn/avg_pool2d.hpp>
#include <mien/kernels/nn/convolution/naive.hpp>
#include <mien/kernels/nn/elementwise.hpp>
#include <mien/kernels/nn/local_response_norm.hpp>
#include <mien/kernels/nn/max_pool2d.hpp>
#include <mien/kernels/nn/normalisation.hpp>
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

/// The function of an elementwise layer by its name; false if it is none.
inline bool elementwise(const Node& node, const Values& input, Values& output) {
  using kernels::Elementwise;
  static constexpr struct {
    std::string_view name;
    Elementwise kind;
  } functions[] = {{"Sigmoid", Elementwise::sigmoid},
                   {"Tanh", Elementwise::tanh},
                   {"SiLU", Elementwise::silu},
                   {"HardSwish", Elementwise::hard_swish},
                   {"HardSigmoid", Elementwise::hard_sigmoid},
                   {"LeakyReLU", Elementwise::leaky_relu},
                   {"ELU", Elementwise::elu},
                   {"SELU", Elementwise::selu},
                   {"GELU", Elementwise::gelu},
                   {"Mish", Elementwise::mish},
                   {"Clip", Elementwise::clip},
                   {"Softplus", Elementwise::softplus}};
  for (const auto& function : functions) {
    if (function.name != node.layer->name) continue;
    const kernels::ElementwiseFunction definition = {
        function.kind, static_cast<float>(node.options[0]), static_cast<float>(node.options[1])};
    for (std::size_t i = 0; i < input.size(); ++i) {
      output[i] = static_cast<float>(kernels::naive::value(definition, double{input[i]}));
    }
    return true;
  }
  return false;
}

/// The operation of an arithmetic layer by its name; null if it is none.
inline const kernels::Arithmetic* arithmetic_of(std::string_view name) {
  static constexpr struct {
    std::string_view name;
    kernels::Arithmetic operation;
  } operations[] = {{"Add", kernels::Arithmetic::add},      {"Sub", kernels::Arithmetic::subtract},
                    {"Mul", kernels::Arithmetic::multiply}, {"Div", kernels::Arithmetic::divide},
                    {"Min", kernels::Arithmetic::minimum},  {"Max", kernels::Arithmetic::maximum}};
  for (const auto& entry : operations) {
    if (entry.name == name) return &entry.operation;
  }
  return nullptr;
}

/// Layers whose every output value is one input value: where it lies, channels first.
inline bool moved(const Node& node, const TensorShape& from, const TensorShape& to,
                  const Values& input, Values& output) {
  const std::string_view layer = node.layer->name;
  const auto source = [&](int c, int y, int x) -> TensorShape {
    if (layer == "Slice") return {c + node.option(detail::slice::first), y, x};
    if (layer == "ChannelShuffle") {
      const int groups = node.option(detail::channel_shuffle::groups);
      return {c % groups * (from.channels / groups) + c / groups, y, x};
    }
    if (layer == "PixelShuffle") {
      const int factor = node.option(detail::pixel_shuffle::factor);
      return {(c * factor + y % factor) * factor + x % factor, y / factor, x / factor};
    }
    if (layer == "Unflatten") return {(c * to.height + y) * to.width + x, 0, 0};
    if (layer == "Pad") {
      const auto inside = [&](int place, int before, int size) {
        const int mode = node.option(detail::pad::mode);
        place -= before;
        if (mode == detail::pad::replicate) return std::min(std::max(place, 0), size - 1);
        if (mode == detail::pad::reflect) {
          place = std::abs(place);
          return place < size ? place : 2 * (size - 1) - place;
        }
        return place;
      };
      return {c, inside(y, node.option(detail::pad::top), from.height),
              inside(x, node.option(detail::pad::left), from.width)};
    }
    return {-1, 0, 0};
  };
  if (source(0, 0, 0).channels < 0) return false;
  std::size_t i = 0;
  for (int y = 0; y < to.height; ++y) {
    for (int x = 0; x < to.width; ++x) {
      for (int c = 0; c < to.channels; ++c, ++i) {
        const TensorShape at = source(c, y, x);
        const bool is_inside =
            at.height >= 0 && at.height < from.height && at.width >= 0 && at.width < from.width;
        output[i] = is_inside
                        ? input[static_cast<std::size_t>(
                              (at.height * from.width + at.width) * from.channels + at.channels)]
                        : 0.0f;
      }
    }
  }
  return true;
}

/// Every output is the mean or maximum of rows floor(y in / out) to ceil((y + 1) in / out).
inline void adaptive_pool(bool is_max, const TensorShape& from, const TensorShape& to,
                          const Values& input, Values& output) {
  std::size_t i = 0;
  for (int y = 0; y < to.height; ++y) {
    const int top = y * from.height / to.height;
    const int bottom = ((y + 1) * from.height + to.height - 1) / to.height;
    for (int x = 0; x < to.width; ++x) {
      const int left = x * from.width / to.width;
      const int right = ((x + 1) * from.width + to.width - 1) / to.width;
      for (int c = 0; c < to.channels; ++c, ++i) {
        double sum = 0.0;
        float largest = -std::numeric_limits<float>::infinity();
        for (int v = top; v < bottom; ++v) {
          for (int u = left; u < right; ++u) {
            const float value =
                input[static_cast<std::size_t>((v * from.width + u) * from.channels + c)];
            sum += double{value};
            largest = std::max(largest, value);
          }
        }
        output[i] = is_max ? largest : static_cast<float>(sum / ((bottom - top) * (right - left)));
      }
    }
  }
}

/// Every input pixel adds its weighted window to the output.
inline void conv_transpose(const Node& node, const NodeTensors& tensors, const TensorShape& from,
                           const TensorShape& to, const Values& input, Values& output) {
  namespace options = detail::conv_transpose2d;
  const auto option = [&](int index) { return node.option(index); };
  const int kernel_height = option(options::window);
  const int kernel_width = option(options::window + 1);
  const int groups = option(options::groups);
  const int ins = from.channels / groups;
  const int outs = to.channels / groups;
  const Values weight = tensors.values(node, 0);
  std::vector<double> sums(output.size());
  for (int y = 0; y < from.height; ++y) {
    for (int x = 0; x < from.width; ++x) {
      for (int v = 0; v < kernel_height; ++v) {
        for (int u = 0; u < kernel_width; ++u) {
          const int row = y * option(options::window + 2) + v * option(options::dilation_y) -
                          option(options::window + 4);
          const int column = x * option(options::window + 3) + u * option(options::dilation_x) -
                             option(options::window + 5);
          if (row < 0 || row >= to.height || column < 0 || column >= to.width) continue;
          for (int i = 0; i < from.channels; ++i) {
            for (int o = 0; o < outs; ++o) {
              const int place = (row * to.width + column) * to.channels + i / ins * outs + o;
              const int tap = ((i * outs + o) * kernel_height + v) * kernel_width + u;
              sums[static_cast<std::size_t>(place)] +=
                  double{weight[static_cast<std::size_t>(tap)]} *
                  double{input[static_cast<std::size_t>((y * from.width + x) * from.channels + i)]};
            }
          }
        }
      }
    }
  }
  const Values bias =
      option(options::bias) != 0 ? tensors.values(node, 1) : Values(output.size(), 0.0f);
  for (std::size_t i = 0; i < output.size(); ++i) {
    const std::size_t c = i % static_cast<std::size_t>(to.channels);
    output[i] = static_cast<float>(sums[i] + double{bias[c]});
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
  } else if (layer == find_layer("LogSoftmax")) {
    softmax(static_cast<std::size_t>(shape.channels), input, output);
    for (float& value : output) value = std::log(value);
  } else if (const kernels::Arithmetic* operation = arithmetic_of(layer->name)) {
    namespace options = detail::arithmetic;
    if (node.tensor_count == 0) {
      arithmetic(*operation, shapes, inputs, output);
    } else {
      const TensorShape constant = {node.option(options::channels), node.option(options::height),
                                    node.option(options::width)};
      const Values first = tensors.values(node, 0);
      Values values(first.size());
      detail::to_channels_last(first.data(), values.data(),
                               static_cast<std::size_t>(constant.channels), constant.pixels());
      if (node.option(options::reversed) != 0) {
        arithmetic(*operation, {constant, shapes[0]}, {values, input}, output);
      } else {
        arithmetic(*operation, {shapes[0], constant}, {input, values}, output);
      }
    }
  } else if (elementwise(node, input, output)) {
  } else if (moved(node, shapes[0], shape, input, output)) {
  } else if (layer == find_layer("PReLU")) {
    const Values slopes = tensors.values(node, 0);
    for (std::size_t i = 0; i < input.size(); ++i) {
      output[i] = input[i] < 0.0f ? slopes[i % slopes.size()] * input[i] : input[i];
    }
  } else if (layer == find_layer("AdaptiveAvgPool2d") || layer == find_layer("AdaptiveMaxPool2d")) {
    adaptive_pool(layer == find_layer("AdaptiveMaxPool2d"), shapes[0], shape, input, output);
  } else if (layer == find_layer("ConvTranspose2d")) {
    conv_transpose(node, tensors, shapes[0], shape, input, output);
  } else if (layer == find_layer("InstanceNorm2d") || layer == find_layer("GroupNorm") ||
             layer == find_layer("LayerNorm2d")) {
    namespace options = detail::normalisation;
    const Values weight = tensors.values(node, 0);
    const Values bias = tensors.values(node, 1);
    const bool has_groups = layer == find_layer("GroupNorm");
    const kernels::Normalisation norm = {
        shape.channels, has_groups ? node.option(options::groups) : shape.channels,
        static_cast<float>(node.options[options::epsilon]), weight.data(), bias.data()};
    if (layer == find_layer("LayerNorm2d")) {
      kernels::naive::layer_norm(shape.pixels(), norm, input.data(), output.data());
    } else {
      kernels::naive::group_norm(shape.pixels(), norm, input.data(), output.data());
    }
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
