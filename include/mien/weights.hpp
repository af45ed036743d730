// Reads the .mien weight file.
//
// The file, version 2 (kind "MIEN" of binary.hpp, which describes bytes 0 to 23 and strings):
//
//   string  network: its name, e.g. "mini_fer"
//   u32     number of inputs; then so many
//     string  name
//     u32     channels
//     u32     height   0: any
//     u32     width    0: any (both or neither)
//   u32     number of nodes, in an order in which they can run; then so many
//     string  layer: its kind, e.g. "Conv2d"; those that there are stand in layers/layers.hpp
//     string  name: of what it was in PyTorch, e.g. "layer1.0"; may be empty
//     u8      number of options; then so many; those left out have their defaults
//       string  name
//       f64     value
//     u16     number of inputs; then so many
//       u32     a value: the network's inputs are values 0, 1, ...; node n's output is value
//               (number of inputs + n)
//     u16     number of tensors; then so many
//       u32     index into the tensors below, in the order of the layer's roles; one tensor may
//               serve several nodes
//   u32     number of outputs; then so many
//     string  name
//     u32     value
//   u32     number of tensors; then so many
//     string  name, as in PyTorch's state_dict; its last part is its role ("weight", "bias", ...)
//     u8      number type: see NumberType
//     u8      rank: 1 to 4
//     u32     size of each dimension, in PyTorch's order (convolutions: O, I, H, W)
//     f32     int8 alone: input scale; 0: the weights are widened when they are loaded
//     u8      int8 alone: input zero point; 0 if the scale is
//     u64     offset of its first element from the start of the file
//   u32     number of labels: 0 for what is no classifier, else one for each value of the first
//           output; then so many
//     string  label: distinct ones, not empty, without control characters (U+0000 to U+001F and
//             U+007F to U+009F)
//   f32     temperature: probabilities = softmax(outputs / temperature); 1 without labels
//   u32     face size: a face is brought to so many pixels square, of which crops of the input's
//           size are taken; one to four times the input's longer side; 0: the input is no face
//   u8      1 if faces' histograms are equalised (image/equalize_histogram.hpp) after they are
//           brought to their size and before they are cropped, else 0
//   f32     mean, for each channel of the first input
//   f32     standard deviation, for each: input value = (pixel / 255 - mean) / standard deviation
//   f32     tolerance of the test vectors, relative to their largest output
//   u32     number of test vectors
//   u32     how many of them, the first, are replayed when the file is loaded; then the vectors
//     for each input of the network:
//       u32     height
//       u32     width
//       u8      0: the values are stored, 1: they are made by the rule of pattern_byte()
//       u64     offset of the values (stored): fp32, channels x height x width
//       u32     seed (by rule)
//       u32     patch (by rule)
//     for each output of the network:
//       u32     stride
//       u32     number of values n: values 0, stride, 2 stride, ... in the order C, H, W
//       u64     offset of n values, fp32
//   data    every block starts at a multiple of 64; blocks lie in the order they are named above,
//           with zero bytes between them; the file ends with the last block
//
// An int8 tensor's block holds an fp32 scale for each index of the first dimension, which are
// positive, and then the elements, a signed byte each: element = byte * scale, of -127 to 127. With
// an input scale the layer, a Conv2d or a Dense, computes in 8 bits, and bytes are -64 to 64
// (kernels/nn/convolution/quantized.hpp):
//   q      = rint(input * (1 / input scale)) + input zero point, brought to 0 to 255
//   output = fp32(sum of (q - input zero point) * byte) * (input scale * scale) + bias
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <mien/config.hpp>
#include <mien/graph/graph.hpp>
#include <mien/graph/step.hpp>

