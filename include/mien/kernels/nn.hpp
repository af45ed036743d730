// The neural network's kernels: raw pointers, no layers. Every kernel's body stands once under nn/
// and is compiled once for each instruction set, in a namespace and a target region of its own, so
// that users need no compiler flags and one program serves every machine.
#pragma once

#include <mien/config.hpp>
#include <mien/kernels/instruction_sets.hpp>
#include <mien/kernels/nn/adaptive_pool2d.hpp>
#include <mien/kernels/nn/arithmetic.hpp>
#include <mien/kernels/nn/avg_pool2d.hpp>
#include <mien/kernels/nn/convolution/methods.hpp>
#include <mien/kernels/nn/convolution/naive.hpp>
#include <mien/kernels/nn/convolution/packed_convolution.hpp>
#include <mien/kernels/nn/elementwise.hpp>
#include <mien/kernels/nn/epilogue.hpp>
#include <mien/kernels/nn/geometry.hpp>
#include <mien/kernels/nn/kernel_table.hpp>
#include <mien/kernels/nn/local_response_norm.hpp>
#include <mien/kernels/nn/max_pool2d.hpp>
#include <mien/kernels/nn/normalisation.hpp>
#include <mien/kernels/nn/resize_bilinear.hpp>
#include <mien/kernels/nn/softmax.hpp>

#if MIEN_HAS_DEFINITIONS

#include <cstring>

#if MIEN_X86_TARGETS
#include <immintrin.h>
#else
#include <Eigen/Core>
#endif

#include <mien/kernels/define_macros.inl>

#define MIEN_FILE_OF(set) <mien/kernels/set/nn.inl>
#include <mien/kernels/instruction_sets.inl>
#undef MIEN_FILE_OF

#include <mien/kernels/undefine_macros.inl>

namespace mien::kernels {

MIEN_INLINE const KernelTable& table_for(InstructionSet set) noexcept {
  switch (set) {
#define MIEN_CASE(set, runs_here) \
  case InstructionSet::set:       \
    return set::nn_table;
    MIEN_INSTRUCTION_SETS(MIEN_CASE)
#undef MIEN_CASE
  }
  return baseline::nn_table;
}

MIEN_INLINE const KernelTable& chosen_table() {
  static const KernelTable& table = table_for(choose_instruction_set());
  return table;
}

}  // namespace mien::kernels

#endif  // MIEN_HAS_DEFINITIONS
