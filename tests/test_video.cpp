#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <mien/video.hpp>

#include "tiny.hpp"
#include "vision_data.hpp"

using namespace mien;

namespace {

const std::string tiny_path = MIEN_TEST_DATA "/tiny.mien";
const std::string cascade_path =
    MIEN_SOURCE_DIR "/examples/models/haarcascade_frontalface_default.haar";

/// The photo, lighter by so many gray values: the same faces at the same places, other scores.
GrayImage lightened(const GrayImage& photo, int difference) {
  GrayImage result(photo.width(), photo.height());
  for (int y = 0; y < photo.height(); ++y) {
    for (int x = 0; x < photo.width(); ++x) {
      result.row(y)[x] = static_cast<std::uint8_t>(std::min(photo.row(y)[x] + difference, 255));
    }
  }
  return result;
}

}  // namespace

TEST_CASE("a video is read frame by frame as photos are") {
  std::string detector_path = cascade_path;
  SUBCASE("by a cascade") {}
  SUBCASE("by YuNet") {
    detector_path = MIEN_SOURCE_DIR "/examples/models/yunet.mien";
  }
  const ExpressionReader reader(tiny_path, detector_path);
  VideoReader video(reader);
  const GrayImage photo = read_pgm(MIEN_TEST_DATA "/grace_hopper.pgm");
  for (int frame = 0; frame < 4; ++frame) {
    CAPTURE(frame);
    const GrayImage picture = lightened(photo, 4 * (frame / 2));  // each shown twice
    const auto expected = reader.read(picture.view());
    const auto& faces = video.read(picture.view());
    REQUIRE(expected.size() == 1);
    REQUIRE(faces.size() == 1);
    CHECK(faces[0].identity == 1);
    CHECK(faces[0].classified);
    CHECK(static_cast<const Detection&>(faces[0]) == expected[0]);
    CHECK(faces[0].expression == expected[0].expression);
    CHECK(faces[0].probabilities == expected[0].probabilities);
    CHECK(video.label(faces[0].expression) == reader.label(faces[0].expression));
    CHECK_THROWS_AS(video.label(reader.labels().size()), Error);
  }
  const GrayImage black(100, 100);
  CHECK(video.read(black.view()).empty());
}

TEST_CASE("probabilities follow a change with the time constant") {
  const ExpressionReader reader(tiny_path, cascade_path);
  const GrayImage before = read_pgm(MIEN_TEST_DATA "/grace_hopper.pgm");
  const GrayImage after = lightened(before, 60);
  const auto old_face = reader.read(before.view()).at(0);
  const auto new_face = reader.read(after.view()).at(0);
  for (const int interval : {1, 3}) {
    VideoOptions options;
    options.smoothing = 4.0;
    options.classify_interval = interval;
    VideoReader video(reader, options);
    CHECK(video.read(before.view()).at(0).probabilities == old_face.probabilities);
    for (int frame = 1; frame <= 12; ++frame) {
      CAPTURE(interval);
      CAPTURE(frame);
      const auto& face = video.read(after.view()).at(0);
      CHECK(face.classified == (frame % interval == 0));
      const double arrived = 1.0 - std::exp(-(frame - frame % interval) / options.smoothing);
      float largest = 0.0f;
      for (std::size_t c = 0; c < face.probabilities.size(); ++c) {
        const double expected = old_face.probabilities[c] +
                                arrived * (new_face.probabilities[c] - old_face.probabilities[c]);
        CHECK(face.probabilities[c] == doctest::Approx(expected).epsilon(1e-4));
        largest = std::max(largest, face.probabilities[c]);
      }
      CHECK(face.probabilities[face.expression] == largest);
    }
  }
}

TEST_CASE("gray and colour frames are read alike") {
  const ExpressionReader reader(tiny_path, cascade_path);
  const GrayImage photo = read_pgm(MIEN_TEST_DATA "/grace_hopper.pgm");
  std::vector<std::uint8_t> rgb;
  for (int y = 0; y < photo.height(); ++y) {
    for (int x = 0; x < photo.width(); ++x) rgb.insert(rgb.end(), 3, photo.row(y)[x]);
  }
  VideoReader gray_video(reader);
  VideoReader colour_video(reader);
  const auto& gray = gray_video.read(photo.view());
  const auto& colour = colour_video.read(RgbView(rgb.data(), photo.width(), photo.height()));
  REQUIRE(gray.size() == 1);
  REQUIRE(colour.size() == 1);
  CHECK(colour[0].box == gray[0].box);
  CHECK(colour[0].probabilities == gray[0].probabilities);
}

TEST_CASE("a face that comes back after its patience is classified anew") {
  const ExpressionReader reader(tiny_path, cascade_path);
  VideoOptions options;
  options.tracker.patience = 1;
  options.smoothing = 1000.0;
  VideoReader video(reader, options);
  const GrayImage before = read_pgm(MIEN_TEST_DATA "/grace_hopper.pgm");
  const GrayImage after = lightened(before, 60);
  const GrayImage without(before.width(), before.height());
  video.read(before.view());
  for (int frame = 0; frame < 2; ++frame) CHECK(video.read(without.view()).empty());
  const auto& faces = video.read(after.view());
  REQUIRE(faces.size() == 1);
  CHECK(faces[0].identity == 2);
  CHECK(faces[0].probabilities == reader.read(after.view()).at(0).probabilities);
}

TEST_CASE("a video reader names options out of their ranges") {
  const ExpressionReader reader(tiny_path, cascade_path);
  VideoOptions options;
  options.classify_interval = 0;
  CHECK_THROWS_WITH_AS(VideoReader(reader, options),
                       "classify_interval: expected 1 or more, found 0", Error);
  options = {};
  options.smoothing = -1.0;
  CHECK_THROWS_AS(VideoReader(reader, options), Error);
  options.smoothing = std::nan("");
  CHECK_THROWS_AS(VideoReader(reader, options), Error);
  options = {};
  options.tracker.refresh_interval = 0;
  CHECK_THROWS_AS(VideoReader(reader, options), Error);
}
