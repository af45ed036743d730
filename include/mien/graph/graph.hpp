// A graph that owns its parts, with the names that its parts have in files and messages.
#pragma once

#include <string>
#include <vector>

#include <mien/config.hpp>
#include <mien/error.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/shapes.hpp>

namespace mien {

/// A network's input; a height or width of 0 is any.
struct GraphInput {
  std::string name = "input";
  TensorShape shape{};

  bool has_free_size() const noexcept { return shape.height == 0; }
};

struct GraphOutput {
  std::string name = "output";
  int value = 0;
};

struct Graph {
  static constexpr std::size_t most_inputs = 64;
  static constexpr std::size_t most_outputs = 64;

  std::string name;  ///< the network's
  std::vector<GraphInput> inputs;
  std::vector<Node> nodes;
  std::vector<std::string> node_names;  ///< e.g. "layer1.0"; may be empty
  std::vector<int> operands;
  std::vector<int> tensors;  ///< that nodes take: indices into a file's list
  std::vector<GraphOutput> outputs;

  int input_count() const noexcept { return static_cast<int>(inputs.size()); }
  int value_count() const noexcept { return static_cast<int>(inputs.size() + nodes.size()); }
  bool has_free_size() const noexcept;
};

/// A graph with the arrays that a GraphView points into, for inputs of certain shapes.
class ShapedGraph {
 public:
  /// Infers all shapes. Throws Error, beginning with `where`, that names the first node that does
  /// not take its inputs. The graph must outlive the object.
  MIEN_COLD ShapedGraph(const Graph& graph, std::vector<TensorShape> inputs,
                        const std::string& where);

  const GraphView& view() const noexcept { return view_; }
  const Graph& graph() const noexcept { return *graph_; }
  const TensorShape& shape(int value) const { return shapes_[static_cast<std::size_t>(value)]; }
  const std::vector<TensorShape>& shapes() const noexcept { return shapes_; }

