#include <cstddef>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <mien/faces/face_finder.hpp>
#include <mien/faces/haar/grouping.hpp>
#include <mien/faces/haar/haar_finder.hpp>
#include <mien/faces/overlap.hpp>
#include <mien/parallel.hpp>

#include "allocation_counter.hpp"
#include "vision_data.hpp"

using namespace mien;

namespace {

const std::string models = MIEN_SOURCE_DIR "/examples/models/";
const std::string yunet_path = models + "yunet.mien";
const std::string cascade_path = models + "haarcascade_frontalface_default.haar";

}  // namespace

TEST_CASE("the overlap of rectangles") {
  CHECK(intersection_over_union({0, 0, 10, 10}, {0, 0, 10, 10}) == 1.0);
  CHECK(intersection_over_union({0, 0, 10, 10}, {5, 0, 10, 10}) == doctest::Approx(1.0 / 3));
  CHECK(intersection_over_union({0, 0, 10, 10}, {2, 2, 5, 5}) == 0.25);
  CHECK(intersection_over_union({0, 0, 10, 10}, {10, 0, 10, 10}) == 0.0);
  CHECK(intersection_over_union({0, 0, 10, 10}, {-5, 20, 100, 1}) == 0.0);
}

TEST_CASE("a finder is what its file is, and finds what its detector does") {
  const GrayImage photo = read_pgm(MIEN_TEST_DATA "/grace_hopper.pgm");
  const FaceFinder yunet = FaceFinder::load(yunet_path);
  const FaceFinder cascade = FaceFinder::load(cascade_path);
  REQUIRE(yunet.yunet() != nullptr);
  REQUIRE(cascade.haar() != nullptr);
  CHECK(yunet.haar() == nullptr);
  CHECK(cascade.yunet() == nullptr);

  FinderOptions options;
  options.min_size = {20, 20};
  options.region = {10, 5, 150, 190};
  options.yunet.min_score = 0.1f;
  options.yunet.max_overlap = 0.5f;
  options.yunet.max_side = 120;
  options.haar.scale_factor = 1.2;
  options.haar.min_neighbors = 2;
  options.haar.min_confirmations = 1;
  const std::vector<Detection> by_yunet = yunet.find(photo.view(), options);
  const std::vector<Detection> by_cascade = cascade.find(photo.view(), options);
  CHECK(by_yunet == yunet.yunet()->detect(photo.view(), {options, options.yunet}));
  CHECK(by_cascade == cascade.haar()->find(photo.view(), {options, options.haar}));
  REQUIRE(by_yunet.size() >= 1);
  REQUIRE(by_cascade.size() == 1);
  CHECK(intersection_over_union(by_yunet[0].box, by_cascade[0].box) > 0.5);
  CHECK(by_yunet[0].landmarks.has_value());
  CHECK(!by_cascade[0].landmarks.has_value());
  options.haar.min_confirmations = 0;
  CHECK(cascade.find(photo.view(), options) ==
        cascade.haar()->detector().detect(photo.view(), {options, options.haar}));
}

TEST_CASE("one workspace serves every finder, and then nothing is allocated") {
  const GrayImage photo = read_pgm(MIEN_TEST_DATA "/astronaut.pgm");
  const FaceFinder yunet = FaceFinder::load(yunet_path);
  const FaceFinder cascade = FaceFinder::load(cascade_path);
  FaceFinder::Workspace workspace;
  std::vector<Detection> found;
  std::size_t before = 0;
  for (int frame = 0; frame < 3; ++frame) {
    if (frame == 1) before = allocation_count();
    for (const FaceFinder* finder : {&yunet, &cascade}) {
      finder->find(photo.view(), {}, workspace, found);
      const Rect box = found.at(0).box;
      finder->find_near(photo.view(), box, {}, workspace, found);
      CHECK(intersection_over_union(found.at(0).box, box) > 0.7);
    }
  }
  CHECK(allocation_count() == before);

  ThreadPool pool(2);
  FaceFinder::Workspace with_threads(std::ref(pool), pool.threads());
  for (const FaceFinder* finder : {&yunet, &cascade}) {
    finder->find(photo.view(), {}, with_threads, found);
    CHECK(found == finder->find(photo.view()));
  }
}

TEST_CASE("boxes and regions at the end of int are errors or empty") {
  constexpr int lowest = std::numeric_limits<int>::min();
  constexpr int highest = std::numeric_limits<int>::max();
  CHECK(detail::intersection({1, 1, highest, highest}, {0, 0, 5, 7}) == Rect{1, 1, 4, 6});
  CHECK(detail::intersection({highest, 1, highest, 5}, {lowest, 0, 5, 7}).width == -1);
  const GrayImage image = test_image("astronaut.pgm");
  for (const std::string& path : {yunet_path, cascade_path}) {
    CAPTURE(path);
    const FaceFinder finder = FaceFinder::load(path);
    FinderOptions options;
    options.region = {1, 1, highest, highest};
    CHECK(finder.find(image.view(), options).size() == 1);
    options.region = {highest, highest, highest, highest};
    CHECK(finder.find(image.view(), options).empty());
    FaceFinder::Workspace workspace;
    std::vector<Detection> found;
    for (const Rect& box : {Rect{1, 1, highest, highest}, Rect{lowest, 5, 9, 9}}) {
      CHECK_THROWS_AS(finder.find_near(image.view(), box, {}, workspace, found), Error);
    }
  }
  CHECK_THROWS_AS(group_rectangles({{highest, 0, 1, 1}}, 1), Error);
  const HaarFinder cascade(HaarDetector(Cascade::load(cascade_path)));
  HaarFinder::Workspace workspace;
  CHECK_THROWS_AS(cascade.confirmations(image.view(), {highest, 5, 9, 9}, workspace), Error);
}

TEST_CASE("a finder names options out of their ranges and files that are no detectors") {
  const FaceFinder finder = FaceFinder::load(yunet_path);
  const GrayImage photo(40, 30);
  const auto message = [&](const auto& change) {
    FinderOptions options;
    change(options);
    try {
      finder.find(photo.view(), options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message([](FinderOptions&) {}).empty());
  CHECK(message([](FinderOptions& o) { o.haar.min_confirmations = -1; }) ==
        "min_confirmations: expected 0 or more, found -1");
  CHECK(message([](FinderOptions& o) { o.haar.scale_factor = 1; }).find("scale_factor") == 0);
  CHECK(message([](FinderOptions& o) { o.yunet.max_side = -1; }).find("max_side") == 0);
  CHECK(message([](FinderOptions& o) { o.max_size = {0, -1}; }).find("max_size") == 0);

  const auto load_error = [](const std::string& path) {
    try {
      FaceFinder::load(path);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string pgm = MIEN_TEST_DATA "/astronaut.pgm";
  CHECK(load_error(pgm) == pgm +
                               ": expected a face detector, YuNet's .mien file or a cascade's "
                               ".haar file, found another file");
  CHECK(load_error("missing.mien").find("missing.mien: cannot open the file") == 0);
  CHECK(load_error(models + "mini_fer.mien").find("mini_fer.mien: inputs: expected") !=
        std::string::npos);
}
