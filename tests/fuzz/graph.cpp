// Networks: the bytes are instructions that write a graph of layers that mostly fit each other, so
// that shape inference, fusion, the memory plan and kernels see what no change to a weight file's
// bytes would make. What comes out is a weight file, read by the same door; its outputs are those
// of the definition, and those of several inputs at once are those of each alone.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <mien/ensemble.hpp>
#include <mien/model.hpp>

#include "cost.hpp"
#include "graph_nodes.hpp"
#include "naive_network.hpp"
#include "random_weights.hpp"
#include "target.hpp"

namespace {

using namespace mien;

/// Whole numbers around those at which kernels change their ways.
int channel_count(fuzz::Numbers& numbers) {
  static constexpr int counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33};
  return counts[numbers.byte() % std::size(counts)];
}

class GraphOfBytes {
 public:
  explicit GraphOfBytes(fuzz::Numbers& numbers) : numbers_(numbers) {
    constexpr std::size_t most_nodes = 24;
    graph_.name = "bytes";
    const int inputs = numbers.once_in(4) ? 2 : 1;
    is_free_ = numbers.once_in(4);
    for (int i = 0; i < inputs; ++i) {
      const TensorShape shape = {channel_count(numbers), numbers.pick(1, 17), numbers.pick(1, 17)};
      shapes_.push_back(shape);
      graph_.inputs.push_back(
          {"input" + std::to_string(i), is_free_ ? TensorShape{shape.channels, 0, 0} : shape});
      if (is_free_) shapes_.back() = {shape.channels, size.height, size.width};
    }
    while (numbers.left() > 0 && graph_.nodes.size() < most_nodes) add_node();
    if (graph_.nodes.empty()) add(plain("ReLU"), {0});
    const int last = graph_.value_count() - 1;
    graph_.outputs.push_back({"last", last});
    if (seed_ % 3 == 0) graph_.outputs.push_back({"other", static_cast<int>(seed_) % (last + 1)});
  }

  const Graph& graph() const { return graph_; }
  const std::vector<TensorShape>& shapes() const { return shapes_; }

  /// Of inputs whose size is free.
  static constexpr InputSize size = {11, 14};

 private:
  void add(const Node& node, const std::vector<int>& inputs) { append_node(graph_, node, inputs); }

  /// The newest mostly, so that graphs are deep.
  int value() {
    const int last = graph_.value_count() - 1;
    const int back = numbers_.byte();
    return back < 160 ? last : back % (last + 1);
  }

  void add_node() {
    const std::uint8_t kind = numbers_.byte();
    seed_ = 31 * seed_ + kind;
    Node node;
    // Those that are fused into each other are more frequent.
    static constexpr std::array<std::string_view, 8> frequent = {
        "Conv2d", "Conv2d", "Conv2d", "BatchNorm2d", "ReLU", "Add", "MaxPool2d", "Concatenate"};
    constexpr std::size_t layers = std::size(layer_types);
    node.layer = kind < layers ? layer_types[kind] : find_layer(frequent[kind % frequent.size()]);
    const int count =
        numbers_.pick(node.layer->fewest_inputs, std::min(node.layer->most_inputs, 4));
    std::vector<int> inputs;
    std::vector<TensorShape> shapes;
    for (int i = 0; i < count; ++i) {
      inputs.push_back(value());
      shapes.push_back(shapes_[static_cast<std::size_t>(inputs.back())]);
    }
    for (int i = 0; i < node.layer->option_count; ++i) {
      node.options[static_cast<std::size_t>(i)] = option(node.layer->options[i], shapes.front());
    }
    if (node.layer->check_options(node) != nullptr) return;
    const ShapeResult result = node.layer->output_shape(node, shapes.data(), count);
    const bool fits = result.problem == ShapeProblem::none;
    if (fits && result.shape.size() > fuzz::most_values) return;
    for (const TensorSpec& tensor : node.layer->tensors(node).specs) {
      if (tensor.rank > 0 && tensor.size() > fuzz::most_values) return;
    }
    // Few of those that do not fit are left in, for the messages.
    if (!fits && kind % 64 != 0) return;
    add(node, inputs);
    shapes_.push_back(fits ? result.shape : TensorShape{1, 1, 1});
  }

