// The steps that run: a graph bound to shapes, tensors, memory and the kernels of this machine.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <mien/config.hpp>
#include <mien/graph/fusion.hpp>
#include <mien/graph/graph.hpp>
#include <mien/graph/memory_plan.hpp>
#include <mien/graph/step.hpp>

namespace mien {

/// One step of a forward pass, for people: the layers that run fused, so that only the last one's
/// output exists.
struct ForwardStep {
  std::vector<std::string> layers;  ///< e.g. {"Conv2d", "BatchNorm2d", "ReLU"}
  std::string name;                 ///< of the first one, in PyTorch; may be empty
  TensorShape shape;                ///< of its output
  std::size_t tensors = 0;          ///< that its layers take
  std::size_t parameters = 0;
  std::size_t multiply_adds = 0;
};

/// Sees a step and its output, [height][width][channels].
using StepObserver = std::function<void(const ForwardStep& step, const float* values)>;

/// The steps that a graph runs as, in their order.
MIEN_COLD std::vector<ForwardStep> forward_steps(const ShapedGraph& graph);

/// Immutable when made; runs in any number of threads at once.
class Program {
 public:
  /// Packs the tensors of a graph. Throws Error. The graph is needed here alone.
  MIEN_COLD Program(const ShapedGraph& graph, const NodeTensors& tensors);

  const std::vector<TensorShape>& input_shapes() const noexcept { return input_shapes_; }
  const std::vector<TensorShape>& output_shapes() const noexcept { return output_shapes_; }
  /// The steps in the order in which they run.
  const std::vector<ForwardStep>& steps() const noexcept { return steps_; }
  std::size_t multiply_adds() const noexcept { return multiply_adds_; }
  /// Floats of memory that run() needs for one image, a multiple of what aligns it to 64 bytes.
  std::size_t arena_size() const noexcept { return arena_size_; }

  /// A batch of `count` images, one after the other in every input and output. `arena` has room for
  /// count * arena_size() floats and is aligned to 64 bytes. Nothing overlaps. Allocates nothing.
  void run(int count, const float* const* inputs, float* const* outputs,
           float* arena) const noexcept;

  /// The same for one image, showing every step as it is done. What runs is what runs without an
  /// observer. Throws what the observer throws.
  void run_observed(const float* const* inputs, float* const* outputs, float* arena,
                    const StepObserver& observer) const;

 private:
  /// Where a tensor lies.
  struct Place {
    enum class In { nowhere, inputs, outputs, arena } in = In::nowhere;
    std::size_t at = 0;  ///< which input or output, or where in the arena
  };

  /// Channels of one value that become channels of another.
  struct Gathering {
    Place from;
    Place to;
    std::size_t pixels;
    std::size_t from_channels;
    std::size_t to_channels;
    std::size_t first_channel;
  };

  static constexpr std::size_t most_inputs = 2;  // of a layer that computes

  struct BoundStep {
    std::unique_ptr<Step> step;  ///< null: it only gathers
    std::array<Place, most_inputs> inputs;
    Place added;
    Place output;
    std::size_t scratch = 0;            ///< its place in the arena
    std::vector<Gathering> gatherings;  ///< done after it
  };

  struct Memory {
    int count;
    const float* const* inputs;
    float* const* outputs;
    float* arena;

    const float* read(const Place& place) const noexcept;
    float* write(const Place& place) const noexcept;
  };

  static void run_step(const BoundStep& step, const Memory& memory) noexcept;
  void copy_outputs(const Memory& memory) const noexcept;

  std::vector<TensorShape> input_shapes_;
  std::vector<TensorShape> output_shapes_;
  std::vector<ForwardStep> steps_;
  std::vector<BoundStep> bound_;
  /// Outputs that are inputs, or other outputs, too.
  std::vector<Gathering> copies_;
  std::size_t multiply_adds_ = 0;
  std::size_t arena_size_ = 0;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>

#include <mien/graph/copy_channels.hpp>

namespace mien {

namespace detail {

/// The arrays of a plan, as large as they may have to be.
struct PlanStorage {
  MIEN_COLD explicit PlanStorage(const ShapedGraph& shaped)
      : PlanStorage(shaped.view(), shaped.shapes().data()) {}
  MIEN_COLD PlanStorage(const GraphView& graph, const TensorShape* shapes)
      : uses(static_cast<std::size_t>(graph.value_count())),
        is_fused(std::make_unique<bool[]>(static_cast<std::size_t>(graph.node_count))),
        steps(static_cast<std::size_t>(graph.node_count)) {
    steps.resize(static_cast<std::size_t>(
        plan_steps(graph, shapes, uses.data(), is_fused.get(), steps.data())));
  }

