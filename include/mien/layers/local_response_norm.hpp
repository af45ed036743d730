// Local response normalisation (Krizhevsky, Sutskever and Hinton, "ImageNet Classification with
// Deep Convolutional Neural Networks", 2012, section 3.3).
#pragma once

#include <cstddef>
#include <limits>
#include <memory>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/kernels/nn/local_response_norm.hpp>
#include <mien/layers/elementwise.hpp>
#include <mien/layers/numbers.hpp>
#include <mien/tensor.hpp>

namespace mien {

namespace detail {

namespace local_response_norm {

enum : int { size, alpha, beta, k };

// k is more than 0.
inline constexpr Option options[] = {required_size("size"), required_real("alpha", 0.0),
                                     required_real("beta", 0.0),
                                     required_real("k", std::numeric_limits<double>::min())};

constexpr kernels::LocalResponse response(const Node& node) {
  return {node.option(size), static_cast<float>(node.options[alpha]),
          static_cast<float>(node.options[beta]), static_cast<float>(node.options[k])};
}

constexpr std::size_t scratch_size(const Node& node, const TensorShape& input) {
  return kernels::has_fast_power(response(node).beta)
             ? aligned_size(
                   kernels::local_response_norm_scratch_size(input.channels, response(node)))
             : 0;
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "LocalResponseNorm";
  type.options = options;
  type.option_count = static_cast<int>(std::size(options));
  type.output_shape = &same_shape;
  type.scratch_size = &scratch_size;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

}  // namespace local_response_norm
}  // namespace detail

/// PyTorch's LocalResponseNorm(Size, Alpha, Beta, K): every value is divided by
/// (K + Alpha / Size * the sum of squares over the Size channels around it)^Beta. The numbers are
/// std::ratio; the paper's are LocalResponseNorm<5, std::ratio<1, 10000>, std::ratio<3, 4>,
/// std::ratio<2>>, but it writes the formula without dividing Alpha by Size: PyTorch follows Caffe
/// and cuda-convnet, with whose code the paper's network was trained.
template <int Size, class Alpha, class Beta, class K>
struct LocalResponseNorm {
  static_assert(Size > 0, "LocalResponseNorm's size is at least one channel");
  static_assert(detail::RatioValue<Alpha>::is_ratio && detail::RatioValue<Beta>::is_ratio &&
                    detail::RatioValue<K>::is_ratio,
                "LocalResponseNorm's alpha, beta and k are std::ratio");
  static_assert(detail::RatioValue<Alpha>::value >= 0 && detail::RatioValue<Beta>::value >= 0 &&
                    detail::RatioValue<K>::value > 0,
                "LocalResponseNorm's alpha and beta are not negative, and its k is positive");

  static constexpr Node node() {
    Node node;
    node.layer = &detail::local_response_norm::type;
    node.options[detail::local_response_norm::size] = Size;
    node.options[detail::local_response_norm::alpha] = detail::RatioValue<Alpha>::value;
    node.options[detail::local_response_norm::beta] = detail::RatioValue<Beta>::value;
    node.options[detail::local_response_norm::k] = detail::RatioValue<K>::value;
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <array>
#include <cmath>

#include <mien/kernels/nn.hpp>

namespace mien::detail {

class LocalResponseNormStep final : public Step {
 public:
  LocalResponseNormStep(const Node& node, const TensorShape& shape)
      : kernels_(&kernels::chosen_table()),
        channels_(shape.channels),
        pixels_(static_cast<int>(shape.pixels())),
        alpha_(node.options[local_response_norm::alpha]),
        beta_(node.options[local_response_norm::beta]),
        k_(node.options[local_response_norm::k]),
        response_(local_response_norm::response(node)),
        scratch_size_(local_response_norm::scratch_size(node, shape)) {}

  void run(int count, const float* const* inputs, const float*, float* scratch,
           float* output) const noexcept override {
    if (is_fast()) {
      kernels_->local_response_norm(count * pixels_, channels_, response_, inputs[0], scratch,
                                    output);
    } else {
      kernels::naive::local_response_norm(count * pixels_, channels_, response_, inputs[0], output);
    }
  }

  /// Alpha, beta and k, as exact as they are known.
  std::array<double, 3> numbers() const noexcept { return {alpha_, beta_, k_}; }
  const kernels::LocalResponse& response() const noexcept { return response_; }
  int channels() const noexcept { return channels_; }
  int pixels() const noexcept { return pixels_; }
  std::size_t scratch_size() const noexcept { return scratch_size_; }

 private:
  bool is_fast() const noexcept { return kernels::has_fast_power(response_.beta); }

  const kernels::KernelTable* kernels_;
  int channels_;
  int pixels_;
  double alpha_;
  double beta_;
  double k_;
  kernels::LocalResponse response_;
  std::size_t scratch_size_;
};

MIEN_INLINE std::unique_ptr<Step> local_response_norm::make_step(const StepContext& context) {
  return std::make_unique<LocalResponseNormStep>(context.node, context.output);
}

class LocalResponseNormGradient final : public StepGradient<LocalResponseNormStep> {
 public:
  using StepGradient::StepGradient;

  /// With y = x d^-beta and d = k + alpha / size (the sum of x^2 about a channel), a channel's
  /// gradient is g d^-beta - 2 alpha / size beta x (the sum of g y / d over all channels about
  /// which this one lies).
  void backward(const float* const* inputs, const float* output, const float* output_gradient,
                float* scratch, float* const* input_gradients) const noexcept override {
    const auto [alpha, beta, k] = step().numbers();
    const kernels::LocalResponse& response = step().response();
    const int channels = step().channels();
    const int pixels = step().pixels();
    const int before = response.before();
    const int after = response.after();
    const double scale = alpha / response.size;
    const float* x = inputs[0];
    const float* y = output;
    const float* g = output_gradient;
    float* to = input_gradients[0];
    for (int pixel = 0; pixel < pixels; ++pixel) {
      for (int c = 0; c < channels; ++c) {
        double squares = 0.0;
        for (int i = std::max(c - before, 0); i <= std::min(c + after, channels - 1); ++i) {
          squares += double{x[i]} * double{x[i]};
        }
        const double d = k + scale * squares;
        to[c] = static_cast<float>(double{g[c]} * std::pow(d, -beta));
        scratch[c] = static_cast<float>(double{g[c]} * double{y[c]} / d);
      }
      for (int c = 0; c < channels; ++c) {
        double sum = 0.0;
        for (int i = std::max(c - after, 0); i <= std::min(c + before, channels - 1); ++i) {
          sum += double{scratch[i]};
        }
        to[c] -= static_cast<float>(2.0 * scale * beta * double{x[c]} * sum);
      }
      x += channels;
      y += channels;
      g += channels;
      to += channels;
    }
  }

  std::size_t scratch_size() const noexcept override {
    return std::max(step().scratch_size(),
                    aligned_size(static_cast<std::size_t>(step().channels())));
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::local_response_norm::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::LocalResponseNormGradient>(
        detail::LocalResponseNormStep(context.node, context.output));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
