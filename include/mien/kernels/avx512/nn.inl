// The neural network's kernels for AVX-512; what waits for memory is AVX2's.
#ifndef MIEN_FILE_OF  // parsed by itself: seen from there
#include <mien/kernels/nn.hpp>
#else

#if MIEN_X86_TARGETS
#define MIEN_SET avx512
MIEN_BEGIN_TARGET("avx512f,avx512bw,avx512vl,bmi2")
#include <mien/kernels/avx512/vector.inl>
//
#include <mien/kernels/avx512/bytes.inl>
#include <mien/kernels/avx512/dot.inl>
//
#include <mien/kernels/nn/compute_bound.inl>
MIEN_END_TARGET

namespace mien::kernels::avx512 {

constexpr KernelTable make_nn_table() noexcept {
  KernelTable table = avx2::nn_table;
  table.half_width = &avx2::nn_table;
  fill_compute_bound(table);
  return table;
}
inline constexpr KernelTable nn_table = make_nn_table();

}  // namespace mien::kernels::avx512
#undef MIEN_SET
#else
namespace mien::kernels::avx512 {
using baseline::nn_table;
}
#endif

#endif  // MIEN_FILE_OF
