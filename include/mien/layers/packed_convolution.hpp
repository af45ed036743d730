// A convolution's weights, packed for the way in which it is computed. No templates over shapes: a
// network of many convolutions compiles hardly longer than one of few.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/kernels/kernels.hpp>
#include <mien/layers/batch_norm2d.hpp>
#include <mien/tensor.hpp>
#include <mien/weights.hpp>

namespace mien::detail {

/// How a convolution is computed; each way takes images without padding.
enum class ConvolutionMethod { direct, depthwise, winograd_3x3, winograd_3x3_small, winograd_5x5 };

/// With fewer tiles the products wait for their filters, which are larger than untransformed ones:
/// measured, 5x5 pixels of 512 channels (4 tiles of 4x4) are slower than by the direct way, 10x10
/// pixels of 256 channels (9 tiles) twice as fast.
template <class Scheme>
constexpr bool suits_winograd(const kernels::WindowGeometry& g) {
  constexpr int fewest_tiles = 9;
  return g.stride_y == 1 && g.stride_x == 1 && g.kernel_height == Scheme::kernel &&
         g.kernel_width == Scheme::kernel &&
         g.in_channels / g.groups % kernels::winograd_channels == 0 &&
         g.out_channels / g.groups % kernels::winograd_channels == 0 &&
         kernels::WinogradTiling<Scheme>(g).tiles() >= fewest_tiles;
}

constexpr ConvolutionMethod method_for(const kernels::WindowGeometry& g) {
  if (g.groups > 1 && g.groups == g.in_channels && g.groups == g.out_channels) {
    return ConvolutionMethod::depthwise;
  }
  if (suits_winograd<kernels::Winograd3x3>(g)) return ConvolutionMethod::winograd_3x3;
  if (suits_winograd<kernels::Winograd3x3Small>(g)) return ConvolutionMethod::winograd_3x3_small;
  if (suits_winograd<kernels::Winograd5x5>(g)) return ConvolutionMethod::winograd_5x5;
  return ConvolutionMethod::direct;
}

/// Whether 2x2 pooling can be had in the same go.
constexpr bool can_pool(ConvolutionMethod method) {
  return method != ConvolutionMethod::depthwise;
}

/// Floats of scratch memory for one image.
constexpr std::size_t convolution_scratch_size(const kernels::WindowGeometry& g) {
  constexpr int block = kernels::largest_conv2d_block;
  switch (method_for(g)) {
    case ConvolutionMethod::winograd_3x3:
      return aligned_size(kernels::winograd_scratch_size<kernels::Winograd3x3>(g, block));
    case ConvolutionMethod::winograd_3x3_small:
      return aligned_size(kernels::winograd_scratch_size<kernels::Winograd3x3Small>(g, block));
    case ConvolutionMethod::winograd_5x5:
      return aligned_size(kernels::winograd_scratch_size<kernels::Winograd5x5>(g, block));
    case ConvolutionMethod::direct:
      if (g.is_padded()) return aligned_size(g.padded_size());
      break;
    case ConvolutionMethod::depthwise:
      break;
  }
  return 0;
}

/// Immutable when constructed.
class PackedConvolution {
 public:
  /// Takes from the file what belongs to a convolution, or to the dense layer that it is on one
  /// pixel. Throws Error.
  PackedConvolution(const kernels::WindowGeometry& geometry, bool is_dense, bool has_bias,
                    bool is_normalised, TensorReader& tensors)
      : kernels_(&kernels::chosen_table()), geometry_(geometry), method_(method_for(geometry)) {
    const char* const layer = is_dense ? "Dense" : "Conv2d";
    const auto channels = static_cast<std::uint32_t>(geometry.out_channels);
    std::vector<std::uint32_t> dimensions = {
        channels, static_cast<std::uint32_t>(geometry.in_channels / geometry.groups)};
    if (!is_dense) {
      dimensions.push_back(static_cast<std::uint32_t>(geometry.kernel_height));
      dimensions.push_back(static_cast<std::uint32_t>(geometry.kernel_width));
    }
    std::vector<float> weight = tensors.take(layer, "weight", dimensions);
    std::vector<float> bias =
        has_bias ? tensors.take(layer, "bias", {channels}) : std::vector<float>(channels);
    if (is_normalised) ChannelScale(tensors, geometry.out_channels).fold_into(weight, bias);
    pack_weight(weight);
    pack_bias(bias);
  }