 private:
  const Graph* graph_;
  std::vector<TensorShape> inputs_;
  std::vector<int> outputs_;
  std::vector<TensorShape> shapes_;
  GraphView view_;
};

/// "64 x 40 x 40": channels, height, width.
MIEN_COLD std::string shape_text(const TensorShape& shape);

/// "node 3, 'layer1.0' (Conv2d)": for messages.
MIEN_COLD std::string node_text(const Graph& graph, int node);

/// Throws Error, beginning with `where`, that names the first node in which a file's graph is not
/// the one that a C++ type describes. Names are not compared.
MIEN_COLD void require_same_graph(const Graph& expected, const Graph& found,
                                  const std::string& where);

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <utility>

namespace mien {

MIEN_INLINE bool Graph::has_free_size() const noexcept {
  return std::any_of(inputs.begin(), inputs.end(),
                     [](const GraphInput& input) { return input.has_free_size(); });
}

MIEN_INLINE std::string shape_text(const TensorShape& shape) {
  return std::to_string(shape.channels) + " x " + std::to_string(shape.height) + " x " +
         std::to_string(shape.width);
}

MIEN_INLINE std::string node_text(const Graph& graph, int node) {
  const auto n = static_cast<std::size_t>(node);
  std::string text = "node " + std::to_string(node);
  if (n < graph.node_names.size() && !graph.node_names[n].empty()) {
    text += ", '" + graph.node_names[n] + "'";
  }
  return text + " (" + std::string(graph.nodes[n].layer->name) + ")";
}

namespace detail {

MIEN_COLD inline std::string shape_problem_text(const ShapeInference& inference, const Node& node,
                                                const TensorShape* inputs) {
  std::string found;
  for (int i = 0; i < node.input_count; ++i) {
    found += (i == 0 ? "" : " and ") + shape_text(inputs[i]);
  }
  const TensorSpecs tensors = node.layer->tensors(node);
  switch (inference.problem) {
    case ShapeProblem::none:
      break;
    case ShapeProblem::channels:
      return "expected " + std::to_string(inference.expected) + " input channels, found " + found;
    case ShapeProblem::kernel:
      return "the kernel is larger than its padded input, " + found;
    case ShapeProblem::flat:
      return "expected a flat vector, found " + found;
    case ShapeProblem::sizes:
      return "expected inputs of equal height and width, found " + found;
    case ShapeProblem::broadcast:
      if (tensors.count > 0) {
        const std::array<int, 4>& sizes = tensors.specs[0].dimensions;
        found += " and the constant " + shape_text({sizes[0], sizes[1], sizes[2]});
      }
      return "expected channels, height and width that are equal or 1, found " + found;
    case ShapeProblem::operands:
      return inference.expected == 1 ? "expected one value besides the constant, found " + found
                                     : "expected two values, or one and a constant, found " + found;
    case ShapeProblem::overflow:
      return "its output would be too large; its input is " + found;
    case ShapeProblem::empty:
      return "its output would have no pixel; its input is " + found;
    case ShapeProblem::few_channels:
      return "expected at least " + std::to_string(inference.expected) + " input channels, found " +
             found;
    case ShapeProblem::multiple:
      return "expected a multiple of " + std::to_string(inference.expected) +
             " input channels, found " + found;
    case ShapeProblem::reflection:
      return "expected an input that is larger than its padding by reflection, found " + found;
  }
  return found;
}

}  // namespace detail

MIEN_INLINE ShapedGraph::ShapedGraph(const Graph& graph, std::vector<TensorShape> inputs,
                                     const std::string& where)
    : graph_(&graph),
      inputs_(std::move(inputs)),
      shapes_(static_cast<std::size_t>(graph.value_count())) {
  for (const GraphOutput& output : graph.outputs) outputs_.push_back(output.value);
  view_ = {inputs_.data(),
           static_cast<int>(inputs_.size()),
           graph.nodes.data(),
           static_cast<int>(graph.nodes.size()),
           graph.operands.data(),
           outputs_.data(),
           static_cast<int>(outputs_.size())};
  const ShapeInference inference = infer_shapes(view_, shapes_.data());
  if (inference.succeeded()) return;
  const Node& node = graph.nodes[static_cast<std::size_t>(inference.node)];
  const NodeShapes found(view_, node, shapes_.data());
  detail::fail({where, ": ", node_text(graph, inference.node), ": ",
                detail::shape_problem_text(inference, node, found.inputs.data())});
}

namespace detail {

MIEN_COLD inline void require_same_node(const Graph& expected, const Graph& found, std::size_t n,
                                        const std::string& where) {
  const Node& wanted = expected.nodes[n];
  const Node& node = found.nodes[n];
  const std::string place = where + ": " + node_text(found, static_cast<int>(n)) + ": ";
  if (wanted.layer != node.layer) {
    detail::fail({place, "expected ", wanted.layer->name, ", found ", node.layer->name});
  }
  for (int i = 0; i < wanted.layer->option_count; ++i) {
    const auto option = static_cast<std::size_t>(i);
    if (wanted.options[option] == node.options[option]) continue;
    detail::fail({place, wanted.layer->options[i].name, ": expected ",
                  real_text(wanted.options[option]), ", found ", real_text(node.options[option])});
  }
  const auto inputs = [](const Graph& graph, const Node& of) {
    std::string text;
    for (int i = 0; i < of.input_count; ++i) {
      const auto at = static_cast<std::size_t>(of.first_input + i);
      text += (i == 0 ? "" : ", ") + std::to_string(graph.operands[at]);
    }
    return text;
  };
  if (inputs(expected, wanted) != inputs(found, node)) {
    detail::fail({place, "expected the values ", inputs(expected, wanted), " as inputs, found ",
                  inputs(found, node)});
  }
}

}  // namespace detail

MIEN_INLINE void require_same_graph(const Graph& expected, const Graph& found,
                                    const std::string& where) {
  const auto require = [&where](const std::string& what, const std::string& wanted,
                                const std::string& is) {
    if (wanted != is) detail::fail({where, ": ", what, ": expected ", wanted, ", found ", is});
  };
  require("number of inputs", std::to_string(expected.inputs.size()),
          std::to_string(found.inputs.size()));
  for (std::size_t i = 0; i < expected.inputs.size(); ++i) {
    require("input", shape_text(expected.inputs[i].shape), shape_text(found.inputs[i].shape));
  }
  const std::size_t shared = std::min(expected.nodes.size(), found.nodes.size());
  for (std::size_t n = 0; n < shared; ++n) detail::require_same_node(expected, found, n, where);
  require("number of nodes", std::to_string(expected.nodes.size()),
          std::to_string(found.nodes.size()));
  require("number of outputs", std::to_string(expected.outputs.size()),
          std::to_string(found.outputs.size()));
  for (std::size_t i = 0; i < expected.outputs.size(); ++i) {
    require("output " + std::to_string(i) + ", its value",
            std::to_string(expected.outputs[i].value), std::to_string(found.outputs[i].value));
  }
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
