// The neural network's kernels for AVX-VNNI: AVX2's, but for those of bytes.
#ifndef MIEN_FILE_OF  // parsed by itself: seen from there
#include <mien/kernels/nn.hpp>
#else

#if MIEN_COMPILER_KNOWS_AVX_VNNI
#define MIEN_SET avxvnni
MIEN_BEGIN_TARGET("avx2,fma,avxvnni")
#include <mien/kernels/avx2/vector.inl>
//
#include <mien/kernels/avx2/bytes.inl>
#include <mien/kernels/avxvnni/dot.inl>
//
#include <mien/kernels/nn/parts.inl>
//
#include <mien/kernels/nn/convolution/quantized.inl>
MIEN_END_TARGET

namespace mien::kernels::avxvnni {

constexpr KernelTable make_nn_table() noexcept {
  KernelTable table = avx2::nn_table;
  fill_quantized(table);
  return table;
}
inline constexpr KernelTable nn_table = make_nn_table();

}  // namespace mien::kernels::avxvnni
#undef MIEN_SET
#else
namespace mien::kernels::avxvnni {
using avx2::nn_table;
}
#endif

#endif  // MIEN_FILE_OF
