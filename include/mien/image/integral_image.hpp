// Sums of pixels over rectangles in constant time: upright, squared (Viola and Jones 2004) and
// tilted by 45 degrees (Lienhart and Maydt 2002).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/config.hpp>
#include <mien/image/image.hpp>

namespace mien {

/// Three tables of (height + 1) x (width + 1) entries, modulo 2^32: the entries of a large image
/// wrap, yet a rectangle's sum, a difference of entries, is right as long as it fits in 32 bits
/// itself.
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

  /// Replaces the tables by those of another image; allocates only to grow. An empty image gives
  /// 1 x 1 tables of zeros.
  void compute(const GrayView& image, bool with_tilted_sums = false);

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
  void compute_upright(const GrayView& image);
  void compute_tilted(const GrayView& image);

  int width_ = 0;
  int height_ = 0;
  std::vector<std::uint32_t> sums_;
  std::vector<std::uint32_t> squared_sums_;
  std::vector<std::uint32_t> tilted_sums_;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>

#include <mien/kernels/vision.hpp>

namespace mien {

MIEN_INLINE void IntegralImage::compute(const GrayView& image, bool with_tilted_sums) {
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

MIEN_INLINE void IntegralImage::compute_upright(const GrayView& image) {
  std::fill_n(sums_.begin(), stride(), 0u);
  std::fill_n(squared_sums_.begin(), stride(), 0u);
  const auto sum_row = kernels::chosen_vision_table().sum_row;
  for (int y = 0; y < height_; ++y) {
    const kernels::SumRows above{sums_.data() + y * stride(), squared_sums_.data() + y * stride()};
    sum_row(image.row(y), width_, above, {above.sums + stride(), above.squared_sums + stride()});
  }
}

MIEN_INLINE void IntegralImage::compute_tilted(const GrayView& image) {
  // The first row has two rows of zeros above it.
  const std::vector<std::uint32_t> zeros(static_cast<std::size_t>(stride()));
  const std::vector<std::uint8_t> zero_pixels(static_cast<std::size_t>(width_));
  std::copy(zeros.begin(), zeros.end(), tilted_sums_.begin());
  const auto tilted_sum_row = kernels::chosen_vision_table().tilted_sum_row;
  for (int y = 0; y < height_; ++y) {
    std::uint32_t* above = tilted_sums_.data() + y * stride();
    tilted_sum_row(image.row(y), y == 0 ? zero_pixels.data() : image.row(y - 1), width_, above,
                   y == 0 ? zeros.data() : above - stride(), above + stride());
  }
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
