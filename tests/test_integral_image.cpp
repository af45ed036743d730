// IntegralImage against OpenCV's integral and against sums over the definition.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <doctest/doctest.h>

#include <mien/image/integral_image.hpp>

#include "vision_data.hpp"

using namespace mien;

namespace {

std::uint32_t table_crc32(const IntegralImage& image, const std::uint32_t* table) {
  const std::ptrdiff_t size = image.stride() * (image.height() + 1);
  return crc32_of_words(std::vector<std::uint32_t>(table, table + size));
}

}  // namespace

TEST_CASE("sums are OpenCV's") {
  IntegralImage reused;
  for (auto& line : golden_lines("vision_integral.txt")) {
    CAPTURE(line.str());
    const int width = next<int>(line);
    const int height = next<int>(line);
    const GrayImage image = noise_image(width, height, next<std::uint32_t>(line));
    const std::uint32_t sums = next<std::uint32_t>(line);
    const std::uint32_t squared_sums = next<std::uint32_t>(line);
    const std::uint32_t tilted_sums = next<std::uint32_t>(line);

    const PaddedImage padded(image, 5);
    reused.compute(padded.view(), /*with_tilted_sums=*/true);
    CHECK(table_crc32(reused, reused.sums()) == sums);
    CHECK(table_crc32(reused, reused.squared_sums()) == squared_sums);
    CHECK(table_crc32(reused, reused.tilted_sums()) == tilted_sums);

    const IntegralImage upright(image.view());
    CHECK(table_crc32(upright, upright.sums()) == sums);
    CHECK(table_crc32(upright, upright.squared_sums()) == squared_sums);
    CHECK(upright.tilted_sums() == nullptr);
  }
}

TEST_CASE("tilted sums are sums over triangles") {
  const int width = 7;
  const int height = 9;
  const GrayImage image = noise_image(width, height, 3);
  const IntegralImage integral(image.view(), /*with_tilted_sums=*/true);
  for (int bottom = 0; bottom <= height; ++bottom) {
    for (int tip = 0; tip <= width; ++tip) {
      std::uint32_t expected = 0;
      for (int y = 0; y < bottom; ++y) {
        for (int x = 0; x < width; ++x) {
          if (std::abs(x - tip + 1) <= bottom - 1 - y) expected += image.row(y)[x];
        }
      }
      CAPTURE(bottom);
      CAPTURE(tip);
      CHECK(integral.tilted_sums()[bottom * integral.stride() + tip] == expected);
    }
  }
}

TEST_CASE("an empty image has tables of one zero") {
  const IntegralImage integral(GrayView(), /*with_tilted_sums=*/true);
  CHECK(integral.width() == 0);
  CHECK(integral.height() == 0);
  CHECK(integral.stride() == 1);
  CHECK(integral.sums()[0] == 0);
  CHECK(integral.squared_sums()[0] == 0);
  CHECK(integral.tilted_sums()[0] == 0);
}