  std::vector<ValueUses> uses;
  std::unique_ptr<bool[]> is_fused;
  std::vector<PlannedStep> steps;
};

MIEN_COLD inline ForwardStep describe(const ShapedGraph& graph, const PlannedStep& planned) {
  const GraphView& view = graph.view();
  ForwardStep step;
  const auto first = static_cast<std::size_t>(planned.node);
  if (first < graph.graph().node_names.size()) step.name = graph.graph().node_names[first];
  step.shape = graph.shape(view.value_of(planned.last));
  std::array<int, PlannedStep::most_nodes> nodes{};
  const int count = planned.nodes(nodes);
  for (int i = 0; i < count; ++i) {
    const int n = nodes[static_cast<std::size_t>(i)];
    const Node& node = view.nodes[n];
    step.layers.emplace_back(node.layer->name);
    step.tensors += static_cast<std::size_t>(node.tensor_count);
    step.parameters += parameter_count(node);
    // A batch normalisation that is folded away multiplies nothing.
    if (n == planned.node || n == planned.depthwise) {
      step.multiply_adds += multiply_adds(view, n, graph.shapes().data());
    }
  }
  return step;
}

MIEN_COLD inline std::unique_ptr<Step> make_step(const ShapedGraph& graph,
                                                 const PlannedStep& planned,
                                                 const NodeTensors& tensors) {
  const GraphView& view = graph.view();
  const Node& node = view.nodes[planned.node];
  if (node.layer->gathers) return nullptr;
  const NodeShapes inputs(view, node, graph.shapes().data());
  StepContext context{node, inputs.inputs.data(), graph.shape(view.value_of(planned.node)),
                      tensors};
  if (planned.depthwise >= 0) context.depthwise = &view.nodes[planned.depthwise];
  if (planned.batch_norm >= 0) context.batch_norm = &view.nodes[planned.batch_norm];
  if (planned.activation >= 0) {
    context.activation = view.nodes[planned.activation].layer->activation;
  }
  if (planned.pooling >= 0) context.pooling = kernels::Pooling::max_2x2;
  return node.layer->make_step(context);
}

}  // namespace detail

MIEN_INLINE std::vector<ForwardStep> forward_steps(const ShapedGraph& graph) {
  std::vector<ForwardStep> steps;
  for (const PlannedStep& planned : detail::PlanStorage(graph).steps) {
    steps.push_back(detail::describe(graph, planned));
  }
  return steps;
}

MIEN_INLINE Program::Program(const ShapedGraph& graph, const NodeTensors& tensors)
    : input_shapes_(graph.view().inputs, graph.view().inputs + graph.view().input_count) {
  const GraphView& view = graph.view();
  detail::PlanStorage plan(graph);
  const std::size_t step_count = plan.steps.size();
  std::vector<std::size_t> scratch_sizes;
  for (const PlannedStep& planned : plan.steps) {
    steps_.push_back(detail::describe(graph, planned));
    multiply_adds_ += steps_.back().multiply_adds;
    bound_.emplace_back();
    bound_.back().step = detail::make_step(graph, planned, tensors);
    scratch_sizes.push_back(scratch_size(view, planned, graph.shapes().data()));
  }

  std::vector<PlannedValue> values(static_cast<std::size_t>(view.value_count()));
  std::vector<int> step_of_node(static_cast<std::size_t>(view.node_count));
  std::vector<PlannedBuffer> buffers(values.size() + step_count);
  std::vector<int> scratch_buffers(step_count);
  const int buffer_count =
      plan_values(view, plan.steps.data(), static_cast<int>(step_count), plan.uses.data(),
                  graph.shapes().data(), scratch_sizes.data(),
                  {values.data(), step_of_node.data(), buffers.data(), scratch_buffers.data()});
  arena_size_ = plan_memory(buffers.data(), buffer_count, static_cast<int>(step_count));

  const auto place_of = [&](int value) -> Place {
    const PlannedValue& planned = values[static_cast<std::size_t>(value)];
    if (view.producer(value) < 0) return {Place::In::inputs, static_cast<std::size_t>(value)};
    if (planned.output >= 0) {
      return {Place::In::outputs, static_cast<std::size_t>(planned.output)};
    }
    return {Place::In::arena, buffers[static_cast<std::size_t>(planned.buffer)].offset};
  };
  const auto gathering_of = [&](int node, int input) -> Gathering {
    const int value = view.operand(view.nodes[node], input);
    const int joined = view.value_of(node);
    std::size_t first_channel = 0;
    for (int i = 0; i < input; ++i) {
      const int before = view.operand(view.nodes[node], i);
      first_channel += static_cast<std::size_t>(graph.shape(before).channels);
    }
    return {place_of(value),
            place_of(joined),
            graph.shape(value).pixels(),
            static_cast<std::size_t>(graph.shape(value).channels),
            static_cast<std::size_t>(graph.shape(joined).channels),
            first_channel};
  };
  for (std::size_t s = 0; s < step_count; ++s) {
    const PlannedStep& planned = plan.steps[s];
    const Node& node = view.nodes[planned.node];
    BoundStep& bound = bound_[s];
    const int value = view.value_of(planned.last);
    bound.output = place_of(value);
    if (scratch_buffers[s] >= 0) {
      bound.scratch = buffers[static_cast<std::size_t>(scratch_buffers[s])].offset;
    }
    if (planned.added >= 0) bound.added = place_of(planned.added);
    for (int i = 0; i < node.input_count; ++i) {
      const int input = view.operand(node, i);
      if (!node.layer->gathers) {
        bound.inputs[static_cast<std::size_t>(i)] = place_of(input);
      } else if (values[static_cast<std::size_t>(input)].gathered_early < 0) {
        bound.gatherings.push_back(gathering_of(planned.node, i));
      }
    }
    const int gather = values[static_cast<std::size_t>(value)].gathered_early;
    if (gather < 0) continue;
    for (int i = 0; i < view.nodes[gather].input_count; ++i) {
      if (view.operand(view.nodes[gather], i) == value) {
        bound.gatherings.push_back(gathering_of(gather, i));
      }
    }
  }
  for (int i = 0; i < view.output_count; ++i) {
    const int value = view.outputs[i];
    const auto output = static_cast<std::size_t>(i);
    output_shapes_.push_back(graph.shape(value));
    if (values[static_cast<std::size_t>(value)].output == i) continue;
    const std::size_t size = graph.shape(value).size();
    copies_.push_back({place_of(value), {Place::In::outputs, output}, 1, size, size, 0});
  }
}

MIEN_INLINE const float* Program::Memory::read(const Place& place) const noexcept {
  return place.in == Place::In::inputs ? inputs[place.at] : write(place);
}

MIEN_INLINE float* Program::Memory::write(const Place& place) const noexcept {
  // The plan is one image's; offsets scale with the batch size.
  if (place.in == Place::In::arena) return arena + static_cast<std::size_t>(count) * place.at;
  return place.in == Place::In::outputs ? outputs[place.at] : nullptr;
}

MIEN_INLINE void Program::run_step(const BoundStep& step, const Memory& memory) noexcept {
  if (step.step) {
    std::array<const float*, most_inputs> inputs{};
    for (std::size_t i = 0; i < most_inputs; ++i) inputs[i] = memory.read(step.inputs[i]);
    step.step->run(memory.count, inputs.data(), memory.read(step.added),
                   memory.write({Place::In::arena, step.scratch}), memory.write(step.output));
  }
  for (const Gathering& gathering : step.gatherings) {
    detail::copy_channels(
        static_cast<std::size_t>(memory.count) * gathering.pixels, gathering.from_channels,
        memory.read(gathering.from), gathering.from_channels,
        memory.write(gathering.to) + gathering.first_channel, gathering.to_channels);
  }
}

MIEN_INLINE void Program::copy_outputs(const Memory& memory) const noexcept {
  for (const Gathering& copy : copies_) {
    std::copy_n(memory.read(copy.from), static_cast<std::size_t>(memory.count) * copy.to_channels,
                memory.write(copy.to));
  }
}

MIEN_INLINE void Program::run(int count, const float* const* inputs, float* const* outputs,
                              float* arena) const noexcept {
  const Memory memory{count, inputs, outputs, arena};
  for (const BoundStep& step : bound_) run_step(step, memory);
  copy_outputs(memory);
}

MIEN_INLINE void Program::run_observed(const float* const* inputs, float* const* outputs,
                                       float* arena, const StepObserver& observer) const {
  const Memory memory{1, inputs, outputs, arena};
  for (std::size_t s = 0; s < bound_.size(); ++s) {
    run_step(bound_[s], memory);
    observer(steps_[s], memory.read(bound_[s].output));
  }
  copy_outputs(memory);
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
