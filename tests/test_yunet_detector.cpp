// YuNet against OpenCV's FaceDetectorYN (data/make_yunet.py).
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <mien/faces/overlap.hpp>
#include <mien/faces/yunet/yunet_detector.hpp>
#include <mien/image/resize.hpp>

#include "allocation_counter.hpp"
#include "sealed_bytes.hpp"
#include "vision_data.hpp"

using namespace mien;

namespace {

const YuNetDetector& detector() {
  static const YuNetDetector loaded =
      YuNetDetector::load(MIEN_SOURCE_DIR "/examples/models/yunet.mien");
  return loaded;
}

GrayImage both_photos() {
  const GrayImage first = test_image("astronaut.pgm");
  const GrayImage second = test_image("grace_hopper.pgm");
  GrayImage both(first.width() + second.width(), second.height());
  for (int y = 0; y < both.height(); ++y) {
    std::fill(both.row(y), both.row(y) + both.width(), std::uint8_t{0});
    if (y < first.height()) std::copy_n(first.row(y), first.width(), both.row(y));
    std::copy_n(second.row(y), second.width(), both.row(y) + first.width());
  }
  return both;
}

/// The pixels of a gray image as R, G, B, reddish.
std::vector<std::uint8_t> tinted(const GrayImage& image) {
  std::vector<std::uint8_t> pixels;
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      const std::uint8_t value = image.row(y)[x];
      pixels.push_back(value);
      pixels.push_back(static_cast<std::uint8_t>(value / 4 * 3));
      pixels.push_back(static_cast<std::uint8_t>(value / 2));
    }
  }
  return pixels;
}

std::vector<Detection> detect_named(const std::string& name, YuNetOptions options) {
  if (name != "both" && name != "part" && name != "tinted") {
    return detector().detect(test_image(name + ".pgm").view(), options);
  }
  const GrayImage both = both_photos();
  if (name == "part") options.region = {31, 15, 309, 171};
  if (name != "tinted") return detector().detect(both.view(), options);
  const std::vector<std::uint8_t> pixels = tinted(both);
  return detector().detect(RgbView(pixels.data(), both.width(), both.height()), options);
}

std::array<Point, 5> points_of(const Landmarks& landmarks) {
  return {landmarks.right_eye, landmarks.left_eye, landmarks.nose_tip, landmarks.right_mouth_corner,
          landmarks.left_mouth_corner};
}

}  // namespace

TEST_CASE("YuNet finds the faces of OpenCV's FaceDetectorYN") {
  for (std::istringstream& line : golden_lines("yunet_detections.txt")) {
    CAPTURE(line.str().substr(0, 30));
    const auto name = next<std::string>(line);
    YuNetOptions options;
    options.min_score = next<float>(line);
    options.max_overlap = next<float>(line);
    const std::vector<Detection> found = detect_named(name, options);
    REQUIRE(found.size() == next<std::size_t>(line));
    const float left = name == "part" ? 31.0f : 0.0f;
    const float top = name == "part" ? 15.0f : 0.0f;
    for (std::size_t i = 0; i < found.size(); ++i) {
      CAPTURE(i);
      const Detection& face = found[i];
      const auto is_near = [&line](float value, float offset) {
        // OpenCV's numbers are rounded to hundredths.
        return std::abs(value - offset - next<float>(line)) <= 0.51f;
      };
      CHECK(is_near(static_cast<float>(face.box.x), left));
      CHECK(is_near(static_cast<float>(face.box.y), top));
      CHECK(is_near(static_cast<float>(face.box.width), 0));
      CHECK(is_near(static_cast<float>(face.box.height), 0));
      REQUIRE(face.landmarks.has_value());
      for (const Point& point : points_of(*face.landmarks)) {
        CHECK(is_near(point.x, left));
        CHECK(is_near(point.y, top));
      }
      CHECK(std::abs(face.score - next<float>(line)) < 1e-3f);
      CHECK(face.neighbors >= 1);
    }
  }
}

TEST_CASE("a reduced picture has its faces in the pixels of the whole") {
  const GrayImage small = both_photos();
  const GrayImage large = resize_linear_exact(small.view(), 4 * small.width(), 4 * small.height());
  const std::vector<Detection> expected = detector().detect(small.view());
  YuNetOptions options;
  options.max_side = small.width();
  const std::vector<Detection> found = detector().detect(large.view(), options);
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const Rect& box = expected[i].box;
    CHECK(intersection_over_union(found[i].box,
                                  {4 * box.x, 4 * box.y, 4 * box.width, 4 * box.height}) > 0.9);
    CHECK(std::abs(found[i].score - expected[i].score) < 0.02f);
    const auto points = points_of(*found[i].landmarks);
    const auto expected_points = points_of(*expected[i].landmarks);
    for (std::size_t n = 0; n < points.size(); ++n) {
      CHECK(std::abs(points[n].x - 4 * expected_points[n].x) < 4);
      CHECK(std::abs(points[n].y - 4 * expected_points[n].y) < 4);
    }
  }
  const std::vector<std::uint8_t> pixels = tinted(large);
  const RgbView color(pixels.data(), large.width(), large.height());
  CHECK(detector().detect(color, options).size() == 2);
}