namespace mien {

/// How a file stores a tensor's elements. Readers refuse what they do not know.
enum class NumberType : std::uint8_t { fp32 = 0, fp16 = 1, int8 = 2 };

/// How a picture becomes a network's input, and its outputs probabilities.
struct Preprocessing {
  int input_channels = 1;
  int input_height = 0;  ///< 0: any
  int input_width = 0;
  int face_size = 0;  ///< 0: the input is no face
  std::vector<float> mean;
  std::vector<float> standard_deviation;
  float temperature = 1.0f;
  bool equalize_histogram = false;
};

/// A pixel of a test vector's picture that is made by rule: patches of so many pixels square that
/// have the same value.
constexpr std::uint8_t pattern_byte(std::uint32_t seed, std::uint32_t index) noexcept {
  // The finaliser of MurmurHash3 (Appleby): every bit of the index moves every bit of the result.
  std::uint32_t h = seed + index;
  h ^= h >> 16;
  h *= 0x85ebca6bu;
  h ^= h >> 13;
  h *= 0xc2b2ae35u;
  h ^= h >> 16;
  return static_cast<std::uint8_t>(h >> 24);
}

/// An input and what the exporter computed for it.
struct TestVector {
  struct Input {
    TensorShape shape{};
    std::vector<float> stored;  ///< [channels][height][width]; empty: made by rule
    std::uint32_t seed = 0;
    std::uint32_t patch = 1;
  };
  struct Output {
    std::size_t stride = 1;
    std::vector<float> values;  ///< every stride-th, in the order C, H, W
  };
  std::vector<Input> inputs;
  std::vector<Output> outputs;
};

namespace detail {

/// IEEE 754 binary16 to binary32, exact.
float half_to_float(std::uint16_t half) noexcept;

}  // namespace detail

/// The values of input number `input` of a test vector, [channels][height][width]. The rule makes
/// pixels, which become values of the first input as a picture does; the others take pixel / 255.
std::vector<float> test_input_values(const TestVector& vector, std::size_t input,
                                     const Preprocessing& preprocessing);

/// A parsed weight file. Copies share all of it.
class WeightFile {
 public:
  struct Tensor {
    std::string name;
    NumberType type = NumberType::fp32;
    std::vector<std::uint32_t> dimensions;
    std::size_t offset = 0;
    std::size_t size = 0;      ///< elements
    float input_scale = 0.0f;  ///< int8; 0: products have 32 bits
    int input_zero_point = 0;
  };

  /// Reads and checks a file. Throws Error.
  static WeightFile load(const std::string& path);

  /// The same from memory; the bytes are copied. `name` stands for the file in messages.
  static WeightFile from_memory(const std::uint8_t* bytes, std::size_t size,
                                const std::string& name = "weights in memory");

  const std::string& name() const noexcept { return contents_->name; }
  const Graph& graph() const noexcept { return contents_->graph; }
  const Preprocessing& preprocessing() const noexcept { return contents_->preprocessing; }
  /// Names of the outputs, in order; empty if the network is no classifier.
  const std::vector<std::string>& labels() const noexcept { return contents_->labels; }
  const std::vector<Tensor>& tensors() const noexcept { return contents_->tensors; }
  const std::vector<TestVector>& test_vectors() const noexcept { return contents_->test_vectors; }
  std::size_t replayed_at_load() const noexcept { return contents_->replayed_at_load; }
  double tolerance() const noexcept { return contents_->tolerance; }

  /// A tensor's elements in the order of its dimensions. Throws Error if one is not finite.
  std::vector<float> values(const Tensor& tensor) const;
  /// An int8 tensor as it is stored. Throws Error if a scale or a byte is out of range.
  QuantizedTensor quantized(const Tensor& tensor) const;

 private:
  class Parser;

  WeightFile(std::vector<std::uint8_t> bytes, const std::string& name);

  /// What the bytes say, the tensors' elements apart.
  struct Contents {
    std::string name;
    Graph graph;
    Preprocessing preprocessing;
    std::vector<std::string> labels;
    std::vector<Tensor> tensors;
    std::vector<TestVector> test_vectors;
    std::size_t replayed_at_load = 0;
    double tolerance = 0.0;
  };

  // A model of one input size keeps the contents alone.
  friend class Model;
  void drop_bytes() noexcept { bytes_.reset(); }

  std::shared_ptr<const Contents> contents_;
  std::shared_ptr<const std::vector<std::uint8_t>> bytes_;
};

/// Hands the nodes of a file's graph their tensors. The file must outlive it.
class FileTensors final : public NodeTensors {
 public:
  explicit FileTensors(const WeightFile& file) : file_(file) {}

  std::vector<float> values(const Node& node, int tensor) const override;
  std::optional<QuantizedTensor> quantized(const Node& node, int tensor) const override;
  std::string where(const Node& node) const override;

 private:
  const WeightFile::Tensor& tensor_of(const Node& node, int tensor) const;

