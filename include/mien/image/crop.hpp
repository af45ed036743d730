// Cutting a region, such as a face, out of an image.
#pragma once

#include <mien/config.hpp>
#include <mien/image/image.hpp>

namespace mien {

/// The pixels of `region`; where it reaches beyond the image, the image's edge is repeated. Throws
/// Error if the region is empty, does not touch the image, has a side of more than 4096 pixels
/// and of more than four times the image's longer side, or more than 4096 x 4096 pixels and more
/// than sixteen times the image's.
GrayImage crop(const GrayView& image, const Rect& region);

/// The same without a copy if the region lies inside the image. Otherwise the pixels are copied to
/// `memory`, and that is what the view shows.
GrayView crop(const GrayView& image, const Rect& region, GrayImage& memory);

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cstdint>
#include <string>

#include <mien/error.hpp>

namespace mien {

namespace detail {

/// Throws Error if a region is empty, does not touch the image or is far larger.
inline void check_touches(const GrayView& image, const Rect& region) {
  if (!image.empty() && region.width > 0 && region.height > 0 && region.x < image.width &&
      region.y < image.height && std::int64_t{region.x} + region.width > 0 &&
      std::int64_t{region.y} + region.height > 0) {
    const int longer = std::max(image.width, image.height);
    const std::int64_t most = std::max(std::int64_t{4096}, std::int64_t{4} * longer);
    const std::int64_t most_pixels =
        std::max(std::int64_t{4096} * 4096, std::int64_t{16} * image.width * image.height);
    const std::int64_t pixels = std::int64_t{region.width} * region.height;
    if (region.width <= most && region.height <= most && pixels <= most_pixels) return;
    if (region.width <= most && region.height <= most) {
      detail::fail({"crop: expected a region of at most ", detail::Digits(most_pixels),
                    " pixels in an image of ", detail::Digits(image.width), "x",
                    detail::Digits(image.height), ", found ", detail::Digits(region.width), "x",
                    detail::Digits(region.height)});
    }
    detail::fail({"crop: expected a region of at most ", detail::Digits(most),
                  " pixels a side in an image of ", detail::Digits(image.width), "x",
                  detail::Digits(image.height), ", found ", detail::Digits(region.width), "x",
                  detail::Digits(region.height)});
  }
  detail::fail({"crop: expected a region inside the image of ", detail::Digits(image.width), "x",
                detail::Digits(image.height), ", found x ", detail::Digits(region.x), ", y ",
                detail::Digits(region.y), ", width ", detail::Digits(region.width), ", height ",
                detail::Digits(region.height)});
}

}  // namespace detail

MIEN_INLINE GrayImage crop(const GrayView& image, const Rect& region) {
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

MIEN_INLINE GrayView crop(const GrayView& image, const Rect& region, GrayImage& memory) {
  detail::check_touches(image, region);
  const bool inside = region.x >= 0 && region.y >= 0 && region.width <= image.width - region.x &&
                      region.height <= image.height - region.y;
  if (inside) return {image.row(region.y) + region.x, region.width, region.height, image.stride};
  memory = crop(image, region);
  return memory.view();
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
