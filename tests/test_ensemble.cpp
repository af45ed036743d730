// Networks without a type, and several on one face, against PyTorch (data/make_ensemble.py).
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
#include "random_weights.hpp"
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

const std::string tiny_path = MIEN_TEST_DATA "/tiny.mien";
const std::string wide_path = MIEN_TEST_DATA "/tiny_wide.mien";
const std::string colour_path = MIEN_TEST_DATA "/tiny_colour.mien";
const std::string cascade_path =
    MIEN_SOURCE_DIR "/examples/models/haarcascade_frontalface_default.haar";

const std::vector<FaceRegion> boxes = {Rect{0, 0, 20, 20}, Rect{5, 3, 9, 12}, Rect{-2, 8, 30, 30},
                                       Rect{20, 10, 7, 7}};

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

std::vector<float> forward(const Model& network, const float* input, Model::Workspace& workspace) {
  std::vector<float> output(network.output_shape(0).size());
  network.forward(1, input, output.data(), workspace);
  return output;
}

/// A network of `Tiny`'s layers that is not quite what reads faces.
Model altered(
    const std::vector<std::string>& labels, int face_size, void (*change)(Graph&) = [](Graph&) {}) {
  Graph graph = Tiny::graph();
  change(graph);
  Preprocessing preprocessing;
  preprocessing.face_size = face_size;
  return Model(bench::make_weight_file(graph, preprocessing, labels, bench::RandomValues()));
}

}  // namespace

TEST_CASE("a model is what its file says, whatever its type") {
  const Model network = Model::load(wide_path);
  CHECK(network.name() == "tiny_wide");
  CHECK(network.parameter_count() == TinyWide::parameter_count);
  CHECK(network.multiply_adds() == TinyWide::multiply_adds);
  CHECK(network.preprocessing().face_size == 15);
  CHECK(network.preprocessing().equalize_histogram);
  CHECK(network.labels() == TinyWide::load(wide_path).labels());
  CHECK(network.file_name() == wide_path);
  CHECK(network.verify() < 1e-5);
  CHECK(Model::load(tiny_path).name() == "tiny");
}

TEST_CASE("a model computes what its own type does, in whatever order they share a workspace") {
  const Tiny tiny = Tiny::load(tiny_path);
  const TinyWide wide = TinyWide::load(wide_path);
  const Model any_tiny = tiny;
  const Model any_wide = Model::load(wide_path);
  std::vector<float> input(TinyWide::Input::size);
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(i % 17) - 8.0f;
  Tiny::Workspace tiny_workspace;
  TinyWide::Workspace wide_workspace;
  Model::Workspace workspace;
  for (int turn = 0; turn < 2; ++turn) {
    CAPTURE(turn);
    CHECK(forward(any_wide, input.data(), workspace) ==
          as_vector(wide.forward(input.data(), wide_workspace)));
    CHECK(forward(any_tiny, input.data(), workspace) ==
          as_vector(tiny.forward(input.data(), tiny_workspace)));
  }

  std::array<float, 7> output{};
  const std::size_t before = allocation_count();
  any_tiny.forward(1, input.data(), output.data(), workspace);
  CHECK(allocation_count() == before);
}

TEST_CASE("an equalised network gives PyTorch's logits, and an ensemble its probabilities") {
  const ExpressionClassifier classifier(TinyWide::load(wide_path));
  ExpressionClassifier::Workspace workspace;
  const Ensemble typed({Tiny::load(tiny_path), TinyWide::load(wide_path)});
  const Ensemble loaded = Ensemble::load({tiny_path, wide_path});
  for (std::istringstream& line : golden_lines("ensemble.txt")) {
    const auto seed = next<std::uint32_t>(line);
    const Rect box = next_rect(line);
    const Crops crops = next<int>(line) == 10 ? Crops::ten : Crops::center;
    CAPTURE(line.str());
    const GrayImage photo = noise_image(40, 30, seed);
    for (const float logit :
         classifier.logits(classifier.face(photo.view(), box).view(), crops, workspace)) {
      CHECK(logit == doctest::Approx(next<double>(line)).epsilon(1e-4));
    }
    const std::vector<float> probabilities = typed.classify(photo.view(), box, crops);
    REQUIRE(probabilities.size() == 7);
    for (const float probability : probabilities) {
      CHECK(probability == doctest::Approx(next<double>(line)).epsilon(1e-4));
    }
    CHECK(loaded.classify(photo.view(), box, crops) == probabilities);
  }
}

