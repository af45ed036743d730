// Bilinear resizing of 8-bit gray images in fixed point, bit for bit as OpenCV's
// INTER_LINEAR_EXACT (OpenCV 4.6, modules/imgproc/src/resize.cpp): the same on every processor.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <mien/error.hpp>
#include <mien/vision/image.hpp>

namespace mien {

namespace detail {

/// Two neighbouring source samples and the second one's weight in 1/256; the first has the rest.
struct LinearTap {
  int first = 0;
  int second = 0;
  std::uint32_t second_weight = 0;
};

inline constexpr std::uint32_t unit_weight = 256;

/// The source samples of each of `target` samples that span the same length as `source` samples.
inline std::vector<LinearTap> linear_taps(int source, int target) {
  const double step = 1.0 / (static_cast<double>(target) / static_cast<double>(source));
  std::vector<LinearTap> taps(static_cast<std::size_t>(target));
  for (int i = 0; i < target; ++i) {
    // Rounded before the subtraction. Compilers may fuse a * b - c into one rounding (GCC does so
    // by default for -march=native), which moves some samples; they may not do it across a
    // volatile object.
    const volatile double centre = step * (i + 0.5);
    const double position = centre - 0.5;
    const double whole = std::floor(position);
    LinearTap& tap = taps[static_cast<std::size_t>(i)];
    if (whole < 0.0) {
      tap = {0, 0, 0};
    } else if (whole >= source - 1) {
      tap = {source - 1, source - 1, 0};
    } else {
      tap.first = static_cast<int>(whole);
      tap.second = tap.first + 1;
      tap.second_weight = static_cast<std::uint32_t>(std::lrint((position - whole) * unit_weight));
    }
  }
  return taps;
}

/// One row, resized: 8.8 fixed point, 0 to 65280, without rounding.
inline void resize_row(const std::uint8_t* row, const std::vector<LinearTap>& taps,
                       std::uint16_t* resized) noexcept {
  for (const LinearTap& tap : taps) {
    *resized++ = static_cast<std::uint16_t>((unit_weight - tap.second_weight) * row[tap.first] +
                                            tap.second_weight * row[tap.second]);
  }
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
  const std::vector<detail::LinearTap> columns = detail::linear_taps(image.width, width);
  const std::vector<detail::LinearTap> rows = detail::linear_taps(image.height, height);

  // The last two source rows in use, resized. Neighbouring rows never share a place.
  std::array<std::vector<std::uint16_t>, 2> resized_rows;
  std::array<int, 2> resized_row_numbers{-1, -1};
  for (auto& row : resized_rows) row.resize(static_cast<std::size_t>(width));
  const auto resized_row = [&](int number) {
    const std::size_t place = static_cast<std::size_t>(number) % 2;
    if (resized_row_numbers[place] != number) {
      detail::resize_row(image.row(number), columns, resized_rows[place].data());
      resized_row_numbers[place] = number;
    }
    return resized_rows[place].data();
  };

  constexpr std::uint32_t half = 1u << 15;
  GrayImage result(width, height);
  for (int y = 0; y < height; ++y) {
    const detail::LinearTap& tap = rows[static_cast<std::size_t>(y)];
    const std::uint16_t* first = resized_row(tap.first);
    const std::uint16_t* second = resized_row(tap.second);
    const std::uint32_t second_weight = tap.second_weight;
    const std::uint32_t first_weight = detail::unit_weight - second_weight;
    std::uint8_t* to = result.row(y);
    for (int x = 0; x < width; ++x) {
      to[x] = static_cast<std::uint8_t>(
          (first[x] * first_weight + second[x] * second_weight + half) >> 16);
    }
  }
  return result;
}

}  // namespace mien
