// Cutting a face out of a photo and bringing it to a network's size.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <mien/error.hpp>
#include <mien/vision/image.hpp>

namespace mien {

namespace detail {

/// The source samples that make up one target sample, with fixed-point weights.
struct ResizeTaps {
  int first = 0;
  std::vector<std::int32_t> weights;
};

/// 8-bit samples times weights must fit into 32 bits with a sign and room for the sum's overshoot.
inline constexpr int resize_fraction_bits = 22;

/// The taps of a triangle filter that widens as the image shrinks, so that no source sample is
/// lost.
inline std::vector<ResizeTaps> triangle_filter_taps(int source, int target) {
  std::vector<ResizeTaps> result(static_cast<std::size_t>(target));
  const double scale = static_cast<double>(source) / target;
  const double support = std::max(scale, 1.0);
  for (int i = 0; i < target; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(centre - support + 0.5), 0);
    const int last = std::min(static_cast<int>(centre + support + 0.5), source);
    std::vector<double> weights;
    double sum = 0.0;
    for (int s = first; s < last; ++s) {
      const double distance = std::abs((s - centre + 0.5) * (1.0 / support));
      weights.push_back(std::max(1.0 - distance, 0.0));
      sum += weights.back();
    }
    ResizeTaps& taps = result[static_cast<std::size_t>(i)];
    taps.first = first;
    for (const double weight : weights) {
      taps.weights.push_back(
          static_cast<std::int32_t>(0.5 + weight / sum * (1 << resize_fraction_bits)));
    }
  }
  return result;
}

/// One target sample; `from` is the first source sample, `step` the distance to the next.
inline std::uint8_t filtered_sample(const std::uint8_t* from, std::ptrdiff_t step,
                                    const ResizeTaps& taps) noexcept {
  std::int32_t sum = 1 << (resize_fraction_bits - 1);
  for (const std::int32_t weight : taps.weights) {
    sum += *from * weight;
    from += step;
  }
  return static_cast<std::uint8_t>(std::min(sum >> resize_fraction_bits, 255));
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
  const auto columns = detail::triangle_filter_taps(image.width, width);
  GrayImage narrowed(width, image.height);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < width; ++x) {
      const detail::ResizeTaps& taps = columns[static_cast<std::size_t>(x)];
      narrowed.row(y)[x] = detail::filtered_sample(image.row(y) + taps.first, 1, taps);
    }
  }
  const auto rows = detail::triangle_filter_taps(image.height, height);
  GrayImage result(width, height);
  for (int y = 0; y < height; ++y) {
    const detail::ResizeTaps& taps = rows[static_cast<std::size_t>(y)];
    for (int x = 0; x < width; ++x) {
      result.row(y)[x] = detail::filtered_sample(narrowed.row(taps.first) + x, width, taps);
    }
  }
  return result;
}

/// The pixels of `region`; where it reaches beyond the image, the image's edge is repeated. Throws
/// Error if the region is empty or does not touch the image.
inline GrayImage crop(const GrayView& image, const Rect& region) {
  if (image.empty() || region.width <= 0 || region.height <= 0 || region.x >= image.width ||
      region.y >= image.height || std::int64_t{region.x} + region.width <= 0 ||
      std::int64_t{region.y} + region.height <= 0) {
    throw Error("crop: expected a region inside the image of " + std::to_string(image.width) + "x" +
                std::to_string(image.height) + ", found x " + std::to_string(region.x) + ", y " +
                std::to_string(region.y) + ", width " + std::to_string(region.width) + ", height " +
                std::to_string(region.height));
  }
  GrayImage result(region.width, region.height);
  for (int y = 0; y < region.height; ++y) {
    const std::uint8_t* from = image.row(std::clamp(region.y + y, 0, image.height - 1));
    for (int x = 0; x < region.width; ++x) {
      result.row(y)[x] = from[std::clamp(region.x + x, 0, image.width - 1)];
    }
  }
  return result;
}

}  // namespace mien
