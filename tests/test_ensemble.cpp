// Networks chosen at run time, and several on one face, against PyTorch (data/make_ensemble.py).
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include <mien/mien.hpp>

#include "allocation_counter.hpp"
#include "sealed_bytes.hpp"
#include "tiny.hpp"
#include "vision_data.hpp"

namespace {

using namespace mien;

struct TinyWide : Network<TinyWide, Input<1, 10, 12>, Conv2d<1, 6, Kernel<3>, Padding<1>>, ReLU,
                          MaxPool2d<Kernel<2>>, Flatten, Dense<180, 7>> {
  static constexpr std::string_view name = "tiny_wide";
  using Network::Network;
};

struct TinyColour : Network<TinyColour, Input<3, 4, 4>, Flatten, Dense<48, 7>> {
  static constexpr std::string_view name = "tiny_colour";
  using Network::Network;
};

using TinyModels = ModelList<Tiny, TinyWide, TinyColour>;

const std::string tiny_path = MIEN_TEST_DATA "/tiny.mien";
const std::string wide_path = MIEN_TEST_DATA "/tiny_wide.mien";
const std::string colour_path = MIEN_TEST_DATA "/tiny_colour.mien";
const std::string cascade_path =
    MIEN_SOURCE_DIR "/examples/models/haarcascade_frontalface_default.haar";

const std::vector<Rect> boxes = {{0, 0, 20, 20}, {5, 3, 9, 12}, {-2, 8, 30, 30}, {20, 10, 7, 7}};

/// tiny.mien, its first label in another spelling.
WeightFile other_labels(const std::string& name) {
  Bytes bytes = read_file(tiny_path);
  const std::string label = "angry";
  *std::search(bytes.begin(), bytes.end(), label.begin(), label.end()) = 'A';
  reseal(bytes);
  return WeightFile::from_memory(bytes.data(), bytes.size(), name);
}

template <class Array>
std::vector<float> as_vector(const Array& values) {
  return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("a file's architecture chooses the network") {
  const AnyNetwork network = AnyNetwork::load<TinyModels>(wide_path);
  CHECK(network.name() == "tiny_wide");
  CHECK(network.parameter_count() == TinyWide::parameter_count);
  CHECK(network.multiply_adds() == TinyWide::multiply_adds);
  CHECK(network.preprocessing().face_size == 15);
  CHECK(network.preprocessing().equalize_histogram);
  CHECK(network.labels() == TinyWide::load(wide_path).labels());
  CHECK(network.file_name() == wide_path);
  CHECK(network.verify() < 1e-5);
  CHECK(AnyNetwork::load<TinyModels>(tiny_path).name() == "tiny");
}

TEST_CASE("an unknown architecture is named with those that are known") {
  CHECK_THROWS_WITH_AS(
      (AnyNetwork::load<ModelList<Tiny, TinyColour>>(wide_path)),
      (wide_path + ": architecture: expected one of 'tiny', 'tiny_colour', found 'tiny_wide'")
          .c_str(),
      Error);
}

TEST_CASE("any network computes what its own type does, in whatever order they take turns") {
  const Tiny tiny = Tiny::load(tiny_path);
  const TinyWide wide = TinyWide::load(wide_path);
  const AnyNetwork any_tiny = tiny;
  const AnyNetwork any_wide = AnyNetwork::load<TinyModels>(wide_path);
  std::vector<float> input(TinyWide::Input::size);
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(i % 17) - 8.0f;
  Tiny::Workspace tiny_workspace;
  TinyWide::Workspace wide_workspace;
  AnyNetwork::Workspace workspace;
  for (int turn = 0; turn < 2; ++turn) {
    CAPTURE(turn);
    CHECK(any_wide.forward(input.data(), workspace) ==
          as_vector(wide.forward(input.data(), wide_workspace)));
    CHECK(any_tiny.forward(input.data(), workspace) ==
          as_vector(tiny.forward(input.data(), tiny_workspace)));
  }

  std::array<float, 7> output{};
  const std::size_t before = allocation_count();
  any_tiny.forward(1, input.data(), output.data(), workspace);
  CHECK(allocation_count() == before);
}

TEST_CASE("an equalised network gives PyTorch's logits, and an ensemble its probabilities") {
  const ExpressionClassifier<TinyWide> classifier(TinyWide::load(wide_path));
  ExpressionClassifier<TinyWide>::Workspace workspace;
  const ExpressionClassifier<Ensemble> typed(
      Ensemble(Tiny::load(tiny_path), TinyWide::load(wide_path)));
  const ExpressionClassifier<Ensemble> loaded(Ensemble::load<TinyModels>({tiny_path, wide_path}));
  for (std::istringstream& line : golden_lines("ensemble.txt")) {
    const auto seed = next<std::uint32_t>(line);
    const Rect box = next_rect(line);
    const Views views = next<int>(line) == 10 ? Views::ten : Views::centre;
    CAPTURE(line.str());
    const GrayImage photo = noise_image(40, 30, seed);
    for (const float logit :
         classifier.logits(classifier.face(photo.view(), box).view(), views, workspace)) {
      CHECK(logit == doctest::Approx(next<double>(line)).epsilon(1e-4));
    }
    const std::vector<float> probabilities = typed.classify(photo.view(), box, views);
    REQUIRE(probabilities.size() == 7);
    for (const float probability : probabilities) {
      CHECK(probability == doctest::Approx(next<double>(line)).epsilon(1e-4));
    }
    CHECK(loaded.classify(photo.view(), box, views) == probabilities);
  }
}

TEST_CASE("several faces give an ensemble what each gives alone, on however many threads") {
  const ExpressionClassifier<Ensemble> classifier(
      Ensemble::load<TinyModels>({wide_path, tiny_path}));
  const GrayImage photo = noise_image(40, 30, 7);
  for (const Views views : {Views::centre, Views::ten}) {
    for (const int threads : {1, 3}) {
      CAPTURE(threads);
      ThreadPool pool(threads);
      ExpressionClassifier<Ensemble>::Workspace workspace(threads);
      for (const Executor& executor : {Executor(), Executor(std::ref(pool))}) {
        const auto found = classifier.classify(photo.view(), boxes, views, workspace, executor);
        REQUIRE(found.size() == boxes.size());
        for (std::size_t i = 0; i < boxes.size(); ++i) {
          CAPTURE(i);
          CHECK(found[i] == classifier.classify(photo.view(), boxes[i], views));
        }
      }
    }
  }
  ExpressionClassifier<Ensemble>::Workspace workspace;
  CHECK(classifier.classify(photo.view(), std::vector<Rect>(), Views::ten, workspace).empty());
}

TEST_CASE("a network counts as often as it is in an ensemble") {
  const Tiny tiny = Tiny::load(tiny_path);
  const TinyWide wide = TinyWide::load(wide_path);
  const GrayImage photo = noise_image(40, 30, 3);
  const auto tiny_scores = ExpressionClassifier<Tiny>(tiny).classify(photo.view(), boxes[0]);
  const auto wide_scores = ExpressionClassifier<TinyWide>(wide).classify(photo.view(), boxes[0]);
  const auto probabilities = [&](const Ensemble& ensemble) {
    return ExpressionClassifier<Ensemble>(ensemble).classify(photo.view(), boxes[0]);
  };
  CHECK(probabilities(Ensemble(tiny)) == as_vector(tiny_scores));
  CHECK(probabilities(Ensemble(tiny, tiny)) == as_vector(tiny_scores));
  const std::vector<float> mixed = probabilities(Ensemble(tiny, wide, tiny));
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    CAPTURE(i);
    CHECK(mixed[i] == doctest::Approx((2 * tiny_scores[i] + wide_scores[i]) / 3).epsilon(1e-6));
  }
}

TEST_CASE("readers of photos and videos take any network and ensembles") {
  const GrayImage photo = read_pgm(MIEN_TEST_DATA "/astronaut.pgm");
  const ExpressionReader<Tiny> tiny(tiny_path, cascade_path);
  const auto expected = tiny.read(photo.view());
  REQUIRE(expected.size() == 1);

  const ExpressionReader<AnyNetwork> any(AnyNetwork::load<TinyModels>(tiny_path), tiny.finder());
  const auto faces = any.read(photo.view());
  REQUIRE(faces.size() == 1);
  CHECK(faces[0].box == expected[0].box);
  CHECK(faces[0].expression == expected[0].expression);
  CHECK(faces[0].probabilities == as_vector(expected[0].probabilities));
  CHECK(any.label(faces[0].expression) == tiny.label(expected[0].expression));

  const Ensemble networks = Ensemble::load<TinyModels>({tiny_path, wide_path});
  const ExpressionReader<Ensemble> reader(networks, tiny.finder());
  const auto both = reader.read(photo.view(), Views::ten);
  REQUIRE(both.size() == 1);
  CHECK(both[0].box == expected[0].box);
  CHECK(both[0].probabilities ==
        ExpressionClassifier<Ensemble>(networks).classify(photo.view(), both[0].box, Views::ten));

  VideoOptions options;
  options.views = Views::ten;
  VideoReader<Ensemble> video(reader, options);
  for (int frame = 0; frame < 2; ++frame) {
    CAPTURE(frame);
    REQUIRE(video.read(photo.view()).size() == 1);
    CHECK(video.read(photo.view())[0].probabilities == both[0].probabilities);
  }
}

TEST_CASE("networks that do not belong together, and none, are errors") {
  const Tiny tiny = Tiny::load(tiny_path);
  CHECK_THROWS_WITH_AS(Ensemble(tiny, Tiny(other_labels("other.mien"))),
                       ("other.mien: labels: expected those of " + tiny_path +
                        " (angry, disgust, fear, happy, sad, surprise, neutral), found Angry, "
                        "disgust, fear, happy, sad, surprise, neutral")
                           .c_str(),
                       Error);
  CHECK_THROWS_WITH_AS(Ensemble(std::vector<AnyNetwork>()),
                       "ensemble: expected at least one network, found none", Error);
  CHECK_THROWS_WITH_AS(
      ExpressionClassifier<Ensemble>(Ensemble::load<TinyModels>({tiny_path, colour_path})),
      (colour_path + ": input channels: expressions are read from gray faces: expected 1, found 3")
          .c_str(),
      Error);
}

TEST_CASE("a workspace for no thread is an error of the first pass") {
  const ExpressionClassifier<AnyNetwork> classifier(AnyNetwork::load<TinyModels>(tiny_path));
  ExpressionClassifier<AnyNetwork>::Workspace workspace(0);
  const GrayImage photo = noise_image(40, 30, 3);
  CHECK_THROWS_WITH_AS(classifier.classify(photo.view(), boxes[0], Views::centre, workspace),
                       "workspace: threads: expected 1 or more, found 0", Error);
}
