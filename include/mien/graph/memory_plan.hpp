// The memory plan: where the tensors between steps lie in one arena.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include <mien/graph/fusion.hpp>
#include <mien/graph/node.hpp>
#include <mien/tensor.hpp>

namespace mien {

/// A stretch of the arena that is in use from one step to another, both included.
struct PlannedBuffer {
  std::size_t size = 0;  ///< in floats
  int first_step = 0;
  int last_step = 0;
  std::size_t offset = 0;
  bool is_placed = false;

  constexpr bool meets(const PlannedBuffer& other) const {
    return first_step <= other.last_step && other.first_step <= last_step;
  }
};

namespace detail {

inline constexpr std::size_t no_offset = static_cast<std::size_t>(-1);

/// The lowest offset at which a buffer overlaps none that is in use at the same time.
constexpr std::size_t lowest_offset(const PlannedBuffer* buffers, int count,
                                    const PlannedBuffer& buffer) {
  std::size_t offset = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (int i = 0; i < count; ++i) {
      const PlannedBuffer& other = buffers[i];
      if (!other.is_placed || !other.meets(buffer)) continue;
      if (offset < other.offset + other.size && other.offset < offset + buffer.size) {
        offset = other.offset + other.size;
        moved = true;
      }
    }
  }
  return offset;
}

/// The highest one below `limit`; no_offset if there is none.
constexpr std::size_t highest_offset(const PlannedBuffer* buffers, int count,
                                     const PlannedBuffer& buffer, std::size_t limit) {
  if (buffer.size > limit) return no_offset;
  std::size_t offset = limit - buffer.size;
  for (bool moved = true; moved;) {
    moved = false;
    for (int i = 0; i < count; ++i) {
      const PlannedBuffer& other = buffers[i];
      if (!other.is_placed || !other.meets(buffer)) continue;
      if (offset < other.offset + other.size && other.offset < offset + buffer.size) {
        if (other.offset < buffer.size) return no_offset;
        offset = other.offset - buffer.size;
        moved = true;
      }
    }
  }
  return offset;
}

/// In the order of time, by turns at the two ends of an arena of `limit` floats; false if that has
/// no room. For a chain of steps this needs what its hungriest step does, and no more.
constexpr bool place_by_turns(PlannedBuffer* buffers, int count, std::size_t limit) {
  for (int i = 0; i < count; ++i) buffers[i].is_placed = false;
  bool at_start = true;
  for (int i = 0; i < count; ++i) {
    PlannedBuffer& buffer = buffers[i];
    // What a step needs for itself lies between its input and its output.
    const bool is_scratch = buffer.first_step == buffer.last_step;
    buffer.offset = at_start || is_scratch ? lowest_offset(buffers, count, buffer)
                                           : highest_offset(buffers, count, buffer, limit);
    if (buffer.offset == no_offset || buffer.offset + buffer.size > limit) return false;
    buffer.is_placed = true;
    if (!is_scratch) at_start = !at_start;
  }
  return true;
}

/// The largest first, each as low as it can (greedy by size; Pisarchyk and Lee, arXiv 2001.03288,
/// section 5). Returns the arena's size.
constexpr std::size_t place_by_size(PlannedBuffer* buffers, int count) {
  for (int i = 0; i < count; ++i) buffers[i].is_placed = false;
  std::size_t arena = 0;
  for (int round = 0; round < count; ++round) {
    int largest = -1;
    for (int i = 0; i < count; ++i) {
      if (buffers[i].is_placed) continue;
      if (largest < 0 || buffers[i].size > buffers[largest].size) largest = i;
    }
    PlannedBuffer& buffer = buffers[largest];
    buffer.offset = lowest_offset(buffers, count, buffer);
    buffer.is_placed = true;
    arena = std::max(arena, buffer.offset + buffer.size);
  }
  return arena;
}

/// What the hungriest step has alive: no plan needs less.
constexpr std::size_t least_memory(const PlannedBuffer* buffers, int count, int step_count) {
  std::size_t most = 0;
  for (int step = 0; step < step_count; ++step) {
    std::size_t sum = 0;
    for (int i = 0; i < count; ++i) {
      if (buffers[i].first_step <= step && step <= buffers[i].last_step) sum += buffers[i].size;
    }
    most = std::max(most, sum);
  }
  return most;
}

}  // namespace detail

/// Gives each buffer its offset, a multiple of what sizes are multiples of, so that those in use at
/// the same time do not overlap. Buffers stand in the order of their first steps. Returns the
/// arena's size in floats.
constexpr std::size_t plan_memory(PlannedBuffer* buffers, int count, int step_count) {
  const std::size_t least = detail::least_memory(buffers, count, step_count);
  if (detail::place_by_turns(buffers, count, least)) return least;
  return detail::place_by_size(buffers, count);
}

/// Floats of scratch memory for one image.
constexpr std::size_t scratch_size(const GraphView& graph, const PlannedStep& step,
                                   const TensorShape* shapes) {
  const Node& node = graph.nodes[step.node];
  const TensorShape& input = shapes[graph.operand(node, 0)];
  return step.depthwise < 0 ? node.layer->scratch_size(node, input)
                            : node.layer->depthwise_scratch_size(node, input, step.pooling >= 0);
}

