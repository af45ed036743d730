// A convolution ready to run: the method that suits its geometry, with weights packed for it.
#pragma once

#include <cstddef>

#include <mien/config.hpp>
#include <mien/kernels/nn/convolution/methods.hpp>
#include <mien/kernels/nn/epilogue.hpp>
#include <mien/kernels/nn/geometry.hpp>
#include <mien/kernels/nn/kernel_table.hpp>
#include <mien/tensor.hpp>

namespace mien::kernels {

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
  void run(const WindowGeometry& geometry, int count, const float* input, const float* added,
           float* scratch, float* output) const noexcept;

  const KernelTable* table_;
  const ConvolutionMethod* method_;
  WindowGeometry geometry_;
  Activation activation_;
  Pooling pooling_;
  mien::detail::AlignedBuffer weight_;
  mien::detail::AlignedBuffer bias_;
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
  const int group = geometry.out_channels / geometry.groups;
  table_ = &table_for_channels(chosen_table(), method.in_blocks ? group : geometry.out_channels);
  const int block = method.in_blocks ? table_->block : 1;
  const int padded_group = (group + block - 1) / block * block;
  const std::size_t size = method.packed_size(geometry, table_->block);
  weight_ = padded_group == group ? AlignedBuffer::uninitialized(size) : AlignedBuffer(size);
  method.pack(geometry, table_->block, weight, weight_.data());
  bias_ = AlignedBuffer(WindowGeometry::product(geometry.groups, padded_group, 1));
  if (bias == nullptr) return;
  for (int o = 0; o < geometry.out_channels; ++o) {
    bias_.data()[o / group * padded_group + o % group] = bias[o];
  }
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
  method_->run(*table_, geometry, count, input, weight_.data(), epilogue, scratch, output);
}

}  // namespace mien::kernels

#endif  // MIEN_HAS_DEFINITIONS
