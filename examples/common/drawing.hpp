// Boxes and text on a photo or an empty canvas, and that into a PNG file by stb_image_write, whose
// functions are in stb.cpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <stb/stb_easy_font.h>
#include <stb/stb_image_write.h>

#include <mien/error.hpp>
#include <mien/image/image.hpp>

#include "image_file.hpp"
#include "output_file.hpp"

namespace mien::examples {

struct Color {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;
};

/// Black or white, whichever is easier to read on `ground`.
inline Color contrast(Color ground) noexcept {
  const int brightness = 2 * ground.red + 5 * ground.green + ground.blue;
  return brightness > 8 * 128 ? Color{0, 0, 0} : Color{255, 255, 255};
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

  /// A frame `line_width()` pixels wide along the inner edge of `box`.
  void draw_box(const Rect& box, Color color) noexcept {
    const int line = line_width();
    fill({box.x, box.y, box.width, line}, color);
    fill({box.x, box.y + box.height - line, box.width, line}, color);
    fill({box.x, box.y, line, box.height}, color);
    fill({box.x + box.width - line, box.y, line, box.height}, color);
  }

  /// Text on a ground of `color`, above `box` or, where there is no room, inside it.
  void draw_label(const Rect& box, const std::string& text, Color color) {
    const int scale = text_scale();
    const int padding = 2 * scale;
    const Size size = text_size(text, scale);
    const int label_width = size.width + 2 * padding;
    const int label_height = size.height + padding;
    const int x = std::max(std::min(box.x, width_ - label_width), 0);
    const int y = box.y >= label_height ? box.y - label_height : box.y;
    fill({x, y, label_width, label_height}, color);
    draw_text(x + padding, y + padding, text, scale, contrast(color));
  }

  /// Text whose letters are 7 * `scale` pixels high, from (x, y) to the right and down. Lines end
  /// with '\n'; what is not printable ASCII becomes '?'.
  void draw_text(int x, int y, const std::string& text, int scale, Color color) {
    // stb_easy_font writes quads of four vertices: x, y, z as floats and four bytes of colour.
    constexpr std::size_t vertex_bytes = 16;
    constexpr std::size_t quad_bytes = 4 * vertex_bytes;
    constexpr std::size_t most_quads_of_a_character = 16;
    std::string printed = printable(text);
    std::vector<char> quads(printed.size() * most_quads_of_a_character * quad_bytes);
    const int count = stb_easy_font_print(0, 0, printed.data(), nullptr, quads.data(),
                                          static_cast<int>(quads.size()));
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      float top_left[2];
      float bottom_right[2];
      std::memcpy(top_left, &quads[i * quad_bytes], sizeof top_left);
      std::memcpy(bottom_right, &quads[i * quad_bytes + 2 * vertex_bytes], sizeof bottom_right);
      const auto scaled = [scale](float units) {
        return static_cast<int>(std::lround(units)) * scale;
      };
      fill({x + scaled(top_left[0]), y + scaled(top_left[1]), scaled(bottom_right[0] - top_left[0]),
            scaled(bottom_right[1] - top_left[1])},
           color);
    }
  }

  /// The room that draw_text takes.
  static Size text_size(const std::string& text, int scale) {
    std::string printed = printable(text);
    return {stb_easy_font_width(printed.data()) * scale,
            stb_easy_font_height(printed.data()) * scale};
  }

  /// Grows with the image, so that it can be seen when that is shown as a whole.
  int line_width() const noexcept { return std::max(std::min(width_, height_) / 240, 1); }

 private:
  int text_scale() const noexcept { return std::max((std::min(width_, height_) + 120) / 300, 1); }

  static std::string printable(std::string text) {
    for (char& c : text) {
      if (c != '\n' && (c < ' ' || c > '~')) c = '?';
    }
    return text;
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
