// Gradients of layers made of layers.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include <mien/layers/concatenate.hpp>
#include <mien/layers/residual.hpp>
#include <mien/layers/sequential.hpp>
#include <mien/saliency/gradient.hpp>

namespace mien::detail {

/// The gradients of layers one after the other as a tuple type.
template <class Input, class LayerList, class... Done>
struct GradientChain {
  using Steps = std::tuple<Done...>;
  using Output = Input;
};
template <class Input, class First, class... Rest, class... Done>
struct GradientChain<Input, StepList<First, Rest...>, Done...>
    : GradientChain<typename Gradient<First, Input>::Output, StepList<Rest...>, Done...,
                    Gradient<First, Input>> {};

/// Where the tensors of a chain of steps lie. forward() keeps what every step puts out and what it
/// leaves for its backward(), which needs the gradients at its two ends besides its scratch memory.
template <std::size_t StepCount>
struct GradientPlan {
  std::array<std::size_t, StepCount> output_offset{};  // the last step writes elsewhere
  std::array<std::size_t, StepCount> memory_offset{};
  std::size_t memory_size = 0;
  std::size_t largest_intermediate = 0;
  std::size_t scratch_size = 0;

  constexpr GradientPlan(const std::array<std::size_t, StepCount>& output_size,
                         const std::array<std::size_t, StepCount>& step_memory_size,
                         const std::array<std::size_t, StepCount>& step_scratch_size) {
    for (std::size_t i = 0; i < StepCount; ++i) {
      const std::size_t intermediate = i + 1 < StepCount ? aligned_size(output_size[i]) : 0;
      output_offset[i] = memory_size;
      memory_offset[i] = memory_size + intermediate;
      memory_size = memory_offset[i] + step_memory_size[i];
      largest_intermediate = std::max(largest_intermediate, intermediate);
      scratch_size = std::max(scratch_size, step_scratch_size[i]);
    }
    scratch_size += 2 * largest_intermediate;
  }
};

template <class... Layers, class Input>
class Gradient<Sequential<Layers...>, Input> {
  using Chain = GradientChain<Input, StepList<Layers...>>;
  using Steps = typename Chain::Steps;
  static constexpr std::size_t step_count = sizeof...(Layers);

  template <std::size_t... I>
  static constexpr GradientPlan<step_count> make_plan(std::index_sequence<I...>) {
    return {{std::tuple_element_t<I, Steps>::Output::size...},
            {std::tuple_element_t<I, Steps>::memory_size...},
            {std::tuple_element_t<I, Steps>::scratch_size...}};
  }
  using Indices = std::make_index_sequence<step_count>;
  static constexpr GradientPlan<step_count> plan = make_plan(Indices{});

 public:
  using Output = typename Chain::Output;
  static constexpr std::size_t memory_size = plan.memory_size;
  static constexpr std::size_t scratch_size = plan.scratch_size;

  explicit Gradient(TensorReader& tensors) : Gradient(tensors, Indices{}) {}

  void forward(const float* input, float* output, float* memory, float* scratch) const noexcept {
    run_forward(Indices{}, input, output, memory, scratch);
  }

  void backward(const ForwardPass& pass, const float* output_gradient, float* input_gradient,
                float* scratch) const noexcept {
    run_backward(Indices{}, pass, output_gradient, input_gradient, scratch);
  }

 private:
  // Braces make the order of evaluation, and so of the tensors, that of the layers.
  template <std::size_t... I>
  Gradient(TensorReader& tensors, std::index_sequence<I...>)
      : steps_{std::tuple_element_t<I, Steps>(tensors)...} {}

  template <std::size_t... I>
  void run_forward(std::index_sequence<I...>, const float* input, float* output, float* memory,
                   float* scratch) const noexcept {
    (std::get<I>(steps_).forward(I == 0 ? input : memory + plan.output_offset[before(I)],
                                 I == last ? output : memory + plan.output_offset[I],
                                 memory + plan.memory_offset[I], scratch),
     ...);
  }

