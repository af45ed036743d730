// Boxes and text on a photo or an empty canvas, and that into a PNG file by stb_image_write, whose
// functions are in stb.cpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <stb/stb_image_write.h>

#include <mien/error.hpp>
#include <mien/image/image.hpp>

#include "font.hpp"
#include "image_file.hpp"
#include "output_file.hpp"

namespace mien::examples {

struct Color {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;
};

/// How bright a color is to the eye, from 0 to 1: the relative luminance of WCAG 2.2.
inline double luminance(Color color) noexcept {
  const auto linear = [](std::uint8_t value) {
    const double share = value / 255.0;
    return share <= 0.04045 ? share / 12.92 : std::pow((share + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(color.red) + 0.7152 * linear(color.green) + 0.0722 * linear(color.blue);
}

/// WCAG 2.2's contrast ratio, from 1 to 21. It asks for 4.5 for text.
inline double contrast_ratio(Color a, Color b) noexcept {
  const double first = luminance(a) + 0.05;
  const double second = luminance(b) + 0.05;
  return std::max(first, second) / std::min(first, second);
}

/// Black or white, whichever is easier to read on `ground`: a ratio of 4.58 at least.
inline Color contrast(Color ground) noexcept {
  constexpr Color black{0, 0, 0};
  constexpr Color white{255, 255, 255};
  return contrast_ratio(black, ground) >= contrast_ratio(white, ground) ? black : white;
}

/// R, G, B pixels to draw on. What lies outside is left out.
class Canvas {
 public:
  Canvas(int width, int height, Color ground)
      : width_(width),
        height_(height),
        pixels_(3 * static_cast<std::size_t>(width) * static_cast<std::size_t>(height)) {
    fill({0, 0, width, height}, ground);
  }

  /// Starts with a copy of an image.
  explicit Canvas(const ImageFile& image)
      : width_(image.width), height_(image.height), pixels_(image.pixels) {
    if (image.channels == 3) return;
    pixels_.clear();
    pixels_.reserve(3 * image.pixels.size());
    for (const std::uint8_t gray : image.pixels) pixels_.insert(pixels_.end(), 3, gray);
  }

  int width() const noexcept { return width_; }
  int height() const noexcept { return height_; }
  const std::uint8_t* pixels() const noexcept { return pixels_.data(); }

  void fill(const Rect& rect, Color color) noexcept {
    const int left = std::max(rect.x, 0);
    const int right = std::min(rect.x + rect.width, width_);
    const int bottom = std::min(rect.y + rect.height, height_);
    for (int y = std::max(rect.y, 0); y < bottom; ++y) {
      std::uint8_t* pixel = pixels_.data() + (std::ptrdiff_t{y} * width_ + left) * 3;
      for (int x = left; x < right; ++x) {
        *pixel++ = color.red;
        *pixel++ = color.green;
        *pixel++ = color.blue;
      }
    }
  }

  /// A frame `line` pixels wide along the inner edge of `box`.
  void draw_box(const Rect& box, Color color, int line) noexcept {
    fill({box.x, box.y, box.width, line}, color);
    fill({box.x, box.y + box.height - line, box.width, line}, color);
    fill({box.x, box.y, line, box.height}, color);
    fill({box.x + box.width - line, box.y, line, box.height}, color);
  }

  /// A line of text in a row of `size` pixels with its top left corner at (x, y).
  void draw_text(int x, int y, const std::string& line, int size, Color color) {
    const TextMask mask = text_mask(line, static_cast<float>(size));
    const int left = x + mask.left;
    const int top = y + baseline(size) + mask.top;
    for (int row = std::max(-top, 0); row < std::min(mask.height, height_ - top); ++row) {
      for (int column = std::max(-left, 0); column < std::min(mask.width, width_ - left);
           ++column) {
        std::uint8_t* pixel =
            pixels_.data() + (std::ptrdiff_t{top + row} * width_ + left + column) * 3;
        const int covered = mask.coverage[static_cast<std::size_t>(row * mask.width + column)];
        for (const std::uint8_t value : {color.red, color.green, color.blue}) {
          *pixel =
              static_cast<std::uint8_t>((covered * value + (255 - covered) * *pixel + 127) / 255);
          ++pixel;
        }
      }
    }
  }

  /// The room that draw_text takes.
  static Size text_size(const std::string& line, int size) {
    return {static_cast<int>(std::ceil(text_width(line, static_cast<float>(size)))), size};
  }

 private:
  /// The font's letters reach 0.76 of their size above it.
  static int baseline(int size) noexcept {
    return static_cast<int>(std::lround(0.76 * static_cast<double>(size)));
  }

  int width_;
  int height_;
  std::vector<std::uint8_t> pixels_;
};

/// Writes a PNG file, whole or not at all. Throws mien::Error.
inline void write_png(const std::string& path, const Canvas& canvas) {
  std::string png;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data),
                                          static_cast<std::size_t>(size));
  };
  if (stbi_write_png_to_func(append, &png, canvas.width(), canvas.height(), 3, canvas.pixels(),
                             3 * canvas.width()) == 0) {
    throw Error(path + ": cannot encode an image of " + std::to_string(canvas.width()) + " x " +
                std::to_string(canvas.height()) + " pixels as PNG");
  }
  write_file(path, png);
}

}  // namespace mien::examples
