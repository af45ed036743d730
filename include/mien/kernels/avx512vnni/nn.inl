// The neural network's kernels for AVX512-VNNI: AVX-512's, but for those of bytes.
#ifndef MIEN_FILE_OF  // parsed by itself: seen from there
#include <mien/kernels/nn.hpp>
#else

#if MIEN_X86_TARGETS
#define MIEN_SET avx512vnni
MIEN_BEGIN_TARGET("avx512f,avx512bw,avx512vl,bmi2,avx512vnni")
#include <mien/kernels/avx512/vector.inl>
//
#include <mien/kernels/avx512/bytes.inl>
#include <mien/kernels/avx512vnni/dot.inl>
//
#include <mien/kernels/nn/parts.inl>
//
#include <mien/kernels/nn/convolution/quantized.inl>
MIEN_END_TARGET

namespace mien::kernels::avx512vnni {

constexpr KernelTable make_nn_table() noexcept {
  KernelTable table = avx512::nn_table;
  fill_quantized(table);
  return table;
}
inline constexpr KernelTable nn_table = make_nn_table();

}  // namespace mien::kernels::avx512vnni
#undef MIEN_SET
#else
namespace mien::kernels::avx512vnni {
using avx512::nn_table;
}
#endif

#endif  // MIEN_FILE_OF
