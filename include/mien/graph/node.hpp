// A network as data: nodes, each a layer with its options, joined by the values that they take.
//
// C++ types (network.hpp) and weight files (weights.hpp) both write such graphs. What is done with
// them, in shapes.hpp, fusion.hpp and memory_plan.hpp, is constexpr: a typed network runs it in the
// compiler, a file's network runs the same functions when it is loaded.
//
// Values are numbered: the network's inputs are 0, 1, ...; node n puts out value input_count + n.
// Nodes stand in an order in which they can run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>

#include <mien/kernels/nn/epilogue.hpp>

namespace mien {

/// Channels, height and width of a tensor. In memory it is channels last,
/// [height][width][channels], without gaps; a flat vector of n values is n x 1 x 1.
struct TensorShape {
  int channels = 0;
  int height = 0;
  int width = 0;

  constexpr std::size_t size() const noexcept {
    return static_cast<std::size_t>(channels) * pixels();
  }
  constexpr std::size_t pixels() const noexcept {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  }
  constexpr bool is_flat() const noexcept { return height == 1 && width == 1; }

  friend constexpr bool operator==(const TensorShape& a, const TensorShape& b) noexcept {
    return a.channels == b.channels && a.height == b.height && a.width == b.width;
  }
  friend constexpr bool operator!=(const TensorShape& a, const TensorShape& b) noexcept {
    return !(a == b);
  }
};

/// A layer's option: every option is a number, whole or real, in a range.
struct Option {
  std::string_view name;
  double default_value;
  double lowest;
  double highest;
  bool is_whole = true;
  bool is_required = false;
};

/// The largest whole number that an option may be: geometry is computed in int.
inline constexpr double largest_dimension = 1 << 24;

constexpr Option required_size(std::string_view name) {
  return {name, 0.0, 1.0, largest_dimension, true, true};
}
constexpr Option whole_option(std::string_view name, int default_value, int lowest,
                              double highest = largest_dimension) {
  return {name, static_cast<double>(default_value), static_cast<double>(lowest), highest, true,
          false};
}
constexpr Option required_real(std::string_view name, double lowest) {
  return {name, 0.0, lowest, std::numeric_limits<double>::max(), false, true};
}

struct LayerType;

/// One layer of a network.
struct Node {
  static constexpr int most_options = 16;

  const LayerType* layer = nullptr;
  /// In the order of the layer's own list.
  std::array<double, most_options> options{};
  /// Where its inputs stand in the graph's list of them.
  int first_input = 0;
  int input_count = 0;
  /// Where its tensors stand in the graph's list of them.
  int first_tensor = 0;
  int tensor_count = 0;

  constexpr int option(int index) const {
    return static_cast<int>(options[static_cast<std::size_t>(index)]);
  }
};

/// Why a layer does not take its inputs.
enum class ShapeProblem {
  none,
  channels,      ///< `expected` of them
  kernel,        ///< it is larger than its padded input
  flat,          ///< the layer takes a flat vector
  sizes,         ///< heights or widths of the inputs differ
  broadcast,     ///< the inputs' channels, heights or widths are neither equal nor 1
  operands,      ///< `expected` inputs, with a constant or without
  overflow,      ///< the output would be too large
  empty,         ///< the output would have no pixel
  few_channels,  ///< `expected` of them at least
  multiple,      ///< channels are a multiple of `expected`
  reflection,    ///< padding by reflection is as large as the input
};

struct ShapeResult {
  TensorShape shape{};
  ShapeProblem problem = ShapeProblem::none;
  int expected = 0;
};

/// A tensor that a node takes: what it is to the layer, and its shape in PyTorch's order.
struct TensorSpec {
  std::string_view role;
  int rank = 0;
  std::array<int, 4> dimensions{};

  constexpr std::size_t size() const {
    std::size_t product = 1;
    for (int i = 0; i < rank; ++i) {
      product *= static_cast<std::size_t>(dimensions[static_cast<std::size_t>(i)]);
    }
    return product;
  }
  /// Whether PyTorch counts it as a parameter.
  constexpr bool is_parameter() const { return role.substr(0, 8) != "running_"; }
};

/// The tensors of a node, in the order in which files hold them.
struct TensorSpecs {
  static constexpr int most = 4;
  std::array<TensorSpec, most> specs{};
  int count = 0;