  double option(const Option& option, const TensorShape& input) {
    const auto is = [&](std::string_view name) { return option.name == name; };
    const auto begins = [&](std::string_view name) {
      return option.name.substr(0, name.size()) == name;
    };
    const int number = numbers_.byte();
    double value = option.default_value;
    if (number == 255) {
      value = numbers_.once_in(2) ? option.lowest : option.highest;
    } else if (is("channels") || is("in_channels") || is("in_features")) {
      value = is("in_features") ? static_cast<double>(input.size()) : input.channels;
      if (number >= 240 || (is("channels") && option.lowest == 0.0 && number % 2 == 0)) value = 0;
    } else if (is("height")) {
      value = number % 2 == 0 ? 0 : number % 4 == 1 ? input.height : 1;
    } else if (is("width")) {
      value = number % 2 == 0 ? 0 : number % 4 == 1 ? input.width : 1;
    } else if (is("out_channels") || is("out_features")) {
      value = number < 64 ? input.channels : channel_count(numbers_);
    } else if (is("groups")) {
      value = number < 128 ? 1 : number < 224 ? input.channels : number % 4;
    } else if (begins("kernel")) {
      value = 1 + number % 5;
    } else if (begins("stride") || begins("dilation")) {
      value = number < 160 ? 1 : 1 + number % 3;
    } else if (begins("padding") || begins("output_padding")) {
      value = number < 96 ? option.default_value : number % 3;
    } else if (is("epsilon")) {
      value = 0.01 + number / 64.0;
    } else if (is("factor")) {
      value = 1 + number % 3;
    } else {
      value = number % 9 * (option.is_whole ? 1.0 : 0.25);
    }
    return std::clamp(value, option.lowest, option.highest);
  }

  fuzz::Numbers& numbers_;
  Graph graph_;
  bool is_free_ = false;
  std::vector<TensorShape> shapes_;
  unsigned seed_ = 1;
};

std::vector<float> input_values(std::size_t size, unsigned seed) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) {
    values[i] = (pattern_byte(seed, static_cast<std::uint32_t>(i)) - 127.5f) / 128.0f;
  }
  return values;
}

/// Whether rounding cannot grow much in any of its layers, all of which have a naive form.
bool is_comparable(const Graph& graph) {
  return std::none_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
    const std::string_view layer = node.layer->name;
    const bool pads_with_number = layer == "Pad" && node.options[detail::pad::value] != 0.0;
    return layer == "Resize" || layer == "Div" || layer == "LogSoftmax" || pads_with_number;
  });
}

void compare(const WeightFile& file, const std::vector<TensorShape>& shapes,
             const std::vector<std::vector<float>>& inputs,
             const std::vector<std::vector<float>>& outputs) {
  if (!is_comparable(file.graph())) return;
  const auto values = naive::evaluate(file, shapes, inputs);
  float largest = 1e-3f;
  for (const naive::Values& some : values) {
    for (const float value : some) {
      if (!(std::abs(value) < 1e6f)) return;
      largest = std::max(largest, std::abs(value));
    }
  }
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    const auto& expected = values[static_cast<std::size_t>(file.graph().outputs[o].value)];
    for (std::size_t i = 0; i < expected.size(); ++i) {
      fuzz::require(std::abs(outputs[o][i] - expected[i]) <= 1e-2f * largest,
                    "another output than the definition's");
    }
  }
}

void run(const WeightFile& file, const InputSize& size) {
  std::vector<TensorShape> shapes;
  for (const GraphInput& input : file.graph().inputs) {
    shapes.push_back(input.has_free_size()
                         ? TensorShape{input.shape.channels, size.height, size.width}
                         : input.shape);
  }
  if (!fuzz::is_cheap(file.graph(), shapes)) return;
  const Model model(file);
  const std::vector<TensorShape> output_shapes = model.program(size)->output_shapes();
  std::vector<std::vector<float>> inputs;
  std::vector<std::vector<float>> outputs;
  std::vector<NamedInput> named_inputs;
  std::vector<NamedOutput> named_outputs;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    inputs.push_back(input_values(shapes[i].size(), static_cast<unsigned>(i)));
    named_inputs.push_back({model.inputs()[i].name, inputs.back().data()});
  }
  for (std::size_t i = 0; i < output_shapes.size(); ++i) {
    outputs.emplace_back(output_shapes[i].size());
    named_outputs.push_back({model.outputs()[i].name, outputs.back().data()});
  }
  Model::Workspace workspace;
  model.forward(size, named_inputs.data(), named_inputs.size(), named_outputs.data(),
                named_outputs.size(), workspace);
  compare(file, shapes, inputs, outputs);

  if (model.graph().has_free_size() || inputs.size() != 1 || outputs.size() != 1) return;
  constexpr int count = 3;
  std::vector<float> several(count * inputs[0].size());
  const std::vector<float> others = input_values(several.size(), 9);
  std::copy(others.begin(), others.end(), several.begin());
  std::copy(inputs[0].begin(), inputs[0].end(),
            several.begin() + static_cast<std::ptrdiff_t>(inputs[0].size()));
  std::vector<float> found(count * outputs[0].size());
  Model::Workspace of_two(2);
  model.forward(count, several.data(), found.data(), of_two);
  fuzz::require(std::memcmp(found.data() + outputs[0].size(), outputs[0].data(),
                            sizeof(float) * outputs[0].size()) == 0,
                "another output among others than alone");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Numbers numbers(data, size);
  const GraphOfBytes made(numbers);
  const std::vector<std::uint8_t> bytes =
      bench::weight_file_bytes(made.graph(), {}, {}, bench::RandomValues());
  try {
    const WeightFile file = WeightFile::from_memory(bytes.data(), bytes.size());
    run(file, GraphOfBytes::size);
    if (file.graph().has_free_size()) run(file, {9, 7});
  } catch (const Error&) {
  }
  return 0;
}
