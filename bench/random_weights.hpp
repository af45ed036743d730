// Weight files in memory, with random numbers, for layers and networks that have no trained ones.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mien/binary.hpp>
#include <mien/graph/graph.hpp>
#include <mien/network.hpp>
#include <mien/weights.hpp>

namespace mien::bench {

/// Appends integers, floats and strings as binary.hpp describes them.
class BinaryWriter {
 public:
  template <class Integer>
  void integer(Integer value) {
    for (std::size_t i = 0; i < sizeof(Integer); ++i) {
      bytes_.push_back(static_cast<std::uint8_t>(std::uint64_t{value} >> (8 * i)));
    }
  }

  void f32(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    integer(bits);
  }

  void f64(double value) {
    std::uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    integer(bits);
  }

  void string(std::string_view text) {
    integer(static_cast<std::uint16_t>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }

  void zeros_up_to(std::size_t size) { bytes_.resize(size); }

  /// Fills in the first BinaryReader::header_size bytes when the rest is there.
  void seal(const std::string& kind, std::uint32_t version) {
    BinaryWriter checked;
    checked.integer(std::uint64_t{bytes_.size()});
    std::copy(checked.bytes_.begin(), checked.bytes_.end(), bytes_.begin() + size_position);
    BinaryWriter seal;
    for (const char letter : "\x89" + kind + "\r\n\x1a") {
      seal.integer(static_cast<std::uint8_t>(letter));
    }
    seal.integer(version);
    seal.integer(crc32(bytes_.data() + size_position, bytes_.size() - size_position));
    std::copy(seal.bytes_.begin(), seal.bytes_.end(), bytes_.begin());
  }

  const std::vector<std::uint8_t>& bytes() const noexcept { return bytes_; }

 private:
  static constexpr std::ptrdiff_t size_position = 16;

  std::vector<std::uint8_t> bytes_;
};

/// The tensors that a graph's nodes take, in order.
inline std::vector<TensorSpec> tensors_of(const Graph& graph) {
  std::vector<TensorSpec> tensors;
  for (const Node& node : graph.nodes) {
    const TensorSpecs specs = node.layer->tensors(node);
    tensors.insert(tensors.end(), specs.specs.begin(), specs.specs.begin() + specs.count);
  }
  return tensors;
}

/// The bytes of a .mien file (weights.hpp describes it) of a graph, without test vectors; the
/// values of each tensor, in order, come from values(tensor).
template <class Values>
std::vector<std::uint8_t> weight_file_bytes(const Graph& graph, const Preprocessing& preprocessing,
                                            const std::vector<std::string>& labels,
                                            Values&& values) {
  constexpr std::size_t block_alignment = 64;
  const auto aligned = [](std::size_t position) {
    return (position + block_alignment - 1) / block_alignment * block_alignment;
  };
  const std::vector<TensorSpec> tensors = tensors_of(graph);
  const auto u32 = [](auto number) { return static_cast<std::uint32_t>(number); };
  const auto write_header = [&](std::size_t first_block) {
    BinaryWriter writer;
    writer.zeros_up_to(BinaryReader::header_size);
    writer.string(graph.name);
    writer.integer(u32(graph.inputs.size()));
    for (const GraphInput& input : graph.inputs) {
      writer.string(input.name);
      writer.integer(u32(input.shape.channels));
      writer.integer(u32(input.shape.height));
      writer.integer(u32(input.shape.width));
    }
    writer.integer(u32(graph.nodes.size()));
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      const Node& node = graph.nodes[n];
      writer.string(node.layer->name);
      writer.string(n < graph.node_names.size() ? graph.node_names[n] : "");
      writer.integer(static_cast<std::uint8_t>(node.layer->option_count));
      for (int i = 0; i < node.layer->option_count; ++i) {
        writer.string(node.layer->options[i].name);
        writer.f64(node.options[static_cast<std::size_t>(i)]);
      }
      writer.integer(static_cast<std::uint16_t>(node.input_count));
      for (int i = 0; i < node.input_count; ++i) {
        writer.integer(u32(graph.operands[static_cast<std::size_t>(node.first_input + i)]));
      }
      writer.integer(static_cast<std::uint16_t>(node.tensor_count));
      for (int i = 0; i < node.tensor_count; ++i) writer.integer(u32(node.first_tensor + i));
    }
    writer.integer(u32(graph.outputs.size()));
    for (const GraphOutput& output : graph.outputs) {
      writer.string(output.name);
      writer.integer(u32(output.value));
    }
    writer.integer(u32(tensors.size()));
    std::size_t block = first_block;
    for (const TensorSpec& tensor : tensors) {
      writer.string(tensor.role);
      writer.integer(static_cast<std::uint8_t>(NumberType::fp32));
      writer.integer(static_cast<std::uint8_t>(tensor.rank));
      for (int d = 0; d < tensor.rank; ++d) {
        writer.integer(u32(tensor.dimensions[static_cast<std::size_t>(d)]));
      }
      writer.integer(std::uint64_t{block});
      block = aligned(block + sizeof(float) * tensor.size());
    }
    writer.integer(u32(labels.size()));
    for (const std::string& label : labels) writer.string(label);
    writer.f32(preprocessing.temperature);
    writer.integer(u32(preprocessing.face_size));
    writer.integer(std::uint8_t{preprocessing.equalize_histogram});
    const auto channels = static_cast<std::size_t>(graph.inputs.front().shape.channels);
    const auto per_channel = [&](const std::vector<float>& numbers, float otherwise) {
      for (std::size_t c = 0; c < channels; ++c) {
        writer.f32(c < numbers.size() ? numbers[c] : otherwise);
      }
    };
    per_channel(preprocessing.mean, 0.0f);
    per_channel(preprocessing.standard_deviation, 1.0f);
    writer.f32(1e-3f);                 // tolerance
    writer.integer(std::uint32_t{0});  // test vectors
    writer.integer(std::uint32_t{0});  // that are replayed
    return writer;
  };

