// From a photo to probabilities, against Pillow and PyTorch (data/make_expressions.py).
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <mien/mien.hpp>

#include "allocation_counter.hpp"
#include "sealed_bytes.hpp"
#include "tiny.hpp"
#include "vision_data.hpp"

namespace {

using namespace mien;

const std::string tiny_path = MIEN_TEST_DATA "/tiny.mien";
const std::string cascade_path =
    MIEN_SOURCE_DIR "/examples/models/haarcascade_frontalface_default.haar";

}  // namespace

TEST_CASE("boxes become the logits and probabilities that PyTorch computes") {
  const ExpressionClassifier classifier(Tiny::load(tiny_path));
  ExpressionClassifier::Workspace workspace;
  for (std::istringstream& line : golden_lines("expressions.txt")) {
    const auto seed = next<std::uint32_t>(line);
    const Rect box = next_rect(line);
    const Crops crops = next<int>(line) == 10 ? Crops::ten : Crops::center;
    CAPTURE(line.str());
    const GrayImage photo = noise_image(40, 30, seed);
    const auto logits =
        classifier.logits(classifier.face(photo.view(), box).view(), crops, workspace);
    for (const float logit : logits)
      CHECK(logit == doctest::Approx(next<double>(line)).epsilon(1e-5));
    for (const float probability : classifier.classify(photo.view(), box, crops)) {
      CHECK(probability == doctest::Approx(next<double>(line)).epsilon(1e-5));
    }
  }
}

TEST_CASE("several faces give what each gives alone, on however many threads") {
  const ExpressionClassifier classifier(Tiny::load(tiny_path));
  const GrayImage photo = noise_image(40, 30, 7);
  const std::vector<FaceRegion> boxes = {
      {0, 0, 20, 20}, {5, 3, 9, 12}, {-2, 8, 30, 30}, {20, 10, 7, 7}};
  for (const Crops crops : {Crops::center, Crops::ten}) {
    for (const int threads : {1, 2, 5}) {
      CAPTURE(threads);
      ThreadPool pool(threads);
      ExpressionClassifier::Workspace workspace(threads);
      for (const Executor& executor : {Executor(), Executor(std::ref(pool))}) {
        const auto found = classifier.classify(photo.view(), boxes, crops, workspace, executor);
        REQUIRE(found.size() == boxes.size());
        for (std::size_t i = 0; i < boxes.size(); ++i) {
          CAPTURE(i);
          CHECK(found[i] == classifier.classify(photo.view(), boxes[i], crops));
        }
      }
    }
  }
  ExpressionClassifier::Workspace workspace;
  CHECK(
      classifier.classify(photo.view(), std::vector<FaceRegion>(), Crops::ten, workspace).empty());
}

TEST_CASE("a network that asks for it gets equalised faces, each by itself") {
  Bytes bytes = read_file(tiny_path);
  // Behind the last label stand temperature, face size and this.
  const std::string label = "neutral";
  const auto last = std::search(bytes.begin(), bytes.end(), label.begin(), label.end());
  *(last + 7 + 4 + 4) = 1;
  reseal(bytes);
  const ExpressionClassifier equalising(Tiny(WeightFile::from_memory(bytes.data(), bytes.size())));
  const ExpressionClassifier plain(Tiny::load(tiny_path));
  ExpressionClassifier::Workspace workspace;
  std::vector<GrayImage> faces;
  std::vector<GrayView> views;
  for (std::uint32_t seed = 0; seed < 3; ++seed) {
    faces.push_back(noise_image(10, 10, seed));
    for (int i = 0; i < 100; ++i) faces.back().row(0)[i] /= 3;
  }
  for (const GrayImage& face : faces) views.push_back(face.view());
  for (const Crops crops : {Crops::center, Crops::ten}) {
    const auto found = equalising.logits(views, crops, workspace);
    for (std::size_t i = 0; i < faces.size(); ++i) {
      CAPTURE(i);
      const GrayImage equalized = equalize_histogram(views[i]);
      CHECK(found[i] == plain.logits(equalized.view(), crops, workspace));
      CHECK(found[i] != plain.logits(views[i], crops, workspace));
    }
  }
}

