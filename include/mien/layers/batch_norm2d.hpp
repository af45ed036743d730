// Batch normalisation with the running statistics (Ioffe and Szegedy, arXiv 1502.03167).
#pragma once

#include <cmath>
#include <string_view>
#include <vector>

#include <mien/layers/layer.hpp>

namespace mien {

/// PyTorch's BatchNorm2d in evaluation, and, on a flat vector, its BatchNorm1d:
/// (x - mean) / sqrt(variance + 1e-5) * weight + bias. After a convolution or dense layer it costs
/// nothing: it is folded into that layer's weights when they are loaded.
template <int Channels>
struct BatchNorm2d {
  static constexpr std::string_view name = "BatchNorm2d";
  static constexpr int channels = Channels;
};

namespace detail {

/// A fused layer's place for a batch normalisation, taken or not.
template <bool Normalised>
struct NormalisedBy {
  static constexpr std::string_view name = Normalised ? "BatchNorm2d" : "";
};

/// y = scale x + shift, in double so that folding rounds but once.
struct ChannelScale {
  static constexpr std::size_t tensor_count = 4;

  std::vector<double> scale;
  std::vector<double> shift;

  ChannelScale(TensorReader& tensors, int channels) {
    constexpr double epsilon = 1e-5;
    const std::vector<std::uint32_t> shape = {static_cast<std::uint32_t>(channels)};
    const std::vector<float> weight = tensors.take("BatchNorm2d", "weight", shape);
    const std::vector<float> bias = tensors.take("BatchNorm2d", "bias", shape);
    const std::vector<float> mean = tensors.take("BatchNorm2d", "running_mean", shape);
    const std::vector<float> variance = tensors.take("BatchNorm2d", "running_var", shape);
    for (std::size_t c = 0; c < weight.size(); ++c) {
      const double sum = double{variance[c]} + epsilon;
      if (!(sum > 0.0)) {
        throw Error(tensors.file_name() + ": BatchNorm2d, running_var, element " +
                    std::to_string(c) + ": expected a variance of 0 or more, found " +
                    std::to_string(variance[c]));
      }
      scale.push_back(double{weight[c]} / std::sqrt(sum));
      shift.push_back(double{bias[c]} - double{mean[c]} * scale[c]);
    }
  }

  /// Into the weights of a layer before it, [channel][inputs], and its bias.
  void fold_into(std::vector<float>& weight, std::vector<float>& bias) const {
    const std::size_t inputs = weight.size() / scale.size();
    for (std::size_t c = 0; c < scale.size(); ++c) {
      for (std::size_t i = c * inputs; i < (c + 1) * inputs; ++i) {
        weight[i] = static_cast<float>(double{weight[i]} * scale[c]);
      }
      bias[c] = static_cast<float>(double{bias[c]} * scale[c] + shift[c]);
    }
  }
};

}  // namespace detail

template <int Channels, class Input>
class Compiled<BatchNorm2d<Channels>, Input> : public detail::WithoutParameters {
  static_assert(detail::layer_takes_channels<BatchNorm2d<Channels>,
                                             detail::ExpectedChannels<Channels>, Input>::value);

 public:
  using Output = Input;
  static constexpr LayerNames layer_names = {BatchNorm2d<Channels>::name};
  static constexpr std::size_t tensor_count = detail::ChannelScale::tensor_count;
  static constexpr std::size_t parameter_count = 2 * Channels;
  static constexpr std::size_t multiply_adds = Input::size;

  explicit Compiled(TensorReader& tensors) {
    const detail::ChannelScale folded(tensors, Channels);
    scale_.assign(folded.scale.begin(), folded.scale.end());
    shift_.assign(folded.shift.begin(), folded.shift.end());
  }

  void forward(int count, const float* input, float* output, float*) const noexcept {
    const float* const scale = scale_.data();
    const float* const shift = shift_.data();
    const float* const end = input + detail::value_count<Input>(count);
    for (; input != end; input += Channels, output += Channels) {
      for (int c = 0; c < Channels; ++c) output[c] = input[c] * scale[c] + shift[c];
    }
  }

 private:
  std::vector<float> scale_;
  std::vector<float> shift_;
};

}  // namespace mien
