// Sums of pixels over rectangles in constant time: upright, squared (Viola and Jones 2004) and
// tilted by 45 degrees (Lienhart and Maydt 2002).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/vision/image.hpp>

namespace mien {

/// Three tables of (height + 1) x (width + 1) entries, modulo 2^32: on large images the entries
/// wrap, and differences that themselves fit in 32 bits stay right.
///
///   sums[Y][X]          pixels (x, y) with x < X and y < Y
///   squared_sums[Y][X]  squares of the same pixels
///   tilted_sums[Y][X]   pixels with y < Y and |x - X + 1| <= Y - 1 - y: the triangle that opens
///                       upwards from pixel (X - 1, Y - 1), cut at the border of the image
class IntegralImage {
 public:
  IntegralImage() = default;

  explicit IntegralImage(const GrayView& image, bool with_tilted_sums = false) {
    compute(image, with_tilted_sums);
  }

  /// Sums up another image and keeps the memory. An empty image gives 1 x 1 tables of zeros.
  void compute(const GrayView& image, bool with_tilted_sums = false) {
    width_ = image.empty() ? 0 : image.width;
    height_ = image.empty() ? 0 : image.height;
    const std::size_t size =
        static_cast<std::size_t>(stride()) * (static_cast<std::size_t>(height_) + 1);
    sums_.resize(size);
    squared_sums_.resize(size);
    tilted_sums_.resize(with_tilted_sums ? size : 0);
    compute_upright(image);
    if (with_tilted_sums) compute_tilted(image);
  }

  int width() const noexcept { return width_; }    // of the image
  int height() const noexcept { return height_; }  // of the image
  /// Entries from one row of a table to the next: width() + 1.
  std::ptrdiff_t stride() const noexcept { return std::ptrdiff_t{width_} + 1; }

  const std::uint32_t* sums() const noexcept { return sums_.data(); }
  const std::uint32_t* squared_sums() const noexcept { return squared_sums_.data(); }
  /// Null unless asked for.
  const std::uint32_t* tilted_sums() const noexcept {
    return tilted_sums_.empty() ? nullptr : tilted_sums_.data();
  }

 private:
  void compute_upright(const GrayView& image) noexcept {
    std::fill_n(sums_.begin(), stride(), 0u);
    std::fill_n(squared_sums_.begin(), stride(), 0u);
    for (int y = 0; y < height_; ++y) {
      const std::uint8_t* pixels = image.row(y);
      const std::uint32_t* sums_above = sums_.data() + y * stride();
      const std::uint32_t* squared_sums_above = squared_sums_.data() + y * stride();
      std::uint32_t* sums = sums_.data() + (y + 1) * stride();
      std::uint32_t* squared_sums = squared_sums_.data() + (y + 1) * stride();
      std::uint32_t row_sum = 0;
      std::uint32_t squared_row_sum = 0;
      sums[0] = 0;
      squared_sums[0] = 0;
      for (int x = 0; x < width_; ++x) {
        const std::uint32_t pixel = pixels[x];
        row_sum += pixel;
        squared_row_sum += pixel * pixel;
        sums[x + 1] = sums_above[x + 1] + row_sum;
        squared_sums[x + 1] = squared_sums_above[x + 1] + squared_row_sum;
      }
    }
  }

  /// A triangle is the two triangles to the upper left and upper right, which overlap in the one
  /// two rows above, and the two pixels at its tip that none of them covers. Triangles whose tip
  /// lies outside the image are cut to what a neighbour covers.
  void compute_tilted(const GrayView& image) noexcept {
    const std::ptrdiff_t last = width_;
    std::fill_n(tilted_sums_.begin(), stride(), 0u);
    for (int y = 0; y < height_; ++y) {
      std::uint32_t* sums = tilted_sums_.data() + (y + 1) * stride();
      const std::uint32_t* above = sums - stride();
      const std::uint8_t* pixels = image.row(y);
      if (y == 0) {
        sums[0] = 0;
        for (std::ptrdiff_t x = 1; x <= last; ++x) sums[x] = pixels[x - 1];
        continue;
      }
      const std::uint32_t* two_above = above - stride();
      const std::uint8_t* pixels_above = image.row(y - 1);
      sums[0] = above[1];
      for (std::ptrdiff_t x = 1; x < last; ++x) {
        sums[x] = above[x - 1] + above[x + 1] - two_above[x] + pixels[x - 1] + pixels_above[x - 1];
      }
      sums[last] = above[last - 1] + pixels[last - 1] + pixels_above[last - 1];
    }
  }

  int width_ = 0;
  int height_ = 0;
  std::vector<std::uint32_t> sums_;
  std::vector<std::uint32_t> squared_sums_;
  std::vector<std::uint32_t> tilted_sums_;
};

}  // namespace mien
