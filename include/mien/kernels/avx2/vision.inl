// The detector's kernels for AVX2.
#ifndef MIEN_FILE_OF  // parsed by itself: seen from there
#include <mien/kernels/vision.hpp>
#else

#if MIEN_X86_TARGETS
#define MIEN_SET avx2
MIEN_BEGIN_TARGET("avx2,fma")
#include <mien/kernels/avx2/haar_registers.inl>
//
#include <mien/kernels/avx2/haar_lanes.inl>
#include <mien/kernels/avx2/pyramid.inl>
#include <mien/kernels/avx2/triangle_filter.inl>
//
#include <mien/kernels/vision/haar.inl>
MIEN_END_TARGET
#undef MIEN_SET

namespace mien::kernels::avx2 {

constexpr VisionKernelTable make_vision_table() noexcept {
  VisionKernelTable table{};
  table.resize_row = &resize_row;
  table.sum_row = &sum_row;
  table.tilted_sum_row = &tilted_sum_row;
  table.split_row = &split_row;
  table.measure_contrast = &measure_contrast;
  table.evaluate_rows = &evaluate_rows;
  table.gather_windows = &gather_windows;
  table.evaluate_gathered = &evaluate_gathered;
  table.decide_stumps = &decide_stumps;
  table.filter_row = &filter_row;
  table.filter_column = &filter_column;
  return table;
}
inline constexpr VisionKernelTable vision_table = make_vision_table();

}  // namespace mien::kernels::avx2
#else
namespace mien::kernels::avx2 {
using baseline::vision_table;
}
#endif

#endif  // MIEN_FILE_OF
