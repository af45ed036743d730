// What a convolution or pooling kernel must know of its shapes, as plain numbers.
#pragma once

#include <cstddef>

namespace mien::kernels {

/// A window of kernel_height x kernel_width that moves over a channels-last image.
struct WindowGeometry {
  int in_channels;
  int in_height;
  int in_width;
  int out_channels;
  int out_height;
  int out_width;
  int kernel_height;
  int kernel_width;
  int stride_y;
  int stride_x;
  int padding_y;
  int padding_x;
  int groups = 1;

  constexpr bool is_padded() const { return padding_y > 0 || padding_x > 0; }
  /// Whether every output pixel sees one input pixel, its own.
  constexpr bool is_pointwise() const {
    return kernel_height == 1 && kernel_width == 1 && stride_y == 1 && stride_x == 1 &&
           !is_padded();
  }

  /// Values of an image, of one with the padding around it, and of what becomes of it.
  constexpr std::size_t input_size() const { return product(in_channels, in_height, in_width); }
  constexpr std::size_t padded_size() const {
    return product(in_channels, in_height + 2 * padding_y, in_width + 2 * padding_x);
  }
  constexpr std::size_t output_size() const { return product(out_channels, out_height, out_width); }

  static constexpr std::size_t product(int channels, int height, int width) {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(width);
  }
};

/// The taps of one output's window that lie inside the image: [first, last) in each direction.
struct Window {
  int first_y;
  int last_y;
  int first_x;
  int last_x;
};

constexpr Window clipped_window(const WindowGeometry& g, int y, int x) noexcept {
  const int top = y * g.stride_y - g.padding_y;
  const int left = x * g.stride_x - g.padding_x;
  return {top < 0 ? -top : 0,
          top + g.kernel_height > g.in_height ? g.in_height - top : g.kernel_height,
          left < 0 ? -left : 0,
          left + g.kernel_width > g.in_width ? g.in_width - left : g.kernel_width};
}

/// Offset of the pixel under a tap of the window of output (y, x).
constexpr std::ptrdiff_t tap_offset(const WindowGeometry& g, int y, int x, int tap_y,
                                    int tap_x) noexcept {
  const std::ptrdiff_t row = std::ptrdiff_t{y} * g.stride_y - g.padding_y + tap_y;
  const std::ptrdiff_t column = std::ptrdiff_t{x} * g.stride_x - g.padding_x + tap_x;
  return (row * g.in_width + column) * g.in_channels;
}

}  // namespace mien::kernels