  const WeightFile& file_;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include <mien/binary.hpp>
#include <mien/error.hpp>
#include <mien/layers/layers.hpp>

namespace mien {

namespace detail {

MIEN_INLINE float half_to_float(std::uint16_t half) noexcept {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1Fu;
  const std::uint32_t mantissa = half & 0x3FFu;
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t bits = exponent == 31 ? sign | 0x7F800000u | (mantissa << 13)
                                            : sign | ((exponent + 112) << 23) | (mantissa << 13);
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// The elements of an int8 tensor.
MIEN_COLD inline std::vector<float> widened(const QuantizedTensor& tensor) {
  std::vector<float> values;
  values.reserve(tensor.bytes.size());
  const std::size_t of_one = tensor.bytes.size() / tensor.scale.size();
  for (const std::int8_t byte : tensor.bytes) {
    values.push_back(static_cast<float>(byte) * tensor.scale[values.size() / of_one]);
  }
  return values;
}

MIEN_COLD inline std::string dimensions_text(const std::vector<std::uint32_t>& dimensions) {
  std::string text;
  for (const std::uint32_t dimension : dimensions) {
    text += (text.empty() ? "" : " x ") + std::to_string(dimension);
  }
  return text;
}

inline float float_at(const std::uint8_t* bytes) noexcept {
  const std::uint32_t bits = std::uint32_t{bytes[0]} | std::uint32_t{bytes[1]} << 8 |
                             std::uint32_t{bytes[2]} << 16 | std::uint32_t{bytes[3]} << 24;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline float half_at(const std::uint8_t* bytes) noexcept {
  return half_to_float(static_cast<std::uint16_t>(bytes[0] | bytes[1] << 8));
}

/// Bytes of a tensor's block.
inline std::size_t block_size(const WeightFile::Tensor& tensor) {
  switch (tensor.type) {
    case NumberType::fp32:
      return 4 * tensor.size;
    case NumberType::fp16:
      return 2 * tensor.size;
    case NumberType::int8:
      break;
  }
  return 4 * std::size_t{tensor.dimensions.front()} + tensor.size;
}

}  // namespace detail

/// Reads the fields in their order.
class WeightFile::Parser {
 public:
  /// The contents are the file's.
  Parser(const WeightFile& file, Contents& contents)
      : file_(file),
        contents_(contents),
        reader_(file.bytes_->data(), file.bytes_->size(), "MIEN", version, contents.name) {}

  MIEN_COLD void parse() {
    contents_.graph.name = reader_.string("network");
    read_inputs();
    read_nodes();
    read_outputs();
    read_tensors();
    check_node_tensors();
    read_labels();
    read_preprocessing();
    read_test_vectors();
    check_end();
  }

 private:
  static constexpr std::uint32_t version = 2;
  static constexpr std::size_t block_alignment = 64;
  static constexpr std::uint32_t largest_side = 1u << 16;
  static constexpr std::uint32_t largest_dimension = 0x7FFFFFFFu;

  MIEN_COLD void read_inputs() {
    Graph& graph = contents_.graph;
    const std::uint32_t count = in_range("number of inputs", 1, Graph::most_inputs);
    for (std::uint32_t i = 0; i < count; ++i) {
      GraphInput input;
      input.name = reader_.string("input name");
      input.shape.channels = side("input channels", 1);
      input.shape.height = side("input height", 0);
      input.shape.width = side("input width", 0);
      if ((input.shape.height == 0) != (input.shape.width == 0)) {
        reader_.fail({"input '", input.name, "': expected a height and a width, or neither"});
      }
      graph.inputs.push_back(std::move(input));
    }
  }

  MIEN_COLD void read_nodes() {
    Graph& graph = contents_.graph;
    const std::uint32_t count = in_range("number of nodes", 1, largest_dimension);
    for (std::uint32_t n = 0; n < count; ++n) {
      Node node;
      const std::string layer = reader_.string("layer");
      const std::string name = reader_.string("node name");
      node.layer = find_layer(layer);
      const std::string where =
          "node " + std::to_string(n) + (name.empty() ? "" : ", '" + name + "'");
      if (node.layer == nullptr) {
        std::string known;
        for (const LayerType* const type : layer_types) {
          known += (known.empty() ? "" : ", ") + std::string(type->name);
        }
        reader_.fail({where, ": layer: expected one of ", known, ", found '", layer, "'"});
      }
      graph.node_names.push_back(name);
      read_options(where + " (" + layer + ")", node);
      read_operands(where + " (" + layer + ")", n, node);
      graph.nodes.push_back(node);
    }
  }

  MIEN_COLD void read_options(const std::string& where, Node& node) {
    const LayerType& layer = *node.layer;
    std::vector<bool> is_given(static_cast<std::size_t>(layer.option_count));
    const int count = reader_.u8("number of options");
    for (int i = 0; i < count; ++i) {
      const std::string name = reader_.string("option name");
      const double value = reader_.f64("option value");
      std::size_t at = 0;
      while (at < is_given.size() && layer.options[at].name != name) ++at;
      if (at == is_given.size()) reader_.fail({where, ": it has no option '", name, "'"});
      if (is_given[at]) reader_.fail({where, ": option '", name, "' is given twice"});
      const Option& option = layer.options[at];
      const bool in_range = value >= option.lowest && value <= option.highest;
      if (!in_range || (option.is_whole && value != std::floor(value))) {
        reader_.fail({where, ": ", name, ": expected ",
                      (option.is_whole ? "a whole number from " : "a number from "),
                      detail::real_text(option.lowest), " to ", detail::real_text(option.highest),
                      ", found ", detail::real_text(value)});
      }
      node.options[at] = value;
      is_given[at] = true;
    }
    for (std::size_t at = 0; at < is_given.size(); ++at) {
      if (is_given[at]) continue;
      if (layer.options[at].is_required) {
        reader_.fail({where, ": expected the option '", layer.options[at].name, "', found none"});
      }
      node.options[at] = layer.options[at].default_value;
    }
    const char* const problem = layer.check_options(node);
    if (problem != nullptr) reader_.fail({where, ": ", problem});
  }

  MIEN_COLD void read_operands(const std::string& where, std::uint32_t number, Node& node) {
    Graph& graph = contents_.graph;
    node.first_input = static_cast<int>(graph.operands.size());
    node.input_count = reader_.u16("number of inputs");
    if (node.input_count < node.layer->fewest_inputs ||
        node.input_count > node.layer->most_inputs) {
      reader_.fail({where, ": number of inputs: expected ",
                    detail::Digits(node.layer->fewest_inputs), " to ",
                    detail::Digits(node.layer->most_inputs), ", found ",
                    detail::Digits(node.input_count)});
    }
    for (int i = 0; i < node.input_count; ++i) {
      const std::uint32_t value = reader_.u32("input of a node");
      if (value >= graph.inputs.size() + number) {
        reader_.fail({where, ": expected an input that was computed before, a value less than ",
                      detail::Digits(graph.inputs.size() + number), ", found ",
                      detail::Digits(value)});
      }
      graph.operands.push_back(static_cast<int>(value));
    }
    node.first_tensor = static_cast<int>(graph.tensors.size());
    node.tensor_count = reader_.u16("number of tensors");
    for (int i = 0; i < node.tensor_count; ++i) {
      graph.tensors.push_back(
          static_cast<int>(std::min(reader_.u32("tensor of a node"), largest_dimension)));
    }
  }

  MIEN_COLD void read_outputs() {
    Graph& graph = contents_.graph;
    const std::uint32_t count = in_range("number of outputs", 1, Graph::most_outputs);
    for (std::uint32_t i = 0; i < count; ++i) {
      GraphOutput output;
      output.name = reader_.string("output name");
      const std::uint32_t value = reader_.u32("output value");
      if (value >= static_cast<std::uint32_t>(graph.value_count())) {
        reader_.fail({"output '", output.name, "': expected a value less than ",
                      detail::Digits(graph.value_count()), ", found ", detail::Digits(value)});
      }
      output.value = static_cast<int>(value);
      for (const GraphOutput& other : graph.outputs) {
        if (other.name == output.name) reader_.fail({"two outputs are called '", other.name, "'"});
      }
      graph.outputs.push_back(std::move(output));
    }
  }

  MIEN_COLD void read_tensors() {
    const std::uint32_t count = reader_.u32("number of tensors");
    for (std::uint32_t i = 0; i < count; ++i) {
      Tensor tensor;
      tensor.name = reader_.string("tensor name");
      const std::string where = "tensor '" + tensor.name + "'";
      const std::uint8_t type = reader_.u8("tensor type");
      if (type > 2) {
        reader_.fail({where, ": number type: expected 0 (fp32), 1 (fp16) or 2 (int8), found ",
                      detail::Digits(type)});
      }
      tensor.type = static_cast<NumberType>(type);
      const std::uint8_t rank = reader_.u8("tensor rank");
      if (rank < 1 || rank > 4) {
        reader_.fail({where, ": rank: expected 1 to 4, found ", detail::Digits(rank)});
      }
      tensor.size = 1;
      for (std::uint8_t d = 0; d < rank; ++d) {
        tensor.dimensions.push_back(in_range("tensor dimension", 1, largest_dimension));
        tensor.size *= tensor.dimensions.back();
        if (tensor.size > reader_.size()) {
          reader_.fail({where, ": its ", detail::dimensions_text(tensor.dimensions),
                        " elements do not fit into the file's ", detail::Digits(reader_.size()),
                        " bytes"});
        }
      }
      if (tensor.type == NumberType::int8) read_input_range(where, tensor);
      tensor.offset = block(detail::block_size(tensor), where);
      contents_.tensors.push_back(std::move(tensor));
    }
  }

  MIEN_COLD void read_input_range(const std::string& where, Tensor& tensor) {
    tensor.input_scale = reader_.f32("input scale");
    tensor.input_zero_point = reader_.u8("input zero point");
    if (!(std::isfinite(tensor.input_scale) && tensor.input_scale >= 0.0f)) {
      reader_.fail({where, ": input scale: expected 0 or a positive number, found ",
                    std::to_string(tensor.input_scale)});
    }
    if (tensor.input_scale == 0.0f && tensor.input_zero_point != 0) {
      reader_.fail({where, ": input zero point: expected 0 without an input scale, found ",
                    detail::Digits(tensor.input_zero_point)});
    }
    if (tensor.dimensions.size() < 2) {
      reader_.fail({where, ": expected 2 to 4 dimensions of int8, found 1"});
    }
  }

  /// Every node has the tensors that its layer takes, in their shapes; every tensor has a node.
  MIEN_COLD void check_node_tensors() const {
    const Graph& graph = contents_.graph;
    std::vector<bool> is_used(contents_.tensors.size());
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      const Node& node = graph.nodes[n];
      const TensorSpecs specs = node.layer->tensors(node);
      const std::string where = node_text(graph, static_cast<int>(n));
      if (specs.count != node.tensor_count) {
        reader_.fail({where, ": number of tensors: expected ", detail::Digits(specs.count),
                      ", found ", detail::Digits(node.tensor_count)});
      }
      for (int i = 0; i < specs.count; ++i) {
        const auto index = static_cast<std::size_t>(
            graph.tensors[static_cast<std::size_t>(node.first_tensor + i)]);
        if (index >= is_used.size()) {
          reader_.fail({where, ": expected the number of a tensor, less than ",
                        detail::Digits(is_used.size()), ", found ", detail::Digits(index)});
        }
        check_tensor(where, specs.specs[static_cast<std::size_t>(i)], contents_.tensors[index]);
        if (contents_.tensors[index].input_scale > 0.0f &&
            (i != 0 || !node.layer->can_be_quantized(node))) {
          reader_.fail({"tensor '", contents_.tensors[index].name, "': ", where,
                        " cannot compute in 8 bits: expected an input scale of 0, found ",
                        std::to_string(contents_.tensors[index].input_scale)});
        }
        is_used[index] = true;
      }
    }
    for (std::size_t i = 0; i < is_used.size(); ++i) {
      if (!is_used[i]) reader_.fail({"tensor '", contents_.tensors[i].name, "': no node takes it"});
    }
  }

  MIEN_COLD void check_tensor(const std::string& where, const TensorSpec& spec,
                              const Tensor& tensor) const {
    const std::string role = tensor.name.substr(tensor.name.rfind('.') + 1);
    std::vector<std::uint32_t> dimensions;
    for (int d = 0; d < spec.rank; ++d) {
      dimensions.push_back(
          static_cast<std::uint32_t>(spec.dimensions[static_cast<std::size_t>(d)]));
    }
    if (role == spec.role && tensor.dimensions == dimensions) return;
    reader_.fail({"tensor '", tensor.name, "': ", where, " expects its ", spec.role, " ",
                  detail::dimensions_text(dimensions), ", found ", role, " ",
                  detail::dimensions_text(tensor.dimensions)});
  }

  MIEN_COLD void read_labels() {
    const std::uint32_t count = reader_.u32("number of labels");
    std::vector<std::string>& labels = contents_.labels;
    for (std::uint32_t i = 0; i < count; ++i) {
      labels.push_back(reader_.string("label"));
      const std::string& label = labels.back();
      const std::string where = "label " + std::to_string(i);
      if (label.empty()) reader_.fail({where, ": expected a text, found an empty one"});
      if (detail::has_control_characters(label)) {
        reader_.fail({where, ": expected a text without control characters, found one with some"});
      }
    }
    std::vector<std::string> sorted = labels;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) {
      reader_.fail({"label: expected distinct ones, found '", *twice, "' twice"});
    }
  }