TEST_CASE("faces of other sizes and outside the region are left out") {
  const GrayImage both = both_photos();
  const std::vector<Detection> all = detector().detect(both.view());
  REQUIRE(all.size() == 2);
  REQUIRE(all[0].box.width > all[1].box.width + 10);
  YuNetOptions options;
  options.min_size = {all[0].box.width, all[0].box.height};
  CHECK(detector().detect(both.view(), options) == std::vector<Detection>{all[0]});
  options.min_size.width += 1;
  CHECK(detector().detect(both.view(), options).empty());
  options = {};
  options.max_size = {all[1].box.width, all[1].box.height};
  CHECK(detector().detect(both.view(), options) == std::vector<Detection>{all[1]});
  options = {};
  options.region = {192, -10, 1000, 1000};
  const std::vector<Detection> right = detector().detect(both.view(), options);
  REQUIRE(right.size() == 1);
  CHECK(intersection_over_union(right[0].box, all[0].box) > 0.9);
  for (const Rect& region : {Rect{400, 0, 10, 10}, Rect{-20, 0, 10, 10}, Rect{5, 5, 0, 3}}) {
    options.region = region;
    CHECK(detector().detect(both.view(), options).empty());
  }
}

TEST_CASE("a look near a face finds it in whatever size") {
  const GrayImage photo = test_image("grace_hopper.pgm");
  YuNetDetector::Workspace workspace;
  std::vector<Detection> found;
  for (const int factor : {1, 3}) {
    const GrayImage sized =
        resize_linear_exact(photo.view(), factor * photo.width(), factor * photo.height());
    const Detection face = detector().detect(sized.view()).at(0);
    Rect moved = face.box;
    moved.x += moved.width / 5;
    moved.y -= moved.height / 6;
    detector().detect_near(sized.view(), moved, {}, workspace, found);
    REQUIRE(found.size() == 1);
    CHECK(intersection_over_union(found[0].box, face.box) > 0.75);
    detector().detect_near(sized.view(), {-300, -300, 40, 40}, {}, workspace, found);
    CHECK(found.empty());
  }
}

TEST_CASE("pictures of any size, the smallest and none") {
  for (const int width : {1, 31, 32, 33, 70}) {
    for (const int height : {1, 64, 95}) {
      CAPTURE(width);
      CAPTURE(height);
      const GrayImage noise = noise_image(width, height, 3);
      const PaddedImage padded(noise, 5);
      YuNetOptions options;
      options.min_score = 0;
      const std::vector<Detection> found = detector().detect(noise.view(), options);
      CHECK(!found.empty());
      CHECK(detector().detect(padded.view(), options) == found);
      options.max_side = 1;
      CHECK(!detector().detect(noise.view(), options).empty());
    }
  }
  CHECK(detector().detect(GrayView()).empty());
  CHECK(detector().detect(RgbView()).empty());
}

