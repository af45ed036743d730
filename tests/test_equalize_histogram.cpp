// equalize_histogram against OpenCV's equalizeHist (data/make_equalize_histogram.py).
#include <cstddef>
#include <cstdint>

#include <doctest/doctest.h>

#include <mien/binary.hpp>
#include <mien/image/equalize_histogram.hpp>

#include "vision_data.hpp"

using namespace mien;

namespace {

std::uint32_t pixels_crc32(const GrayImage& image) {
  return crc32(image.row(0),
               static_cast<std::size_t>(image.width()) * static_cast<std::size_t>(image.height()));
}

}  // namespace

TEST_CASE("equalised images have OpenCV's pixels") {
  for (auto& line : golden_lines("equalize_histogram.txt")) {
    CAPTURE(line.str());
    const int width = next<int>(line);
    const int height = next<int>(line);
    GrayImage image = noise_image(width, height, next<std::uint32_t>(line));
    const int low = next<int>(line);
    const int span = next<int>(line);
    const int others = next<int>(line);
    const int other = next<int>(line);
    const auto expected = next<std::uint32_t>(line);
    for (int i = 0; i < width * height; ++i) {
      std::uint8_t& pixel = image.row(0)[i];
      pixel = static_cast<std::uint8_t>(i < others ? other : low + pixel % span);
    }
    CHECK(pixels_crc32(equalize_histogram(image.view())) == expected);
    const PaddedImage padded(image, 5);
    CHECK(pixels_crc32(equalize_histogram(padded.view())) == expected);
    equalize_histogram(image.view(), image);
    CHECK(pixels_crc32(image) == expected);
  }
}

TEST_CASE("a view of nothing becomes an image of nothing") {
  const std::uint8_t pixel = 7;
  GrayImage equalized(3, 3);
  for (const GrayView& view : {GrayView(nullptr, 5, 4), GrayView(&pixel, -1, 1),
                               GrayView(&pixel, 1, -1), GrayView(&pixel, 0, 1)}) {
    equalize_histogram(view, equalized);
    CHECK(equalized.view().empty());
    CHECK(equalized.width() == 0);
  }
}

TEST_CASE("an empty image stays empty") {
  CHECK(equalize_histogram(GrayView()).view().empty());
}
