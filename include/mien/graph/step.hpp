// What runs: a layer bound to its shapes, its packed tensors and the kernels of this machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <mien/graph/node.hpp>
#include <mien/kernels/nn/epilogue.hpp>

namespace mien {

/// Immutable when made; runs in any number of threads at once.
class Step {
 public:
  virtual ~Step() = default;

  /// A batch of `count` images, one after the other in each tensor. `inputs` are the node's;
  /// `added` is what a fused addition adds, or null; `scratch` has room for `count` times
  /// the layer's scratch_size and is aligned to 64 bytes. They do not overlap, but for the output
  /// of a layer that is_in_place.
  virtual void run(int count, const float* const* inputs, const float* added, float* scratch,
                   float* output) const noexcept = 0;
};

/// Weights with which a layer's products have 8 bits; see kernels/nn/convolution/quantized.hpp.
struct QuantizedTensor {
  std::vector<std::int8_t> bytes;  ///< in PyTorch's order
  std::vector<float> scale;        ///< of each index of the first dimension
  float input_scale = 0.0f;        ///< input value = (byte - input_zero_point) * input_scale
  int input_zero_point = 0;
};

/// Where steps take their tensors from.
class NodeTensors {
 public:
  virtual ~NodeTensors() = default;
  /// The elements of one of a node's tensors, by its place among the layer's, in PyTorch's order.
  /// Throws Error if one is not finite.
  virtual std::vector<float> values(const Node& node, int tensor) const = 0;
  /// The same in bytes, if the layer is to compute with them.
  virtual std::optional<QuantizedTensor> quantized(const Node&, int) const { return std::nullopt; }
  /// Begins the message if a tensor's values make no sense: file and node.
  virtual std::string where(const Node& node) const = 0;
};

/// What a step is made from.
struct StepContext {
  const Node& node;
  const TensorShape* inputs;  ///< of the node
  TensorShape output;         ///< of the node alone
  const NodeTensors& tensors;
  // What runs inside the step, if anything.
  const Node* depthwise = nullptr;
  const Node* batch_norm = nullptr;
  kernels::Activation activation = kernels::Activation::none;
  kernels::Pooling pooling = kernels::Pooling::none;
};

/// A layer's own arithmetic, forward and then backward, for one image; see saliency.hpp.
class Gradient {
 public:
  virtual ~Gradient() = default;

  /// Floats of scratch memory for either direction.
  virtual std::size_t scratch_size() const noexcept { return 0; }

  virtual void forward(const float* const* inputs, float* scratch,
                       float* output) const noexcept = 0;

  /// Given the derivatives of some number by the output, writes those by every input, as PyTorch's
  /// autograd does in evaluation. `inputs` and `output` are those of forward().
  virtual void backward(const float* const* inputs, const float* output,
                        const float* output_gradient, float* scratch,
                        float* const* input_gradients) const noexcept = 0;
};

/// What a gradient is made from.
struct GradientContext {
  const Node& node;
  const TensorShape* inputs;
  TensorShape output;
  const NodeTensors& tensors;
};

/// How a layer's gradient is made. Layers that have one specialise it; apart from LayerType, so
/// that only programs that ask for gradients compile them.
template <const LayerType& type>
struct GradientOf {
  static std::unique_ptr<Gradient> make(const GradientContext&) { return nullptr; }
};

/// A gradient whose forward pass is that of the layer's step.
template <class LayerStep>
class StepGradient : public Gradient {
 public:
  explicit StepGradient(LayerStep step) : step_(std::move(step)) {}

  void forward(const float* const* inputs, float* scratch, float* output) const noexcept override {
    step_.run(1, inputs, nullptr, scratch, output);
  }

 protected:
  const LayerStep& step() const noexcept { return step_; }

 private:
  LayerStep step_;
};

}  // namespace mien
