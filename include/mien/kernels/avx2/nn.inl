// The neural network's kernels for AVX2 and FMA.
#ifndef MIEN_FILE_OF  // parsed by itself: seen from there
#include <mien/kernels/nn.hpp>
#else

#if MIEN_X86_TARGETS
#define MIEN_SET avx2
MIEN_BEGIN_TARGET("avx2,fma")
#include <mien/kernels/avx2/vector.inl>
//
#include <mien/kernels/avx2/bytes.inl>
#include <mien/kernels/avx2/dot.inl>
//
#include <mien/kernels/nn/all.inl>
MIEN_END_TARGET
#undef MIEN_SET
#else
namespace mien::kernels::avx2 {
using baseline::nn_table;
}
#endif

#endif  // MIEN_FILE_OF