  MIEN_COLD void read_preprocessing() {
    Preprocessing& how = contents_.preprocessing;
    const TensorShape& input = contents_.graph.inputs.front().shape;
    how.input_channels = input.channels;
    how.input_height = input.height;
    how.input_width = input.width;
    how.temperature = reader_.f32("temperature");
    require_positive("temperature", how.temperature);
    if (contents_.labels.empty() && how.temperature != 1.0f) {
      reader_.fail({"temperature: expected 1 for a network without labels, found ",
                    std::to_string(how.temperature)});
    }
    how.face_size = side("face size", 0);
    // Crops of the input's size are taken of a face, which need not be much larger.
    const int longer = std::max(input.height, input.width);
    if (how.face_size != 0 && (how.face_size < longer || how.face_size > 4 * longer)) {
      reader_.fail(
          {"face size: expected 0 or at least the input's height and width, and at most "
           "four times as much, found ",
           detail::Digits(how.face_size), " for ", detail::Digits(input.height), " x ",
           detail::Digits(input.width)});
    }
    const int equalizes = reader_.u8("histogram");
    if (equalizes > 1) {
      reader_.fail({"histogram: expected 0 or 1, found ", detail::Digits(equalizes)});
    }
    how.equalize_histogram = equalizes == 1;
    for (int c = 0; c < input.channels; ++c) {
      how.mean.push_back(reader_.f32("mean"));
      if (!std::isfinite(how.mean.back())) reader_.fail("mean: expected a finite number");
    }
    for (int c = 0; c < input.channels; ++c) {
      how.standard_deviation.push_back(reader_.f32("standard deviation"));
      require_positive("standard deviation", how.standard_deviation.back());
    }
  }

