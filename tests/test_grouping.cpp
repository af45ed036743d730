// group_rectangles against OpenCV's groupRectangles.
#include <cstddef>
#include <ostream>
#include <vector>

#include <doctest/doctest.h>

#include <mien/faces/haar/grouping.hpp>

#include "vision_data.hpp"

using namespace mien;

TEST_CASE("groups are OpenCV's, in its order") {
  std::size_t groups = 0;
  for (auto& line : golden_lines("vision_grouping.txt")) {
    CAPTURE(line.str());
    const int min_neighbors = next<int>(line);
    std::vector<Rect> rects(next<std::size_t>(line));
    for (Rect& rect : rects) rect = next_rect(line);
    std::vector<Detection> expected(next<std::size_t>(line));
    for (Detection& detection : expected) {
      detection.box = next_rect(line);
      detection.neighbors = next<int>(line);
    }
    CHECK(group_rectangles(rects, min_neighbors) == expected);
    groups += expected.size();
  }
  CHECK(groups > 100);
}

TEST_CASE("a group needs more members than the minimum") {
  const Rect rect{10, 20, 40, 40};
  CHECK(group_rectangles({rect, rect, rect}, 3).empty());
  CHECK(group_rectangles({rect, rect, rect}, 2) == std::vector<Detection>{{rect, 3}});
}

TEST_CASE("without a minimum every rectangle is its own group") {
  const std::vector<Rect> rects{{1, 2, 30, 30}, {1, 2, 30, 30}, {90, 2, 30, 30}};
  const std::vector<Detection> expected{{rects[0], 1}, {rects[1], 1}, {rects[2], 1}};
  CHECK(group_rectangles(rects, 0) == expected);
  CHECK(group_rectangles({}, 0).empty());
  CHECK(group_rectangles({}, 3).empty());
}

TEST_CASE("a small group inside a larger one is dropped") {
  const Rect outer{0, 0, 100, 100};
  const Rect inner{30, 30, 40, 40};
  std::vector<Rect> rects(5, outer);
  rects.insert(rects.end(), 2, inner);
  CHECK(group_rectangles(rects, 1) == std::vector<Detection>{{outer, 5}});
  // Not so if the outer group is no larger.
  rects.assign(3, outer);
  rects.insert(rects.end(), 3, inner);
  CHECK(group_rectangles(rects, 1) == std::vector<Detection>{{outer, 3}, {inner, 3}});
}