TEST_CASE("several faces give an ensemble what each gives alone, on however many threads") {
  const Ensemble networks = Ensemble::load({wide_path, tiny_path});
  const GrayImage photo = noise_image(40, 30, 7);
  for (const Crops crops : {Crops::center, Crops::ten}) {
    for (const int threads : {1, 3}) {
      CAPTURE(threads);
      ThreadPool pool(threads);
      Ensemble::Workspace workspace(threads);
      for (const Executor& executor : {Executor(), Executor(std::ref(pool))}) {
        const auto found = networks.classify(photo.view(), boxes, crops, workspace, executor);
        REQUIRE(found.size() == boxes.size());
        for (std::size_t i = 0; i < boxes.size(); ++i) {
          CAPTURE(i);
          CHECK(found[i] == networks.classify(photo.view(), boxes[i], crops));
        }
      }
    }
  }
  Ensemble::Workspace workspace;
  CHECK(networks.classify(photo.view(), std::vector<FaceRegion>(), Crops::ten, workspace).empty());
}

TEST_CASE("a network counts as often as it is in an ensemble") {
  const Tiny tiny = Tiny::load(tiny_path);
  const TinyWide wide = TinyWide::load(wide_path);
  const GrayImage photo = noise_image(40, 30, 3);
  const auto tiny_scores = ExpressionClassifier(tiny).classify(photo.view(), boxes[0]);
  const auto wide_scores = ExpressionClassifier(wide).classify(photo.view(), boxes[0]);
  const auto probabilities = [&](const Ensemble& ensemble) {
    return ensemble.classify(photo.view(), boxes[0]);
  };
  CHECK(probabilities(Ensemble(tiny)) == tiny_scores);
  CHECK(probabilities({tiny, tiny}) == tiny_scores);
  const std::vector<float> mixed = probabilities({tiny, wide, tiny});
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    CAPTURE(i);
    CHECK(mixed[i] == doctest::Approx((2 * tiny_scores[i] + wide_scores[i]) / 3).epsilon(1e-6));
  }
  CHECK(mean_probabilities({tiny_scores, wide_scores, tiny_scores}) == mixed);
}

TEST_CASE("a face is cut out and resized once for all networks of its size") {
  const Tiny tiny = Tiny::load(tiny_path);
  const TinyWide wide = TinyWide::load(wide_path);
  const GrayImage photo = noise_image(40, 30, 3);
  const auto allocations = [&](const Ensemble& ensemble) {
    Ensemble::Workspace workspace;
    ensemble.classify(photo.view(), boxes, Crops::ten, workspace);
    const std::size_t before = allocation_count();
    ensemble.classify(photo.view(), boxes, Crops::ten, workspace);
    return allocation_count() - before;
  };
  // The networks themselves allocate nothing, cutting out and resizing do.
  const std::size_t of_one = allocations(tiny.model());
  CHECK(allocations({tiny, tiny, tiny}) == of_one);
  CHECK(allocations({tiny, wide, tiny}) > of_one);
  CHECK(allocations({tiny, wide, tiny}) == allocations({wide, tiny, wide, wide}));
}

