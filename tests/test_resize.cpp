// resize_linear_exact against OpenCV's resize with INTER_LINEAR_EXACT, resize_antialiased against
// Pillow (data/make_expressions.py).
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <mien/binary.hpp>
#include <mien/error.hpp>
#include <mien/image/resize.hpp>

#include "vision_data.hpp"

using namespace mien;

namespace {

std::uint32_t pixels_crc32(const GrayImage& image) {
  return crc32(image.row(0),
               static_cast<std::size_t>(image.width()) * static_cast<std::size_t>(image.height()));
}

std::vector<int> first_row(const GrayImage& image) {
  return std::vector<int>(image.row(0), image.row(0) + image.width());
}

}  // namespace

TEST_CASE("resized images have OpenCV's pixels") {
  for (auto& line : golden_lines("vision_resize.txt")) {
    CAPTURE(line.str());
    const int width = next<int>(line);
    const int height = next<int>(line);
    const GrayImage image = noise_image(width, height, next<std::uint32_t>(line));
    const int new_width = next<int>(line);
    const int new_height = next<int>(line);
    const std::uint32_t expected = next<std::uint32_t>(line);
    CHECK(pixels_crc32(resize_linear_exact(image.view(), new_width, new_height)) == expected);
    const PaddedImage padded(image, 13);
    CHECK(pixels_crc32(resize_linear_exact(padded.view(), new_width, new_height)) == expected);
  }
}

TEST_CASE("resizing interpolates between the centres of pixels") {
  const std::uint8_t pixels[] = {0, 100, 200};
  const GrayView row(pixels, 3, 1);
  // Centres of the six lie at -1/4, 1/4, 3/4 ... of the three.
  CHECK(first_row(resize_linear_exact(row, 6, 1)) == std::vector<int>{0, 25, 75, 125, 175, 200});
  CHECK(first_row(resize_linear_exact(row, 1, 1)) == std::vector<int>{100});
  CHECK(first_row(resize_linear_exact(row, 3, 1)) == std::vector<int>{0, 100, 200});
}

TEST_CASE("resizing from nothing or to nothing is an error") {
  const GrayImage image = noise_image(4, 4, 0);
  CHECK_THROWS_WITH_AS(resize_linear_exact(GrayView(), 4, 4),
                       "resize_linear_exact: expected an image, found an empty one", Error);
  CHECK_THROWS_WITH_AS(resize_linear_exact(image.view(), 0, 4),
                       "resize_linear_exact: expected a size of at least 1 x 1, found 0 x 4",
                       Error);
  CHECK_THROWS_AS(resize_linear_exact(image.view(), 4, -1), Error);
  CHECK_THROWS_AS(resize_antialiased(GrayView(), 4, 4), Error);
  CHECK_THROWS_AS(resize_antialiased(image.view(), 0, 4), Error);
}

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
