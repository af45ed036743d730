// The detector's kernels for every instruction set, and the table of those chosen for this machine.
//
// As in kernels.hpp the .inl files are compiled in target regions, a namespace each. Machines with
// AVX-512 run the kernels for AVX2 where wider registers do not pay.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <mien/kernels/haar.hpp>
#include <mien/kernels/instruction_set.hpp>
#include <mien/kernels/pyramid.hpp>
#include <mien/kernels/triangle_filter.hpp>

#if MIEN_X86_TARGETS
#include <immintrin.h>
#endif

#include <mien/kernels/define_macros.inl>

namespace mien::kernels {

/// The vision kernels of one instruction set. See the .inl files.
struct VisionKernelTable {
  void (*resize_row)(const SourceRows&, const RowTaps&, std::uint8_t* to) noexcept;
  void (*sum_row)(const std::uint8_t* pixels, std::int32_t count, const SumRows& above,
                  const SumRows& to) noexcept;
  void (*tilted_sum_row)(const std::uint8_t* pixels, const std::uint8_t* pixels_above,
                         std::int32_t count, const std::uint32_t* above,
                         const std::uint32_t* two_above, std::uint32_t* to) noexcept;
  void (*split_row)(const std::uint32_t* from, std::int32_t count, const SplitRow& to) noexcept;
  void (*measure_contrast)(const ContrastRows& sums, const ContrastRows& squared_sums,
                           std::int32_t area, std::int64_t smallest_spread, std::int32_t count,
                           float* factors, std::uint32_t* contrasted) noexcept;
  bool (*scan_rows)(const HaarStage&, const HaarRows&, std::uint32_t* alive,
                    std::uint32_t* uncertain) noexcept;
  void (*gather_windows)(const HaarWindows&, const std::uint16_t* sums, const std::int32_t* origins,
                         std::uint16_t* gathered) noexcept;
  std::uint32_t (*judge_gathered)(const HaarStage&, const std::uint16_t* gathered,
                                  const std::uint32_t* wide_sums, const std::int32_t* origins,
                                  const float* factors, std::uint32_t& uncertain) noexcept;
  void (*decide_gathered)(const HaarStage&, const std::uint16_t* gathered,
                          const std::uint32_t* wide_sums, const std::int32_t* origins,
                          const float* factors, std::uint16_t* left) noexcept;
  void (*filter_row)(const std::uint8_t* row, const RowFilter&, std::uint8_t* to) noexcept;
  void (*filter_column)(const WeightedRows&, std::int32_t count, std::uint8_t* to) noexcept;
};

namespace baseline {
#include <mien/kernels/haar_lanes_baseline.inl>
//
#include <mien/kernels/haar.inl>
#include <mien/kernels/pyramid_baseline.inl>
#include <mien/kernels/triangle_filter_baseline.inl>

inline constexpr VisionKernelTable vision_table = {
    &resize_row,     &sum_row,        &tilted_sum_row,  &split_row,  &measure_contrast, &scan_rows,
    &gather_windows, &judge_gathered, &decide_gathered, &filter_row, &filter_column};
}  // namespace baseline

#if MIEN_X86_TARGETS

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
#include <mien/kernels/haar_lanes_avx.inl>
//
#include <mien/kernels/haar_lanes_avx2.inl>
//
#include <mien/kernels/haar.inl>
#include <mien/kernels/pyramid_avx2.inl>
#include <mien/kernels/triangle_filter_avx2.inl>

inline constexpr VisionKernelTable vision_table = {
    &resize_row,     &sum_row,        &tilted_sum_row,  &split_row,  &measure_contrast, &scan_rows,
    &gather_windows, &judge_gathered, &decide_gathered, &filter_row, &filter_column};
}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,bmi2"))), \
                             apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,bmi2")
#endif
namespace avx512 {
#include <mien/kernels/haar_lanes_avx.inl>
//
#include <mien/kernels/haar_lanes_avx512.inl>
//
#include <mien/kernels/haar.inl>

inline constexpr VisionKernelTable vision_table = {
    &avx2::resize_row,       &avx2::sum_row,    &avx2::tilted_sum_row, &avx2::split_row,
    &avx2::measure_contrast, &scan_rows,        &avx2::gather_windows, &judge_gathered,
    &decide_gathered,        &avx2::filter_row, &avx2::filter_column};
}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // MIEN_X86_TARGETS

#include <mien/kernels/undefine_macros.inl>

/// The vision kernels of a set that is supported().
inline const VisionKernelTable& vision_table_for(InstructionSet set) noexcept {
#if MIEN_X86_TARGETS
  // The oldest machines with AVX-512 lack what these need besides.
  const bool has_all = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                       __builtin_cpu_supports("bmi2");
  if (set == InstructionSet::avx512 && has_all) return avx512::vision_table;
  if (set != InstructionSet::baseline) return avx2::vision_table;
#endif
  (void)set;
  return baseline::vision_table;
}

/// The vision kernels chosen for this process at the first call. Throws Error as
/// choose_instruction_set.
inline const VisionKernelTable& chosen_vision_table() {
  static const VisionKernelTable& table = vision_table_for(choose_instruction_set());
  return table;
}

}  // namespace mien::kernels