  MIEN_COLD void read_test_vectors() {
    contents_.tolerance = double{reader_.f32("tolerance")};
    require_positive("tolerance", static_cast<float>(contents_.tolerance));
    const std::uint32_t count = reader_.u32("number of test vectors");
    contents_.replayed_at_load = reader_.u32("number of test vectors that are replayed");
    if (contents_.replayed_at_load > count) {
      reader_.fail({"number of test vectors that are replayed: expected at most ",
                    detail::Digits(count), ", found ", detail::Digits(contents_.replayed_at_load)});
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string where = "test vector " + std::to_string(i);
      TestVector vector;
      for (const GraphInput& input : contents_.graph.inputs) {
        vector.inputs.push_back(read_test_input(input, where + ", input '" + input.name + "'"));
      }
      for (const GraphOutput& output : contents_.graph.outputs) {
        const std::string place = where + ", output '" + output.name + "'";
        TestVector::Output values;
        values.stride = in_range("stride", 1, largest_dimension);
        const std::size_t size = in_range("number of output values", 1, largest_dimension);
        values.values = floats(size, place);
        vector.outputs.push_back(std::move(values));
      }
      contents_.test_vectors.push_back(std::move(vector));
    }
  }

  MIEN_COLD TestVector::Input read_test_input(const GraphInput& input, const std::string& where) {
    TestVector::Input vector;
    vector.shape = {input.shape.channels, side("height of a test input", 1),
                    side("width of a test input", 1)};
    if (!input.has_free_size() && vector.shape != input.shape) {
      reader_.fail(
          {where, ": expected ", shape_text(input.shape), ", found ", shape_text(vector.shape)});
    }
    const int rule = reader_.u8("kind of a test input");
    if (rule > 1) reader_.fail({where, ": kind: expected 0 or 1, found ", detail::Digits(rule)});
    if (rule == 0) {
      if (vector.shape.size() > reader_.size()) {
        reader_.fail({where, ": it does not fit into the file"});
      }
      vector.stored = floats(vector.shape.size(), where);
    } else {
      vector.seed = reader_.u32("seed");
      vector.patch = in_range("patch", 1, largest_dimension);
    }
    return vector;
  }

