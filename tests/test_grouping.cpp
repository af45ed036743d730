// group_rectangles against OpenCV's groupRectangles, and for many rectangles against its
// definition.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <numeric>
#include <ostream>
#include <vector>

#include <doctest/doctest.h>

#include <mien/error.hpp>
#include <mien/faces/haar/grouping.hpp>

#include "random_cascade.hpp"
#include "sanitized.hpp"
#include "vision_data.hpp"

using namespace mien;

namespace {

/// All pairs are compared, in OpenCV's words.
std::vector<Detection> naive_groups(const std::vector<Rect>& rects, int min_neighbors) {
  constexpr double eps = 0.2;
  const auto similar = [](const Rect& a, const Rect& b) {
    const double delta = eps * (std::min(a.width, b.width) + std::min(a.height, b.height)) * 0.5;
    return std::abs(a.x - b.x) <= delta && std::abs(a.y - b.y) <= delta &&
           std::abs(a.x + a.width - b.x - b.width) <= delta &&
           std::abs(a.y + a.height - b.y - b.height) <= delta;
  };
  // Every rectangle's group is known by its first member.
  std::vector<std::size_t> first(rects.size());
  std::iota(first.begin(), first.end(), std::size_t{0});
  std::vector<std::size_t> stack;
  std::vector<char> seen(rects.size());
  for (std::size_t start = 0; start < rects.size(); ++start) {
    if (seen[start] != 0) continue;
    seen[start] = 1;
    stack.assign(1, start);
    while (!stack.empty()) {
      const std::size_t one = stack.back();
      stack.pop_back();
      first[one] = start;
      for (std::size_t other = 0; other < rects.size(); ++other) {
        if (seen[other] != 0 || !similar(rects[one], rects[other])) continue;
        seen[other] = 1;
        stack.push_back(other);
      }
    }
  }
  std::vector<Detection> groups;
  for (std::size_t start = 0; start < rects.size(); ++start) {
    if (first[start] != start) continue;
    double x = 0, y = 0, width = 0, height = 0;
    int count = 0;
    for (std::size_t i = start; i < rects.size(); ++i) {
      if (first[i] != start) continue;
      ++count;
      x += rects[i].x, y += rects[i].y, width += rects[i].width, height += rects[i].height;
    }
    if (count <= min_neighbors) continue;
    const float scale = 1.0f / static_cast<float>(count);
    const auto mean = [scale](double sum) {
      return static_cast<int>(std::lrint(static_cast<float>(sum) * scale));
    };
    groups.push_back({{mean(x), mean(y), mean(width), mean(height)}, count});
  }
  std::vector<Detection> kept;
  for (const Detection& group : groups) {
    const Rect& r1 = group.box;
    const int n1 = group.neighbors;
    const bool dropped = std::any_of(groups.begin(), groups.end(), [&](const Detection& other) {
      const Rect& r2 = other.box;
      const int n2 = other.neighbors;
      const auto dx = static_cast<int>(std::lrint(r2.width * eps));
      const auto dy = static_cast<int>(std::lrint(r2.height * eps));
      return &other != &group && r1.x >= r2.x - dx && r1.y >= r2.y - dy &&
             r1.x + r1.width <= r2.x + r2.width + dx && r1.y + r1.height <= r2.y + r2.height + dy &&
             (n2 > std::max(3, n1) || n1 < 3);
    });
    if (!dropped) kept.push_back(group);
  }
  return kept;
}

}  // namespace

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

TEST_CASE("many rectangles become the groups that a comparison of all finds") {
  std::size_t most_groups = 0;
  for (int round = 0; round < rounds(60); ++round) {
    Dice dice(static_cast<std::uint32_t>(round));
    const int area = 1 << dice.integer(4, 14);
    const int largest = 1 << dice.integer(0, 10);
    const int shift = dice.once_in(3) ? -area / 2 : 0;
    const bool square = dice.once_in(2);
    const int copies = dice.integer(1, 4);
    const int min_neighbors = dice.integer(1, 3);
    std::vector<Rect> rects;
    const int count = dice.integer(1, 2500);
    while (static_cast<int>(rects.size()) < count) {
      // Small ones are more, as in pictures.
      const int most = 1 << dice.integer(0, 10);
      const int width = dice.integer(0, std::min(largest, most));
      const int height = square ? width : dice.integer(0, std::min(largest, most));
      const Rect rect{dice.integer(0, area) + shift, dice.integer(0, area) + shift, width, height};
      for (int copy = 0; copy < copies; ++copy) {
        const int apart = std::max((width + height) / 12, 1);
        rects.push_back({rect.x + dice.integer(0, apart), rect.y + dice.integer(0, apart),
                         rect.width, rect.height});
      }
    }
    CAPTURE(round);
    CAPTURE(area);
    CAPTURE(largest);
    CAPTURE(square);
    CAPTURE(copies);
    CAPTURE(count);
    CAPTURE(min_neighbors);
    const std::vector<Detection> groups = group_rectangles(rects, min_neighbors);
    CHECK(groups == naive_groups(rects, min_neighbors));
    most_groups = std::max(most_groups, groups.size());
  }
  CHECK(most_groups > 200);
}

TEST_CASE("rectangles everywhere are one group") {
  // Comparing all of them would take minutes.
  std::vector<Rect> rects;
  constexpr int last = sanitized ? 100 : 400;
  for (int y = 0; y < last; ++y) {
    for (int x = 0; x < last; ++x) rects.push_back({x, y, 100, 100});
  }
  const std::vector<Detection> groups = group_rectangles(rects, 3);
  REQUIRE(groups.size() == 1);
  CHECK(groups.front().neighbors == last * last);
}

TEST_CASE("rectangles have no negative sides") {
  CHECK_THROWS_WITH_AS(group_rectangles({{0, 0, 5, -1}}, 1),
                       "group_rectangles: sides: expected 0 or more, found 5 x -1", Error);
}
