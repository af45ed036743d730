// HaarDetector against OpenCV's CascadeClassifier and against the plain reference.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <new>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <mien/error.hpp>
#include <mien/faces/haar/cascade.hpp>
#include <mien/faces/haar/flat_windows.hpp>
#include <mien/faces/haar/haar_detector.hpp>
#include <mien/parallel.hpp>

#include "allocation_counter.hpp"
#include "random_cascade.hpp"
#include "reference_detector.hpp"
#include "vision_data.hpp"

using namespace mien;

namespace {

const std::string frontal = "haarcascade_frontalface_default";

const HaarDetector& detector(const std::string& name) {
  static std::map<std::string, HaarDetector> detectors;
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

std::string error_of(const HaarOptions& options) {
  try {
    detector("tiny_stumps").detect(noise_image(30, 30, 0).view(), options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string text_of(const std::vector<Detection>& detections) {
  std::ostringstream text;
  text.precision(9);
  for (const Detection& d : detections) {
    text << d.box.x << ' ' << d.box.y << ' ' << d.box.width << ' ' << d.box.height << ' '
         << d.neighbors << ' ' << d.score << "; ";
  }
  return text.str();
}

std::string text_of(const HaarOptions& options) {
  std::ostringstream text;
  text << "scale factor " << options.scale_factor << ", min neighbors " << options.min_neighbors
       << ", min size " << options.min_size.width << " x " << options.min_size.height
       << ", max size " << options.max_size.width << " x " << options.max_size.height << ", region "
       << options.region.x << ' ' << options.region.y << ' ' << options.region.width << ' '
       << options.region.height << ", min margin " << options.min_score;
  return text.str();
}

HaarOptions random_options(Dice& dice) {
  HaarOptions options;
  options.scale_factor = 1.0 + dice.integer(5, 70) / 100.0;
  options.min_neighbors = dice.once_in(2) ? 0 : dice.integer(1, 4);
  if (dice.once_in(4)) options.min_size = {dice.integer(0, 60), dice.integer(0, 60)};
  if (dice.once_in(4)) options.max_size = {dice.integer(0, 90), dice.integer(0, 90)};
  if (dice.once_in(4)) options.min_score = static_cast<float>(dice.integer(0, 100)) / 100.0f;
  return options;
}

/// The reference's answer for a region: that for the view of its pixels, moved.
std::vector<Detection> reference_in_region(const Cascade& cascade, const GrayView& image,
                                           HaarOptions options) {
  const Rect region = options.region;
  if (region == Rect{}) return reference::detect(cascade, image, options);
  options.region = {};
  const int left = std::max(region.x, 0);
  const int top = std::max(region.y, 0);
  const int width = std::min(region.x + region.width, image.width) - left;
  const int height = std::min(region.y + region.height, image.height) - top;
  if (width <= 0 || height <= 0) return {};
  const GrayView part(image.row(top) + left, width, height, image.stride);
  std::vector<Detection> found = reference::detect(cascade, part, options);
  for (Detection& detection : found) {
    detection.box.x += left;
    detection.box.y += top;
  }
  return found;
}

/// A gray image as R, G, B, which has the same gray.
std::vector<std::uint8_t> colored(const GrayView& image) {
  std::vector<std::uint8_t> pixels;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) pixels.insert(pixels.end(), 3, image.row(y)[x]);
  }
  return pixels;
}

}  // namespace

TEST_CASE("every way of detecting finds what the reference finds") {
  ThreadPool pool(3);
  HaarDetector::Workspace one_thread;
  HaarDetector::Workspace two_threads(std::ref(pool), 2);
  HaarDetector::Workspace three_threads(std::ref(pool), 3);
  HaarDetector::Workspace for_color;
  std::size_t detections = 0;
  constexpr std::uint32_t cases = 300;
  for (std::uint32_t seed = 0; seed < cases; ++seed) {
    CAPTURE(seed);
    Dice dice(seed);
    // Wide and high ones are scanned in several bands.
    int width = dice.integer(1, 90);
    int height = dice.integer(1, 90);
    if (seed % 50 == 7) width = dice.integer(1030, 1100);
    if (seed % 50 == 8) height = dice.integer(750, 900);
    CAPTURE(width);
    CAPTURE(height);
    const GrayImage picture = random_picture(dice, width, height);
    const PaddedImage padded(picture, dice.integer(0, 5));
    HaarOptions common = random_options(dice);
    if (std::max(width, height) > 90) common.scale_factor += 1;  // few levels: they take long
    Rect region;
    if (dice.once_in(3)) {
      region = {dice.integer(-20, width), dice.integer(-20, height), dice.integer(0, width + 20),
                dice.integer(0, height + 20)};
    }
    std::vector<HaarDetector> detectors;
    std::vector<HaarDetector::Search> searches;
    std::vector<std::vector<Detection>> expected;
    const int cascades = dice.integer(1, 3);
    std::string kinds;
    for (int i = 0; i < cascades; ++i) {
      const CascadeKind kind = random_kind(dice);
      kinds += kind.text() + "; ";
      detectors.emplace_back(random_cascade(dice, kind));
    }
    CAPTURE(kinds);
    for (const HaarDetector& each : detectors) {
      HaarOptions options = random_options(dice);
      options.scale_factor = common.scale_factor;
      options.region = region;
      searches.push_back({&each, options});
      const std::string options_text = text_of(options);
      CAPTURE(options_text);
      expected.push_back(reference_in_region(each.cascade(), padded.view(), options));
      const std::string expected_text = text_of(expected.back());
      detections += expected.back().size();
      CHECK(text_of(each.detect(padded.view(), options)) == expected_text);
      CHECK(text_of(each.detect(padded.view(), options, one_thread)) == expected_text);
      CHECK(text_of(each.detect(padded.view(), options, two_threads)) == expected_text);
      CHECK(text_of(each.detect(padded.view(), options, three_threads)) == expected_text);
      const std::vector<std::uint8_t> pixels = colored(picture.view());
      const RgbView color(pixels.data(), width, height);
      CHECK(text_of(each.detect(color, options, for_color)) == expected_text);
    }
    std::vector<std::vector<Detection>> found;
    for (HaarDetector::Workspace* workspace : {&one_thread, &two_threads, &three_threads}) {
      HaarDetector::detect_all(padded.view(), searches, *workspace, found);
      REQUIRE(found.size() == expected.size());
      for (std::size_t i = 0; i < found.size(); ++i) {
        CAPTURE(i);
        CHECK(text_of(found[i]) == text_of(expected[i]));
      }
    }
  }
  CHECK(detections > 1000);
}

TEST_CASE("detections are OpenCV's, in its order") {
  std::size_t detections = 0;
  for (auto& line : golden_lines("vision_detections.txt")) {
    CAPTURE(line.str());
    const GrayImage image = test_image(next<std::string>(line));
    const HaarDetector& cascade = detector(next<std::string>(line));
    HaarOptions options;
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
  const HaarDetector& cascade = detector(frontal);
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
  const HaarDetector& cascade = detector(frontal);
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
  HaarOptions options;
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
  HaarOptions options;
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
  options = {};
  options.region = {1, 2, -3, 4};
  CHECK(error_of(options) == "region: expected 0 or more, found -3 x 4");
  options = {};
  options.min_score = -1;
  CHECK(error_of(options) == "min_score: expected a finite number of 0 or more, found -1");
  options.min_score = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(options.check(), Error);
  CHECK(error_of({}) == "no error");
}

TEST_CASE("an image of more than 2^21 pixels a side is an error") {
  const std::uint8_t pixel = 7;
  const GrayView view(&pixel, (1 << 21) + 1, 1);
  CHECK_THROWS_WITH_AS(detector(frontal).detect(view),
                       "image: expected at most 2097152 pixels a side, found 2097153 x 1", Error);
}

TEST_CASE("a search allocates nothing from the second image of a size on") {
  const GrayImage image = test_image("astronaut.pgm");
  const std::vector<std::uint8_t> pixels = colored(image.view());
  const RgbView color(pixels.data(), image.width(), image.height());
  const HaarDetector& faces = detector(frontal);
  const HaarDetector& trees = detector("tiny_trees");
  const std::vector<HaarDetector::Search> searches{{&faces, {}}, {&trees, {}}};
  HaarDetector::Workspace workspace;
  std::vector<Detection> found;
  std::vector<std::vector<Detection>> all_found;
  std::size_t before = 0;
  for (int frame = 0; frame < 3; ++frame) {
    if (frame == 1) before = allocation_count();
    faces.detect(image.view(), {}, workspace, found);
    faces.detect(color, {}, workspace, found);
    HaarDetector::detect_all(image.view(), searches, workspace, all_found);
  }
  CHECK(allocation_count() == before);
  CHECK(found.size() == 1);
}

TEST_CASE("the margin is by how much the last stage's sum exceeds its threshold") {
  // One stump, one stage: every window with enough contrast has the sum 1.5, the threshold is 0.25.
  HaarFile file;
  file.string("margin").string("").u8(8).u8(8);
  file.u32(1).u8(0).u8(2).rect(0, 0, 4, 2, -1).rect(0, 0, 2, 2, 2);
  file.u32(1).f32(0.25f).u32(1).u8(1).node(0, -1, 0, 1e9f).f32(1.5f).f32(-1);
  const Bytes bytes = file.sealed();
  const HaarDetector everything(Cascade::from_memory(bytes.data(), bytes.size()));
  const GrayImage image = noise_image(20, 20, 1);
  HaarOptions options;
  options.min_neighbors = 0;
  const std::vector<Detection> found = everything.detect(image.view(), options);
  CHECK(found.size() > 10);
  for (const Detection& detection : found) CHECK(detection.score == 1.25f);
  options.min_score = 1.25f;
  CHECK(everything.detect(image.view(), options) == found);
  options.min_score = 1.26f;
  CHECK(everything.detect(image.view(), options).empty());
}

TEST_CASE("memory does not grow with the number of sizes that are searched") {
  const HaarDetector& stumps = detector("tiny_stumps");
  const Cascade& cascade = stumps.cascade();
  // Sizes up to 1.2 times the window's, plans for all of which would take several times as much.
  const GrayImage wide = noise_image(8000, cascade.window_height() * 6 / 5, 5);
  HaarOptions options;
  options.min_neighbors = 0;
  options.scale_factor = 1.0005;
  const std::size_t before = allocated_bytes();
  const std::vector<Detection> found = stumps.detect(wide.view(), options);
  CHECK(allocated_bytes() - before < (std::size_t{48} << 20));
  ThreadPool pool(3);
  HaarDetector::Workspace threads(std::ref(pool), 3);
  CHECK(stumps.detect(wide.view(), options, threads) == found);
  options.scale_factor = 1.003;
  CHECK(stumps.detect(wide.view(), options) == reference::detect(cascade, wide.view(), options));
}

TEST_CASE("a cascade that accepts everything ends soon, by an error in large images") {
  HaarFile file;
  file.string("all").string("").u8(24).u8(24);
  file.u32(1).u8(0).u8(1).rect(0, 0, 24, 24, 1);
  file.u32(1).f32(-1e30f).u32(1).u8(1).node(0, -1, 0, 0.0f).f32(1.0f).f32(1.0f);
  const Bytes bytes = file.sealed();
  const HaarDetector all(Cascade::from_memory(bytes.data(), bytes.size()));
  const std::vector<Detection> found = all.detect(noise_image(200, 200, 1).view());
  REQUIRE(found.size() == 1);
  CHECK(found.front().neighbors > 10000);
  ThreadPool pool(2);
  HaarDetector::Workspace threads(std::ref(pool), 2);
  std::vector<std::vector<Detection>> both;
  const GrayImage large = noise_image(1200, 1200, 1);
  const std::string message =
      "cascade: expected one that accepts at most 1048576 windows of an image, found more";
  CHECK_THROWS_WITH_AS(all.detect(large.view(), {}, threads), message.c_str(), Error);
  HaarDetector::detect_all(noise_image(90, 90, 1).view(), {{&all, {}}, {&all, {}}}, threads, both);
  CHECK(both[0] == both[1]);
  const std::vector<HaarDetector::Search> searches{{&all, {}}, {&detector("tiny_stumps"), {}}};
  CHECK_THROWS_WITH_AS(HaarDetector::detect_all(large.view(), searches, threads, both),
                       message.c_str(), Error);
}

TEST_CASE("several searches must agree on scale factor and region") {
  const HaarDetector& faces = detector(frontal);
  std::vector<HaarDetector::Search> searches{{&faces, {}}, {&faces, {}}};
  searches[1].options.scale_factor = 1.2;
  const GrayImage image = noise_image(30, 30, 1);
  HaarDetector::Workspace workspace;
  std::vector<std::vector<Detection>> found;
  CHECK_THROWS_WITH_AS(HaarDetector::detect_all(image.view(), searches, workspace, found),
                       "searches: expected the same scale_factor and region in all, found others "
                       "in search 1",
                       Error);
  searches[1].options.scale_factor = searches[0].options.scale_factor;
  searches[1].options.region = {1, 1, 5, 5};
  CHECK_THROWS_AS(HaarDetector::detect_all(image.view(), searches, workspace, found), Error);
  found.resize(5);
  HaarDetector::detect_all(image.view(), {}, workspace, found);
  CHECK(found.empty());
}

TEST_CASE("copies of detectors and workspaces find the same") {
  const GrayImage image = test_image("astronaut.pgm");
  const HaarDetector copy = detector(frontal);
  const std::vector<Detection> expected = copy.detect(image.view());
  REQUIRE(expected.size() == 1);
  HaarDetector::Workspace used;
  CHECK(copy.detect(image.view(), {}, used) == expected);
  HaarDetector::Workspace copied = used;
  HaarDetector::Workspace assigned;
  assigned = used;
  HaarDetector::Workspace moved = std::move(used);
  for (HaarDetector::Workspace* workspace : {&copied, &assigned, &moved}) {
    CHECK(copy.detect(image.view(), {}, *workspace) == expected);
  }
}

TEST_CASE("a workspace needs a thread") {
  CHECK_THROWS_WITH_AS(HaarDetector::Workspace(nullptr, 0), "threads: expected 1 or more, found 0",
                       Error);
}

TEST_CASE("threads need an executor") {
  CHECK_THROWS_WITH_AS(HaarDetector::Workspace(nullptr, 2),
                       "executor: expected one for 2 threads, found none", Error);
}

TEST_CASE("a search whose task runs out of memory throws, and its workspace and pool go on") {
  const HaarDetector searching = detector(frontal);
  const GrayImage image = test_image("astronaut.pgm");
  const std::vector<Detection> expected = searching.detect(image.view());
  REQUIRE(!expected.empty());
  ThreadPool pool(2);
  for (const int failing : {0, 1}) {
    CAPTURE(failing);
    bool fails = true;
    HaarDetector::Workspace workspace(
        [&](int count, const std::function<void(int)>& task) {
          pool(count, [&](int i) {
            // One task throws before it does anything, while the other works.
            if (fails && i == failing) throw std::bad_alloc();
            task(i);
          });
        },
        2);
    CHECK_THROWS_AS(searching.detect(image.view(), {}, workspace), std::bad_alloc);
    fails = false;
    CHECK(searching.detect(image.view(), {}, workspace) == expected);
  }
}
