// Cutting regions out of images.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include <doctest/doctest.h>

#include <mien/error.hpp>
#include <mien/face_region.hpp>
#include <mien/image/crop.hpp>

#include "vision_data.hpp"

using namespace mien;

TEST_CASE("a region far larger than the image is refused, one at the end of int, too") {
  const GrayImage image(192, 100);
  CHECK(crop(image.view(), {-2000, -2000, 4096, 4096}).width() == 4096);
  const auto message = [&image](const Rect& region) {
    try {
      crop(image.view(), region);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message({0, 0, 4097, 1}) ==
        "crop: expected a region of at most 4096 pixels a side in an image of 192x100, found "
        "4097x1");
  constexpr int lowest = std::numeric_limits<int>::min();
  constexpr int highest = std::numeric_limits<int>::max();
  for (const Rect& region : {Rect{lowest + 2, 0, highest, 1}, Rect{191, 99, 1, highest},
                             Rect{lowest, 0, highest, 1}, Rect{highest, highest, highest, 1}}) {
    CHECK(message(region).find("crop: expected a region") == 0);
  }
  CHECK(face_region(Rect{lowest, lowest, 1, highest}) == Rect{lowest, lowest, highest, highest});
}

TEST_CASE("a crop has no more pixels than its image may need") {
  const GrayImage line(20000, 1);
  CHECK(crop(line.view(), {0, -100, 20000, 800}).height() == 800);
  CHECK_THROWS_WITH_AS(crop(line.view(), {-1, 0, 80000, 80000}),
                       "crop: expected a region of at most 16777216 pixels in an image of 20000x1, "
                       "found 80000x80000",
                       Error);
}

TEST_CASE("images have no negative sizes, and views of nothing become images of nothing") {
  CHECK_THROWS_WITH_AS(GrayImage(-1, 5),
                       "image: expected a width and height of 0 or more, found -1 x 5", Error);
  GrayImage gray(3, 2);
  CHECK_THROWS_AS(gray.resize(3, -2), Error);
  CHECK(gray.width() == 3);
  const std::uint8_t pixels[3] = {1, 2, 3};
  for (const RgbView& view : {RgbView(), RgbView(nullptr, 5, 4), RgbView(pixels, -1, 1),
                              RgbView(pixels, 1, -1), RgbView(pixels, -1, -1)}) {
    gray.resize(3, 2);
    to_gray(view, gray);
    CHECK(gray.view().empty());
    CHECK_THROWS_AS(crop(gray.view(), {0, 0, 1, 1}), Error);
  }
  CHECK_THROWS_AS(crop(GrayView(pixels, -3, 1), {0, 0, 1, 1}), Error);
  CHECK_THROWS_AS(crop(GrayView(nullptr, 3, 1), {0, 0, 1, 1}), Error);
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

TEST_CASE("crop copies only what reaches beyond the image") {
  const GrayImage image = noise_image(10, 8, 1);
  GrayImage memory;
  const GrayView inside = crop(image.view(), {2, 1, 8, 7}, memory);
  CHECK(inside.pixels == image.row(1) + 2);
  CHECK(inside.stride == 10);
  CHECK(memory.width() == 0);
  for (const Rect& region : {Rect{2, 1, 8, 7}, Rect{3, 2, 8, 6}, Rect{-1, 0, 4, 9}}) {
    CAPTURE(region.x);
    const GrayView view = crop(image.view(), region, memory);
    const GrayImage copy = crop(image.view(), region);
    REQUIRE(view.width == copy.width());
    REQUIRE(view.height == copy.height());
    for (int y = 0; y < view.height; ++y) {
      CHECK(std::equal(view.row(y), view.row(y) + view.width, copy.row(y)));
    }
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
}
