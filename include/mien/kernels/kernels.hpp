// The fast kernels for every instruction set, and the table of those chosen for this machine.
//
// The .inl files are compiled once for each set, in a namespace and a target region of its own, so
// that users need no compiler flags and one program serves every machine. Nothing from Eigen or std
// is instantiated inside a target region: its weak symbols would be shared with the user's code,
// and the linker would choose between versions for different machines.
#pragma once

#include <cstddef>

#include <Eigen/Core>

#include <mien/kernels/add.hpp>
#include <mien/kernels/avg_pool2d.hpp>
#include <mien/kernels/conv2d.hpp>
#include <mien/kernels/depthwise_conv2d.hpp>
#include <mien/kernels/geometry.hpp>
#include <mien/kernels/instruction_set.hpp>
#include <mien/kernels/local_response_norm.hpp>
#include <mien/kernels/max_pool2d.hpp>
#include <mien/kernels/softmax.hpp>
#include <mien/kernels/winograd.hpp>

#if MIEN_X86_TARGETS
#include <immintrin.h>
#endif

#include <mien/kernels/define_macros.inl>

namespace mien::kernels {

/// The kernels of one instruction set. See the .inl files for layouts.
struct KernelTable {
  /// Output channels in a block of conv2d's packed weights.
  int conv2d_block;
  void (*conv2d)(const WindowGeometry&, const float* padded_input, const float* packed,
                 const float* bias, Clamp, Pooling, float* output) noexcept;
  void (*depthwise_conv2d)(const WindowGeometry&, const float* input, const float* packed,
                           const float* bias, Clamp, float* output) noexcept;
  void (*max_pool2d)(const WindowGeometry&, const float* input, float* output) noexcept;
  void (*avg_pool2d)(const WindowGeometry&, const float* input, float* output) noexcept;
  void (*local_response_norm)(int pixels, int channels, const LocalResponse&, const float* input,
                              float* scratch, float* output) noexcept;
  void (*add)(std::size_t size, const float* a, const float* b, Clamp, float* output) noexcept;
  void (*winograd_3x3)(const WindowGeometry&, int images, const float* input, const float* packed,
                       const float* bias, Clamp, Pooling, float* scratch, float* output) noexcept;
  void (*winograd_3x3_small)(const WindowGeometry&, int images, const float* input,
                             const float* packed, const float* bias, Clamp, Pooling, float* scratch,
                             float* output) noexcept;
  void (*winograd_5x5)(const WindowGeometry&, int images, const float* input, const float* packed,
                       const float* bias, Clamp, Pooling, float* scratch, float* output) noexcept;
};

namespace baseline {
#include <mien/kernels/vector_baseline.inl>
//
#include <mien/kernels/all_kernels.inl>
}  // namespace baseline

#if MIEN_X86_TARGETS

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
#include <mien/kernels/vector_avx2.inl>
//
#include <mien/kernels/all_kernels.inl>
}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f")
#endif
namespace avx512 {
#include <mien/kernels/vector_avx512.inl>
//
#include <mien/kernels/all_kernels.inl>
}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // MIEN_X86_TARGETS

#include <mien/kernels/undefine_macros.inl>

/// The kernels of a set that is supported().
inline const KernelTable& table_for(InstructionSet set) noexcept {
#if MIEN_X86_TARGETS
  if (set == InstructionSet::avx512) return avx512::table;
  if (set == InstructionSet::avx2) return avx2::table;
#endif
  (void)set;
  return baseline::table;
}

/// The kernels chosen for this process at the first call. Throws Error as choose_instruction_set.
inline const KernelTable& chosen_table() {
  static const KernelTable& table = table_for(choose_instruction_set());
  return table;
}

}  // namespace mien::kernels