TEST_CASE("readers of photos and videos take any network and ensembles") {
  const GrayImage photo = read_pgm(MIEN_TEST_DATA "/astronaut.pgm");
  const ExpressionReader tiny(tiny_path, cascade_path);
  const auto expected = tiny.read(photo.view());
  REQUIRE(expected.size() == 1);
  for (const ExpressionReader& same : {ExpressionReader(Tiny::load(tiny_path), tiny.finder()),
                                       ExpressionReader(Model::load(tiny_path), tiny.finder()),
                                       ExpressionReader({tiny_path}, cascade_path)}) {
    const auto faces = same.read(photo.view());
    REQUIRE(faces.size() == 1);
    CHECK(faces[0].box == expected[0].box);
    CHECK(faces[0].expression == expected[0].expression);
    CHECK(faces[0].probabilities == expected[0].probabilities);
    CHECK(same.label(faces[0].expression) == tiny.label(expected[0].expression));
  }

  const Ensemble networks = Ensemble::load({tiny_path, wide_path});
  const ExpressionReader reader(networks, tiny.finder());
  const auto both = reader.read(photo.view(), Crops::ten);
  REQUIRE(both.size() == 1);
  CHECK(both[0].box == expected[0].box);
  CHECK(both[0].probabilities == networks.classify(photo.view(), both[0].box, Crops::ten));
  for (const ExpressionReader& same :
       {ExpressionReader({Tiny::load(tiny_path), TinyWide::load(wide_path)}, tiny.finder()),
        ExpressionReader({tiny_path, wide_path}, cascade_path),
        ExpressionReader(std::vector<std::string>{tiny_path, wide_path}, cascade_path)}) {
    CHECK(same.read(photo.view(), Crops::ten).at(0).probabilities == both[0].probabilities);
  }

  VideoOptions options;
  options.crops = Crops::ten;
  VideoReader video(reader, options);
  for (int frame = 0; frame < 2; ++frame) {
    CAPTURE(frame);
    REQUIRE(video.read(photo.view()).size() == 1);
    CHECK(video.read(photo.view())[0].probabilities == both[0].probabilities);
  }
}

TEST_CASE("networks that do not belong together, and none, are errors") {
  const Tiny tiny = Tiny::load(tiny_path);
  CHECK_THROWS_WITH_AS(Ensemble({tiny, Tiny(other_labels("other.mien"))}),
                       ("other.mien: labels: expected those of " + tiny_path +
                        " (angry, disgust, fear, happy, sad, surprise, neutral), found Angry, "
                        "disgust, fear, happy, sad, surprise, neutral")
                           .c_str(),
                       Error);
  CHECK_THROWS_WITH_AS(Ensemble(std::vector<Model>()),
                       "ensemble: expected at least one network, found none", Error);
}

TEST_CASE("networks that read no expressions from gray faces are refused by name") {
  CHECK_THROWS_WITH_AS(
      Ensemble::load({tiny_path, colour_path}),
      (colour_path + ": input channels: expressions are read from gray faces: expected 1, found 3")
          .c_str(),
      Error);
  const std::vector<std::string> labels = bench::numbered_labels(7);
  const auto check = [](const Model& network, const char* message) {
    CHECK_THROWS_WITH_AS(ExpressionClassifier{network}, message, Error);
    CHECK_THROWS_WITH_AS(Ensemble{network}, message, Error);
  };
  CHECK(ExpressionClassifier(altered(labels, 8)).face_size() == 8);
  check(altered(labels, 0),
        "random weights: face size: expected that of a network whose input is a face, 1 or more, "
        "found 0");
  check(altered({}, 8),
        "random weights: labels: expected the names of expressions, found none: it is no "
        "classifier");
  check(altered(labels, 8,
                [](Graph& graph) {
                  graph.outputs.push_back({"features", 3});
                }),
        "random weights: number of outputs: a classifier has one: expected 1, found 2");
  check(altered(labels, 8,
                [](Graph& graph) {
                  graph.inputs.push_back({"mask", {1, 8, 8}});
                  for (int& value : graph.operands) value += value > 0 ? 1 : 0;
                  ++graph.outputs.front().value;
                }),
        "random weights: number of inputs: expressions are read from one face: expected 1, "
        "found 2");
}

TEST_CASE("a workspace for no thread is an error") {
  CHECK_THROWS_WITH_AS(ExpressionClassifier::Workspace(0),
                       "workspace: threads: expected 1 or more, found 0", Error);
}