  constexpr void add(std::string_view role, std::array<int, 4> dimensions, int rank) {
    specs[static_cast<std::size_t>(count)] = {role, rank, dimensions};
    ++count;
  }
};

/// Which nodes can run inside the step of a node before them.
struct Fusions {
  bool batch_norm = false;
  bool add = false;
  bool activation = false;
  bool max_pool_2x2 = false;
  bool depthwise = false;  ///< a depthwise convolution, directly behind it
};

/// What a node is to the step before it.
enum class FusedAs { nothing, depthwise, batch_norm, add, activation, max_pool };

class Step;
struct StepContext;

// What a layer has that does not say otherwise. These are functions and not null pointers, for GCC
// cannot compare a function's address in a constant expression under -fsanitize=undefined.
constexpr const char* no_problem(const Node&) {
  return nullptr;
}
constexpr TensorSpecs no_tensors(const Node&) {
  return {};
}
constexpr std::size_t no_multiply_adds(const Node&, const TensorShape&, const TensorShape&) {
  return 0;
}
constexpr std::size_t no_scratch(const Node&, const TensorShape&) {
  return 0;
}
constexpr std::size_t no_depthwise_scratch(const Node&, const TensorShape&, bool) {
  return 0;
}
constexpr Fusions no_fusions(const Node&) {
  return {};
}
constexpr bool always(const Node&) {
  return true;
}
constexpr bool never(const Node&) {
  return false;
}

/// Everything that the engine knows of a kind of layer; each has one, in its header in layers/.
struct LayerType {
  /// As in files and messages, e.g. "Conv2d".
  std::string_view name;
  const Option* options = nullptr;
  int option_count = 0;
  int fewest_inputs = 1;
  int most_inputs = 1;
  /// The shape of the output, or what is wrong with the inputs.
  ShapeResult (*output_shape)(const Node&, const TensorShape* inputs, int count) = nullptr;
  /// What is wrong with the options, each of which is in its range; null: nothing.
  const char* (*check_options)(const Node&) = &no_problem;
  TensorSpecs (*tensors)(const Node&) = &no_tensors;
  /// For one input, those of the definition, whatever the method.
  std::size_t (*multiply_adds)(const Node&, const TensorShape& input,
                               const TensorShape& output) = &no_multiply_adds;
  /// Floats of scratch memory that its step needs for one image.
  std::size_t (*scratch_size)(const Node&, const TensorShape& input) = &no_scratch;
  /// The same with a depthwise convolution fused into it, and perhaps a pooling behind that.
  std::size_t (*depthwise_scratch_size)(const Node&, const TensorShape& input,
                                        bool pools) = &no_depthwise_scratch;
  /// What may be fused into it.
  Fusions (*fusions)(const Node&) = &no_fusions;
  /// What it can be fused as, and whether a node with these options can.
  FusedAs fused_as = FusedAs::nothing;
  bool (*can_be_fused)(const Node&) = &always;
  kernels::Activation activation = kernels::Activation::none;
  /// Whether its products can have 8 bits; then its weights are its first tensor.
  bool (*can_be_quantized)(const Node&) = &never;
  /// Whether it does nothing but lay its inputs side by side: each is copied to its channels as
  /// soon as it is there, by the engine.
  bool gathers = false;
  /// Whether its output may lie where its (only or first) input does.
  bool is_in_place = false;
  std::unique_ptr<Step> (*make_step)(const StepContext&) = nullptr;
};

/// A graph, wherever it lies.
struct GraphView {
  const TensorShape* inputs = nullptr;
  int input_count = 0;
  const Node* nodes = nullptr;
  int node_count = 0;
  const int* operands = nullptr;  ///< values that nodes take
  const int* outputs = nullptr;   ///< values
  int output_count = 0;

  constexpr int value_count() const { return input_count + node_count; }
  constexpr int value_of(int node) const { return input_count + node; }
  /// The node that puts a value out; negative for an input.
  constexpr int producer(int value) const { return value - input_count; }
  constexpr int operand(const Node& node, int index) const {
    return operands[node.first_input + index];
  }
};

constexpr std::size_t parameter_count(const Node& node) {
  std::size_t sum = 0;
  const TensorSpecs tensors = node.layer->tensors(node);
  for (int i = 0; i < tensors.count; ++i) {
    const TensorSpec& tensor = tensors.specs[static_cast<std::size_t>(i)];
    if (tensor.is_parameter()) sum += tensor.size();
  }
  return sum;
}

constexpr std::size_t parameter_count(const GraphView& graph) {
  std::size_t sum = 0;
  for (int n = 0; n < graph.node_count; ++n) sum += parameter_count(graph.nodes[n]);
  return sum;
}

}  // namespace mien
