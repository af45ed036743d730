// Faces with labels in a picture.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mien/image/image.hpp>

#include "drawing.hpp"
#include "label_placement.hpp"

namespace mien::examples {

/// Colors that are told apart by people with any kind of color vision: Okabe and Ito, Color
/// Universal Design (2008), https://jfly.uni-koeln.de/color/.
namespace okabe_ito {
inline constexpr Color orange{230, 159, 0};
inline constexpr Color sky_blue{86, 180, 233};
inline constexpr Color bluish_green{0, 158, 115};
inline constexpr Color yellow{240, 228, 66};
inline constexpr Color blue{0, 114, 178};
inline constexpr Color vermilion{213, 94, 0};
inline constexpr Color reddish_purple{204, 121, 167};
}  // namespace okabe_ito

/// For faces without an answer, which have no label to be told apart by.
inline constexpr Color unanswered_color{170, 170, 170};

/// The color of one of FER2013's expressions by its name, of any other network's label by its
/// number.
inline Color expression_color(const std::string& label, std::size_t number) noexcept {
  using Named = std::pair<std::string_view, Color>;
  constexpr std::array<Named, 7> colors = {{{"angry", okabe_ito::vermilion},
                                            {"disgust", okabe_ito::bluish_green},
                                            {"fear", okabe_ito::reddish_purple},
                                            {"happy", okabe_ito::yellow},
                                            {"sad", okabe_ito::blue},
                                            {"surprise", okabe_ito::orange},
                                            {"neutral", okabe_ito::sky_blue}}};
  for (const Named& color : colors) {
    if (color.first == label) return color.second;
  }
  return colors[number % colors.size()].second;
}

/// What is drawn of a face: a frame, and a label unless `text` is empty.
struct FaceLabel {
  Rect box;
  Color color;
  std::string text;
  std::string second_line;  ///< in smaller letters; may be empty
  std::string short_text;   ///< where there is no room for `text`; may be empty
};

namespace detail {

/// A label as it is drawn, all measures in pixels.
struct LabelForm {
  std::string text;
  std::string second_line;
  int text_size = 0;
  int second_size = 0;
  Size padding;
  Size size;

  LabelForm(std::string first, std::string second, int letters)
      : text(std::move(first)),
        second_line(std::move(second)),
        text_size(letters),
        second_size(second_line.empty() ? 0 : std::max(letters * 17 / 20, 1)),
        padding{std::max(letters * 3 / 10, 1), std::max(letters / 6, 1)} {
    const int width = std::max(Canvas::text_size(text, text_size).width,
                               Canvas::text_size(second_line, second_size).width);
    const int gaps = second_line.empty() ? 2 : 3;
    size = {width + 2 * padding.width, text_size + second_size + gaps * padding.height};
  }
};

/// A label's forms, the best first, all of them small enough for the picture: about as wide as the
/// face, in letters that can be read and that do not shout in a big face; then with less text; then
/// with smaller letters, too.
inline std::vector<LabelForm> label_forms(const FaceLabel& label, const Size& picture) {
  constexpr double of_face = 0.13;  // "surprise 87 %" is 8 ems wide
  constexpr int smallest_by_choice = 12;
  constexpr int smallest_in_crowds = 9;
  constexpr int smallest_in_tiny_pictures = 7;
  const int side = std::max(label.box.width, label.box.height);
  const int largest = std::max(std::min(picture.width, picture.height) / 18, smallest_by_choice);
  const int letters =
      std::clamp(static_cast<int>(std::lround(of_face * side)), smallest_by_choice, largest);

  std::vector<LabelForm> forms;
  const auto add = [&](const std::string& text, const std::string& second_line, int most) {
    if (text.empty()) return;
    for (int size = most; size >= smallest_in_tiny_pictures; --size) {
      LabelForm form(text, second_line, size);
      if (form.size.width > picture.width || form.size.height > picture.height) continue;
      forms.push_back(std::move(form));
      return;
    }
  };
  add(label.text, label.second_line, letters);
  if (!label.second_line.empty()) add(label.text, "", letters);
  add(label.short_text, "", letters);
  add(label.short_text, "", std::max(letters * 2 / 3, smallest_in_crowds));
  return forms;
}

}  // namespace detail

/// How wide the line around a face is: it grows with the face, and a little with the picture, so
/// that it can be seen when that is shown as a whole.
inline int frame_line(const Rect& box, const Size& picture) noexcept {
  const int side = std::max(box.width, box.height);
  const int least = std::min(std::min(picture.width, picture.height) / 400, side / 16);
  return std::max({(side + 25) / 50, least, 1});
}

/// Draws every face's frame, and over these the labels, each in a place of its own.
inline void draw_faces(const std::vector<FaceLabel>& faces, Canvas& canvas) {
  const Size picture{canvas.width(), canvas.height()};
  std::vector<Rect> boxes;
  std::vector<std::vector<detail::LabelForm>> forms;
  std::vector<std::vector<Size>> sizes;
  for (const FaceLabel& face : faces) {
    canvas.draw_box(face.box, face.color, frame_line(face.box, picture));
    boxes.push_back(face.box);
    forms.push_back(detail::label_forms(face, picture));
    sizes.emplace_back();
    for (const detail::LabelForm& form : forms.back()) sizes.back().push_back(form.size);
  }
  const std::vector<LabelPlacement> placements = place_labels(picture, boxes, sizes);
  for (std::size_t i = 0; i < faces.size(); ++i) {
    const Rect& place = placements[i].place;
    if (place.width == 0) continue;
    const detail::LabelForm& form = forms[i][placements[i].form];
    const Color ink = contrast(faces[i].color);
    const int x = place.x + form.padding.width;
    const int y = place.y + form.padding.height;
    canvas.fill(place, faces[i].color);
    canvas.draw_text(x, y, form.text, form.text_size, ink);
    if (form.second_line.empty()) continue;
    canvas.draw_text(x, y + form.text_size + form.padding.height, form.second_line,
                     form.second_size, ink);
  }
}

}  // namespace mien::examples