/// Where a value lies, and how long it is needed.
struct PlannedValue {
  int first_step = -1;
  int last_step = -1;
  int buffer = -1;  ///< in the arena; negative: in the caller's memory
  int output = -1;  ///< the graph's output in whose memory it is computed
  /// The Concatenate that its channels are copied to as soon as they are there; negative: none.
  int gathered_early = -1;
};

/// What plan_values fills; the caller provides the memory.
struct MemoryPlanArrays {
  PlannedValue* values;    ///< one a value
  int* step_of_node;       ///< one a node
  PlannedBuffer* buffers;  ///< up to one a value and one a step
  int* scratch_buffers;    ///< one a step: the buffer of its scratch memory, or negative
};

namespace detail {

/// What has no other use than to be joined with others is copied there at once, which frees its
/// memory; what others take too waits, for the joined value is larger.
constexpr int early_gather(const GraphView& graph, const PlannedStep& step, const ValueUses& uses) {
  const bool is_gather = graph.nodes[step.node].layer->gathers;
  if (is_gather || uses.count != 1) return -1;
  return graph.nodes[uses.node].layer->gathers ? uses.node : -1;
}

/// The input whose memory a step's output may take: it is of the same size, not one that
/// broadcasts, and not needed later.
constexpr int reusable_input(const GraphView& graph, const PlannedStep& step, int step_number,
                             const TensorShape* shapes, const MemoryPlanArrays& plan) {
  const Node& node = graph.nodes[step.node];
  if (!node.layer->is_in_place) return -1;
  for (int i = 0; i < node.input_count; ++i) {
    const int value = graph.operand(node, i);
    if (shapes[value].size() != shapes[graph.value_of(step.last)].size()) continue;
    if (plan.values[value].buffer >= 0 && plan.values[value].last_step == step_number) {
      return value;
    }
  }
  return -1;
}

}  // namespace detail

/// Finds out which values need memory of the arena, and when. `scratch_sizes` are the steps', in
/// floats; shapes are those of values, uses those that plan_steps wrote. Returns the number of
/// buffers, in the order of their first steps.
constexpr int plan_values(const GraphView& graph, const PlannedStep* steps, int step_count,
                          const detail::ValueUses* uses, const TensorShape* shapes,
                          const std::size_t* scratch_sizes, const MemoryPlanArrays& plan) {
  for (int v = 0; v < graph.value_count(); ++v) plan.values[v] = {};
  for (int s = 0; s < step_count; ++s) {
    std::array<int, PlannedStep::most_nodes> nodes{};
    const int count = steps[s].nodes(nodes);
    for (int i = 0; i < count; ++i) plan.step_of_node[nodes[static_cast<std::size_t>(i)]] = s;
  }
  for (int s = 0; s < step_count; ++s) {
    const int value = graph.value_of(steps[s].last);
    PlannedValue& planned = plan.values[value];
    if (planned.first_step < 0) planned.first_step = s;  // a gathered value may have begun before
    planned.last_step = std::max(planned.last_step, s);
    planned.gathered_early = detail::early_gather(graph, steps[s], uses[value]);
    if (planned.gathered_early >= 0) {
      PlannedValue& joined = plan.values[graph.value_of(planned.gathered_early)];
      if (joined.first_step < 0) joined.first_step = s;
    }
  }
  for (int n = 0; n < graph.node_count; ++n) {
    for (int i = 0; i < graph.nodes[n].input_count; ++i) {
      PlannedValue& planned = plan.values[graph.operand(graph.nodes[n], i)];
      if (planned.gathered_early < 0) {
        planned.last_step = std::max(planned.last_step, plan.step_of_node[n]);
      }
    }
  }
  for (int i = 0; i < graph.output_count; ++i) {
    PlannedValue& planned = plan.values[graph.outputs[i]];
    if (graph.producer(graph.outputs[i]) >= 0 && planned.output < 0) planned.output = i;
    planned.last_step = step_count;
  }

  int count = 0;
  for (int s = 0; s < step_count; ++s) {
    for (int v = graph.input_count; v < graph.value_count(); ++v) {
      PlannedValue& planned = plan.values[v];
      if (planned.first_step != s || planned.output >= 0) continue;
      // A value that no step puts out lies inside a fused one and has no first step.
      const bool is_own = graph.value_of(steps[s].last) == v;
      const int reused = is_own ? detail::reusable_input(graph, steps[s], s, shapes, plan) : -1;
      if (reused >= 0) {
        planned.buffer = plan.values[reused].buffer;
        PlannedBuffer& buffer = plan.buffers[planned.buffer];
        buffer.last_step = std::max(buffer.last_step, planned.last_step);
        continue;
      }
      planned.buffer = count;
      plan.buffers[count++] = {detail::aligned_size(shapes[v].size()), s, planned.last_step, 0,
                               false};
    }
    plan.scratch_buffers[s] = -1;
    if (scratch_sizes[s] > 0) {
      plan.scratch_buffers[s] = count;
      plan.buffers[count++] = {detail::aligned_size(scratch_sizes[s]), s, s, 0, false};
    }
  }
  return count;
}

}  // namespace mien