  MIEN_COLD void check_end() const {
    // The seal has vouched for the size; what it cannot know is whether blocks account for it.
    if (std::max(data_end_, reader_.position()) != reader_.size()) {
      reader_.fail({"the last block ends at byte ", detail::Digits(data_end_),
                    ", but the file has ", detail::Digits(reader_.size())});
    }
    if (first_block_ < reader_.position()) {
      reader_.fail({"the first block starts at byte ", detail::Digits(first_block_),
                    ", inside the header of ", detail::Digits(reader_.position()), " bytes"});
    }
  }

  /// The checked offset of a block of `size` bytes that must follow the block before it.
  MIEN_COLD std::size_t block(std::size_t size, const std::string& where) {
    const std::uint64_t offset = reader_.u64("offset");
    if (offset % block_alignment != 0 || offset < data_end_ || offset > reader_.size() ||
        size > reader_.size() - offset) {
      reader_.fail({where, ": expected ", detail::Digits(size), " bytes at a multiple of ",
                    detail::Digits(block_alignment), " between byte ", detail::Digits(data_end_),
                    " and ", detail::Digits(reader_.size()), ", found offset ",
                    detail::Digits(offset)});
    }
    first_block_ = std::min(first_block_, static_cast<std::size_t>(offset));
    data_end_ = static_cast<std::size_t>(offset) + size;
    return static_cast<std::size_t>(offset);
  }

