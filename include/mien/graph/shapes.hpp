// Shape inference.
#pragma once

#include <cstddef>

#include <mien/graph/node.hpp>

namespace mien {

/// What infer_shapes found: everything, or the first node that does not take its inputs.
struct ShapeInference {
  int node = -1;
  ShapeProblem problem = ShapeProblem::none;
  int expected = 0;

  constexpr bool succeeded() const { return problem == ShapeProblem::none; }
};

/// Inputs of one node, as its functions take them.
struct NodeShapes {
  static constexpr int most = 64;
  std::array<TensorShape, most> inputs{};

  constexpr NodeShapes(const GraphView& graph, const Node& node, const TensorShape* values) {
    for (int i = 0; i < node.input_count; ++i) {
      inputs[static_cast<std::size_t>(i)] = values[graph.operand(node, i)];
    }
  }
};

/// Writes the shape of each of the graph's values.
constexpr ShapeInference infer_shapes(const GraphView& graph, TensorShape* values) {
  for (int i = 0; i < graph.input_count; ++i) values[i] = graph.inputs[i];
  for (int n = 0; n < graph.node_count; ++n) {
    const Node& node = graph.nodes[n];
    const NodeShapes shapes(graph, node, values);
    const ShapeResult result =
        node.layer->output_shape(node, shapes.inputs.data(), node.input_count);
    if (result.problem != ShapeProblem::none) return {n, result.problem, result.expected};
    values[graph.value_of(n)] = result.shape;
  }
  return {};
}

constexpr std::size_t multiply_adds(const GraphView& graph, int n, const TensorShape* values) {
  const Node& node = graph.nodes[n];
  return node.layer->multiply_adds(node, values[graph.operand(node, 0)], values[graph.value_of(n)]);
}

/// Of all nodes, for one input.
constexpr std::size_t multiply_adds(const GraphView& graph, const TensorShape* values) {
  std::size_t sum = 0;
  for (int n = 0; n < graph.node_count; ++n) sum += multiply_adds(graph, n, values);
  return sum;
}

}  // namespace mien
