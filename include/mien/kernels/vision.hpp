// The detector's kernels: raw pointers, no cascades. As in nn.hpp, each body stands once under
// vision/ and is compiled once for each instruction set, in a namespace and a target region of its
// own.
#pragma once

#include <cstdint>

#include <mien/config.hpp>
#include <mien/kernels/instruction_sets.hpp>
#include <mien/kernels/vision/haar.hpp>
#include <mien/kernels/vision/pyramid.hpp>
#include <mien/kernels/vision/triangle_filter.hpp>

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
                           float* factors, std::uint32_t* not_flat) noexcept;
  bool (*evaluate_rows)(const HaarStage&, const HaarRows&, std::uint32_t* alive,
                        std::uint32_t* borderline) noexcept;
  void (*gather_windows)(const HaarWindows&, const std::uint16_t* sums, const std::int32_t* origins,
                         std::uint16_t* gathered) noexcept;
  std::uint32_t (*evaluate_gathered)(const HaarStage&, const std::uint16_t* gathered,
                                     const std::uint32_t* wide_sums, const std::int32_t* origins,
                                     const float* factors, std::uint32_t& borderline) noexcept;
  void (*decide_stumps)(const HaarStage&, const std::uint16_t* gathered,
                        const std::uint32_t* wide_sums, const std::int32_t* origins,
                        const float* factors, std::uint16_t* left) noexcept;
  void (*filter_row)(const std::uint8_t* row, const RowFilter&, std::uint8_t* to) noexcept;
  void (*filter_column)(const WeightedRows&, std::int32_t count, std::uint8_t* to) noexcept;
};

/// The vision kernels of a set that is supported().
const VisionKernelTable& vision_table_for(InstructionSet set) noexcept;

/// The vision kernels chosen for this process at the first call. Throws Error as
/// choose_instruction_set.
const VisionKernelTable& chosen_vision_table();

}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

#include <cmath>
#include <cstddef>
#include <cstring>

#if MIEN_X86_TARGETS
#include <immintrin.h>
#endif

#include <mien/kernels/define_macros.inl>

#define MIEN_FILE_OF(set) <mien/kernels/set/vision.inl>
#include <mien/kernels/instruction_sets.inl>
#undef MIEN_FILE_OF

#include <mien/kernels/undefine_macros.inl>

namespace mien::kernels {

MIEN_INLINE const VisionKernelTable& vision_table_for(InstructionSet set) noexcept {
  switch (set) {
#define MIEN_CASE(set, runs_here) \
  case InstructionSet::set:       \
    return set::vision_table;
    MIEN_INSTRUCTION_SETS(MIEN_CASE)
#undef MIEN_CASE
  }
  return baseline::vision_table;
}

MIEN_INLINE const VisionKernelTable& chosen_vision_table() {
  static const VisionKernelTable& table = vision_table_for(choose_instruction_set());
  return table;
}

}  // namespace mien::kernels

#endif  // MIEN_HAS_DEFINITIONS
