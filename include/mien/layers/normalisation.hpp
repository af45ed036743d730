// Normalisation by the mean and variance of an image's own values: of each channel (Ulyanov,
// Vedaldi and Lempitsky, arXiv 1607.08022), of groups of channels (Wu and He, arXiv 1803.08494), or
// of the channels of each pixel (Ba, Kiros and Hinton, arXiv 1607.06450).
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <ratio>
#include <string_view>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/kernels/nn/normalisation.hpp>
#include <mien/layers/numbers.hpp>
#include <mien/tensor.hpp>

namespace mien {

namespace detail {

/// What the mean and variance are taken over.
enum class NormScope { channel, group, pixel };

namespace normalisation {

enum : int { channels, epsilon, groups };

inline constexpr Option options[] = {required_size("channels"), real_option("epsilon", 1e-5, 0.0),
                                     required_size("groups")};
inline constexpr int option_count_without_groups = 2;

constexpr const char* check_groups(const Node& node) {
  return node.option(channels) % node.option(groups) != 0
             ? "the number of channels is no multiple of groups"
             : nullptr;
}

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  if (inputs[0].channels != node.option(channels)) {
    return {{}, ShapeProblem::channels, node.option(channels)};
  }
  return {inputs[0], ShapeProblem::none, 0};
}

constexpr TensorSpecs tensors(const Node& node) {
  TensorSpecs specs;
  for (const char* role : {"weight", "bias"}) {
    specs.add(role, {node.option(channels), 0, 0, 0}, 1);
  }
  return specs;
}

constexpr std::size_t scratch_size(const Node& node, const TensorShape&) {
  return aligned_size(kernels::group_norm_scratch_size(node.option(channels)));
}

MIEN_COLD std::unique_ptr<Step> make_step(NormScope scope, const StepContext& context);
MIEN_COLD std::unique_ptr<Gradient> make_gradient(NormScope scope, const GradientContext& context);

template <NormScope scope>
std::unique_ptr<Step> make_step(const StepContext& context) {
  return make_step(scope, context);
}

template <NormScope scope>
constexpr LayerType make_type(std::string_view name) {
  LayerType type;
  type.name = name;
  type.options = options;
  type.option_count = option_count_without_groups;
  if (scope == NormScope::group) {
    type.option_count = static_cast<int>(std::size(options));
    type.check_options = &check_groups;
  }
  type.output_shape = &output_shape;
  type.tensors = &tensors;
  if (scope != NormScope::pixel) type.scratch_size = &scratch_size;
  type.is_in_place = true;
  type.make_step = &make_step<scope>;
  return type;
}

inline constexpr LayerType instance_norm2d = make_type<NormScope::channel>("InstanceNorm2d");
inline constexpr LayerType group_norm = make_type<NormScope::group>("GroupNorm");
inline constexpr LayerType layer_norm2d = make_type<NormScope::pixel>("LayerNorm2d");

template <const LayerType& type, int Channels, class Epsilon>
constexpr Node make_node() {
  static_assert(RatioValue<Epsilon>::is_ratio && RatioValue<Epsilon>::value >= 0.0,
                "epsilon is a std::ratio that is not negative");
  Node node;
  node.layer = &type;
  node.options[channels] = Channels;
  node.options[epsilon] = RatioValue<Epsilon>::value;
  return node;
}

}  // namespace normalisation
}  // namespace detail

/// PyTorch's InstanceNorm2d without running statistics: (x - mean) / sqrt(variance + Epsilon) of
/// every channel of the image, times its weight, plus its bias.
template <int Channels, class Epsilon = std::ratio<1, 100000>>
struct InstanceNorm2d {
  static constexpr Node node() {
    return detail::normalisation::make_node<detail::normalisation::instance_norm2d, Channels,
                                            Epsilon>();
  }
};

/// PyTorch's GroupNorm: the mean and variance are those of Groups of channels that follow one
/// another.
template <int Groups, int Channels, class Epsilon = std::ratio<1, 100000>>
struct GroupNorm {
  static_assert(Groups > 0 && Channels % Groups == 0,
                "GroupNorm's channels are a multiple of its groups");

  static constexpr Node node() {
    Node node =
        detail::normalisation::make_node<detail::normalisation::group_norm, Channels, Epsilon>();
    node.options[detail::normalisation::groups] = Groups;
    return node;
  }
};

