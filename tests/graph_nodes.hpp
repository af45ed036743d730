// Graphs written node by node.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <mien/graph/graph.hpp>
#include <mien/layers/layers.hpp>

namespace mien {

/// A layer with the options that are given, and the others' defaults.
inline Node plain(std::string_view layer, const std::vector<int>& options = {}) {
  Node node;
  node.layer = find_layer(layer);
  for (std::size_t i = 0; i < static_cast<std::size_t>(node.layer->option_count); ++i) {
    node.options[i] = i < options.size() ? options[i] : node.layer->options[i].default_value;
  }
  return node;
}

/// Appends a layer with tensors of its own and returns the value that it puts out.
inline int append_node(Graph& graph, Node node, const std::vector<int>& inputs) {
  node.first_input = static_cast<int>(graph.operands.size());
  node.input_count = static_cast<int>(inputs.size());
  graph.operands.insert(graph.operands.end(), inputs.begin(), inputs.end());
  node.first_tensor = static_cast<int>(graph.tensors.size());
  node.tensor_count = node.layer->tensors(node).count;
  for (int i = 0; i < node.tensor_count; ++i) {
    graph.tensors.push_back(static_cast<int>(graph.tensors.size()));
  }
  graph.nodes.push_back(node);
  graph.node_names.push_back("layer" + std::to_string(graph.nodes.size()));
  return graph.value_count() - 1;
}

}  // namespace mien
