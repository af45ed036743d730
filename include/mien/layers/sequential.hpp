// Layers one after the other: shape propagation, fusion, and the memory plan.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <mien/layers/batch_norm2d.hpp>
#include <mien/layers/conv2d.hpp>
#include <mien/layers/dense.hpp>
#include <mien/layers/in_order.hpp>
#include <mien/layers/layer.hpp>
#include <mien/layers/max_pool2d.hpp>
#include <mien/layers/relu.hpp>
#include <mien/layers/residual.hpp>

namespace mien {

/// Each layer takes the output of the one before it.
template <class... Layers>
struct Sequential {
  static_assert(sizeof...(Layers) > 0, "Sequential needs at least one layer");
};

namespace detail {

template <class... Steps>
struct StepList {};

/// The step that a layer begins, where layers after it can join.
template <class Layer>
struct BeginStep {
  using type = Layer;
};
template <int In, int Out, class... Options>
struct BeginStep<Conv2d<In, Out, Options...>> {
  using type = FusedConv2d<Conv2d<In, Out, Options...>, false, NoActivation>;
};
template <int In, int Out, class... Options>
struct BeginStep<Dense<In, Out, Options...>> {
  using type = FusedDense<Dense<In, Out, Options...>, false, NoActivation>;
};
template <class Body, class Shortcut>
struct BeginStep<Residual<Body, Shortcut>> {
  using type = FusedResidual<Body, Shortcut, NoActivation>;
};

/// The step that is left when an activation joins the step before it; void if it cannot.
template <class Step, class Activation>
struct Activated {
  using type = void;
};
template <class Convolution, bool Normalised, class Activation>
struct Activated<FusedConv2d<Convolution, Normalised, NoActivation>, Activation> {
  using type = FusedConv2d<Convolution, Normalised, Activation>;
};
template <class Layer, bool Normalised, class Activation>
struct Activated<FusedDense<Layer, Normalised, NoActivation>, Activation> {
  using type = FusedDense<Layer, Normalised, Activation>;
};
template <class Body, class Shortcut, class Activation>
struct Activated<FusedResidual<Body, Shortcut, NoActivation>, Activation> {
  using type = FusedResidual<Body, Shortcut, Activation>;
};

/// The step that is left when a layer joins the step before it; void if it cannot.
template <class Step, class Layer>
struct Join {
  using type = void;
};
template <class Convolution>
struct Join<FusedConv2d<Convolution, false, NoActivation>, BatchNorm2d<Convolution::out_channels>> {
  using type = FusedConv2d<Convolution, true, NoActivation>;
};
template <class Convolution, bool Normalised, class Activation, class... Options>
struct Join<FusedConv2d<Convolution, Normalised, Activation>, MaxPool2d<Options...>> {
  using type = FusedConv2d<Convolution, Normalised, Activation, MaxPool2d<Options...>>;
};
template <class Layer>
struct Join<FusedDense<Layer, false, NoActivation>, BatchNorm2d<Layer::out_features>> {
  using type = FusedDense<Layer, true, NoActivation>;
};
template <class Step>
struct Join<Step, ReLU> : Activated<Step, ReLU> {};
template <class Step>
struct Join<Step, ReLU6> : Activated<Step, ReLU6> {};

/// The steps that layers run as: batch normalisation, activations and pooling vanish into the
/// layer before them. Done steps are ready; Current may be joined by more.
template <class Done, class Current, class... Layers>
struct Fuse;
template <class... Done, class Current>
struct Fuse<StepList<Done...>, Current> {
  using type = StepList<Done..., Current>;
};
template <class... Done, class Current, class Next, class... Rest>
struct Fuse<StepList<Done...>, Current, Next, Rest...> {
  using Joined = typename Join<Current, Next>::type;
  using type = typename std::conditional_t<
      std::is_void_v<Joined>,
      Fuse<StepList<Done..., Current>, typename BeginStep<Next>::type, Rest...>,
      Fuse<StepList<Done...>, Joined, Rest...>>::type;
};
template <class... Layers>
struct FusedSteps;
template <class First, class... Rest>
struct FusedSteps<First, Rest...> : Fuse<StepList<>, typename BeginStep<First>::type, Rest...> {};

/// Steps, each compiled for the output shape of the one before.
template <class... Steps>
struct CompiledSteps {
  static constexpr std::size_t size = sizeof...(Steps);
  using InOrder = detail::InOrder<Steps...>;
  static constexpr std::size_t parameter_count = (Steps::parameter_count + ...);
  static constexpr std::size_t multiply_adds = (Steps::multiply_adds + ...);
  static constexpr std::size_t step_count = (detail::step_count<Steps>() + ...);
  static constexpr std::array<std::size_t, size> output_sizes = {Steps::Output::size...};
  static constexpr std::array<std::size_t, size> scratch_sizes = {Steps::scratch_size...};
  static constexpr void describe(ForwardStep*& to) { (detail::describe<Steps>(to), ...); }
};

template <class Input, class List, class... Done>
struct Chain {
  using Steps = CompiledSteps<Done...>;
  using Output = Input;
};
template <class Input, class First, class... Rest, class... Done>
struct Chain<Input, StepList<First, Rest...>, Done...>
    : Chain<typename Compiled<First, Input>::Output, StepList<Rest...>, Done...,
            Compiled<First, Input>> {};

/// Where intermediate tensors lie in the scratch memory of a chain of steps.
///
/// Only the input and output of the running step are alive, so they take turns at the two ends of
/// one arena, the step's own scratch between them; the arena is as large as the hungriest step.
template <std::size_t StepCount>
struct MemoryPlan {
  std::size_t arena = 0;
  std::array<std::size_t, StepCount> output_offset{};  // the last step writes elsewhere
  std::array<std::size_t, StepCount> scratch_offset{};

