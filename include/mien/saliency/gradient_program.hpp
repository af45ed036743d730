// Backpropagation through a graph: each node's Gradient, forward and then backward.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include <mien/config.hpp>
#include <mien/graph/graph.hpp>
#include <mien/graph/step.hpp>

namespace mien {

/// A graph of one input and its first output, without fusion: every node's value is kept for the
/// way back. Immutable when made; runs in any number of threads at once.
class GradientProgram {
 public:
  /// Packs the tensors of the nodes that the output depends on. Throws Error, for a layer without
  /// gradient one that names the node. The graph is needed here alone.
  GradientProgram(const ShapedGraph& graph, const NodeTensors& tensors);

  const TensorShape& input_shape() const noexcept { return input_shape_; }
  const TensorShape& output_shape() const noexcept { return output_shape_; }
  /// Floats of memory for both directions, a multiple of what aligns it to 64 bytes.
  std::size_t arena_size() const noexcept { return arena_size_; }

  /// Computes the output for one input, and returns where it lies: in `arena`, which is aligned to
  /// 64 bytes.
  const float* forward(const float* input, float* arena) const noexcept;

  /// Given the derivatives of some number by the output, writes those by the input. `input` and
  /// `arena` are those of the last forward(). Nothing overlaps.
  void backward(const float* input, const float* output_gradient, float* input_gradient,
                float* arena) const noexcept;

 private:
  static constexpr std::size_t outside = static_cast<std::size_t>(-1);

  /// Places are in the arena; `outside`: in the caller's memory.
  struct BoundInput {
    std::size_t value = outside;
    std::size_t gradient = outside;
    std::size_t size = 0;
    /// Where a part of the gradient is written, to be added to what other nodes contributed.
    std::size_t part = 0;
    bool is_first = true;  ///< the gradient itself is written
  };
  struct BoundNode {
    std::unique_ptr<Gradient> gradient;
    std::vector<BoundInput> inputs;
    std::size_t value = outside;
    std::size_t value_gradient = outside;
    std::size_t scratch = 0;  ///< of backward()
  };
  class Planner;

  TensorShape input_shape_;
  TensorShape output_shape_;
  std::vector<BoundNode> nodes_;
  std::size_t output_ = outside;
  std::size_t forward_scratch_ = 0;
  std::size_t arena_size_ = 0;
};

namespace detail {

/// Of the node of a layer; null if the layer has none.
std::unique_ptr<Gradient> make_gradient(const GradientContext& context);

}  // namespace detail
}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include <mien/error.hpp>
#include <mien/graph/memory_plan.hpp>
#include <mien/graph/shapes.hpp>
#include <mien/layers/layers.hpp>
#include <mien/tensor.hpp>

namespace mien {

/// Plans the way back: where gradients lie, and from which step to which.
class GradientProgram::Planner {
 public:
  explicit Planner(const GraphView& graph)
      : graph_(graph), gradients_(static_cast<std::size_t>(graph.value_count()), none) {}

  /// The memory that a node's backward() needs, in the order in which nodes are passed.
  void pass(const ShapedGraph& shaped, const Node& node, int value, std::size_t scratch_size) {
    int& own = gradients_[static_cast<std::size_t>(value)];
    if (own != none) buffers_[static_cast<std::size_t>(own)].last_step = step_;
    for (int i = 0; i < node.input_count; ++i) {
      const int input = graph_.operand(node, i);
      int& gradient = gradients_[static_cast<std::size_t>(input)];
      const bool is_first = gradient == none;
      const int buffer =
          is_first && graph_.producer(input) < 0 ? callers : add_buffer(shaped.shape(input).size());
      if (is_first) gradient = buffer;
      uses_.push_back({gradient, buffer, is_first});
    }
    scratches_.push_back(scratch_size == 0 ? none : add_buffer(scratch_size));
    own_gradients_.push_back(own);
    ++step_;
  }

  /// Returns the floats that they need, behind `start` floats that are in use.
  std::size_t plan(std::size_t start, std::vector<BoundNode>& nodes) {
    const std::size_t size = plan_memory(buffers_.data(), static_cast<int>(buffers_.size()), step_);
    const auto place = [&](int buffer) {
      return buffer < 0 ? outside : start + buffers_[static_cast<std::size_t>(buffer)].offset;
    };
    auto use = uses_.begin();
    std::size_t step = 0;
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node, ++step) {
      node->value_gradient = place(own_gradients_[step]);
      node->scratch = scratches_[step] == none ? 0 : place(scratches_[step]);
      for (BoundInput& input : node->inputs) {
        input.gradient = place(use->gradient);
        input.part = place(use->written);
        input.is_first = use->is_first;
        ++use;
      }
    }
    return size;
  }

 private:
  static constexpr int none = -1;
  static constexpr int callers = -2;  // the gradient of the graph's input

  struct Use {
    int gradient;
    int written;
    bool is_first;
  };

  int add_buffer(std::size_t size) {
    buffers_.push_back({detail::aligned_size(size), step_, step_, 0, false});
    return static_cast<int>(buffers_.size()) - 1;
  }

