// The detector's kernels for any processor.
#ifndef MIEN_FILE_OF  // parsed by itself: seen from there
#include <mien/kernels/vision.hpp>
#else

#define MIEN_SET baseline
#include <mien/kernels/baseline/haar_lanes.inl>
#include <mien/kernels/baseline/pyramid.inl>
#include <mien/kernels/baseline/triangle_filter.inl>
//
#include <mien/kernels/vision/haar.inl>

namespace mien::kernels::baseline {

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

}  // namespace mien::kernels::baseline
#undef MIEN_SET

#endif  // MIEN_FILE_OF
