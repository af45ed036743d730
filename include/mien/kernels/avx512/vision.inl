// The detector's kernels for AVX-512, and those for AVX2 where wider registers do not pay.
#ifndef MIEN_FILE_OF  // parsed by itself: seen from there
#include <mien/kernels/vision.hpp>
#else

#if MIEN_X86_TARGETS
#define MIEN_SET avx512
MIEN_BEGIN_TARGET("avx512f,avx512bw,avx512vl,bmi2")
#include <mien/kernels/avx2/haar_registers.inl>
//
#include <mien/kernels/avx512/haar_lanes.inl>
//
#include <mien/kernels/vision/haar.inl>
MIEN_END_TARGET
#undef MIEN_SET

namespace mien::kernels::avx512 {

constexpr VisionKernelTable make_vision_table() noexcept {
  VisionKernelTable table = avx2::vision_table;
  table.evaluate_rows = &evaluate_rows;
  table.evaluate_gathered = &evaluate_gathered;
  table.decide_stumps = &decide_stumps;
  return table;
}
inline constexpr VisionKernelTable vision_table = make_vision_table();

}  // namespace mien::kernels::avx512
#else
namespace mien::kernels::avx512 {
using baseline::vision_table;
}
#endif

#endif  // MIEN_FILE_OF