  MIEN_COLD std::vector<float> floats(std::size_t count, const std::string& where) {
    if (count > reader_.size()) reader_.fail({where, ": it does not fit into the file"});
    Tensor tensor;
    tensor.name = where;
    tensor.size = count;
    tensor.offset = block(4 * count, where);
    return file_.values(tensor);
  }

  MIEN_COLD std::uint32_t in_range(const char* field, std::uint32_t smallest,
                                   std::uint32_t largest) {
    const std::uint32_t value = reader_.u32(field);
    if (value < smallest || value > largest) {
      reader_.fail({field, ": expected ", detail::Digits(smallest), " to ", detail::Digits(largest),
                    ", found ", detail::Digits(value)});
    }
    return value;
  }

  MIEN_COLD int side(const char* field, std::uint32_t smallest) {
    return static_cast<int>(in_range(field, smallest, largest_side));
  }

  MIEN_COLD void require_positive(const char* field, float value) const {
    if (!(std::isfinite(value) && value > 0.0f)) {
      reader_.fail({field, ": expected a positive number, found ", std::to_string(value)});
    }
  }

  const WeightFile& file_;
  Contents& contents_;
  BinaryReader reader_;
  std::size_t first_block_ = static_cast<std::size_t>(-1);
  std::size_t data_end_ = 0;
};

MIEN_INLINE WeightFile::WeightFile(std::vector<std::uint8_t> bytes, const std::string& name)
    : bytes_(std::make_shared<const std::vector<std::uint8_t>>(std::move(bytes))) {
  const auto contents = std::make_shared<Contents>();
  contents->name = name;
  contents_ = contents;
  Parser(*this, *contents).parse();
}

MIEN_INLINE WeightFile WeightFile::load(const std::string& path) {
  return WeightFile(read_sealed_file(path, {"MIEN"}), path);
}

MIEN_INLINE WeightFile WeightFile::from_memory(const std::uint8_t* bytes, std::size_t size,
                                               const std::string& name) {
  return WeightFile(std::vector<std::uint8_t>(bytes, bytes + size), name);
}

MIEN_INLINE std::vector<float> WeightFile::values(const Tensor& tensor) const {
  if (tensor.type == NumberType::int8) return detail::widened(quantized(tensor));
  std::vector<float> result(tensor.size);
  const std::uint8_t* from = bytes_->data() + tensor.offset;
  const bool is_half = tensor.type == NumberType::fp16;
  for (std::size_t i = 0; i < tensor.size; ++i) {
    result[i] = is_half ? detail::half_at(from + 2 * i) : detail::float_at(from + 4 * i);
    if (!std::isfinite(result[i])) {
      detail::fail({name(), ": tensor '", tensor.name, "', element ", detail::Digits(i),
                    ": expected a finite number, found ", std::to_string(result[i])});
    }
  }
  return result;
}

MIEN_INLINE QuantizedTensor WeightFile::quantized(const Tensor& tensor) const {
  QuantizedTensor result;
  result.input_scale = tensor.input_scale;
  result.input_zero_point = tensor.input_zero_point;
  const std::uint8_t* from = bytes_->data() + tensor.offset;
  for (std::uint32_t i = 0; i < tensor.dimensions.front(); ++i, from += 4) {
    result.scale.push_back(detail::float_at(from));
    if (!(std::isfinite(result.scale.back()) && result.scale.back() > 0.0f)) {
      detail::fail({name(), ": tensor '", tensor.name, "', scale ", detail::Digits(i),
                    ": expected a positive number, found ", std::to_string(result.scale.back())});
    }
  }
  const int largest = tensor.input_scale > 0.0f ? kernels::quantized::largest_weight : 127;
  result.bytes.resize(tensor.size);
  std::memcpy(result.bytes.data(), from, tensor.size);
  for (std::size_t i = 0; i < tensor.size; ++i) {
    const int byte = result.bytes[i];
    if (byte >= -largest && byte <= largest) continue;
    detail::fail({name(), ": tensor '", tensor.name, "', element ", detail::Digits(i),
                  ": expected ", detail::Digits(-largest), " to ", detail::Digits(largest),
                  ", found ", detail::Digits(byte)});
  }
  return result;
}

MIEN_INLINE std::vector<float> test_input_values(const TestVector& vector, std::size_t input,
                                                 const Preprocessing& preprocessing) {
  const TestVector::Input& made = vector.inputs[input];
  if (!made.stored.empty()) return made.stored;
  const auto height = static_cast<std::uint32_t>(made.shape.height);
  const auto width = static_cast<std::uint32_t>(made.shape.width);
  const std::uint32_t rows = (height - 1) / made.patch + 1;
  const std::uint32_t columns = (width - 1) / made.patch + 1;
  std::vector<float> values;
  values.reserve(made.shape.size());
  for (std::uint32_t c = 0; c < static_cast<std::uint32_t>(made.shape.channels); ++c) {
    const float mean = input == 0 ? preprocessing.mean[c] : 0.0f;
    const float deviation = input == 0 ? preprocessing.standard_deviation[c] : 1.0f;
    for (std::uint32_t y = 0; y < height; ++y) {
      for (std::uint32_t x = 0; x < width; ++x) {
        const std::uint32_t index = (c * rows + y / made.patch) * columns + x / made.patch;
        const auto pixel = static_cast<float>(pattern_byte(made.seed, index));
        values.push_back((pixel / 255.0f - mean) / deviation);
      }
    }
  }
  return values;
}

MIEN_INLINE const WeightFile::Tensor& FileTensors::tensor_of(const Node& node, int tensor) const {
  const auto at = static_cast<std::size_t>(node.first_tensor + tensor);
  return file_.tensors()[static_cast<std::size_t>(file_.graph().tensors[at])];
}

MIEN_INLINE std::vector<float> FileTensors::values(const Node& node, int tensor) const {
  return file_.values(tensor_of(node, tensor));
}

MIEN_INLINE std::optional<QuantizedTensor> FileTensors::quantized(const Node& node,
                                                                  int tensor) const {
  const WeightFile::Tensor& stored = tensor_of(node, tensor);
  if (!(stored.input_scale > 0.0f)) return std::nullopt;
  return file_.quantized(stored);
}

MIEN_INLINE std::string FileTensors::where(const Node& node) const {
  const std::vector<Node>& nodes = file_.graph().nodes;
  return file_.name() + ": " + node_text(file_.graph(), static_cast<int>(&node - nodes.data()));
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
