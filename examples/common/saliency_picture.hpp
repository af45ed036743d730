// Pictures of what an expression was read from: saliency maps over the faces of a gray photo.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <mien/image/image.hpp>
#include <mien/saliency.hpp>

#include "drawing.hpp"
#include "image_file.hpp"
#include "output_file.hpp"

namespace mien::examples {

inline void add_saliency_option(CLI::App& app, std::string& path) {
  app.add_option("--saliency", path,
                 "draw into this PNG file what each face's expression was read from: the brighter "
                 "a pixel's colour, the more its gray value matters; several images as for "
                 "--output")
      ->type_name("OUT.png");
  app.parse_complete_callback([&path] {
    if (!path.empty()) require_png_path("--saliency", path);
  });
}

namespace detail {

/// Matplotlib's "inferno" (van der Walt and Smith, CC0) at every eighth: as bright to the eye as
/// the value is high.
inline constexpr std::array<Color, 9> inferno = {{{0, 0, 4},
                                                  {33, 12, 74},
                                                  {87, 16, 110},
                                                  {138, 34, 106},
                                                  {188, 55, 84},
                                                  {228, 90, 49},
                                                  {249, 142, 9},
                                                  {249, 203, 53},
                                                  {252, 255, 164}}};

inline float between(float first, float second, float fraction) noexcept {
  return first + (second - first) * fraction;
}

/// `gray` under the colour of a value from 0 to 1, which is the more opaque the higher it is.
inline Color colored(std::uint8_t gray, float value) noexcept {
  constexpr float steps = inferno.size() - 1;
  const auto first = std::min(static_cast<std::size_t>(value * steps), inferno.size() - 2);
  const float fraction = value * steps - static_cast<float>(first);
  const auto mixed = [&](std::uint8_t Color::*channel) {
    const float color = between(inferno[first].*channel, inferno[first + 1].*channel, fraction);
    return static_cast<std::uint8_t>(std::lround(between(gray, color, std::sqrt(value))));
  };
  return {mixed(&Color::red), mixed(&Color::green), mixed(&Color::blue)};
}

/// One pass along rows or columns: a value and its two neighbours, weights 1 2 1.
inline std::vector<float> smoothed_lines(const std::vector<float>& values, int size, int along,
                                         int across) {
  std::vector<float> result(values.size());
  for (int line = 0; line < size; ++line) {
    const auto at = [&](int i) {
      return static_cast<std::size_t>(line * across + std::clamp(i, 0, size - 1) * along);
    };
    for (int i = 0; i < size; ++i) {
      result[at(i)] = 0.25f * (values[at(i - 1)] + 2.0f * values[at(i)] + values[at(i + 1)]);
    }
  }
  return result;
}

/// A map's values averaged over their neighbourhood: a gradient's single pixels say little. The
/// more pixels a face has, the more passes, so that they reach equally far, with a standard
/// deviation of a 68th of the face.
inline std::vector<float> smoothed(const SaliencyMap& map) {
  constexpr int size_of_one_pass = 48;
  const int passes = std::max(map.size * map.size / (size_of_one_pass * size_of_one_pass), 1);
  std::vector<float> values = map.values;
  for (int pass = 0; pass < passes; ++pass) {
    values = smoothed_lines(values, map.size, 1, map.size);
    values = smoothed_lines(values, map.size, map.size, 1);
  }
  return values;
}

/// The value that 99 % of the values do not exceed.
inline float percentile_99(std::vector<float> values) {
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(values.size() * 99 / 100);
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

/// A smoothed map for every point of its region, from 0 to 1 where 1 is the 99th percentile.
class ScaledMap {
 public:
  explicit ScaledMap(const SaliencyMap& map) : size_(map.size), values_(smoothed(map)) {
    const float largest = percentile_99(values_);
    for (float& value : values_) value = largest > 0.0f ? std::min(value / largest, 1.0f) : 0.0f;
  }

  /// At a point of the face, x and y from 0 to 1, between the four nearest of the map.
  float at(double x, double y) const noexcept {
    const Place column = place(x);
    const Place row = place(y);
    const auto in_row = [&](int number) {
      const float* values = values_.data() + std::ptrdiff_t{number} * size_;
      return between(values[column.first], values[column.second], column.fraction);
    };
    return between(in_row(row.first), in_row(row.second), row.fraction);
  }

 private:
  /// Two neighbours in a row or column of the map, and how far a point is from one to the other.
  struct Place {
    int first;
    int second;
    float fraction;
  };

  /// The map's values stand in the middles of squares.
  Place place(double share) const noexcept {
    const float middle = static_cast<float>(share) * static_cast<float>(size_);
    const float position = std::clamp(middle - 0.5f, 0.0f, static_cast<float>(size_ - 1));
    const int first = static_cast<int>(position);
    return {first, std::min(first + 1, size_ - 1), position - static_cast<float>(first)};
  }

  int size_;
  std::vector<float> values_;
};

}  // namespace detail

/// A photo's gray values, to draw maps over.
inline Canvas gray_canvas(const GrayImage& photo) {
  const std::uint8_t* const pixels = photo.row(0);
  const std::ptrdiff_t count = std::ptrdiff_t{photo.width()} * photo.height();
  return Canvas(ImageFile{photo.width(), photo.height(), 1, {pixels, pixels + count}});
}

/// Draws the maps of one face, one a network, over the face's region: their mean, after each has
/// been smoothed and brought to 1 at its 99th percentile, in inferno's colours.
inline void draw_saliency(const GrayImage& photo, const std::vector<SaliencyMap>& maps,
                          Canvas& canvas) {
  const std::vector<detail::ScaledMap> scaled(maps.begin(), maps.end());
  const FaceRegion& region = maps.front().region;
  const Rect& square = region.square;
  const double roll = region.roll * std::acos(-1.0) / 180.0;
  // From a pixel's middle to its place in the face, and how far corners reach beyond the square.
  const double right_x = std::cos(roll) / square.width;
  const double right_y = std::sin(roll) / square.width;
  const double center_x = square.x + 0.5 * square.width;
  const double center_y = square.y + 0.5 * square.height;
  const double reach = 0.5 * square.width * (std::abs(std::cos(roll)) + std::abs(std::sin(roll)));
  const auto first = [reach](double center) {
    return std::max(static_cast<int>(std::floor(center - reach)), 0);
  };
  const auto end = [reach](double center, int size) {
    return std::min(static_cast<int>(std::ceil(center + reach)), size);
  };
  for (int y = first(center_y); y < end(center_y, photo.height()); ++y) {
    for (int x = first(center_x); x < end(center_x, photo.width()); ++x) {
      const double from_x = x + 0.5 - center_x;
      const double from_y = y + 0.5 - center_y;
      const double across = 0.5 + from_x * right_x + from_y * right_y;
      const double down = 0.5 - from_x * right_y + from_y * right_x;
      if (across < 0.0 || across > 1.0 || down < 0.0 || down > 1.0) continue;
      float sum = 0.0f;
      for (const detail::ScaledMap& map : scaled) sum += map.at(across, down);
      const float mean = sum / static_cast<float>(scaled.size());
      canvas.fill({x, y, 1, 1}, detail::colored(photo.row(y)[x], mean));
    }
  }
}

}  // namespace mien::examples
