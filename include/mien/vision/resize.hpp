// Bilinear resizing of 8-bit gray images in fixed point, bit for bit as OpenCV's
// INTER_LINEAR_EXACT (OpenCV 4.6, modules/imgproc/src/resize.cpp): the same on every processor.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include <mien/error.hpp>
#include <mien/kernels/vision_kernels.hpp>
#include <mien/vision/image.hpp>

namespace mien {

namespace detail {

/// The source samples of each of `target` samples that span the same length as `source` samples.
inline void set_linear_taps(int source, int target, std::vector<kernels::LinearTap>& taps) {
  const double step = 1.0 / (static_cast<double>(target) / static_cast<double>(source));
  taps.resize(static_cast<std::size_t>(target));
  for (int i = 0; i < target; ++i) {
    // Rounded before the subtraction. Compilers may fuse a * b - c into one rounding (GCC does so
    // by default for -march=native), which moves some samples; they may not do it across a
    // volatile object.
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

/// What a resize from one size to another reads and by which weights, for any image.
class ResizePlan {
 public:
  /// Does nothing if these are the sizes already.
  void set(const Size& source, const Size& target) {
    if (source == source_ && target == target_) return;
    source_ = source;
    target_ = target;
    set_linear_taps(source.width, target.width, columns_);
    set_linear_taps(source.height, target.height, rows_);
    set_groups();
  }

  const Size& source() const noexcept { return source_; }
  const Size& target() const noexcept { return target_; }
  const kernels::LinearTap& row(int y) const noexcept { return rows_[static_cast<std::size_t>(y)]; }
  kernels::RowTaps columns() const noexcept {
    return {columns_.data(), target_.width, groups_.data(), narrow_group_count_,
            static_cast<std::int32_t>(groups_.size())};
  }

 private:
  /// Groups from the left, as far as their samples lie near enough to each other.
  void set_groups() {
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

  /// A group of the taps from `first` on, with so many spans for each half. False if a span does
  /// not reach all of its taps' samples.
  bool make_group(std::size_t first, std::size_t span_count, kernels::TapGroup& group) const {
    constexpr std::size_t half_size = kernels::tap_group_size / 2;
    constexpr std::uint8_t zero = 0x80;
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

  Size source_;
  Size target_;
  std::vector<kernels::LinearTap> columns_;
  std::vector<kernels::LinearTap> rows_;
  std::vector<kernels::TapGroup> groups_;
  std::int32_t narrow_group_count_ = 0;
};

/// Row y of the image resized: in `memory` for a row, or where the image itself has it.
inline const std::uint8_t* resized_row(const GrayView& image, const ResizePlan& plan, int y,
                                       std::uint8_t* memory) {
  if (plan.source() == plan.target()) return image.row(y);
  const kernels::LinearTap& tap = plan.row(y);
  const kernels::SourceRows rows{image.row(tap.first), image.row(tap.second), tap.second_weight};
  kernels::chosen_vision_table().resize_row(rows, plan.columns(), memory);
  return memory;
}

}  // namespace detail

/// The image at `width` x `height` pixels. Samples outside the image repeat its border; there is no
/// smoothing before shrinking. Throws Error for an empty image or a size below 1 x 1.
inline GrayImage resize_linear_exact(const GrayView& image, int width, int height) {
  if (image.empty()) throw Error("resize_linear_exact: expected an image, found an empty one");
  if (width < 1 || height < 1) {
    throw Error("resize_linear_exact: expected a size of at least 1 x 1, found " +
                std::to_string(width) + " x " + std::to_string(height));
  }
  detail::ResizePlan plan;
  plan.set({image.width, image.height}, {width, height});
  GrayImage result(width, height);
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* row = detail::resized_row(image, plan, y, result.row(y));
    if (row != result.row(y)) std::copy(row, row + width, result.row(y));
  }
  return result;
}

}  // namespace mien
