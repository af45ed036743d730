// Resizing of 8-bit gray images in fixed point, the same on every processor: as OpenCV does it for
// its Haar detector, and as Pillow does it for a network's input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/config.hpp>
#include <mien/image/image.hpp>
#include <mien/kernels/vision.hpp>

namespace mien {

/// The image at `width` x `height` pixels by bilinear interpolation, bit for bit as OpenCV's
/// INTER_LINEAR_EXACT (OpenCV 4.6, modules/imgproc/src/resize.cpp). Samples outside the image
/// repeat its border; there is no smoothing before shrinking. Throws Error for an empty image or a
/// size below 1 x 1.
GrayImage resize_linear_exact(const GrayView& image, int width, int height);

/// The image at `width` x `height` pixels by a triangle filter that widens as the image shrinks
/// (antialiasing), first along rows, then along columns, each rounded to 8 bits. For square images
/// that is Pillow's Image.resize(size, Image.BILINEAR) to the last bit; Pillow takes the columns of
/// some tall images first. Throws Error for an empty image or a size below 1 x 1.
GrayImage resize_antialiased(const GrayView& image, int width, int height);

namespace detail {

/// The taps of a triangle filter that widens as the image shrinks, so that no source sample is
/// lost.
class TriangleFilter {
 public:
  /// For so many source and target samples; keeps its memory.
  void set(int source, int target);

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

  int source_ = 0;
  int target_ = 0;
  std::vector<std::int32_t> starts_;
  std::vector<std::int32_t> ends_;
  std::vector<std::int32_t> weights_;
  std::vector<double> exact_;  // of one target sample
  std::int32_t tap_count_ = 0;
};

}  // namespace detail

/// resize_antialiased with memory that is kept from image to image: from the second of a size on it
/// allocates nothing. Not for two images at once.
class AntialiasedResizer {
 public:
  /// `result` becomes the image at `width` x `height` pixels. Throws Error as resize_antialiased.
  void resize(const GrayView& image, int width, int height, GrayImage& result);

 private:
  detail::TriangleFilter columns_;
  detail::TriangleFilter rows_;
  std::vector<std::uint8_t> row_;
  GrayImage narrowed_;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>

#include <mien/error.hpp>
#include <mien/image/resize_plan.hpp>

namespace mien {

MIEN_INLINE GrayImage resize_linear_exact(const GrayView& image, int width, int height) {
  if (image.empty()) detail::fail({"resize_linear_exact: expected an image, found an empty one"});
  if (width < 1 || height < 1) {
    detail::fail({"resize_linear_exact: expected a size of at least 1 x 1, found ",
                  detail::Digits(width), " x ", detail::Digits(height)});
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

namespace detail {

MIEN_INLINE void TriangleFilter::set(int source, int target) {
  if (source == source_ && target == target_) return;
  source_ = source;
  target_ = target;
  starts_.clear();
  ends_.clear();
  tap_count_ = 0;
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
  weights_.assign(starts_.size() * static_cast<std::size_t>(tap_count_), 0);
  for (int i = 0; i < target; ++i) {
    const double centre = (i + 0.5) * scale;
    double sum = 0.0;
    exact_.clear();
    for (int s = start(i); s < end(i); ++s) {
      const double distance = std::abs((s - centre + 0.5) * (1.0 / support));
      exact_.push_back(std::max(1.0 - distance, 0.0));
      sum += exact_.back();
    }
    std::int32_t* to = weights_.data() + std::ptrdiff_t{i} * tap_count_;
    for (const double weight : exact_) {
      constexpr int one = 1 << kernels::filter_fraction_bits;
      *to++ = static_cast<std::int32_t>(0.5 + weight / sum * one);
    }
  }
}

}  // namespace detail

MIEN_INLINE void AntialiasedResizer::resize(const GrayView& image, int width, int height,
                                            GrayImage& result) {
  if (image.empty() || width <= 0 || height <= 0) {
    detail::fail({"resize_antialiased: expected images of at least one pixel, found ",
                  detail::Digits(image.width), "x", detail::Digits(image.height), " to ",
                  detail::Digits(width), "x", detail::Digits(height)});
  }
  const kernels::VisionKernelTable& kernel = kernels::chosen_vision_table();
  columns_.set(image.width, width);
  row_.resize(static_cast<std::size_t>(image.width + columns_.tap_count()));
  narrowed_.resize(width, image.height);
  for (int y = 0; y < image.height; ++y) {
    std::copy_n(image.row(y), image.width, row_.begin());
    kernel.filter_row(row_.data(), columns_.along_rows(), narrowed_.row(y));
  }
  rows_.set(image.height, height);
  result.resize(width, height);
  for (int y = 0; y < height; ++y) {
    kernel.filter_column(rows_.across_rows(narrowed_.view(), y), width, result.row(y));
  }
}

MIEN_INLINE GrayImage resize_antialiased(const GrayView& image, int width, int height) {
  GrayImage result;
  AntialiasedResizer().resize(image, width, height, result);
  return result;
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