TEST_CASE("a classifier that has seen as many faces allocates nothing") {
  const ExpressionClassifier classifier(Tiny::load(tiny_path));
  ExpressionClassifier::Workspace workspace;
  const GrayImage face = noise_image(10, 10, 1);
  const GrayView faces[] = {face.view(), face.view(), face.view()};
  std::vector<float> logits(3 * classifier.labels().size());
  for (const Crops crops : {Crops::ten, Crops::center}) {
    classifier.logits(faces, 3, crops, logits.data(), workspace);
    const std::size_t before = allocation_count();
    classifier.logits(faces, 3, crops, logits.data(), workspace);
    CHECK(allocation_count() == before);
    const std::vector<float> one = classifier.logits(face.view(), crops, workspace);
    CHECK(std::vector<float>(logits.begin() + 14, logits.end()) == one);
  }
}

TEST_CASE("a face is a square around its box") {
  CHECK(face_region(Rect{10, 20, 30, 30}) == Rect{10, 20, 30, 30});
  CHECK(face_region(Rect{10, 20, 30, 40}) == Rect{5, 20, 40, 40});
  CHECK(face_region(Rect{10, 20, 31, 20}) == Rect{10, 15, 31, 31});
  Detection face;
  face.box = {10, 20, 30, 40};
  CHECK(face_region(face) == FaceRegion({5, 20, 40, 40}, 0.0));
}

TEST_CASE("a face with landmarks is as tight as FER2013's") {
  // YuNet's median box in a face of 1000 pixels that begins at (2000, 3000).
  Detection face;
  face.box = {2074, 3009, 820, 1020};
  face.landmarks = Landmarks{};
  face.landmarks->right_eye = {2300, 3400};
  face.landmarks->left_eye = {2700, 3400};
  const FaceRegion region = face_region(face);
  CHECK(region.roll == 0.0);
  CHECK(region.square.width == region.square.height);
  for (const auto& [found, expected] :
       {std::pair(region.square.x, 2000), std::pair(region.square.y, 3000),
        std::pair(region.square.width, 1000)}) {
    CHECK(std::abs(found - expected) < 30);
  }
  face.box = {0, 0, 1, 0};
  CHECK(face_region(face).square.width == 1);
}

TEST_CASE("a face that leans is cut out upright") {
  // Eyes that lean by 20 degrees, the left one lower, are those of a face that leans by 30.
  Detection face;
  face.box = {100, 50, 90, 110};
  face.landmarks = Landmarks{};
  face.landmarks->left_eye = {93.969262f, 34.202014f};
  const FaceRegion leaning = face_region(face);
  CHECK(leaning.roll == doctest::Approx(30.0).epsilon(1e-5));
  face.landmarks->left_eye = {0, -1};
  CHECK(face_region(face).roll == -60.0);

  // A quarter of a turn has pixels on pixels: columns of the photo, from below, are rows.
  const GrayImage photo = noise_image(50, 40, 9);
  const ExpressionClassifier classifier(Tiny::load(tiny_path));
  const Rect square{12, 7, 20, 20};
  GrayImage turned(square.width, square.height);
  for (int y = 0; y < square.height; ++y) {
    for (int x = 0; x < square.width; ++x) {
      turned.row(y)[x] = photo.row(square.y + x)[square.x + square.width - 1 - y];
    }
  }
  const Rect whole{0, 0, square.width, square.height};
  CHECK(classifier.classify(photo.view(), FaceRegion(square, 90.0)) ==
        classifier.classify(turned.view(), whole));
  // Beyond the edges the edge is repeated; outside is an error.
  CHECK_NOTHROW(classifier.classify(photo.view(), FaceRegion({-15, -15, 20, 20}, 45.0)));
  CHECK_THROWS_AS(classifier.classify(photo.view(), FaceRegion({60, 0, 20, 20}, 45.0)), Error);
  CHECK_THROWS_AS(classifier.classify(photo.view(), FaceRegion({6, 0, 0, 0}, 45.0)), Error);
}

