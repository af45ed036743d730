// Whether a network is small enough to be run for every input of a fuzz target: a valid file may
// ask for any amount of work.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <mien/graph/graph.hpp>

namespace fuzz {

inline constexpr std::size_t most_values = 1 << 16;
inline constexpr std::size_t most_multiply_adds = 1 << 20;

/// Pixels of a pooling's window, which may be as large as its padded input.
inline std::size_t window_of(const mien::Node& node) {
  if (node.layer->name != "AvgPool2d" && node.layer->name != "MaxPool2d") return 1;
  return static_cast<std::size_t>(node.option(0)) * static_cast<std::size_t>(node.option(1));
}

/// For inputs of these shapes. Throws mien::Error as ShapedGraph does.
inline bool is_cheap(const mien::Graph& graph, const std::vector<mien::TensorShape>& shapes) {
  const mien::ShapedGraph shaped(graph, shapes, "graph");
  std::size_t values = 0;
  for (const mien::TensorShape& shape : shaped.shapes()) {
    if (shape.size() > most_values) return false;
    values += shape.size();
  }
  std::size_t work = 0;
  for (int n = 0; n < shaped.view().node_count; ++n) {
    const mien::Node& node = shaped.view().nodes[n];
    const mien::TensorShape& input = shaped.shape(shaped.view().operand(node, 0));
    const mien::TensorShape& output = shaped.shape(shaped.view().value_of(n));
    const std::size_t multiply_adds = node.layer->multiply_adds(node, input, output);
    if (multiply_adds > most_multiply_adds) return false;
    if (node.layer->scratch_size(node, input) > most_multiply_adds) return false;
    work += multiply_adds;
    work += window_of(node) * output.size() / 16;
  }
  return values <= most_values && work <= most_multiply_adds;
}

}  // namespace fuzz
