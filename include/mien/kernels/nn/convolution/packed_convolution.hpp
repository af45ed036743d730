// A convolution ready to run: the method that suits its geometry, with weights packed for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/config.hpp>
#include <mien/kernels/nn/convolution/methods.hpp>
#include <mien/kernels/nn/convolution/quantized.hpp>
#include <mien/kernels/nn/epilogue.hpp>
#include <mien/kernels/nn/geometry.hpp>
#include <mien/kernels/nn/kernel_table.hpp>
#include <mien/tensor.hpp>

namespace mien::kernels {

/// Weights whose products have 8 bits: weight = byte * scale of its output channel, the input
/// (byte - zero_point) * input_scale.
struct QuantizedWeights {
  const std::int8_t* bytes;  ///< [O][I / groups][KH][KW], from -64 to 64
  const float* scale;        ///< [O], of either sign
  float input_scale;
  int zero_point;
};

/// Immutable when constructed. A dense layer is a 1x1 convolution of one pixel.
class PackedConvolution {
 public:
  /// Weight [O][I / groups][KH][KW], bias [O] or null. Pooling::max_2x2 only where the method
  /// can_pool.
  MIEN_COLD PackedConvolution(const WindowGeometry& geometry, const float* weight,
                              const float* bias, Activation activation = Activation::none,
                              Pooling pooling = Pooling::none);
  /// By a given method, which suits the geometry.
  MIEN_COLD PackedConvolution(const ConvolutionMethod& method, const WindowGeometry& geometry,
                              const float* weight, const float* bias,
                              Activation activation = Activation::none,
                              Pooling pooling = Pooling::none);

  /// By products of 8 bits; quantized::suits() the geometry.
  MIEN_COLD PackedConvolution(const WindowGeometry& geometry, const QuantizedWeights& weight,
                              const float* bias, Activation activation = Activation::none,
                              Pooling pooling = Pooling::none);

  /// A batch of images one after the other; `scratch` holds scratch_size() floats for each.
  /// `added`, null or laid out as the output, is added before the activation; never with a pooling.
  void run(int count, const float* input, const float* added, float* scratch,
           float* output) const noexcept;

  /// One image of another height, or with other padding above it.
  void run_rows(const WindowGeometry& rows, const float* input, const float* added, float* scratch,
                float* output) const noexcept {
    run(rows, 1, input, added, scratch, output);
  }

  std::size_t scratch_size() const noexcept { return method_->scratch_size(geometry_); }
  const WindowGeometry& geometry() const noexcept { return geometry_; }
  const ConvolutionMethod& method() const noexcept { return *method_; }

 private:
  MIEN_COLD void choose_table();
  /// Groups whose output channels are padded by themselves.
  int groups_in_blocks() const noexcept;
  int padded_group() const noexcept;
  std::size_t padded_place(int channel) const noexcept;
  /// Values by output channel, each group's padded as the packed weights are.
  MIEN_COLD mien::detail::AlignedBuffer padded(const float* values) const;

  void run(const WindowGeometry& geometry, int count, const float* input, const float* added,
           float* scratch, float* output) const noexcept;

  const KernelTable* table_;
  const ConvolutionMethod* method_;
  WindowGeometry geometry_;
  Activation activation_;
  Pooling pooling_;
  mien::detail::AlignedBuffer weight_;
  mien::detail::AlignedBuffer bias_;
  // Of products of 8 bits.
  QuantizedInput quantized_input_{};
  std::vector<std::int32_t> offset_;
  mien::detail::AlignedBuffer scale_;
};

}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

