#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>

#include <mien/faces/haar/haar_finder.hpp>
#include <mien/image/tilted_view.hpp>

#include "vision_data.hpp"

using namespace mien;

namespace {

std::vector<Detection> find(const HaarFinder& finder, const GrayImage& photo,
                            const HaarFinderOptions& options, HaarFinder::Workspace& workspace) {
  std::vector<Detection> found;
  finder.find(photo.view(), options, workspace, found);
  return found;
}

HaarFinder frontal_face_finder() {
  return HaarFinder(HaarDetector(
      Cascade::load(MIEN_SOURCE_DIR "/examples/models/haarcascade_frontalface_default.haar")));
}

/// A pixel of an image between its pixels, whose centres have whole coordinates.
double bilinear(const GrayView& image, double x, double y) {
  const double left = std::floor(x);
  const double top = std::floor(y);
  const auto pixel = [&](double at_x, double at_y) {
    const int column = static_cast<int>(std::clamp(at_x, 0.0, image.width - 1.0));
    return static_cast<double>(
        image.row(static_cast<int>(std::clamp(at_y, 0.0, image.height - 1.0)))[column]);
  };
  const double right_part = x - left;
  const double lower_part = y - top;
  return (1 - lower_part) *
             ((1 - right_part) * pixel(left, top) + right_part * pixel(left + 1, top)) +
         lower_part *
             ((1 - right_part) * pixel(left, top + 1) + right_part * pixel(left + 1, top + 1));
}

}  // namespace

TEST_CASE("a tilted view is the picture turned about a point, to half a gray value") {
  const GrayImage noise = noise_image(37, 23, 5);
  const PaddedImage padded(noise, 6);
  constexpr double one = 1 << detail::tilt_fraction_bits;
  for (const double degrees : {0.0, 15.0, -15.0, 50.0}) {
    for (const double step : {1.0, 0.4, 2.3}) {
      const double angle = degrees * std::acos(-1.0) / 180.0;
      const double centre_x = 20.5;
      const double centre_y = 9.0;
      const detail::Tilt tilt{std::llround(one * std::cos(angle)),
                              std::llround(one * std::sin(angle))};
      GrayImage view(15, 12);
      detail::sample_tilted(padded.view(), std::llround(one * centre_x),
                            std::llround(one * centre_y), std::llround(one * step), tilt, view);
      for (int y = 0; y < view.height(); ++y) {
        for (int x = 0; x < view.width(); ++x) {
          const double right = step * (x + 0.5 - view.width() / 2.0);
          const double down = step * (y + 0.5 - view.height() / 2.0);
          const double expected = bilinear(
              noise.view(), centre_x + right * std::cos(angle) - down * std::sin(angle) - 0.5,
              centre_y + right * std::sin(angle) + down * std::cos(angle) - 0.5);
          CAPTURE(degrees);
          CAPTURE(step);
          CAPTURE(x);
          CAPTURE(y);
          CHECK(std::abs(view.row(y)[x] - expected) < 0.6);
        }
      }
    }
  }
}

TEST_CASE("a finder keeps faces and drops what is none when tilted") {
  const HaarFinder finder = frontal_face_finder();
  HaarFinder::Workspace workspace;
  for (const char* name : {"astronaut.pgm", "grace_hopper.pgm"}) {
    CAPTURE(name);
    const GrayImage photo = read_pgm(std::string(MIEN_TEST_DATA "/") + name);
    const std::vector<Detection> detected = finder.detector().detect(photo.view());
    REQUIRE(detected.size() == 1);
    CHECK(finder.find(photo.view()) == detected);
    const int confirmations = finder.confirmations(photo.view(), detected.front().box, workspace);
    CHECK(confirmations >= 2 * HaarFinderOptions{}.min_confirmations);

    HaarFinderOptions options;
    options.min_confirmations = confirmations;
    CHECK(find(finder, photo, options, workspace) == detected);
    ++options.min_confirmations;
    CHECK(find(finder, photo, options, workspace).empty());
    options.min_confirmations = 0;
    CHECK(find(finder, photo, options, workspace) == detected);

    // Half a face beside the box is no face in the middle.
    Rect beside = detected.front().box;
    beside.x += beside.width / 2;
    CHECK(finder.confirmations(photo.view(), beside, workspace) < confirmations / 2);
  }
}

TEST_CASE("candidates are not confirmed") {
  const HaarFinder finder = frontal_face_finder();
  const GrayImage photo = read_pgm(MIEN_TEST_DATA "/astronaut.pgm");
  HaarFinderOptions options;
  options.min_neighbors = 0;
  options.min_confirmations = 1000;
  HaarFinder::Workspace workspace;
  const std::vector<Detection> candidates = find(finder, photo, options, workspace);
  CHECK(candidates.size() > 10);
  CHECK(candidates == finder.detector().detect(photo.view(), {options, options}));
}

TEST_CASE("a finder names options out of their ranges and boxes outside the image") {
  const HaarFinder finder = frontal_face_finder();
  const GrayImage photo(40, 30);
  HaarFinder::Workspace workspace;
  HaarFinderOptions options;
  options.min_confirmations = -1;
  CHECK_THROWS_WITH_AS(find(finder, photo, options, workspace),
                       "min_confirmations: expected 0 or more, found -1", Error);
  options = {};
  options.min_neighbors = -1;
  CHECK_THROWS_AS(find(finder, photo, options, workspace), Error);
  CHECK_THROWS_WITH_AS(finder.confirmations(photo.view(), {35, 0, 10, 10}, workspace),
                       "box: expected one with its centre inside the image of 40x30, found x 35, "
                       "y 0, width 10, height 10",
                       Error);
  CHECK_THROWS_AS(finder.confirmations(photo.view(), {1, 1, 0, 5}, workspace), Error);
  CHECK_THROWS_AS(finder.confirmations(GrayView(), {1, 1, 5, 5}, workspace), Error);
  CHECK(finder.confirmations(photo.view(), {34, 24, 10, 10}, workspace) == 0);
  CHECK(finder.find(GrayView()).empty());
}
