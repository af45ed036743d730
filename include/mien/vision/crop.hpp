// Cutting a face out of a photo and bringing it to a network's size.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <mien/error.hpp>
#include <mien/kernels/vision_kernels.hpp>
#include <mien/vision/image.hpp>

namespace mien {

namespace detail {

/// The taps of a triangle filter that widens as the image shrinks, so that no source sample is
/// lost.
class TriangleFilter {
 public:
  TriangleFilter(int source, int target) {
    const double scale = static_cast<double>(source) / target;
    const double support = std::max(scale, 1.0);
    for (int i = 0; i < target; ++i) {
      const double centre = (i + 0.5) * scale;
      const int first = std::max(static_cast<int>(centre - support + 0.5), 0);
      starts_.push_back(first);
      ends_.push_back(std::min(static_cast<int>(centre + support + 0.5), source));
      tap_count_ = std::max(tap_count_, ends_.back() - first);
    }
    constexpr int lanes = kernels::filter_lanes;
    tap_count_ = (tap_count_ + lanes - 1) / lanes * lanes;
    weights_.resize(starts_.size() * static_cast<std::size_t>(tap_count_));
    std::vector<double> weights;
    for (int i = 0; i < target; ++i) {
      const double centre = (i + 0.5) * scale;
      double sum = 0.0;
      weights.clear();
      for (int s = start(i); s < end(i); ++s) {
        const double distance = std::abs((s - centre + 0.5) * (1.0 / support));
        weights.push_back(std::max(1.0 - distance, 0.0));
        sum += weights.back();
      }
      std::int32_t* to = weights_.data() + std::ptrdiff_t{i} * tap_count_;
      for (const double weight : weights) {
        constexpr int one = 1 << kernels::filter_fraction_bits;
        *to++ = static_cast<std::int32_t>(0.5 + weight / sum * one);
      }
    }
  }

  /// For rows that have tap_count() bytes behind them.
  kernels::RowFilter along_rows() const noexcept {
    return {starts_.data(), weights_.data(), static_cast<std::int32_t>(starts_.size()), tap_count_};
  }
  kernels::WeightedRows across_rows(const GrayView& image, int i) const noexcept {
    return {image.row(start(i)), image.stride, weights_.data() + std::ptrdiff_t{i} * tap_count_,
            end(i) - start(i)};
  }
  int tap_count() const noexcept { return tap_count_; }

 private:
  int start(int i) const noexcept { return starts_[static_cast<std::size_t>(i)]; }
  int end(int i) const noexcept { return ends_[static_cast<std::size_t>(i)]; }

  std::vector<std::int32_t> starts_;
  std::vector<std::int32_t> ends_;
  std::vector<std::int32_t> weights_;
  std::int32_t tap_count_ = 0;
};

/// Throws Error if a region is empty or does not touch the image.
inline void check_touches(const GrayView& image, const Rect& region) {
  if (!image.empty() && region.width > 0 && region.height > 0 && region.x < image.width &&
      region.y < image.height && std::int64_t{region.x} + region.width > 0 &&
      std::int64_t{region.y} + region.height > 0) {
    return;
  }
  throw Error("crop: expected a region inside the image of " + std::to_string(image.width) + "x" +
              std::to_string(image.height) + ", found x " + std::to_string(region.x) + ", y " +
              std::to_string(region.y) + ", width " + std::to_string(region.width) + ", height " +
              std::to_string(region.height));
}

}  // namespace detail

/// Resizes by a triangle filter, antialiased when shrinking, first along rows, then along columns,
/// each rounded to 8 bits. For square images that is Pillow's Image.resize(size, Image.BILINEAR) to
/// the last bit; Pillow takes the columns of some tall images first.
/// Throws Error unless both images have at least one pixel.
inline GrayImage resize_antialiased(const GrayView& image, int width, int height) {
  if (image.empty() || width <= 0 || height <= 0) {
    throw Error("resize_antialiased: expected images of at least one pixel, found " +
                std::to_string(image.width) + "x" + std::to_string(image.height) + " to " +
                std::to_string(width) + "x" + std::to_string(height));
  }
  const kernels::VisionKernelTable& kernel = kernels::chosen_vision_table();
  const detail::TriangleFilter columns(image.width, width);
  std::vector<std::uint8_t> row(static_cast<std::size_t>(image.width + columns.tap_count()));
  GrayImage narrowed(width, image.height);
  for (int y = 0; y < image.height; ++y) {
    std::copy_n(image.row(y), image.width, row.begin());
    kernel.filter_row(row.data(), columns.along_rows(), narrowed.row(y));
  }
  const detail::TriangleFilter rows(image.height, height);
  GrayImage result(width, height);
  for (int y = 0; y < height; ++y) {
    kernel.filter_column(rows.across_rows(narrowed.view(), y), width, result.row(y));
  }
  return result;
}

/// The pixels of `region`; where it reaches beyond the image, the image's edge is repeated. Throws
/// Error if the region is empty or does not touch the image.
inline GrayImage crop(const GrayView& image, const Rect& region) {
  detail::check_touches(image, region);
  GrayImage result(region.width, region.height);
  const int first = std::max(-region.x, 0);  // of a row's columns that lie inside
  const auto end =
      static_cast<int>(std::min(std::int64_t{region.width}, std::int64_t{image.width} - region.x));
  for (int y = 0; y < region.height; ++y) {
    const std::uint8_t* from = image.row(std::clamp(region.y + y, 0, image.height - 1));
    std::uint8_t* to = result.row(y);
    std::fill(to, to + first, from[0]);
    std::copy(from + region.x + first, from + region.x + end, to + first);
    std::fill(to + end, to + region.width, from[image.width - 1]);
  }
  return result;
}

/// The same without a copy where the region lies inside the image; otherwise `memory` is what is
/// seen.
inline GrayView crop(const GrayView& image, const Rect& region, GrayImage& memory) {
  detail::check_touches(image, region);
  const bool inside = region.x >= 0 && region.y >= 0 && region.width <= image.width - region.x &&
                      region.height <= image.height - region.y;
  if (inside) return {image.row(region.y) + region.x, region.width, region.height, image.stride};
  memory = crop(image, region);
  return memory.view();
}

}  // namespace mien
