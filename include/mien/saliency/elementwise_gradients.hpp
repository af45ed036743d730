// Gradients of layers that work on each element or pixel by itself: batch normalisation,
// rectifiers, softmax, local response normalisation, and those that only move elements.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <Eigen/Core>

#include <mien/layers/batch_norm2d.hpp>
#include <mien/layers/flatten.hpp>
#include <mien/layers/local_response_norm.hpp>
#include <mien/layers/relu.hpp>
#include <mien/layers/residual.hpp>
#include <mien/layers/softmax.hpp>
#include <mien/saliency/gradient.hpp>

namespace mien::detail {

template <class Input>
class Gradient<Identity, Input> {
 public:
  using Output = Input;
  static constexpr std::size_t memory_size = 0;
  static constexpr std::size_t scratch_size = 0;

  explicit Gradient(TensorReader&) {}

  void forward(const float* input, float* output, float*, float*) const noexcept {
    std::copy_n(input, Input::size, output);
  }

  void backward(const ForwardPass&, const float* output_gradient, float* input_gradient,
                float*) const noexcept {
    std::copy_n(output_gradient, Input::size, input_gradient);
  }
};

template <class Input>
class Gradient<Flatten, Input> : public ForwardAsCompiled<Flatten, Input> {
 public:
  using ForwardAsCompiled<Flatten, Input>::ForwardAsCompiled;

  void backward(const ForwardPass&, const float* output_gradient, float* input_gradient,
                float*) const noexcept {
    to_channels_last(output_gradient, input_gradient, Input::channels,
                     static_cast<std::size_t>(Input::height * Input::width));
  }
};

template <int Channels, class Input>
class Gradient<BatchNorm2d<Channels>, Input> {
  static_assert(
      layer_takes_channels<BatchNorm2d<Channels>, ExpectedChannels<Channels>, Input>::value);

 public:
  using Output = Input;
  static constexpr std::size_t memory_size = 0;
  static constexpr std::size_t scratch_size = 0;

  explicit Gradient(TensorReader& tensors) {
    const ChannelScale folded(tensors, Channels);
    scale_ = Eigen::Map<const Eigen::ArrayXd>(folded.scale.data(), Channels).cast<float>();
    shift_ = Eigen::Map<const Eigen::ArrayXd>(folded.shift.data(), Channels).cast<float>();
  }

  void forward(const float* input, float* output, float*, float*) const noexcept {
    pixels<Input>(output) = (pixels<Input>(input).colwise() * scale_).colwise() + shift_;
  }

  void backward(const ForwardPass&, const float* output_gradient, float* input_gradient,
                float*) const noexcept {
    pixels<Input>(input_gradient) = pixels<Input>(output_gradient).colwise() * scale_;
  }

 private:
  Eigen::ArrayXf scale_;
  Eigen::ArrayXf shift_;
};

/// Where a rectifier cuts, bounds included, its derivative is taken to be 0.
template <class Activation, class Input>
class ActivationGradient : public ForwardAsCompiled<Activation, Input> {
 public:
  using ForwardAsCompiled<Activation, Input>::ForwardAsCompiled;

  void backward(const ForwardPass& pass, const float* output_gradient, float* input_gradient,
                float*) const noexcept {
    constexpr kernels::Clamp clamp = Activation::clamp;
    for (std::size_t i = 0; i < Input::size; ++i) {
      const bool passes = pass.output[i] > clamp.low && pass.output[i] < clamp.high;
      input_gradient[i] = passes ? output_gradient[i] : 0.0f;
    }
  }
};

template <class Input>
class Gradient<ReLU, Input> : public ActivationGradient<ReLU, Input> {
 public:
  using ActivationGradient<ReLU, Input>::ActivationGradient;
};

template <class Input>
class Gradient<ReLU6, Input> : public ActivationGradient<ReLU6, Input> {
 public:
  using ActivationGradient<ReLU6, Input>::ActivationGradient;
};

template <class Input>
class Gradient<Softmax, Input> : public ForwardAsCompiled<Softmax, Input> {
 public:
  using ForwardAsCompiled<Softmax, Input>::ForwardAsCompiled;

  /// With y the probabilities and g their gradient: y (g - g . y), at every pixel.
  void backward(const ForwardPass& pass, const float* output_gradient, float* input_gradient,
                float*) const noexcept {
    constexpr std::size_t channels = Input::channels;
    for (std::size_t i = 0; i < Input::size; i += channels) {
      double mean = 0.0;
      for (std::size_t c = i; c < i + channels; ++c) {
        mean += double{output_gradient[c]} * double{pass.output[c]};
      }
      for (std::size_t c = i; c < i + channels; ++c) {
        input_gradient[c] =
            static_cast<float>(double{pass.output[c]} * (double{output_gradient[c]} - mean));
      }
    }
  }
};

template <int Size, class Alpha, class Beta, class K, class Input>
class Gradient<LocalResponseNorm<Size, Alpha, Beta, K>, Input>
    : public ForwardAsCompiled<LocalResponseNorm<Size, Alpha, Beta, K>, Input> {
  using Forward = ForwardAsCompiled<LocalResponseNorm<Size, Alpha, Beta, K>, Input>;

  template <class Ratio>
  static constexpr double value = static_cast<double>(Ratio::num) / static_cast<double>(Ratio::den);
  // As in the layer: the sum about a channel reaches so far before and behind it.
  static constexpr int before = Size / 2;
  static constexpr int after = Size - 1 - before;

 public:
  static constexpr std::size_t scratch_size =
      std::max(Forward::scratch_size, aligned_size(Input::channels));

  using Forward::Forward;

  /// With y = x d^-beta and d = k + alpha / size (the sum of x^2 about a channel), a channel's
  /// gradient is g d^-beta - 2 alpha / size beta x (the sum of g y / d over all channels about
  /// which this one lies).
  void backward(const ForwardPass& pass, const float* output_gradient, float* input_gradient,
                float* scratch) const noexcept {
    constexpr int channels = Input::channels;
    constexpr double scale = value<Alpha> / Size;
    const float* x = pass.input;
    const float* y = pass.output;
    const float* g = output_gradient;
    for (int pixel = 0; pixel < Input::height * Input::width; ++pixel) {
      for (int c = 0; c < channels; ++c) {
        double squares = 0.0;
        for (int i = std::max(c - before, 0); i <= std::min(c + after, channels - 1); ++i) {
          squares += double{x[i]} * double{x[i]};
        }
        const double d = value<K> + scale * squares;
        input_gradient[c] = static_cast<float>(double{g[c]} * std::pow(d, -value<Beta>));
        scratch[c] = static_cast<float>(double{g[c]} * double{y[c]} / d);
      }
      for (int c = 0; c < channels; ++c) {
        double sum = 0.0;
        for (int i = std::max(c - after, 0); i <= std::min(c + before, channels - 1); ++i) {
          sum += double{scratch[i]};
        }
        input_gradient[c] -= static_cast<float>(2.0 * scale * value<Beta> * double{x[c]} * sum);
      }
      x += channels;
      y += channels;
      g += channels;
      input_gradient += channels;
    }
  }
};

}  // namespace mien::detail
