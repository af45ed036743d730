// What a way to compute a convolution says of itself. The list of them is in methods.hpp.
#pragma once

#include <cstddef>

#include <mien/kernels/nn/epilogue.hpp>
#include <mien/kernels/nn/geometry.hpp>
#include <mien/kernels/nn/kernel_table.hpp>

namespace mien::kernels {

/// The most output channels that a block of packed weights holds, over all instruction sets:
/// scratch memory is planned for it.
inline constexpr int largest_block = 32;

struct ConvolutionMethod {
  const char* name;
  /// Whether the method can compute such a convolution and is worth it.
  bool (*suits)(const WindowGeometry&);
  /// Whether it can fuse 2x2 pooling into the epilogue.
  bool can_pool;
  /// Whether each group's output channels are padded to whole blocks, in weights and bias.
  bool in_blocks;
  /// Floats of scratch memory for each image, whatever the instruction set; whole cache lines.
  std::size_t (*scratch_size)(const WindowGeometry&);
  /// Floats of the packed weights.
  std::size_t (*packed_size)(const WindowGeometry&, int block);
  /// From PyTorch's [O][I / groups][KH][KW]. `packed` holds zeros, or anything where blocks are
  /// filled.
  void (*pack)(const WindowGeometry&, int block, const float* weight, float* packed);
  /// `count` images one after the other, without padding around them.
  void (*run)(const KernelTable&, const WindowGeometry&, int count, const float* input,
              const float* packed, const Epilogue&, float* scratch, float* output) noexcept;
};

}  // namespace mien::kernels