  const GraphView& graph_;
  std::vector<int> gradients_;  // of values: their buffers
  std::vector<PlannedBuffer> buffers_;
  std::vector<Use> uses_;
  std::vector<int> scratches_;
  std::vector<int> own_gradients_;
  int step_ = 0;
};

namespace detail {

template <std::size_t... I>
std::unique_ptr<Gradient> make_gradient_of_type(const GradientContext& context,
                                                std::index_sequence<I...>) {
  std::unique_ptr<Gradient> made;
  ((context.node.layer == layer_types[I] && (made = GradientOf<*layer_types[I]>::make(context))) ||
   ...);
  return made;
}

MIEN_INLINE std::unique_ptr<Gradient> make_gradient(const GradientContext& context) {
  return make_gradient_of_type(context, std::make_index_sequence<std::size(layer_types)>());
}

}  // namespace detail

MIEN_INLINE GradientProgram::GradientProgram(const ShapedGraph& graph, const NodeTensors& tensors) {
  const GraphView& view = graph.view();
  const int output = view.outputs[0];
  input_shape_ = view.inputs[0];
  output_shape_ = graph.shape(output);

  std::vector<bool> is_needed(static_cast<std::size_t>(view.value_count()));
  is_needed[static_cast<std::size_t>(output)] = true;
  for (int n = view.node_count - 1; n >= 0; --n) {
    const Node& node = view.nodes[n];
    if (!is_needed[static_cast<std::size_t>(view.value_of(n))]) continue;
    for (int i = 0; i < node.input_count; ++i) {
      is_needed[static_cast<std::size_t>(view.operand(node, i))] = true;
    }
  }

  std::vector<int> needed_nodes;
  std::vector<std::size_t> places(static_cast<std::size_t>(view.value_count()), outside);
  std::size_t values_size = 0;
  std::size_t forward_scratch_size = 0;
  for (int n = 0; n < view.node_count; ++n) {
    const Node& node = view.nodes[n];
    const auto value = static_cast<std::size_t>(view.value_of(n));
    if (!is_needed[value]) continue;
    const NodeShapes shapes(view, node, graph.shapes().data());
    BoundNode bound;
    bound.gradient =
        detail::make_gradient({node, shapes.inputs.data(), graph.shape(view.value_of(n)), tensors});
    if (!bound.gradient) detail::fail({tensors.where(node), ": the layer has no gradient"});
    for (int i = 0; i < node.input_count; ++i) {
      const int input = view.operand(node, i);
      BoundInput bound_input;
      bound_input.value = places[static_cast<std::size_t>(input)];
      bound_input.size = graph.shape(input).size();
      bound.inputs.push_back(bound_input);
    }
    places[value] = bound.value = values_size;
    values_size += detail::aligned_size(graph.shape(view.value_of(n)).size());
    forward_scratch_size =
        std::max(forward_scratch_size, detail::aligned_size(bound.gradient->scratch_size()));
    nodes_.push_back(std::move(bound));
    needed_nodes.push_back(n);
  }
  output_ = places[static_cast<std::size_t>(output)];

  Planner planner(view);
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    const int n = needed_nodes[i];
    planner.pass(graph, view.nodes[n], view.value_of(n), nodes_[i].gradient->scratch_size());
  }
  forward_scratch_ = values_size;
  arena_size_ = values_size + std::max(forward_scratch_size, planner.plan(values_size, nodes_));
}

MIEN_INLINE const float* GradientProgram::forward(const float* input, float* arena) const noexcept {
  std::array<const float*, NodeShapes::most> inputs{};
  for (const BoundNode& node : nodes_) {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const std::size_t place = node.inputs[i].value;
      inputs[i] = place == outside ? input : arena + place;
    }
    node.gradient->forward(inputs.data(), arena + forward_scratch_, arena + node.value);
  }
  return output_ == outside ? input : arena + output_;
}

MIEN_INLINE void GradientProgram::backward(const float* input, const float* output_gradient,
                                           float* input_gradient, float* arena) const noexcept {
  if (output_ == outside) {
    std::copy_n(output_gradient, output_shape_.size(), input_gradient);
    return;
  }
  std::array<const float*, NodeShapes::most> inputs{};
  std::array<float*, NodeShapes::most> parts{};
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    for (std::size_t i = 0; i < node->inputs.size(); ++i) {
      const BoundInput& bound = node->inputs[i];
      inputs[i] = bound.value == outside ? input : arena + bound.value;
      parts[i] = bound.part == outside ? input_gradient : arena + bound.part;
    }
    const float* const own =
        node->value_gradient == outside ? output_gradient : arena + node->value_gradient;
    node->gradient->backward(inputs.data(), arena + node->value, own, arena + node->scratch,
                             parts.data());
    for (std::size_t i = 0; i < node->inputs.size(); ++i) {
      const BoundInput& bound = node->inputs[i];
      if (bound.is_first) continue;
      float* const sum = bound.gradient == outside ? input_gradient : arena + bound.gradient;
      for (std::size_t k = 0; k < bound.size; ++k) sum[k] += parts[i][k];
    }
  }
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