  /// A batch of images one after the other; `scratch` holds convolution_scratch_size floats for
  /// each.
  void run(int count, const float* input, kernels::Clamp clamp, kernels::Pooling pooling,
           float* scratch, float* output) const noexcept {
    switch (method_) {
      case ConvolutionMethod::winograd_3x3:
        return run_winograd(kernels_->winograd_3x3, count, input, clamp, pooling, scratch, output);
      case ConvolutionMethod::winograd_3x3_small:
        return run_winograd(kernels_->winograd_3x3_small, count, input, clamp, pooling, scratch,
                            output);
      case ConvolutionMethod::winograd_5x5:
        return run_winograd(kernels_->winograd_5x5, count, input, clamp, pooling, scratch, output);
      case ConvolutionMethod::direct:
        return run_directly(count, input, clamp, pooling, scratch, output);
      case ConvolutionMethod::depthwise:
        for (int i = 0; i < count; ++i) {
          kernels_->depthwise_conv2d(geometry_, input, weights_.data(), bias_.data(), clamp,
                                     output);
          input += geometry_.input_size();
          output += geometry_.output_size();
        }
    }
  }

  const kernels::KernelTable& kernels() const noexcept { return *kernels_; }

 private:
  void pack_weight(const std::vector<float>& weight) {
    const int block = kernels_->conv2d_block;
    switch (method_) {
      case ConvolutionMethod::winograd_3x3:
        return pack_winograd<kernels::Winograd3x3>(weight);
      case ConvolutionMethod::winograd_3x3_small:
        return pack_winograd<kernels::Winograd3x3Small>(weight);
      case ConvolutionMethod::winograd_5x5:
        return pack_winograd<kernels::Winograd5x5>(weight);
      case ConvolutionMethod::direct:
        weights_ = packed_memory(kernels::packed_conv2d_size(geometry_, block));
        return kernels::pack_conv2d(geometry_, block, weight.data(), weights_.data());
      case ConvolutionMethod::depthwise:
        weights_ = AlignedBuffer::uninitialized(weight.size());
        return kernels::pack_depthwise_conv2d(geometry_, weight.data(), weights_.data());
    }
  }

  template <class Scheme>
  void pack_winograd(const std::vector<float>& weight) {
    const int block = kernels_->conv2d_block;
    weights_ = packed_memory(kernels::packed_winograd_size<Scheme>(geometry_, block));
    kernels::pack_winograd<Scheme>(geometry_, block, weight.data(), weights_.data());
  }

  /// Zeros, where a group's output channels do not fill their last block.
  AlignedBuffer packed_memory(std::size_t size) const {
    const bool filled = geometry_.out_channels / geometry_.groups % kernels_->conv2d_block == 0;
    return filled ? AlignedBuffer::uninitialized(size) : AlignedBuffer(size);
  }

  /// Each group's bias is padded to whole blocks, as its weights are.
  void pack_bias(const std::vector<float>& bias) {
    const std::size_t block = method_ == ConvolutionMethod::depthwise
                                  ? 1
                                  : static_cast<std::size_t>(kernels_->conv2d_block);
    const std::size_t group = bias.size() / static_cast<std::size_t>(geometry_.groups);
    const std::size_t stride = (group + block - 1) / block * block;
    bias_ = AlignedBuffer(bias.size() / group * stride);
    for (std::size_t o = 0; o < bias.size(); ++o) bias_[o / group * stride + o % group] = bias[o];
  }

  void run_winograd(decltype(kernels::KernelTable::winograd_3x3) convolve, int count,
                    const float* input, kernels::Clamp clamp, kernels::Pooling pooling,
                    float* scratch, float* output) const noexcept {
    convolve(geometry_, count, input, weights_.data(), bias_.data(), clamp, pooling, scratch,
             output);
  }

  void run_directly(int count, const float* input, kernels::Clamp clamp, kernels::Pooling pooling,
                    float* scratch, float* output) const noexcept {
    const bool pools = pooling == kernels::Pooling::max_2x2;
    if (geometry_.is_pointwise() && !pools) {
      // A batch is one tall image to a window of one pixel.
      kernels::WindowGeometry tall = geometry_;
      tall.in_height *= count;
      tall.out_height *= count;
      kernels_->conv2d(tall, input, weights_.data(), bias_.data(), clamp, pooling, output);
      return;
    }
    const int step = pools ? 2 : 1;
    const std::ptrdiff_t output_size = std::ptrdiff_t{geometry_.out_channels} *
                                       (geometry_.out_height / step) * (geometry_.out_width / step);
    for (int i = 0; i < count; ++i, input += geometry_.input_size(), output += output_size) {
      if (geometry_.is_padded()) kernels::pad_image(geometry_, input, scratch);
      kernels_->conv2d(geometry_, geometry_.is_padded() ? scratch : input, weights_.data(),
                       bias_.data(), clamp, pooling, output);
    }
  }

  const kernels::KernelTable* kernels_;
  kernels::WindowGeometry geometry_;
  ConvolutionMethod method_;
  AlignedBuffer weights_;
  AlignedBuffer bias_;
};

}  // namespace mien::detail
