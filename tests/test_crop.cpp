// Cutting out and resizing faces, against Pillow (data/make_expressions.py).
#include <cstdint>
#include <string>

#include <doctest/doctest.h>

#include <mien/binary.hpp>
#include <mien/vision/crop.hpp>

#include "vision_data.hpp"

using namespace mien;

TEST_CASE("resize_antialiased gives Pillow's pixels of square images") {
  for (std::istringstream& line : golden_lines("crops.txt")) {
    const int side = next<int>(line);
    const auto seed = next<std::uint32_t>(line);
    const int target = next<int>(line);
    CAPTURE(side);
    CAPTURE(target);
    const GrayImage image = noise_image(side, side, seed);
    const GrayImage resized = resize_antialiased(image.view(), target, target);
    CHECK(crc32(resized.row(0), static_cast<std::size_t>(target * target)) ==
          next<std::uint32_t>(line));
  }
}

TEST_CASE("resize_antialiased keeps a plain image plain and reads rows by their stride") {
  const std::vector<std::uint8_t> plain(70 * 30, 200);
  const GrayImage resized = resize_antialiased({plain.data(), 50, 30, 70}, 17, 44);
  for (int y = 0; y < 44; ++y) {
    for (int x = 0; x < 17; ++x) REQUIRE(resized.row(y)[x] == 200);
  }
}

TEST_CASE("crop repeats the image's edge beyond it") {
  const std::uint8_t pixels[] = {1, 2, 3,  //
                                 4, 5, 6};
  const GrayImage cut = crop({pixels, 3, 2}, {-2, -1, 6, 4});
  const std::uint8_t expected[] = {1, 1, 1, 2, 3, 3,  //
                                   1, 1, 1, 2, 3, 3,  //
                                   4, 4, 4, 5, 6, 6,  //
                                   4, 4, 4, 5, 6, 6};
  for (int i = 0; i < 24; ++i) {
    CAPTURE(i);
    CHECK(cut.row(0)[i] == expected[i]);
  }
}

TEST_CASE("empty and outlying regions are errors") {
  const GrayImage image(10, 8);
  for (const Rect& region : {Rect{0, 0, 0, 5}, Rect{0, 0, 5, -1}, Rect{10, 0, 5, 5},
                             Rect{0, 8, 5, 5}, Rect{-5, 0, 5, 5}, Rect{0, -9, 5, 9}}) {
    CAPTURE(region.x);
    CAPTURE(region.y);
    CHECK_THROWS_AS(crop(image.view(), region), Error);
  }
  CHECK_THROWS_AS(crop(GrayView(), {0, 0, 1, 1}), Error);
  CHECK_THROWS_AS(resize_antialiased(GrayView(), 4, 4), Error);
  CHECK_THROWS_AS(resize_antialiased(image.view(), 0, 4), Error);
}