TEST_CASE("YuNet allocates nothing from the second picture of a size on, in every thread") {
  const GrayImage both = both_photos();
  const std::vector<std::uint8_t> pixels = tinted(both);
  const RgbView color(pixels.data(), both.width(), both.height());
  YuNetOptions reduced;
  reduced.max_side = 300;
  YuNetDetector::Workspace workspace;
  std::vector<Detection> found;
  std::vector<Detection> expected;
  std::size_t before = 0;
  for (int frame = 0; frame < 3; ++frame) {
    if (frame == 1) before = allocation_count();
    detector().detect(color, {}, workspace, found);
    detector().detect(both.view(), reduced, workspace, found);
    detector().detect_near(both.view(), {60, 20, 40, 40}, {}, workspace, found);
    detector().detect(both.view(), {}, workspace, found);
  }
  CHECK(allocation_count() == before);
  expected = found;
  std::array<std::vector<Detection>, 3> of_threads;
  std::vector<std::thread> threads;
  for (std::vector<Detection>& result : of_threads) {
    threads.emplace_back([&] { result = detector().detect(both.view()); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<Detection>& result : of_threads) CHECK(result == expected);
}

TEST_CASE("YuNet names options out of their ranges and networks that are others") {
  const auto message = [](const auto& change) {
    YuNetOptions options;
    change(options);
    try {
      detector().detect(GrayView(), options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message([](YuNetOptions&) {}).empty());
  CHECK(message([](YuNetOptions& o) { o.min_score = -0.5f; }) ==
        "min_score: expected a number from 0 to 1, found -0.500000");
  CHECK(message([](YuNetOptions& o) { o.max_overlap = 1.5f; }).find("max_overlap") == 0);
  CHECK(message([](YuNetOptions& o) {
          o.min_score = std::numeric_limits<float>::quiet_NaN();
        }).find("min_score") == 0);
  CHECK(message([](YuNetOptions& o) { o.max_side = -1; }) ==
        "max_side: expected 0 or more, found -1");
  CHECK(message([](YuNetOptions& o) { o.min_size = {-1, 0}; }).find("min_size") == 0);
  const GrayImage wide(70000, 1);
  YuNetOptions unlimited;
  unlimited.max_side = 0;
  CHECK_THROWS_AS(detector().detect(wide.view(), unlimited), Error);
  try {
    YuNetDetector::load(MIEN_SOURCE_DIR "/examples/models/mini_fer.mien");
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(std::string(error.what())
              .find("mini_fer.mien: inputs: expected the picture of 3 "
                    "channels and any size of YuNet, found 1, the first of "
                    "1 channels and a fixed size") != std::string::npos);
  }
}

TEST_CASE("a network whose heads are not YuNet's is refused by name") {
  const Bytes yunet = read_file(MIEN_SOURCE_DIR "/examples/models/yunet.mien");
  const auto place_of = [&yunet](const std::string& output) {
    const auto found = std::search(yunet.begin(), yunet.end(), output.begin(), output.end());
    REQUIRE(found != yunet.end());
    return static_cast<std::size_t>(found - yunet.begin());
  };
  const auto message = [](Bytes bytes, const auto& make) {
    reseal(bytes);
    try {
      make(WeightFile::from_memory(bytes.data(), bytes.size(), "changed"));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const auto make_detector = [](const WeightFile& file) { YuNetDetector{Model(file)}; };
  const auto make_network = [](const WeightFile& file) { detail::YuNetNetwork{file}; };
  CHECK(message(yunet, make_detector).empty());
  CHECK(message(yunet, make_network).empty());

  Bytes renamed = yunet;
  renamed[place_of("obj_16") + 5] = '7';
  CHECK(message(renamed, make_detector) ==
        "changed: outputs: expected 'obj_16' of YuNet, found none of this name");

  // An output's value follows its name. 54 is what value 77 is the sigmoid of.
  const auto with_value = [&](const std::string& output, std::uint32_t value) {
    Bytes changed = yunet;
    put_u32(changed, place_of(output) + output.size(), value);
    return changed;
  };
  CHECK(message(with_value("cls_8", 54), make_network) ==
        "changed: node 53, 'Conv_55' (Conv2d): expected YuNet's sigmoid of a score");
  CHECK(message(with_value("bbox_8", 52), make_network) ==
        "changed: node 51, 'Relu_53' (ReLU): expected YuNet's head, a 1x1 convolution and a "
        "depthwise 3x3 convolution");
  CHECK(message(with_value("kps_8", 74), make_network) ==
        "changed: node 72, 'Conv_74' (Conv2d): expected YuNet's heads, of which four see the same "
        "features");
  CHECK(message(with_value("bbox_8", 0), make_network).find("changed: node 0") == 0);
}

TEST_CASE("cells whose numbers are not finite are no faces") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float huge = std::numeric_limits<float>::max();
  const std::array<std::array<float, 4>, 6> boxes{{{nan, 0, 0, 0},
                                                   {0, 0, huge, 0},
                                                   {0, huge, 0, 0},
                                                   {0.5f, 0.5f, 0, 1},
                                                   {0, 0, 0, 0},
                                                   {0, 0, 0, 0}}};
  std::array<std::array<float, detail::YuNetGrid::channels>, 6> cells{};
  for (std::size_t i = 0; i < cells.size(); ++i) {
    cells[i][0] = i == 4 ? nan : 40.0f;
    cells[i][1] = i == 5 ? nan : 40.0f;
    std::copy(boxes[i].begin(), boxes[i].end(), cells[i].begin() + 2);
  }
  std::vector<detail::YuNetCandidate> candidates;
  detail::append_candidates({8, 3, 2, cells.front().data()}, 0.5f, candidates);
  REQUIRE(candidates.size() == 1);
  CHECK(candidates[0].score == 1.0f);
  CHECK(candidates[0].x == 12.0f - 4.0f);
  CHECK(candidates[0].width == 8.0f);
  CHECK(candidates[0].height == doctest::Approx(8 * std::exp(1.0)));
  CHECK(candidates[0].landmarks[4] == Point{8, 8});
}

TEST_CASE("cells are candidates from their score on, which is a sigmoid's") {
  for (const float min_score : {0.0f, 0.1f, 0.5f, 0.75f, 0.99f, 1.0f}) {
    CAPTURE(min_score);
    for (float logit = -20; logit < 25; logit += 0.37f) {
      for (const float other : {-3.0f, 0.0f, 1.5f, 18.0f}) {
        std::array<float, detail::YuNetGrid::channels> cell{logit, other};
        std::vector<detail::YuNetCandidate> candidates;
        detail::append_candidates({8, 1, 1, cell.data()}, min_score, candidates);
        const auto sigmoid = [](float x) { return 1 / (1 + std::exp(-double{x})); };
        const double score = std::sqrt(sigmoid(logit) * sigmoid(other));
        CAPTURE(logit);
        CAPTURE(other);
        if (std::abs(score - double{min_score}) > 1e-6) {
          CHECK(candidates.size() == (score > double{min_score} ? 1u : 0u));
        }
        if (!candidates.empty()) CHECK(candidates[0].score == doctest::Approx(score));
      }
    }
  }
}
