// A confusion matrix as a picture.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <mien/metrics.hpp>

#include "drawing.hpp"

namespace mien::examples {

namespace detail {

/// From white for a share of 0 to a dark blue for 1.
inline Color shade(double share) noexcept {
  constexpr Color darkest{8, 48, 107};
  const auto mix = [share](std::uint8_t dark) {
    return static_cast<std::uint8_t>(std::lround(255.0 + share * (dark - 255.0)));
  };
  return {mix(darkest.red), mix(darkest.green), mix(darkest.blue)};
}

}  // namespace detail

/// A row for every true class, a column for every predicted one. Each cell has its count and, as
/// its shade and in percent, its share of the row.
inline Canvas draw_confusion(const ConfusionMatrix& matrix, const std::vector<std::string>& labels,
                             const std::string& title) {
  constexpr int text_height = 18;
  constexpr int padding = 8;
  constexpr Color black{0, 0, 0};
  constexpr Color white{255, 255, 255};
  const auto draw_centred = [](Canvas& canvas, const Rect& cell, const std::string& text,
                               Color color) {
    const Size size = Canvas::text_size(text, text_height);
    canvas.draw_text(cell.x + (cell.width - size.width) / 2,
                     cell.y + (cell.height - size.height) / 2, text, text_height, color);
  };

  Size cell = Canvas::text_size("00000", text_height);
  for (const std::string& label : labels) {
    cell.width = std::max(cell.width, Canvas::text_size(label, text_height).width);
  }
  cell.width += 2 * padding;
  cell.height = 2 * cell.height + 2 * padding;
  const std::vector<std::string> heading = {title, "rows: truth, columns: prediction"};
  const int line_height = cell.height / 2;
  const int top = static_cast<int>(heading.size()) * line_height + padding;
  const int columns = static_cast<int>(labels.size()) + 1;
  Size size{columns * cell.width + padding, top + columns * cell.height + padding};
  for (const std::string& line : heading) {
    size.width = std::max(size.width, Canvas::text_size(line, text_height).width + 2 * padding);
  }

  Canvas canvas(size.width, size.height, white);
  for (std::size_t i = 0; i < heading.size(); ++i) {
    canvas.draw_text(padding, padding + static_cast<int>(i) * line_height, heading[i], text_height,
                     black);
  }
  const auto cell_at = [&](std::size_t row, std::size_t column) {
    return Rect{static_cast<int>(column) * cell.width, top + static_cast<int>(row) * cell.height,
                cell.width, cell.height};
  };
  for (std::size_t c = 0; c < labels.size(); ++c) {
    draw_centred(canvas, cell_at(0, c + 1), labels[c], black);
    draw_centred(canvas, cell_at(c + 1, 0), labels[c], black);
  }
  for (std::size_t truth = 0; truth < labels.size(); ++truth) {
    const std::size_t support = matrix.support(truth);
    for (std::size_t c = 0; c < labels.size(); ++c) {
      const Rect place = cell_at(truth + 1, c + 1);
      const std::size_t count = matrix.count(truth, c);
      const double share =
          support == 0 ? 0.0 : static_cast<double>(count) / static_cast<double>(support);
      const Color ground = detail::shade(share);
      canvas.fill(place, ground);
      const Rect upper{place.x, place.y + padding, place.width, place.height / 2 - padding};
      const Rect lower{place.x, place.y + place.height / 2, place.width, upper.height};
      draw_centred(canvas, upper, std::to_string(count), contrast(ground));
      draw_centred(canvas, lower, std::to_string(std::lround(100.0 * share)) + " %",
                   contrast(ground));
    }
  }
  return canvas;
}

}  // namespace mien::examples
