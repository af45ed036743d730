// Gradient of the fully connected layer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <Eigen/Core>

#include <mien/layers/dense.hpp>
#include <mien/saliency/gradient.hpp>

namespace mien::detail {

template <int InFeatures, int OutFeatures, class... Options, class Input>
class Gradient<Dense<InFeatures, OutFeatures, Options...>, Input> {
  using Layer = Dense<InFeatures, OutFeatures, Options...>;
  static_assert(layer_takes_channels<Layer, ExpectedChannels<InFeatures>, Input>::value);
  static_assert(Input::height == 1 && Input::width == 1,
                "Dense takes a flat vector: put Flatten before it");

  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Vector = Eigen::VectorXf;

 public:
  using Output = Shape<OutFeatures, 1, 1>;
  static constexpr std::size_t memory_size = 0;
  static constexpr std::size_t scratch_size = 0;

  explicit Gradient(TensorReader& tensors) {
    constexpr auto inputs = static_cast<std::uint32_t>(InFeatures);
    constexpr auto outputs = static_cast<std::uint32_t>(OutFeatures);
    weight_ = tensors.take("Dense", "weight", {outputs, inputs});
    if constexpr (Layer::has_bias) {
      bias_ = tensors.take("Dense", "bias", {outputs});
    } else {
      bias_.resize(outputs);
    }
  }

  void forward(const float* input, float* output, float*, float*) const noexcept {
    std::copy(bias_.begin(), bias_.end(), output);
    Eigen::Map<Vector>(output, OutFeatures).noalias() +=
        weight() * Eigen::Map<const Vector>(input, InFeatures);
  }

  void backward(const ForwardPass&, const float* output_gradient, float* input_gradient,
                float*) const noexcept {
    Eigen::Map<Vector>(input_gradient, InFeatures).noalias() =
        weight().transpose() * Eigen::Map<const Vector>(output_gradient, OutFeatures);
  }

 private:
  Eigen::Map<const Matrix> weight() const noexcept {
    return {weight_.data(), OutFeatures, InFeatures};
  }

  std::vector<float> weight_;  // [Out][In]: both products read it as it stands
  std::vector<float> bias_;
};

}  // namespace mien::detail
