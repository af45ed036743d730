// The pictures of the example programs: text against FreeType, labels and where they stand.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "../../examples/common/face_labels.hpp"
#include "../../examples/common/font.hpp"
#include "../../examples/common/label_placement.hpp"

namespace {

using namespace mien::examples;
using mien::Rect;
using mien::Size;

const std::vector<Color> palette = {
    okabe_ito::orange, okabe_ito::sky_blue,  okabe_ito::bluish_green,  okabe_ito::yellow,
    okabe_ito::blue,   okabe_ito::vermilion, okabe_ito::reddish_purple};

int coverage(const TextMask& mask, int x, int y) {
  const int column = x - mask.left;
  const int row = y - mask.top;
  if (column < 0 || row < 0 || column >= mask.width || row >= mask.height) return 0;
  return mask.coverage[static_cast<std::size_t>(row * mask.width + column)];
}

bool same(Color a, Color b) {
  return a.red == b.red && a.green == b.green && a.blue == b.blue;
}

Color pixel(const Canvas& canvas, int x, int y) {
  const std::uint8_t* at = canvas.pixels() + 3 * (y * canvas.width() + x);
  return {at[0], at[1], at[2]};
}

/// The area that a mask covers, in pixels.
double ink(const TextMask& mask) {
  double sum = 0.0;
  for (const std::uint8_t value : mask.coverage) sum += value / 255.0;
  return sum;
}

bool in_picture(const Rect& rect, const Size& picture) {
  return rect.x >= 0 && rect.y >= 0 && rect.x + rect.width <= picture.width &&
         rect.y + rect.height <= picture.height;
}

/// Touching counts.
bool at(const Rect& label, const Rect& face) {
  const Rect wider{face.x - 1, face.y - 1, face.width + 2, face.height + 2};
  return overlap(label, wider) > 0;
}

/// One label of one form for each face.
std::vector<Rect> places(const Size& picture, const std::vector<Rect>& faces, const Size& label) {
  std::vector<Rect> result;
  const std::vector<std::vector<Size>> forms(faces.size(), {label});
  for (const LabelPlacement& placement : place_labels(picture, faces, forms)) {
    result.push_back(placement.place);
  }
  return result;
}

}  // namespace

TEST_CASE("letters are FreeType's") {
  std::ifstream file(MIEN_TEST_DATA "/text.txt");
  std::string line;
  int letters = 0;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    int size = 0;
    std::string letter;
    int left = 0;
    int top = 0;
    int width = 0;
    int height = 0;
    float advance = 0.0f;
    std::string pixels;
    fields >> size >> letter >> left >> top >> width >> height >> advance >> pixels;
    REQUIRE(fields);
    REQUIRE(pixels.size() == static_cast<std::size_t>(2 * width * height));
    CAPTURE(size);
    CAPTURE(letter);
    ++letters;
    const TextMask mask = text_mask(letter, static_cast<float>(size));
    CHECK(text_width(letter, static_cast<float>(size)) == doctest::Approx(advance).epsilon(1e-3));
    int largest = 0;
    for (int y = std::min(top, mask.top); y < std::max(top + height, mask.top + mask.height); ++y) {
      for (int x = std::min(left, mask.left); x < std::max(left + width, mask.left + mask.width);
           ++x) {
        int expected = 0;
        if (x >= left && y >= top && x < left + width && y < top + height) {
          const auto place = static_cast<std::size_t>(2 * ((y - top) * width + x - left));
          expected = std::stoi(pixels.substr(place, 2), nullptr, 16);
        }
        largest = std::max(largest, std::abs(coverage(mask, x, y) - expected));
      }
    }
    // FreeType rounds an outline's points to 64ths of a pixel, and both replace curves by lines.
    CHECK(largest <= 20);
  }
  CHECK(letters == 36);
}

TEST_CASE("a line is its letters one after the other") {
  for (const float size : {9.0f, 12.0f, 17.0f, 40.0f}) {
    CAPTURE(size);
    const std::string line = "surprise 100 %";
    float width = 0.0f;
    double area = 0.0;
    for (const char c : line) {
      width += text_width({c}, size);
      area += ink(text_mask({c}, size));
    }
    const TextMask mask = text_mask(line, size);
    CHECK(text_width(line, size) == doctest::Approx(width));
    CHECK(ink(mask) == doctest::Approx(area).epsilon(0.02));
    CHECK(mask.left >= 0);
    CHECK(static_cast<float>(mask.left + mask.width) <= std::ceil(width));
    CHECK(static_cast<float>(mask.top) >= std::floor(-0.78f * size));
    CHECK(static_cast<float>(mask.top + mask.height) <= std::ceil(0.25f * size));
  }
  CHECK(text_mask("", 12.0f).coverage.empty());
  CHECK(text_mask("  ", 12.0f).coverage.empty());
  CHECK(text_width("  ", 12.0f) > 0.0f);
  // Two characters of two bytes, one of a single byte that the font has not.
  CHECK(text_mask("\xC3\xBC"
                  "b\xC3\xA9\n",
                  12.0f)
            .coverage == text_mask("?b??", 12.0f).coverage);
}

