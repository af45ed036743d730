// What a bilinear resize between two sizes reads and by which weights, worked out once for all
// images of these sizes: what resize_linear_exact and the levels of the Haar detector share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/config.hpp>
#include <mien/image/image.hpp>
#include <mien/kernels/vision/pyramid.hpp>

namespace mien::detail {

/// The pattern of a resize in the form that the kernels take.
class ResizePlan {
 public:
  /// Does nothing if these are the sizes already.
  void set(const Size& source, const Size& target);

  const Size& source() const noexcept { return source_; }
  const Size& target() const noexcept { return target_; }
  const kernels::LinearTap& row(int y) const noexcept { return rows_[static_cast<std::size_t>(y)]; }
  kernels::RowTaps columns() const noexcept {
    return {columns_.data(), target_.width, groups_.data(), narrow_group_count_,
            static_cast<std::int32_t>(groups_.size())};
  }

 private:
  static void set_taps(int source, int target, std::vector<kernels::LinearTap>& taps);
  void set_groups();
  bool make_group(std::size_t first, std::size_t span_count, kernels::TapGroup& group) const;

  Size source_;
  Size target_;
  std::vector<kernels::LinearTap> columns_;
  std::vector<kernels::LinearTap> rows_;
  std::vector<kernels::TapGroup> groups_;
  std::int32_t narrow_group_count_ = 0;
};

/// Row y of the resized image, written to `memory`. Where the sizes are the same, the image's own
/// row is returned instead.
const std::uint8_t* resized_row(const GrayView& image, const ResizePlan& plan, int y,
                                std::uint8_t* memory);

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <iterator>

#include <mien/kernels/vision.hpp>

namespace mien::detail {

MIEN_INLINE void ResizePlan::set(const Size& source, const Size& target) {
  if (source == source_ && target == target_) return;
  source_ = source;
  target_ = target;
  set_taps(source.width, target.width, columns_);
  set_taps(source.height, target.height, rows_);
  set_groups();
}

/// The source samples of each of `target` samples that span the same length as `source` samples.
MIEN_INLINE void ResizePlan::set_taps(int source, int target,
                                      std::vector<kernels::LinearTap>& taps) {
  const double step = 1.0 / (static_cast<double>(target) / static_cast<double>(source));
  taps.resize(static_cast<std::size_t>(target));
  for (int i = 0; i < target; ++i) {
    // OpenCV rounds the product before the subtraction. Compilers may fuse the two into one
    // rounding (GCC does so by default for -march=native), which moves some samples; they may not
    // do it across a volatile object.
    const volatile double centre = step * (i + 0.5);
    const double position = centre - 0.5;
    const double whole = std::floor(position);
    kernels::LinearTap& tap = taps[static_cast<std::size_t>(i)];
    if (whole < 0.0) {
      tap = {0, 0, 0};
    } else if (whole >= source - 1) {
      tap = {source - 1, source - 1, 0};
    } else {
      tap.first = static_cast<int>(whole);
      tap.second = tap.first + 1;
      tap.second_weight =
          static_cast<std::int32_t>(std::lrint((position - whole) * kernels::unit_weight));
    }
  }
}

/// Forms groups from the left until one is too wide: the kernels take the rest tap by tap.
MIEN_INLINE void ResizePlan::set_groups() {
  groups_.clear();
  narrow_group_count_ = 0;
  if (source_.width < kernels::tap_group_span || target_.width < kernels::tap_group_size) return;
  for (std::int32_t i = 0; i * kernels::tap_group_size < target_.width; ++i) {
    const auto first = static_cast<std::size_t>(kernels::first_tap(i, target_.width));
    kernels::TapGroup group{};
    if (narrow_group_count_ == i && make_group(first, 1, group)) {
      ++narrow_group_count_;
    } else if (!make_group(first, 2, group)) {
      return;
    }
    groups_.push_back(group);
  }
}

/// Makes a group of the taps from `first` on, each half of which reads `span_count` spans. False if
/// these spans do not reach all samples.
MIEN_INLINE bool ResizePlan::make_group(std::size_t first, std::size_t span_count,
                                        kernels::TapGroup& group) const {
  constexpr std::size_t half_size = kernels::tap_group_size / 2;
  constexpr std::uint8_t zero = 0x80;  // a byte shuffle's number for a zero
  for (auto& shuffles : group.shuffles) std::fill(std::begin(shuffles), std::end(shuffles), zero);
  for (std::size_t i = 0; i < kernels::tap_group_size; ++i) {
    const kernels::LinearTap& tap = columns_[first + i];
    const std::size_t span = i % half_size * span_count / half_size;
    std::int32_t& start = group.starts[i / half_size][span];
    if (i % (half_size / span_count) == 0) {
      start = std::min(tap.first, source_.width - kernels::tap_group_span);
    }
    if (tap.second - start >= kernels::tap_group_span) return false;
    std::uint8_t* shuffle = group.shuffles[span] + 4 * i;
    shuffle[0] = static_cast<std::uint8_t>(tap.first - start);
    shuffle[2] = static_cast<std::uint8_t>(tap.second - start);
    group.weights[2 * i] = static_cast<std::int16_t>(kernels::unit_weight - tap.second_weight);
    group.weights[2 * i + 1] = static_cast<std::int16_t>(tap.second_weight);
  }
  return true;
}

MIEN_INLINE const std::uint8_t* resized_row(const GrayView& image, const ResizePlan& plan, int y,
                                            std::uint8_t* memory) {
  if (plan.source() == plan.target()) return image.row(y);
  const kernels::LinearTap& tap = plan.row(y);
  const kernels::SourceRows rows{image.row(tap.first), image.row(tap.second), tap.second_weight};
  kernels::chosen_vision_table().resize_row(rows, plan.columns(), memory);
  return memory;
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
