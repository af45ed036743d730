// Fusion: which nodes run together as one step.
#pragma once

#include <array>
#include <cstddef>

#include <mien/graph/node.hpp>

namespace mien {

/// One step of a forward pass: a node, and those after it that run inside it, so that only the last
/// one's output exists. Members that count nodes or values are negative where there is none.
struct PlannedStep {
  int node = -1;
  int last = -1;  ///< whose output it writes
  int depthwise = -1;
  int batch_norm = -1;
  int add = -1;
  int added = -1;  ///< the value that the addition takes besides
  int activation = -1;
  int pooling = -1;

  static constexpr int most_nodes = 6;
  /// Its nodes, in the order in which they apply; returns how many.
  constexpr int nodes(std::array<int, most_nodes>& found) const {
    int count = 0;
    for (const int n : {node, depthwise, batch_norm, add, activation, pooling}) {
      if (n >= 0) found[static_cast<std::size_t>(count++)] = n;
    }
    return count;
  }
};

namespace detail {

/// Who takes a value: the number of uses, outputs of the graph among them, and a node that does.
struct ValueUses {
  int count = 0;
  int node = -1;
};

/// Lets `next`, the only node that takes the step's output, run inside the step.
constexpr bool fuse(const GraphView& graph, const TensorShape* shapes, int next,
                    PlannedStep& step) {
  const Node& node = graph.nodes[next];
  const Node& first = graph.nodes[step.node];
  if (!node.layer->can_be_fused(node)) return false;
  const Fusions allowed = first.layer->fusions(first);
  const bool is_linear = step.activation < 0 && step.pooling < 0;
  switch (node.layer->fused_as) {
    case FusedAs::nothing:
      return false;
    case FusedAs::depthwise:
      if (!allowed.depthwise || step.last != step.node) return false;
      step.depthwise = next;
      break;
    case FusedAs::batch_norm:
      if (!allowed.batch_norm || (step.last != step.node && step.last != step.depthwise)) {
        return false;
      }
      step.batch_norm = next;
      break;
    case FusedAs::add: {
      if (!allowed.add || !is_linear || step.add >= 0 || node.input_count != 2) return false;
      const int own = graph.value_of(step.last);
      const int other =
          graph.operand(node, 0) == own ? graph.operand(node, 1) : graph.operand(node, 0);
      // A kernel adds what is laid out as its output is.
      if (shapes[own] != shapes[other]) return false;
      // The other value must be there when the step runs.
      if (graph.producer(other) >= step.node) return false;
      step.add = next;
      step.added = other;
      break;
    }
    case FusedAs::activation:
      if (!allowed.activation || !is_linear) return false;
      step.activation = next;
      break;
    case FusedAs::max_pool:
      if (!allowed.max_pool_2x2 || step.pooling >= 0 || step.add >= 0) return false;
      step.pooling = next;
      break;
  }
  step.last = next;
  return true;
}

}  // namespace detail

/// Writes the steps, at most one a node; `shapes` are those of values, `uses` has room for every
/// value, `is_fused` for every node. Returns the number of steps.
constexpr int plan_steps(const GraphView& graph, const TensorShape* shapes, detail::ValueUses* uses,
                         bool* is_fused, PlannedStep* steps) {
  for (int v = 0; v < graph.value_count(); ++v) uses[v] = {};
  for (int n = 0; n < graph.node_count; ++n) {
    is_fused[n] = false;
    for (int i = 0; i < graph.nodes[n].input_count; ++i) {
      detail::ValueUses& use = uses[graph.operand(graph.nodes[n], i)];
      ++use.count;
      use.node = n;
    }
  }
  for (int i = 0; i < graph.output_count; ++i) uses[graph.outputs[i]].count += 2;

  int count = 0;
  for (int n = 0; n < graph.node_count; ++n) {
    if (is_fused[n]) continue;
    PlannedStep step;
    step.node = n;
    step.last = n;
    while (uses[graph.value_of(step.last)].count == 1) {
      const int next = uses[graph.value_of(step.last)].node;
      if (is_fused[next] || !detail::fuse(graph, shapes, next, step)) break;
      is_fused[next] = true;
    }
    steps[count++] = step;
  }
  return count;
}

}  // namespace mien