namespace mien::kernels {

MIEN_INLINE PackedConvolution::PackedConvolution(const WindowGeometry& geometry,
                                                 const float* weight, const float* bias,
                                                 Activation activation, Pooling pooling)
    : PackedConvolution(choose_convolution_method(geometry), geometry, weight, bias, activation,
                        pooling) {}

MIEN_INLINE PackedConvolution::PackedConvolution(const ConvolutionMethod& method,
                                                 const WindowGeometry& geometry,
                                                 const float* weight, const float* bias,
                                                 Activation activation, Pooling pooling)
    : method_(&method), geometry_(geometry), activation_(activation), pooling_(pooling) {
  using mien::detail::AlignedBuffer;
  choose_table();
  const int group = geometry.out_channels / geometry.groups;
  const std::size_t size = method.packed_size(geometry, table_->block);
  weight_ = padded_group() == group ? AlignedBuffer::uninitialized(size) : AlignedBuffer(size);
  method.pack(geometry, table_->block, weight, weight_.data());
  bias_ = padded(bias);
}

MIEN_INLINE PackedConvolution::PackedConvolution(const WindowGeometry& geometry,
                                                 const QuantizedWeights& weight, const float* bias,
                                                 Activation activation, Pooling pooling)
    : method_(&quantized_method),
      geometry_(geometry),
      activation_(activation),
      pooling_(pooling),
      quantized_input_{1.0f / weight.input_scale, weight.zero_point} {
  choose_table();
  weight_ = mien::detail::AlignedBuffer(method_->packed_size(geometry, table_->block));
  quantized::pack(geometry, table_->block, weight.bytes,
                  reinterpret_cast<std::int8_t*>(weight_.data()));
  const std::size_t inputs = WindowGeometry::product(geometry.in_channels / geometry.groups,
                                                     geometry.kernel_height, geometry.kernel_width);
  std::vector<float> scale;
  offset_.resize(WindowGeometry::product(groups_in_blocks(), padded_group(), 1));
  const std::int8_t* byte = weight.bytes;
  for (int o = 0; o < geometry.out_channels; ++o) {
    std::int32_t& offset = offset_[padded_place(o)];
    for (std::size_t i = 0; i < inputs; ++i) offset -= weight.zero_point * *byte++;
    scale.push_back(weight.input_scale * weight.scale[o]);
  }
  scale_ = padded(scale.data());
  bias_ = padded(bias);
}

MIEN_INLINE void PackedConvolution::choose_table() {
  const int group = geometry_.out_channels / groups_in_blocks();
  table_ = &table_for_channels(chosen_table(), method_->in_blocks ? group : geometry_.out_channels);
}

MIEN_INLINE int PackedConvolution::groups_in_blocks() const noexcept {
  return method_ == &quantized_method ? quantized::groups_in_blocks(geometry_) : geometry_.groups;
}

MIEN_INLINE int PackedConvolution::padded_group() const noexcept {
  const int group = geometry_.out_channels / groups_in_blocks();
  const int block = method_->in_blocks ? table_->block : 1;
  return (group + block - 1) / block * block;
}

MIEN_INLINE std::size_t PackedConvolution::padded_place(int channel) const noexcept {
  const int group = geometry_.out_channels / groups_in_blocks();
  return static_cast<std::size_t>(channel / group * padded_group() + channel % group);
}

MIEN_INLINE mien::detail::AlignedBuffer PackedConvolution::padded(const float* values) const {
  mien::detail::AlignedBuffer result(
      WindowGeometry::product(groups_in_blocks(), padded_group(), 1));
  if (values == nullptr) return result;
  for (int o = 0; o < geometry_.out_channels; ++o) result.data()[padded_place(o)] = values[o];
  return result;
}

MIEN_INLINE void PackedConvolution::run(int count, const float* input, const float* added,
                                        float* scratch, float* output) const noexcept {
  run(geometry_, count, input, added, scratch, output);
}

MIEN_INLINE void PackedConvolution::run(const WindowGeometry& geometry, int count,
                                        const float* input, const float* added, float* scratch,
                                        float* output) const noexcept {
  Epilogue epilogue{bias_.data()};
  epilogue.activation = activation_;
  epilogue.pooling = pooling_;
  epilogue.added = added;
  const Quantization quantization{quantized_input_, offset_.data(), scale_.data()};
  if (method_ == &quantized_method) epilogue.quantized = &quantization;
  method_->run(*table_, geometry, count, input, weight_.data(), epilogue, scratch, output);
}

}  // namespace mien::kernels

#endif  // MIEN_HAS_DEFINITIONS
