// FaceDetector against OpenCV's CascadeClassifier.
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <mien/error.hpp>
#include <mien/vision/cascade.hpp>
#include <mien/vision/face_detector.hpp>

#include "vision_data.hpp"

using namespace mien;

namespace {

const std::string frontal = "haarcascade_frontalface_default";

const FaceDetector& detector(const std::string& name) {
  static std::map<std::string, FaceDetector> detectors;
  const auto found = detectors.find(name);
  if (found != detectors.end()) return found->second;
  const std::string folder =
      name == frontal ? MIEN_SOURCE_DIR "/examples/models/" : MIEN_TEST_DATA "/";
  return detectors.emplace(name, Cascade::load(folder + name + ".haar")).first->second;
}

std::uint32_t boxes_crc32(const std::vector<Detection>& detections) {
  std::vector<std::uint32_t> words;
  for (const Detection& detection : detections) {
    const Rect& box = detection.box;
    for (const int value : {box.x, box.y, box.width, box.height}) {
      words.push_back(static_cast<std::uint32_t>(value));
    }
  }
  return crc32_of_words(words);
}

std::string error_of(const DetectionOptions& options) {
  try {
    detector("tiny_stumps").detect(noise_image(30, 30, 0).view(), options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("detections are OpenCV's, in its order") {
  std::size_t detections = 0;
  for (auto& line : golden_lines("vision_detections.txt")) {
    CAPTURE(line.str());
    const GrayImage image = test_image(next<std::string>(line));
    const FaceDetector& cascade = detector(next<std::string>(line));
    DetectionOptions options;
    options.scale_factor = next<double>(line);
    options.min_neighbors = next<int>(line);
    options.min_size = {next<int>(line), 0};
    options.min_size.height = next<int>(line);
    options.max_size = {next<int>(line), 0};
    options.max_size.height = next<int>(line);
    const std::vector<Detection> found = cascade.detect(PaddedImage(image, 3).view(), options);
    REQUIRE(found.size() == next<std::size_t>(line));
    detections += found.size();
    if (options.min_neighbors == 0) {
      CHECK(boxes_crc32(found) == next<std::uint32_t>(line));
      for (const Detection& detection : found) CHECK(detection.neighbors == 1);
      continue;
    }
    for (const Detection& detection : found) {
      CHECK(detection.box == next_rect(line));
      CHECK(detection.neighbors == next<int>(line));
    }
  }
  CHECK(detections > 1000);
}

TEST_CASE("a detector may be used from many threads at once") {
  const GrayImage image = test_image("astronaut.pgm");
  const FaceDetector& cascade = detector(frontal);
  const std::vector<Detection> expected = cascade.detect(image.view());
  REQUIRE(expected.size() == 1);
  std::vector<std::vector<Detection>> found(4);
  std::vector<std::thread> threads;
  for (auto& result : found) {
    threads.emplace_back([&] { result = cascade.detect(image.view()); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : found) CHECK(result == expected);
}

TEST_CASE("an empty image and one smaller than the window have no detections") {
  const FaceDetector& cascade = detector(frontal);
  CHECK(cascade.detect(GrayView()).empty());
  const std::uint8_t pixel = 7;
  CHECK(cascade.detect(GrayView(&pixel, 1, 1)).empty());
  CHECK(cascade.detect(GrayView(&pixel, 0, 100)).empty());
  CHECK(cascade.detect(noise_image(20000, 23, 1).view()).empty());
  CHECK(cascade.detect(noise_image(23, 20000, 1).view()).empty());
}

TEST_CASE("rows may be stored from bottom to top") {
  const GrayImage image = test_image("astronaut.pgm");
  GrayImage flipped(image.width(), image.height());
  for (int y = 0; y < image.height(); ++y) {
    std::copy(image.row(y), image.row(y) + image.width(), flipped.row(image.height() - 1 - y));
  }
  const GrayView view(flipped.row(image.height() - 1), image.width(), image.height(),
                      -std::ptrdiff_t{image.width()});
  CHECK(detector(frontal).detect(view) == detector(frontal).detect(image.view()));
}

TEST_CASE("a huge scale factor searches the smallest size only") {
  const GrayImage image = test_image("astronaut.pgm");
  DetectionOptions options;
  options.min_neighbors = 0;
  options.scale_factor = 50;
  const auto expected = detector("tiny_trees").detect(image.view(), options);
  options.scale_factor = 1e300;
  CHECK(detector("tiny_trees").detect(image.view(), options) == expected);
  CHECK_FALSE(expected.empty());
}

TEST_CASE("flat windows are those with a standard deviation of at most 10") {
  // The numbers OpenCV's formula gives, found by evaluating it in double precision.
  CHECK(detail::smallest_spread(22 * 22) == 23425602);
  CHECK(detail::smallest_spread(18 * 18) == 10497601);
  CHECK(detail::smallest_spread(12 * 26) == 9734401);
  CHECK(detail::smallest_spread(20 * 16) == 10240000);
  CHECK(detail::smallest_spread(34 * 16) == 29593602);
  CHECK(detail::smallest_spread(58 * 18) == 108993604);
  CHECK(detail::smallest_spread(17 * 21) == 12744901);
}

TEST_CASE("options out of range are errors") {
  DetectionOptions options;
  options.scale_factor = 1;
  CHECK(error_of(options) == "scale_factor: expected a finite number of at least 1.0001, found 1");
  for (const double bad : {0.0, -1.1, 1.00001, std::numeric_limits<double>::quiet_NaN(),
                           std::numeric_limits<double>::infinity()}) {
    CAPTURE(bad);
    options.scale_factor = bad;
    CHECK_THROWS_AS(options.check(), Error);
  }
  options = {};
  options.min_neighbors = -1;
  CHECK(error_of(options) == "min_neighbors: expected 0 or more, found -1");
  options = {};
  options.min_size = {10, -3};
  CHECK(error_of(options) == "min_size: expected 0 or more, found 10 x -3");
  options = {};
  options.max_size = {-10, 0};
  CHECK(error_of(options) == "max_size: expected 0 or more, found -10 x 0");
  CHECK(error_of({}) == "no error");
}

TEST_CASE("an image of more than 2^22 pixels a side is an error") {
  const std::uint8_t pixel = 7;
  const GrayView view(&pixel, (1 << 22) + 1, 1);
  CHECK_THROWS_WITH_AS(detector(frontal).detect(view),
                       "image: expected at most 4194304 pixels a side, found 4194305 x 1", Error);
}
