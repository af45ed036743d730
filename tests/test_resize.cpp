// resize_linear_exact against OpenCV's resize with INTER_LINEAR_EXACT.
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <mien/binary.hpp>
#include <mien/error.hpp>
#include <mien/vision/resize.hpp>

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
}
