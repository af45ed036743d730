// The neural network's kernels of one instruction set. Images are channels last; see each kernel's
// .inl file.
#pragma once

#include <cstddef>
#include <cstdint>

#include <mien/kernels/instruction_sets.hpp>
#include <mien/kernels/nn/adaptive_pool2d.hpp>
#include <mien/kernels/nn/arithmetic.hpp>
#include <mien/kernels/nn/avg_pool2d.hpp>
#include <mien/kernels/nn/elementwise.hpp>
#include <mien/kernels/nn/epilogue.hpp>
#include <mien/kernels/nn/geometry.hpp>
#include <mien/kernels/nn/local_response_norm.hpp>
#include <mien/kernels/nn/normalisation.hpp>
#include <mien/kernels/nn/resize_bilinear.hpp>

namespace mien::kernels {

struct KernelTable {
  /// Output channels in a block of packed weights.
  int block;
  /// The kernels of vectors half as wide, where they are as fast for what does not fill wider ones;
  /// null if there are none.
  const KernelTable* half_width;
  void (*conv2d)(const WindowGeometry&, const float* padded_input, const float* packed,
                 const Epilogue&, float* output) noexcept;
  void (*depthwise_conv2d)(const WindowGeometry&, const float* input, const float* packed,
                           const Epilogue&, float* output) noexcept;
  void (*grouped_conv2d)(const WindowGeometry&, const float* input, const float* packed,
                         const Epilogue&, float* output) noexcept;
  void (*quantized_conv2d)(const WindowGeometry&, const std::uint8_t* padded_input,
                           const std::int8_t* packed, const Epilogue&, float* output) noexcept;
  void (*quantize)(std::size_t size, const QuantizedInput&, const float* input,
                   std::uint8_t* bytes) noexcept;
  using Winograd = void(const WindowGeometry&, int images, const float* input, const float* packed,
                        const Epilogue&, float* scratch, float* output) noexcept;
  Winograd* winograd_3x3;
  Winograd* winograd_3x3_small;
  Winograd* winograd_5x5;
  void (*max_pool2d)(const WindowGeometry&, const float* input, float* output) noexcept;
  void (*avg_pool2d)(const WindowGeometry&, const CountedPadding&, const float* input,
                     float* output) noexcept;
  void (*adaptive_avg_pool2d)(const AdaptiveGeometry&, const float* input, float* output) noexcept;
  void (*adaptive_max_pool2d)(const AdaptiveGeometry&, const float* input, float* output) noexcept;
  void (*bilinear_row)(const BilinearRow&, float* output) noexcept;
  void (*local_response_norm)(int pixels, int channels, const LocalResponse&, const float* input,
                              float* scratch, float* output) noexcept;
  void (*arithmetic)(Arithmetic, const BroadcastLoops&, const float* a, const float* b, Activation,
                     float* output) noexcept;
  void (*elementwise)(const ElementwiseFunction&, std::size_t size, const float* input,
                      float* output) noexcept;
  void (*scale_channels)(std::size_t pixels, std::size_t channels, const float* input,
                         const float* scale, const float* shift, float* output) noexcept;
  void (*group_norm)(std::size_t pixels, const Normalisation&, const float* input, float* scratch,
                     float* output) noexcept;
  void (*layer_norm)(std::size_t pixels, const Normalisation&, const float* input,
                     float* output) noexcept;
  void (*prelu)(std::size_t pixels, std::size_t channels, const float* input, const float* slope,
                float* output) noexcept;
};

/// The kernels for `channels` output channels that share vectors: those of half the width where one
/// of its blocks holds them all, so that no lanes are left empty. With AVX2's kernels LeNet takes
/// 27 us where AVX-512's take 46 (Zen 4).
constexpr const KernelTable& table_for_channels(const KernelTable& table, int channels) noexcept {
  const KernelTable* const half = table.half_width;
  return half != nullptr && channels <= half->block ? *half : table;
}

/// The kernels of a set that is supported().
const KernelTable& table_for(InstructionSet set) noexcept;

/// The kernels chosen for this process at the first call. Throws Error as choose_instruction_set.
const KernelTable& chosen_table();

}  // namespace mien::kernels