  template <std::size_t... I>
  void run_backward(std::index_sequence<I...>, const ForwardPass& pass,
                    const float* output_gradient, float* input_gradient,
                    float* scratch) const noexcept {
    (backward_step<last - I>(pass, output_gradient, input_gradient, scratch), ...);
  }

  template <std::size_t I>
  void backward_step(const ForwardPass& pass, const float* output_gradient, float* input_gradient,
                     float* scratch) const noexcept {
    const ForwardPass step = {I == 0 ? pass.input : pass.memory + plan.output_offset[before(I)],
                              I == last ? pass.output : pass.memory + plan.output_offset[I],
                              pass.memory + plan.memory_offset[I]};
    // The gradient at a step's output; neighbours take turns.
    const auto gradient_at = [scratch](std::size_t i) {
      return scratch + i % 2 * plan.largest_intermediate;
    };
    std::get<I>(steps_).backward(step, I == last ? output_gradient : gradient_at(I),
                                 I == 0 ? input_gradient : gradient_at(before(I)),
                                 scratch + 2 * plan.largest_intermediate);
  }

  static constexpr std::size_t last = step_count - 1;
  static constexpr std::size_t before(std::size_t i) { return i == 0 ? 0 : i - 1; }

  Steps steps_;
};

template <class Body, class Shortcut, class Input>
class Gradient<Residual<Body, Shortcut>, Input> {
  using BodyGradient = Gradient<Body, Input>;
  using ShortcutGradient = Gradient<Shortcut, Input>;

 public:
  using Output = typename BodyGradient::Output;
  static_assert(residual_adds_equal_shapes<Output, typename ShortcutGradient::Output>::value);

 private:
  // The memory holds both outputs, and behind each what the layer keeps.
  static constexpr std::size_t body_memory = aligned_size(Output::size);
  static constexpr std::size_t shortcut_output = body_memory + BodyGradient::memory_size;
  static constexpr std::size_t shortcut_memory = shortcut_output + aligned_size(Output::size);

 public:
  static constexpr std::size_t memory_size = shortcut_memory + ShortcutGradient::memory_size;
  static constexpr std::size_t scratch_size =
      aligned_size(Input::size) +
      std::max(BodyGradient::scratch_size, ShortcutGradient::scratch_size);

  explicit Gradient(TensorReader& tensors) : body_(tensors), shortcut_(tensors) {}

  void forward(const float* input, float* output, float* memory, float* scratch) const noexcept {
    body_.forward(input, memory, memory + body_memory, scratch);
    shortcut_.forward(input, memory + shortcut_output, memory + shortcut_memory, scratch);
    for (std::size_t i = 0; i < Output::size; ++i)
      output[i] = memory[i] + memory[shortcut_output + i];
  }

  void backward(const ForwardPass& pass, const float* output_gradient, float* input_gradient,
                float* scratch) const noexcept {
    float* const rest = scratch + aligned_size(Input::size);
    const float* const memory = pass.memory;
    body_.backward({pass.input, memory, memory + body_memory}, output_gradient, input_gradient,
                   rest);
    shortcut_.backward({pass.input, memory + shortcut_output, memory + shortcut_memory},
                       output_gradient, scratch, rest);
    for (std::size_t i = 0; i < Input::size; ++i) input_gradient[i] += scratch[i];
  }

 private:
  BodyGradient body_;
  ShortcutGradient shortcut_;
};

/// Where the branches of a Concatenate put what they put out and what they leave for backward().
template <std::size_t BranchCount>
struct BranchPlan {
  std::array<std::size_t, BranchCount> output_offset{};
  std::array<std::size_t, BranchCount> memory_offset{};
  std::array<int, BranchCount> first_channel{};
  std::size_t memory_size = 0;

