// The neural network's kernels for AVX-512.
#ifndef MIEN_FILE_OF  // parsed by itself: seen from there
#include <mien/kernels/nn.hpp>
#else

#if MIEN_X86_TARGETS
#define MIEN_SET avx512
MIEN_BEGIN_TARGET("avx512f,avx512bw,avx512vl,bmi2")
#include <mien/kernels/avx512/vector.inl>
//
#include <mien/kernels/nn/all.inl>
MIEN_END_TARGET
#undef MIEN_SET
#else
namespace mien::kernels::avx512 {
using baseline::nn_table;
}
#endif

#endif  // MIEN_FILE_OF