  constexpr MemoryPlan(const std::array<std::size_t, StepCount>& output_size,
                       const std::array<std::size_t, StepCount>& scratch_size) {
    const auto intermediate = [&](std::size_t step) {
      return step + 1 < StepCount ? aligned_size(output_size[step]) : 0;
    };
    for (std::size_t i = 0; i < StepCount; ++i) {
      const std::size_t input = i == 0 ? 0 : intermediate(i - 1);
      const std::size_t needed = input + scratch_size[i] + intermediate(i);
      if (needed > arena) arena = needed;
    }
    for (std::size_t i = 0; i < StepCount; ++i) {
      const bool at_start = i % 2 == 0;
      output_offset[i] = at_start ? 0 : arena - intermediate(i);
      const std::size_t input = i == 0 ? 0 : intermediate(i - 1);
      scratch_offset[i] = at_start ? intermediate(i) : input;
    }
  }
};

}  // namespace detail

template <class... Layers, class Input>
class Compiled<Sequential<Layers...>, Input> : public detail::Composite {
  using Chain = detail::Chain<Input, typename detail::FusedSteps<Layers...>::type>;
  using Steps = typename Chain::Steps;
  static constexpr detail::MemoryPlan<Steps::size> plan = {Steps::output_sizes,
                                                           Steps::scratch_sizes};

 public:
  using Output = typename Chain::Output;
  static constexpr std::size_t parameter_count = Steps::parameter_count;
  static constexpr std::size_t multiply_adds = Steps::multiply_adds;
  static constexpr std::size_t scratch_size = plan.arena;
  static constexpr std::size_t step_count = Steps::step_count;
  static constexpr void describe(ForwardStep*& to) { Steps::describe(to); }

  explicit Compiled(TensorReader& tensors) : steps_(tensors) {}

  void forward(int count, const float* input, float* output, float* scratch) const noexcept {
    detail::NoObserver nobody;
    forward(count, input, output, scratch, nobody);
  }

  template <class Observer>
  void forward(int count, const float* input, float* output, float* scratch,
               Observer& observer) const noexcept(Observer::never_throws) {
    // The plan is one input's; a batch's tensors lie as far apart as they are more.
    const auto at = [&](std::size_t offset) {
      return scratch + static_cast<std::size_t>(count) * offset;
    };
    std::size_t i = 0;
    steps_.visit([&](const auto& step) {
      float* const to = i + 1 == Steps::size ? output : at(plan.output_offset[i]);
      detail::forward_observed(step, count, input, to, at(plan.scratch_offset[i]), observer);
      input = to;
      ++i;
    });
  }

 private:
  typename Steps::InOrder steps_;
};

}  // namespace mien