TEST_CASE("numbers that are not finite are errors, or faces without landmarks") {
  const GrayImage photo = noise_image(40, 40, 2);
  const ExpressionClassifier classifier(Model::load(tiny_path));
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  constexpr double infinite = std::numeric_limits<double>::infinity();
  for (const double roll : {none, infinite, -infinite}) {
    const FaceRegion region(Rect{5, 5, 20, 20}, roll);
    CHECK_THROWS_WITH_AS(classifier.classify(photo.view(), region),
                         doctest::Contains("face: expected a finite roll, found "), Error);
  }
  Detection face;
  face.box = {5, 5, 20, 20};
  face.landmarks = Landmarks{{8, 10}, {18, 10}, {13, 15}, {9, 20}, {17, 20}};
  CHECK(face_region(face) != FaceRegion(face.box));
  for (const double value : {none, infinite}) {
    Detection other = face;
    other.landmarks->left_eye.y = static_cast<float>(value);
    CHECK(face_region(other) == FaceRegion(face.box));
  }
  // What a detector never finds, but a caller may hand in.
  face.box = {std::numeric_limits<int>::max(), 0, std::numeric_limits<int>::max(),
              std::numeric_limits<int>::max()};
  CHECK_THROWS_AS(classifier.classify(photo.view(), face_region(face)), Error);
  face.box.width = -5;
  CHECK_THROWS_AS(classifier.classify(photo.view(), face_region(face)), Error);

  Bytes bytes = read_file(tiny_path);
  const WeightFile file = WeightFile::load(tiny_path);
  for (const WeightFile::Tensor& tensor : file.tensors()) {
    for (std::size_t i = 0; i < tensor.size && tensor.dimensions.size() == 2; ++i) {
      put_u32(bytes, tensor.offset + 4 * i, 0x7F7FFFFFu);  // the largest finite number
    }
  }
  // No vector is replayed.
  const std::string all(bytes.begin(), bytes.end());
  const std::size_t place = all.find("neutral") + 7 + 4 + 4 + 1 + 4 + 4 + 4 + 4;
  put_u32(bytes, place, 0);
  reseal(bytes);
  const ExpressionClassifier huge(
      Model(WeightFile::from_memory(bytes.data(), bytes.size(), "huge.mien")));
  CHECK_THROWS_WITH_AS(huge.classify(photo.view(), Rect{5, 5, 20, 20}),
                       doctest::Contains("huge.mien: output 0: expected a finite number, found "),
                       Error);
}

TEST_CASE("values that are not finite do no harm in a network") {
  for (const char* const name : {"/tiny.mien", "/tiny_int8.mien", "/tiny_wide.mien"}) {
    const Model network = Model::load(std::string(MIEN_TEST_DATA) + name);
    Model::Workspace workspace;
    std::vector<float> outputs(network.output_shape(0).size());
    const std::size_t size = network.inputs().front().shape.size();
    const auto run = [&](const std::vector<float>& values) {
      network.forward(1, values.data(), outputs.data(), workspace);
      return outputs;
    };
    const std::vector<float> zeros(size);
    const std::vector<float> expected = run(zeros);
    for (const float value :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity(), 3e38f, -3e38f}) {
      std::vector<float> values = zeros;
      values[size / 2] = value;
      run(values);
      run(std::vector<float>(size, value));
      CHECK(run(zeros) == expected);  // nothing is left of them
    }
  }
}