/// Layer normalisation over the channels of every pixel, as in ConvNeXt.
template <int Channels, class Epsilon = std::ratio<1, 100000>>
struct LayerNorm2d {
  static constexpr Node node() {
    return detail::normalisation::make_node<detail::normalisation::layer_norm2d, Channels,
                                            Epsilon>();
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cmath>
#include <vector>

#include <mien/kernels/nn.hpp>

namespace mien::detail {

class NormStep final : public Step {
 public:
  NormStep(NormScope scope, const Node& node, const TensorShape& shape, const NodeTensors& tensors)
      : kernels_(&kernels::chosen_table()),
        scope_(scope),
        channels_(shape.channels),
        groups_(scope == NormScope::group     ? node.option(normalisation::groups)
                : scope == NormScope::channel ? shape.channels
                                              : 1),
        epsilon_(node.options[normalisation::epsilon]),
        pixels_(shape.pixels()),
        size_(shape.size()),
        weight_(tensors.values(node, 0)),
        bias_(tensors.values(node, 1)) {}

  void run(int count, const float* const* inputs, const float*, float* scratch,
           float* output) const noexcept override {
    const kernels::Normalisation norm = {channels_, groups_, static_cast<float>(epsilon_),
                                         weight_.data(), bias_.data()};
    const auto images = static_cast<std::size_t>(count);
    if (scope_ == NormScope::pixel) {
      kernels_->layer_norm(images * pixels_, norm, inputs[0], output);
      return;
    }
    for (std::size_t i = 0; i < images; ++i) {
      kernels_->group_norm(pixels_, norm, inputs[0] + i * size_, scratch, output + i * size_);
    }
  }

  /// Calls visit(first pixel, pixels, first channel, channels) for all that is normalised together.
  template <class Visit>
  void each_set(const Visit& visit) const {
    const auto channels = static_cast<std::size_t>(channels_);
    if (scope_ == NormScope::pixel) {
      for (std::size_t pixel = 0; pixel < pixels_; ++pixel) visit(pixel, 1, 0, channels);
      return;
    }
    const std::size_t of_group = channels / static_cast<std::size_t>(groups_);
    for (std::size_t c = 0; c < channels; c += of_group) visit(0, pixels_, c, of_group);
  }

  std::size_t channels() const noexcept { return static_cast<std::size_t>(channels_); }
  double epsilon() const noexcept { return epsilon_; }
  float weight(std::size_t channel) const noexcept { return weight_[channel]; }
  std::size_t scratch_size() const noexcept {
    return scope_ == NormScope::pixel ? 0
                                      : aligned_size(kernels::group_norm_scratch_size(channels_));
  }

 private:
  const kernels::KernelTable* kernels_;
  NormScope scope_;
  int channels_;
  int groups_;
  double epsilon_;
  std::size_t pixels_;
  std::size_t size_;
  std::vector<float> weight_;
  std::vector<float> bias_;
};

MIEN_INLINE std::unique_ptr<Step> normalisation::make_step(NormScope scope,
                                                           const StepContext& context) {
  return std::make_unique<NormStep>(scope, context.node, context.output, context.tensors);
}

class NormGradient final : public StepGradient<NormStep> {
 public:
  using StepGradient::StepGradient;

  /// With z the normalised values and g their gradient, which is the output's times the weight:
  /// (g - the mean of g - z times the mean of g z) / sqrt(variance + epsilon).
  void backward(const float* const* inputs, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    const std::size_t all = step().channels();
    step().each_set([&](std::size_t first_pixel, std::size_t pixels, std::size_t first_channel,
                        std::size_t channels) {
      const std::size_t first = first_pixel * all + first_channel;
      const kernels::naive::Moments moments(pixels, all, channels, inputs[0] + first);
      const double scale = 1.0 / std::sqrt(moments.variance + step().epsilon());
      const auto each = [&](auto visit) {
        for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
          for (std::size_t c = 0; c < channels; ++c) {
            const std::size_t at = first + pixel * all + c;
            visit(at, (double{inputs[0][at]} - moments.mean) * scale,
                  double{output_gradient[at]} * double{step().weight(first_channel + c)});
          }
        }
      };
      const double count = static_cast<double>(pixels * channels);
      double mean = 0.0;
      double mean_product = 0.0;
      each([&](std::size_t, double z, double g) {
        mean += g / count;
        mean_product += g * z / count;
      });
      each([&](std::size_t at, double z, double g) {
        input_gradients[0][at] = static_cast<float>((g - mean - z * mean_product) * scale);
      });
    });
  }

  std::size_t scratch_size() const noexcept override { return step().scratch_size(); }
};

MIEN_INLINE std::unique_ptr<Gradient> normalisation::make_gradient(NormScope scope,
                                                                   const GradientContext& context) {
  return std::make_unique<NormGradient>(
      NormStep(scope, context.node, context.output, context.tensors));
}

template <NormScope scope>
struct NormGradientOf {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return normalisation::make_gradient(scope, context);
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::normalisation::instance_norm2d>
    : detail::NormGradientOf<detail::NormScope::channel> {};
template <>
struct GradientOf<detail::normalisation::group_norm>
    : detail::NormGradientOf<detail::NormScope::group> {};
template <>
struct GradientOf<detail::normalisation::layer_norm2d>
    : detail::NormGradientOf<detail::NormScope::pixel> {};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