TEST_CASE("text on a canvas stays in it and is drawn in its color") {
  constexpr Color ground{20, 60, 200};
  constexpr Color color{250, 240, 10};
  const std::string text = "happy";
  for (const std::pair<int, int>& place :
       {std::pair(3, 2), std::pair(-9, -5), std::pair(35, 12), std::pair(-200, 0),
        std::pair(0, 300), std::pair(60, 5)}) {
    const int x = place.first;
    const int y = place.second;
    CAPTURE(x);
    CAPTURE(y);
    Canvas canvas(60, 20, ground);
    canvas.draw_text(x, y, text, 14, color);
    const TextMask mask = text_mask(text, 14.0f);
    int wrong = 0;
    for (int row = 0; row < canvas.height(); ++row) {
      for (int column = 0; column < canvas.width(); ++column) {
        const double covered = coverage(mask, column - x, row - y - 11) / 255.0;
        const Color found = pixel(canvas, column, row);
        const double red = ground.red + covered * (color.red - ground.red);
        const double blue = ground.blue + covered * (color.blue - ground.blue);
        if (std::abs(found.red - red) > 1.0 || std::abs(found.blue - blue) > 1.0) ++wrong;
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("text can be read on every color") {
  // WCAG's own examples: black on white, and the gray that just has 4.5.
  CHECK(contrast_ratio({0, 0, 0}, {255, 255, 255}) == doctest::Approx(21.0));
  CHECK(contrast_ratio({118, 118, 118}, {255, 255, 255}) == doctest::Approx(4.54).epsilon(0.002));
  double least = 21.0;
  for (int red = 0; red < 256; red += 5) {
    for (int green = 0; green < 256; green += 5) {
      for (int blue = 0; blue < 256; blue += 5) {
        const Color ground{static_cast<std::uint8_t>(red), static_cast<std::uint8_t>(green),
                           static_cast<std::uint8_t>(blue)};
        least = std::min(least, contrast_ratio(contrast(ground), ground));
      }
    }
  }
  CHECK(least >= 4.5);
}

TEST_CASE("every expression has a color of its own") {
  const std::vector<std::string> labels = {"angry", "disgust",  "fear",   "happy",
                                           "sad",   "surprise", "neutral"};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const Color color = expression_color(labels[i], i);
    // By its name, whatever its number.
    CHECK(same(color, expression_color(labels[i], 3)));
    CHECK(std::count_if(palette.begin(), palette.end(),
                        [&](Color other) { return same(other, color); }) == 1);
    for (std::size_t other = 0; other < i; ++other) {
      CHECK_FALSE(same(color, expression_color(labels[other], other)));
    }
  }
  CHECK_FALSE(same(expression_color("contempt", 0), expression_color("boredom", 1)));
}

TEST_CASE("a label stands above its face, or where there is room") {
  const Size picture{200, 100};
  const Size label{60, 10};
  // Above; at the picture's top below; in its full height inside; at its right side moved left.
  CHECK(places(picture, {{50, 40, 30, 30}}, label) == std::vector<Rect>{{50, 30, 60, 10}});
  CHECK(places(picture, {{50, 5, 30, 30}}, label) == std::vector<Rect>{{50, 35, 60, 10}});
  CHECK(places(picture, {{50, 0, 100, 100}}, label).front().y == 0);
  CHECK(places(picture, {{165, 40, 30, 30}}, label) == std::vector<Rect>{{140, 30, 60, 10}});
  CHECK(places(picture, {{-10, 40, 30, 30}}, label) == std::vector<Rect>{{0, 30, 60, 10}});
  // Beside a face as high as the picture.
  CHECK(places(picture, {{50, 0, 60, 100}}, label).front().x == 110);
  // One above the other: the lower one's label may not cover the upper face.
  const std::vector<Rect> faces = {{50, 10, 60, 40}, {50, 50, 60, 40}};
  const std::vector<Rect> found = places(picture, faces, label);
  CHECK(found[0] == Rect{50, 0, 60, 10});
  CHECK(found[1] == Rect{50, 90, 60, 10});
  // Larger than the picture: none.
  CHECK(places({50, 100}, {{10, 40, 30, 30}}, label).front() == Rect{});
}

TEST_CASE("a label takes a later form where there is no place for the first") {
  const Size picture{100, 30};
  const std::vector<Rect> faces = {{0, 0, 35, 30}, {35, 0, 30, 30}, {65, 0, 35, 30}};
  const std::vector<std::vector<Size>> forms(3, {{40, 10}, {28, 10}});
  const std::vector<LabelPlacement> found = place_labels(picture, faces, forms);
  for (std::size_t i = 0; i < faces.size(); ++i) {
    CHECK(found[i].form == 1);
    CHECK(overlap(found[i].place, faces[i]) == 280);
  }
  CHECK(place_labels(picture, faces, {{{40, 10}}, {}, {}}).front().place == Rect{});
}

TEST_CASE("labels cover no other face and no other label") {
  std::mt19937 random(1);
  const auto number = [&](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  int labels = 0;
  int placed = 0;
  int over_own = 0;
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const Size picture{number(200, 900), number(150, 700)};
    std::vector<Rect> faces;
    std::vector<std::vector<Size>> forms;
    for (int i = number(1, 12); i > 0; --i) {
      const int side = number(24, 140);
      faces.push_back({number(-side / 3, picture.width - side * 2 / 3),
                       number(-side / 3, picture.height - side * 2 / 3), side, side * 5 / 4});
      forms.push_back({{number(80, 120), number(14, 40)}, {number(40, 60), 12}});
    }
    const std::vector<LabelPlacement> found = place_labels(picture, faces, forms);
    REQUIRE(found.size() == faces.size());
    for (std::size_t i = 0; i < faces.size(); ++i) {
      ++labels;
      const Rect& place = found[i].place;
      if (place.width == 0) continue;
      ++placed;
      REQUIRE(Size{place.width, place.height} == forms[i][found[i].form]);
      REQUIRE(in_picture(place, picture));
      REQUIRE(at(place, faces[i]));
      if (overlap(place, faces[i]) > 0) ++over_own;
      for (std::size_t other = 0; other < faces.size(); ++other) {
        if (other == i) continue;
        // Only what of a face is in the picture counts, as labels are there too.
        REQUIRE(overlap(place, faces[other]) == 0);
        REQUIRE(overlap(place, found[other].place) == 0);
      }
    }
  }
  // Many boxes overlap in these crowds; even so most get a place.
  CHECK(placed > labels * 4 / 5);
  CHECK(over_own < labels / 10);
}

TEST_CASE("a label's letters grow with its face, within what can be read") {
  const Size picture{1500, 1200};
  const auto letters = [&](int side) {
    const FaceLabel label{{10, 10, side, side}, okabe_ito::blue, "neutral 83 %", "", "neutral"};
    return detail::label_forms(label, picture).front().text_size;
  };
  CHECK(letters(30) == letters(60));
  CHECK(letters(60) < letters(150));
  CHECK(letters(150) < letters(300));
  CHECK(letters(1000) == letters(1200));
  // About as wide as its face.
  const FaceLabel label{{0, 0, 200, 200}, okabe_ito::blue, "neutral 83 %", "", ""};
  const int width = detail::label_forms(label, picture).front().size.width;
  CHECK(width > 150);
  CHECK(width < 250);
}

TEST_CASE("what draw_faces draws outside the frames is labels in their color") {
  constexpr Color ground{1, 2, 3};
  Canvas canvas(400, 300, ground);
  const std::vector<FaceLabel> faces = {
      {{30, 60, 80, 100}, okabe_ito::yellow, "happy 93 %", "", "happy"},
      {{200, 80, 90, 110}, okabe_ito::blue, "sad 41 %", "or neutral 39 %", "sad"},
      {{330, 200, 40, 50}, unanswered_color, "", "", ""}};
  draw_faces(faces, canvas);
  for (const FaceLabel& face : faces) {
    CAPTURE(face.text);
    const Rect& box = face.box;
    CHECK(same(pixel(canvas, box.x, box.y + box.height - 1), face.color));
    CHECK(same(pixel(canvas, box.x + box.width / 2, box.y + box.height / 2), ground));
    // A label begins at the box's left edge, above it.
    const bool labelled = same(pixel(canvas, box.x, box.y - 1), face.color);
    CHECK(labelled == !face.text.empty());
    if (!labelled) {
      CHECK(same(pixel(canvas, box.x, box.y - 1), ground));
      continue;
    }
    int inked = 0;
    for (int y = box.y - 40; y < box.y; ++y) {
      for (int x = box.x; x < box.x + box.width; ++x) {
        if (same(pixel(canvas, x, y), contrast(face.color))) ++inked;
      }
    }
    CHECK(inked > 50);
  }
}
