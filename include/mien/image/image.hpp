// Pixels: views that borrow, an image that owns, and rectangles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/config.hpp>
#include <mien/error.hpp>

namespace mien {

/// A rectangle in pixels; (x, y) is its top left corner.
struct Rect {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;

  friend bool operator==(const Rect& a, const Rect& b) noexcept {
    return a.x == b.x && a.y == b.y && a.width == b.width && a.height == b.height;
  }
  friend bool operator!=(const Rect& a, const Rect& b) noexcept { return !(a == b); }
};

/// Width and height in pixels.
struct Size {
  int width = 0;
  int height = 0;

  friend bool operator==(const Size& a, const Size& b) noexcept {
    return a.width == b.width && a.height == b.height;
  }
  friend bool operator!=(const Size& a, const Size& b) noexcept { return !(a == b); }
};

/// 8-bit gray pixels that somebody else owns. A view without pixels, null or of a size that is not
/// positive, is empty, and is taken as a picture in which there is nothing. `stride` is the
/// distance between rows in bytes; it is negative if rows are stored from bottom to top.
struct GrayView {
  const std::uint8_t* pixels = nullptr;
  int width = 0;
  int height = 0;
  std::ptrdiff_t stride = 0;

  GrayView() = default;
  GrayView(const std::uint8_t* data, int width_, int height_) noexcept
      : GrayView(data, width_, height_, width_) {}
  GrayView(const std::uint8_t* data, int width_, int height_, std::ptrdiff_t stride_) noexcept
      : pixels(data), width(width_), height(height_), stride(stride_) {}

  const std::uint8_t* row(int y) const noexcept { return pixels + y * stride; }
  bool empty() const noexcept { return pixels == nullptr || width <= 0 || height <= 0; }
};

/// 8-bit R, G, B pixels, interleaved, that somebody else owns. `stride` is in bytes.
struct RgbView {
  const std::uint8_t* pixels = nullptr;
  int width = 0;
  int height = 0;
  std::ptrdiff_t stride = 0;

  RgbView() = default;
  RgbView(const std::uint8_t* data, int width_, int height_) noexcept
      : RgbView(data, width_, height_, std::ptrdiff_t{3} * width_) {}
  RgbView(const std::uint8_t* data, int width_, int height_, std::ptrdiff_t stride_) noexcept
      : pixels(data), width(width_), height(height_), stride(stride_) {}

  const std::uint8_t* row(int y) const noexcept { return pixels + y * stride; }
  bool empty() const noexcept { return pixels == nullptr || width <= 0 || height <= 0; }
};

/// 8-bit gray pixels that it owns, without gaps between rows. Throws Error for negative sizes.
class GrayImage {
 public:
  GrayImage() = default;
  GrayImage(int width, int height) { resize(width, height); }

  /// Changes the size; the pixels' values are unspecified afterwards. Allocates only to grow.
  void resize(int width, int height) {
    if (width < 0 || height < 0) {
      detail::fail({"image: expected a width and height of 0 or more, found ",
                    detail::Digits(width), " x ", detail::Digits(height)});
    }
    pixels_.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
    width_ = width;
    height_ = height;
  }

  int width() const noexcept { return width_; }
  int height() const noexcept { return height_; }
  std::uint8_t* row(int y) noexcept { return pixels_.data() + std::ptrdiff_t{y} * width_; }
  const std::uint8_t* row(int y) const noexcept {
    return pixels_.data() + std::ptrdiff_t{y} * width_;
  }
  GrayView view() const noexcept { return {pixels_.data(), width_, height_}; }

 private:
  int width_ = 0;
  int height_ = 0;
  std::vector<std::uint8_t> pixels_;
};

/// Gray from R, G, B as OpenCV's cvtColor computes it for 8-bit images:
/// (9798 R + 19235 G + 3735 B + 2^14) / 2^15, which is 0.299 R + 0.587 G + 0.114 B. An empty view
/// becomes an image of 0 x 0.
void to_gray(const RgbView& image, GrayImage& gray);
GrayImage to_gray(const RgbView& image);

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

namespace mien {

MIEN_INLINE void to_gray(const RgbView& image, GrayImage& gray) {
  if (image.empty()) return gray.resize(0, 0);
  gray.resize(image.width, image.height);
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* from = image.row(y);
    std::uint8_t* to = gray.row(y);
    for (int x = 0; x < image.width; ++x, from += 3) {
      to[x] = static_cast<std::uint8_t>(
          (9798 * from[0] + 19235 * from[1] + 3735 * from[2] + 16384) >> 15);
    }
  }
}

MIEN_INLINE GrayImage to_gray(const RgbView& image) {
  GrayImage gray;
  to_gray(image, gray);
  return gray;
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
