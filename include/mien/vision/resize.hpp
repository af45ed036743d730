// Bilinear resizing of 8-bit gray images in fixed point, bit for bit as OpenCV's
// INTER_LINEAR_EXACT (OpenCV 4.6, modules/imgproc/src/resize.cpp): the same on every processor.
#pragma once

#include <algorithm>
#include <array>
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
  /// Groups from the left, as far as their samples lie near enough to each other: those of all taps
  /// or of pairs of taps.
  void set_groups() {
    constexpr auto size = static_cast<std::size_t>(kernels::tap_group_size);
    groups_.clear();
    narrow_group_count_ = 0;
    if (source_.width < kernels::tap_group_span) return;
    const auto start_of = [this](std::size_t tap) {
      return std::min(columns_[tap].first, source_.width - kernels::tap_group_span);
    };
    const auto reaches = [this](std::int32_t start, std::size_t tap) {
      return columns_[tap].second - start < kernels::tap_group_span;
    };
    for (std::size_t i = 0; i + size <= columns_.size(); i += size) {
      kernels::TapGroup group{};
      group.starts[0] = start_of(i);
      group.starts[1] = start_of(i + size / 2);
      const bool narrow = reaches(group.starts[0], i + size - 1);
      if (!narrow &&
          !(reaches(group.starts[0], i + size / 2 - 1) && reaches(group.starts[1], i + size - 1))) {
        return;
      }
      constexpr std::uint8_t zero = 0x80;
      for (auto& shuffle : group.shuffles) std::fill(std::begin(shuffle), std::end(shuffle), zero);
      for (std::size_t k = 0; k < size; ++k) {
        const kernels::LinearTap& tap = columns_[i + k];
        const std::size_t span = narrow || k < size / 2 ? 0 : 1;
        std::uint8_t* shuffle = group.shuffles[span] + 4 * k;
        shuffle[0] = static_cast<std::uint8_t>(tap.first - group.starts[span]);
        shuffle[2] = static_cast<std::uint8_t>(tap.second - group.starts[span]);
        group.weights[2 * k] = static_cast<std::int16_t>(kernels::unit_weight - tap.second_weight);
        group.weights[2 * k + 1] = static_cast<std::int16_t>(tap.second_weight);
      }
      groups_.push_back(group);
      if (narrow && narrow_group_count_ + 1 == static_cast<std::int32_t>(groups_.size())) {
        ++narrow_group_count_;
      }
    }
  }

  Size source_;
  Size target_;
  std::vector<kernels::LinearTap> columns_;
  std::vector<kernels::LinearTap> rows_;
  std::vector<kernels::TapGroup> groups_;
  std::int32_t narrow_group_count_ = 0;
};

/// The rows of a resized image one by one, best from top to bottom.
class RowResizer {
 public:
  /// Both stay alive as long as rows are asked for.
  void start(const GrayView& image, const ResizePlan& plan) {
    image_ = image;
    plan_ = &plan;
    for (auto& row : rows_) {
      row.resize(static_cast<std::size_t>(plan.target().width));
    }
    row_numbers_ = {-1, -1};
  }

  /// Row y of the resized image: in `memory` for a row, or where the image itself has it.
  const std::uint8_t* row(int y, std::uint8_t* memory) {
    if (plan_->source() == plan_->target()) return image_.row(y);
    const kernels::LinearTap& tap = plan_->row(y);
    const std::uint16_t* first = source_row(tap.first);
    const std::uint16_t* second = source_row(tap.second);
    kernels::chosen_vision_table().blend_rows(first, second, tap.second_weight,
                                              plan_->target().width, memory);
    return memory;
  }

 private:
  /// A source row brought to the target's width. Neighbouring rows never share a place.
  const std::uint16_t* source_row(int number) {
    const std::size_t place = static_cast<std::size_t>(number) % 2;
    if (row_numbers_[place] != number) {
      kernels::chosen_vision_table().resize_row(image_.row(number), plan_->columns(),
                                                rows_[place].data());
      row_numbers_[place] = number;
    }
    return rows_[place].data();
  }

  GrayView image_;
  const ResizePlan* plan_ = nullptr;
  std::array<std::vector<std::uint16_t>, 2> rows_;
  std::array<int, 2> row_numbers_{-1, -1};
};

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
  detail::RowResizer rows;
  rows.start(image, plan);
  GrayImage result(width, height);
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* row = rows.row(y, result.row(y));
    if (row != result.row(y)) std::copy(row, row + width, result.row(y));
  }
  return result;
}

}  // namespace mien
