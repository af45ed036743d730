// Channel shuffle (Zhang et al., "ShuffleNet", arXiv 1707.01083).
#pragma once

#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>

namespace mien {

namespace detail::channel_shuffle {

enum : int { groups };

inline constexpr Option options[] = {required_size("groups")};

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  if (inputs[0].channels % node.option(groups) != 0) {
    return {{}, ShapeProblem::multiple, node.option(groups)};
  }
  return {inputs[0], ShapeProblem::none, 0};
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "ChannelShuffle";
  type.options = options;
  type.option_count = static_cast<int>(std::size(options));
  type.output_shape = &output_shape;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace detail::channel_shuffle

/// PyTorch's ChannelShuffle: the first channel of each group, then the second of each, and so on.
template <int Groups>
struct ChannelShuffle {
  static_assert(Groups > 0, "there is at least one group");

  static constexpr Node node() {
    Node node;
    node.layer = &detail::channel_shuffle::type;
    node.options[detail::channel_shuffle::groups] = Groups;
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cstddef>

#include <mien/tensor.hpp>

namespace mien::detail {

class ChannelShuffleStep final : public Step {
 public:
  ChannelShuffleStep(const Node& node, const TensorShape& input)
      : pixels_(input.pixels()),
        groups_(static_cast<std::size_t>(node.option(channel_shuffle::groups))),
        members_(static_cast<std::size_t>(input.channels) / groups_) {}

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    shuffle(static_cast<std::size_t>(count) * pixels_, groups_, members_, inputs[0], output);
  }

  /// Shuffles back what `run` has shuffled.
  void undo(const float* input, float* output) const noexcept {
    shuffle(pixels_, members_, groups_, input, output);
  }

 private:
  /// Each pixel's channels are a matrix of groups x members that is transposed.
  static void shuffle(std::size_t pixels, std::size_t groups, std::size_t members,
                      const float* input, float* output) noexcept {
    for (std::size_t i = 0; i < pixels; ++i) {
      if (groups == 2) {
        interleave(input, members, output);
      } else {
        to_channels_last(input, output, groups, members);
      }
      input += groups * members;
      output += groups * members;
    }
  }

  /// Two groups, as in ShuffleNet: what compilers make vectors of.
  static void interleave(const float* input, std::size_t members, float* output) noexcept {
    for (std::size_t m = 0; m < members; ++m) {
      output[2 * m] = input[m];
      output[2 * m + 1] = input[members + m];
    }
  }

  std::size_t pixels_;
  std::size_t groups_;
  std::size_t members_;
};

MIEN_INLINE std::unique_ptr<Step> channel_shuffle::make_step(const StepContext& context) {
  return std::make_unique<ChannelShuffleStep>(context.node, context.inputs[0]);
}

class ChannelShuffleGradient final : public StepGradient<ChannelShuffleStep> {
 public:
  using StepGradient::StepGradient;

  void backward(const float* const*, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    step().undo(output_gradient, input_gradients[0]);
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::channel_shuffle::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::ChannelShuffleGradient>(
        detail::ChannelShuffleStep(context.node, context.inputs[0]));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
