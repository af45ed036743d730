// What a convolution or pooling kernel must know of its shapes, as plain numbers.
#pragma once

#include <cstddef>

namespace mien::kernels {

/// A window of kernel_height x kernel_width that moves over a channels-last image. Padding below
/// and to the right is as much as the last windows need.
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
  int dilation_y = 1;
  int dilation_x = 1;

  /// Rows and columns from the first tap to the last.
  constexpr int extent_y() const { return (kernel_height - 1) * dilation_y + 1; }
  constexpr int extent_x() const { return (kernel_width - 1) * dilation_x + 1; }
  constexpr bool is_dilated() const { return dilation_y > 1 || dilation_x > 1; }

  /// The image with the padding that its windows reach.
  constexpr int padded_height() const {
    return larger(padding_y + in_height, (out_height - 1) * stride_y + extent_y());
  }
  constexpr int padded_width() const {
    return larger(padding_x + in_width, (out_width - 1) * stride_x + extent_x());
  }
  constexpr bool is_padded() const {
    return padded_height() > in_height || padded_width() > in_width;
  }
  /// Whether every output pixel sees one input pixel, its own.
  constexpr bool is_pointwise() const {
    return kernel_height == 1 && kernel_width == 1 && stride_y == 1 && stride_x == 1 &&
           !is_padded() && out_height == in_height && out_width == in_width;
  }

  /// Values of an image, of one with the padding around it, and of what becomes of it.
  constexpr std::size_t input_size() const { return product(in_channels, in_height, in_width); }
  constexpr std::size_t padded_size() const {
    return product(in_channels, padded_height(), padded_width());
  }
  constexpr std::size_t output_size() const { return product(out_channels, out_height, out_width); }

  static constexpr std::size_t product(int channels, int height, int width) {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(width);
  }

 private:
  static constexpr int larger(int a, int b) { return a < b ? b : a; }
};

/// The taps of one output's window that lie inside the image: [first, last) in each direction, none
/// where first is not less than last.
struct Window {
  int first_y;
  int last_y;
  int first_x;
  int last_x;
};

constexpr Window clipped_window(const WindowGeometry& g, int y, int x) noexcept {
  const int top = y * g.stride_y - g.padding_y;
  const int left = x * g.stride_x - g.padding_x;
  Window window = {top < 0 ? -top : 0,
                   top + g.kernel_height > g.in_height ? g.in_height - top : g.kernel_height,
                   left < 0 ? -left : 0,
                   left + g.kernel_width > g.in_width ? g.in_width - left : g.kernel_width};
  if (g.is_dilated()) {
    // Of the same pixels, only every dilation-th has a tap.
    const int bottom = g.in_height - top;
    const int right = g.in_width - left;
    window.first_y = (window.first_y + g.dilation_y - 1) / g.dilation_y;
    window.first_x = (window.first_x + g.dilation_x - 1) / g.dilation_x;
    window.last_y =
        bottom >= g.extent_y() ? g.kernel_height : (bottom + g.dilation_y - 1) / g.dilation_y;
    window.last_x =
        right >= g.extent_x() ? g.kernel_width : (right + g.dilation_x - 1) / g.dilation_x;
  }
  return window;
}

/// Offset of the pixel under a tap of the window of output (y, x).
constexpr std::ptrdiff_t tap_offset(const WindowGeometry& g, int y, int x, int tap_y,
                                    int tap_x) noexcept {
  const std::ptrdiff_t row =
      std::ptrdiff_t{y} * g.stride_y - g.padding_y + std::ptrdiff_t{tap_y} * g.dilation_y;
  const std::ptrdiff_t column =
      std::ptrdiff_t{x} * g.stride_x - g.padding_x + std::ptrdiff_t{tap_x} * g.dilation_x;
  return (row * g.in_width + column) * g.in_channels;
}

}  // namespace mien::kernels
