// Layers one after the other: shape propagation, fusion, and the memory plan.
#pragma once

#include <array>
#include <cstddef>
#include <tuple>
#include <utility>

#include <mien/layers/batch_norm2d.hpp>
#include <mien/layers/conv2d.hpp>
#include <mien/layers/dense.hpp>
#include <mien/layers/layer.hpp>
#include <mien/layers/max_pool2d.hpp>
#include <mien/layers/relu.hpp>

namespace mien {

/// Each layer takes the output of the one before it.
template <class... Layers>
struct Sequential {
  static_assert(sizeof...(Layers) > 0, "Sequential needs at least one layer");
};

namespace detail {

template <class... Steps>
struct StepList {};

template <class First, class List>
struct Prepend;
template <class First, class... Rest>
struct Prepend<First, StepList<Rest...>> {
  using type = StepList<First, Rest...>;
};

/// The steps that a list of layers runs as: batch normalisation and activations vanish into the
/// convolution or dense layer before them.
template <class... Layers>
struct Fuse {
  using type = StepList<>;
};
template <class First, class... Rest>
struct Fuse<First, Rest...> : Prepend<First, typename Fuse<Rest...>::type> {};

template <int In, int Out, class... Options, class... Rest>
struct Fuse<Conv2d<In, Out, Options...>, BatchNorm2d<Out>, ReLU, Rest...>
    : Prepend<FusedConv2d<Conv2d<In, Out, Options...>, true, ReLU>, typename Fuse<Rest...>::type> {
};
template <int In, int Out, class... Options, class... Rest>
struct Fuse<Conv2d<In, Out, Options...>, BatchNorm2d<Out>, ReLU6, Rest...>
    : Prepend<FusedConv2d<Conv2d<In, Out, Options...>, true, ReLU6>, typename Fuse<Rest...>::type> {
};
template <int In, int Out, class... Options, class... Rest>
struct Fuse<Conv2d<In, Out, Options...>, BatchNorm2d<Out>, Rest...>
    : Prepend<FusedConv2d<Conv2d<In, Out, Options...>, true, NoActivation>,
              typename Fuse<Rest...>::type> {};
template <int In, int Out, class... Options, class... Rest>
struct Fuse<Conv2d<In, Out, Options...>, ReLU, Rest...>
    : Prepend<FusedConv2d<Conv2d<In, Out, Options...>, false, ReLU>, typename Fuse<Rest...>::type> {
};
template <int In, int Out, class... Options, class... Rest>
struct Fuse<Conv2d<In, Out, Options...>, ReLU6, Rest...>
    : Prepend<FusedConv2d<Conv2d<In, Out, Options...>, false, ReLU6>,
              typename Fuse<Rest...>::type> {};
template <int In, int Out, class... Options, class... Rest>
struct Fuse<Dense<In, Out, Options...>, ReLU, Rest...>
    : Prepend<FusedDense<Dense<In, Out, Options...>, ReLU>, typename Fuse<Rest...>::type> {};
template <int In, int Out, class... Options, class... Rest>
struct Fuse<Dense<In, Out, Options...>, ReLU6, Rest...>
    : Prepend<FusedDense<Dense<In, Out, Options...>, ReLU6>, typename Fuse<Rest...>::type> {};

/// The same list with pooling merged into the convolution before it.
template <class List>
struct FusePooling {
  using type = List;
};
template <class First, class... Rest>
struct FusePooling<StepList<First, Rest...>>
    : Prepend<First, typename FusePooling<StepList<Rest...>>::type> {};
template <class Convolution, bool Normalised, class Activation, class... Options, class... Rest>
struct FusePooling<
    StepList<FusedConv2d<Convolution, Normalised, Activation>, MaxPool2d<Options...>, Rest...>>
    : Prepend<FusedConv2d<Convolution, Normalised, Activation, MaxPool2d<Options...>>,
              typename FusePooling<StepList<Rest...>>::type> {};

/// The compiled steps as a tuple type: each is compiled for the output shape of the one before.
template <class Input, class List, class... Done>
struct Chain {
  using Steps = std::tuple<Done...>;
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
class Compiled<Sequential<Layers...>, Input> {
  using Chain =
      detail::Chain<Input,
                    typename detail::FusePooling<typename detail::Fuse<Layers...>::type>::type>;
  using Steps = typename Chain::Steps;
  static constexpr std::size_t step_count = std::tuple_size_v<Steps>;

  template <std::size_t... I>
  static constexpr detail::MemoryPlan<step_count> make_plan(std::index_sequence<I...>) {
    return {{std::tuple_element_t<I, Steps>::Output::size...},
            {std::tuple_element_t<I, Steps>::scratch_size...}};
  }
  static constexpr detail::MemoryPlan<step_count> plan =
      make_plan(std::make_index_sequence<step_count>{});

  template <std::size_t... I>
  static constexpr std::size_t count_parameters(std::index_sequence<I...>) {
    return (std::tuple_element_t<I, Steps>::parameter_count + ...);
  }
  template <std::size_t... I>
  static constexpr std::size_t count_multiply_adds(std::index_sequence<I...>) {
    return (std::tuple_element_t<I, Steps>::multiply_adds + ...);
  }

 public:
  using Output = typename Chain::Output;
  static constexpr std::size_t parameter_count =
      count_parameters(std::make_index_sequence<step_count>{});
  static constexpr std::size_t multiply_adds =
      count_multiply_adds(std::make_index_sequence<step_count>{});
  static constexpr std::size_t scratch_size = plan.arena;

  explicit Compiled(TensorReader& tensors)
      : Compiled(tensors, std::make_index_sequence<step_count>{}) {}

  void forward(int count, const float* input, float* output, float* scratch) const noexcept {
    run(std::make_index_sequence<step_count>{}, count, input, output, scratch);
  }

 private:
  // Braces make the order of evaluation, and so of the tensors, that of the layers.
  template <std::size_t... I>
  Compiled(TensorReader& tensors, std::index_sequence<I...>)
      : steps_{std::tuple_element_t<I, Steps>(tensors)...} {}

  template <std::size_t... I>
  void run(std::index_sequence<I...>, int count, const float* input, float* output,
           float* scratch) const noexcept {
    // The plan is one input's; a batch's tensors lie as far apart as they are more.
    const auto at = [&](std::size_t offset) {
      return scratch + static_cast<std::size_t>(count) * offset;
    };
    (std::get<I>(steps_).forward(count, I == 0 ? input : at(plan.output_offset[I == 0 ? 0 : I - 1]),
                                 I + 1 == step_count ? output : at(plan.output_offset[I]),
                                 at(plan.scratch_offset[I])),
     ...);
  }

  Steps steps_;
};

}  // namespace mien