  BinaryWriter writer = write_header(aligned(write_header(0).bytes().size()));
  for (const TensorSpec& tensor : tensors) {
    writer.zeros_up_to(aligned(writer.bytes().size()));
    for (const float value : values(tensor)) writer.f32(value);
  }
  writer.seal("MIEN", 2);
  return writer.bytes();
}

/// The same, read back.
template <class Values>
WeightFile make_weight_file(const Graph& graph, const Preprocessing& preprocessing,
                            const std::vector<std::string>& labels, Values&& values) {
  const std::vector<std::uint8_t> bytes =
      weight_file_bytes(graph, preprocessing, labels, std::forward<Values>(values));
  return WeightFile::from_memory(bytes.data(), bytes.size(), "random weights");
}

/// "class0", "class1", ...
inline std::vector<std::string> numbered_labels(std::size_t count) {
  std::vector<std::string> labels;
  for (std::size_t i = 0; i < count; ++i) labels.push_back("class" + std::to_string(i));
  return labels;
}

/// Numbers with which values neither vanish nor grow from layer to layer: filters as He et al.
/// (arXiv 1502.01852) begin with, batch normalisations that do little.
class RandomValues {
 public:
  std::vector<float> operator()(const TensorSpec& tensor) {
    const bool is_filter = tensor.rank > 1;
    const auto outputs = static_cast<std::size_t>(tensor.dimensions[0]);
    const auto inputs = static_cast<float>(tensor.size() / outputs);
    const float range = is_filter ? std::sqrt(6.0f / inputs) : 0.1f;
    const bool around_one = !is_filter && (tensor.role == "weight" || tensor.role == "running_var");
    std::uniform_real_distribution<float> distribution(-range, range);
    std::vector<float> values(tensor.size());
    for (float& value : values) value = (around_one ? 1.0f : 0.0f) + distribution(generator_);
    return values;
  }

 private:
  std::mt19937 generator_;
};

/// For a layer or Sequential on an input.
template <class Layer, class InputShape>
WeightFile random_layer_file() {
  const Graph graph =
      mien::detail::make_graph(mien::detail::StaticGraph<Layer, InputShape>::view, "random");
  return make_weight_file(graph, {}, {}, RandomValues());
}

/// For a network that reads faces.
template <class Network>
WeightFile random_network_file() {
  using Input = typename Network::Input;
  Preprocessing preprocessing;
  preprocessing.face_size = std::max(Input::height, Input::width);
  return make_weight_file(Network::graph(), preprocessing, numbered_labels(Network::Output::size),
                          RandomValues());
}

}  // namespace mien::bench