TEST_CASE("objects that were moved from may be assigned to") {
  const GrayImage photo = noise_image(64, 64, 3);
  const auto replaces = [](auto object) {
    auto moved = std::move(object);
    object = std::move(moved);
    return object;
  };
  const Model network = replaces(Model::load(tiny_path));
  CHECK(network.labels().size() == 7);
  FaceFinder::Workspace workspace = replaces(FaceFinder::Workspace());
  const HaarDetector detector = replaces(HaarDetector(Cascade::load(cascade_path)));
  std::vector<Detection> found;
  FaceFinder(detector).find(photo.view(), {}, workspace, found);
  CHECK(detector.detect(replaces(GrayImage(photo)).view()).size() == found.size());
  CHECK(replaces(ExpressionClassifier(network)).labels() == network.labels());
}

TEST_CASE("a photo of nothing has no faces") {
  const ExpressionReader reader(tiny_path, MIEN_SOURCE_DIR "/examples/models/yunet.mien");
  const std::uint8_t pixels[3] = {1, 2, 3};
  CHECK(reader.read(RgbView(nullptr, 100, 100)).empty());
  CHECK(reader.read(RgbView(pixels, -1, 1)).empty());
  CHECK(reader.read(RgbView(pixels, 1, -1)).empty());
  CHECK(reader.read(RgbView()).empty());
  CHECK(reader.read(GrayView(nullptr, 100, 100)).empty());
  CHECK(reader.read(GrayView(pixels, -1, 1)).empty());
}

TEST_CASE("faces of another size and boxes without pixels are errors") {
  const ExpressionClassifier classifier(Tiny::load(tiny_path));
  ExpressionClassifier::Workspace workspace;
  const GrayImage photo(40, 30);
  CHECK_THROWS_WITH_AS(classifier.logits(photo.view(), Crops::center, workspace),
                       "face: expected 10x10 pixels, found 40x30", Error);
  CHECK_THROWS_AS(classifier.logits(GrayView(), Crops::ten, workspace), Error);
  CHECK_THROWS_AS(classifier.classify(photo.view(), {1, 1, 0, 5}), Error);
  CHECK_THROWS_AS(classifier.classify(photo.view(), {50, 1, 5, 5}), Error);
}

TEST_CASE("a reader finds and classifies the faces of gray and colour photos alike") {
  std::string detector_path = cascade_path;
  SUBCASE("by a cascade") {}
  SUBCASE("by YuNet") {
    detector_path = MIEN_SOURCE_DIR "/examples/models/yunet.mien";
  }
  const ExpressionReader reader(tiny_path, detector_path);
  const GrayImage photo = read_pgm(MIEN_TEST_DATA "/astronaut.pgm");
  const auto faces = reader.read(photo.view());
  const std::vector<Detection> detections = reader.finder().find(photo.view());
  REQUIRE(faces.size() == 1);
  REQUIRE(detections.size() == 1);
  CHECK(static_cast<const Detection&>(faces[0]) == detections[0]);
  CHECK(faces[0].landmarks.has_value() == (reader.finder().yunet() != nullptr));
  CHECK(faces[0].probabilities == reader.networks().classify(photo.view(), face_region(faces[0])));
  CHECK(reader.label(faces[0].expression) == reader.labels()[faces[0].expression]);
  CHECK_THROWS_WITH_AS(reader.label(7), "expression: expected less than 7, found 7", Error);
  for (const float probability : faces[0].probabilities) {
    CHECK(probability <= faces[0].probabilities[faces[0].expression]);
  }

  // Gray as R, G and B is gray again, whatever is between the rows.
  const std::ptrdiff_t stride = 3 * photo.width() + 5;
  std::vector<std::uint8_t> rgb(static_cast<std::size_t>(stride * photo.height()), 77);
  for (int y = 0; y < photo.height(); ++y) {
    for (int x = 0; x < 3 * photo.width(); ++x) {
      rgb[static_cast<std::size_t>(y * stride + x)] = photo.row(y)[x / 3];
    }
  }
  const auto same = reader.read(RgbView(rgb.data(), photo.width(), photo.height(), stride));
  REQUIRE(same.size() == 1);
  CHECK(same[0].box == faces[0].box);
  CHECK(same[0].probabilities == faces[0].probabilities);
  CHECK(reader.read(GrayView()).empty());
}