  constexpr BranchPlan(const std::array<std::size_t, BranchCount>& output_size,
                       const std::array<std::size_t, BranchCount>& branch_memory_size,
                       const std::array<int, BranchCount>& channels) {
    int channel = 0;
    for (std::size_t i = 0; i < BranchCount; ++i) {
      output_offset[i] = memory_size;
      memory_offset[i] = memory_size + aligned_size(output_size[i]);
      memory_size = memory_offset[i] + branch_memory_size[i];
      first_channel[i] = channel;
      channel += channels[i];
    }
  }
};

template <class... Branches, class Input>
class Gradient<Concatenate<Branches...>, Input> {
  using Indices = std::index_sequence_for<Branches...>;
  static constexpr BranchPlan<sizeof...(Branches)> plan = {
      {Gradient<Branches, Input>::Output::size...},
      {Gradient<Branches, Input>::memory_size...},
      {Gradient<Branches, Input>::Output::channels...}};
  static constexpr std::size_t largest_output =
      std::max({aligned_size(Gradient<Branches, Input>::Output::size)...});

 public:
  using Output =
      typename concatenate_joins_equal_sizes<typename Gradient<Branches, Input>::Output...>::type;
  static constexpr std::size_t memory_size = plan.memory_size;
  /// For the gradients at both ends of a branch, and what the branch needs.
  static constexpr std::size_t scratch_size =
      largest_output + aligned_size(Input::size) +
      std::max({Gradient<Branches, Input>::scratch_size...});

  // Braces make the order of evaluation, and so of the tensors, that of the branches.
  explicit Gradient(TensorReader& tensors) : branches_{Gradient<Branches, Input>(tensors)...} {}

  void forward(const float* input, float* output, float* memory, float* scratch) const noexcept {
    run_forward(Indices{}, input, output, memory, scratch);
  }

  void backward(const ForwardPass& pass, const float* output_gradient, float* input_gradient,
                float* scratch) const noexcept {
    std::fill_n(input_gradient, Input::size, 0.0f);
    run_backward(Indices{}, pass, output_gradient, input_gradient, scratch);
  }

 private:
  template <std::size_t I>
  using OutputOf =
      typename std::tuple_element_t<I, std::tuple<Gradient<Branches, Input>...>>::Output;

  template <std::size_t... I>
  void run_forward(std::index_sequence<I...>, const float* input, float* output, float* memory,
                   float* scratch) const noexcept {
    (forward_branch<I>(input, output, memory, scratch), ...);
  }

  template <std::size_t I>
  void forward_branch(const float* input, float* output, float* memory,
                      float* scratch) const noexcept {
    float* const branch_output = memory + plan.output_offset[I];
    std::get<I>(branches_).forward(input, branch_output, memory + plan.memory_offset[I], scratch);
    pixels<Output>(output).middleRows(plan.first_channel[I], OutputOf<I>::channels) =
        pixels<OutputOf<I>>(static_cast<const float*>(branch_output));
  }

  template <std::size_t... I>
  void run_backward(std::index_sequence<I...>, const ForwardPass& pass,
                    const float* output_gradient, float* input_gradient,
                    float* scratch) const noexcept {
    (backward_branch<I>(pass, output_gradient, input_gradient, scratch), ...);
  }

  template <std::size_t I>
  void backward_branch(const ForwardPass& pass, const float* output_gradient, float* input_gradient,
                       float* scratch) const noexcept {
    float* const branch_output_gradient = scratch;
    float* const branch_input_gradient = scratch + largest_output;
    pixels<OutputOf<I>>(branch_output_gradient) =
        pixels<Output>(output_gradient).middleRows(plan.first_channel[I], OutputOf<I>::channels);
    std::get<I>(branches_).backward(
        {pass.input, pass.memory + plan.output_offset[I], pass.memory + plan.memory_offset[I]},
        branch_output_gradient, branch_input_gradient,
        branch_input_gradient + aligned_size(Input::size));
    pixels<Input>(input_gradient) +=
        pixels<Input>(static_cast<const float*>(branch_input_gradient));
  }

  std::tuple<Gradient<Branches, Input>...> branches_;
};

}  // namespace mien::detail
