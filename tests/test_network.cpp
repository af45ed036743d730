// Networks as wholes: MiniFER against PyTorch, and the promises of forward().
#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

#include <doctest/doctest.h>

#include <mien/models/mini_fer.hpp>

#include "allocation_counter.hpp"
#include "tiny.hpp"

namespace {

using namespace mien;

const std::string mini_fer_path = MIEN_SOURCE_DIR "/examples/models/mini_fer.mien";

std::vector<float> random_input(unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform;
  std::vector<float> input(MiniFer::Input::size);
  for (float& value : input) value = uniform(generator);
  return input;
}

}  // namespace

TEST_CASE("MiniFER is the network of its paper") {
  static_assert(MiniFer::parameter_count == 784'263);
  // Convolutions and dense layers, as counted by hand from the paper's table.
  static_assert(MiniFer::multiply_adds == 82'773'376);
  static_assert(std::is_same_v<MiniFer::Output, Shape<7, 1, 1>>);
}

TEST_CASE("MiniFER computes what PyTorch does") {
  const MiniFer network = MiniFer::load(mini_fer_path);
  CHECK(network.verify() < 1e-4);
  CHECK(network.labels() == std::vector<std::string>{"angry", "disgust", "fear", "happy", "sad",
                                                     "surprise", "neutral"});
}

TEST_CASE("forward allocates nothing") {
  const MiniFer network = MiniFer::load(mini_fer_path);
  MiniFer::Workspace workspace;
  const std::vector<float> input = random_input(1);
  std::array<float, 7> output{};
  static_assert(noexcept(network.forward(input.data(), output.data(), workspace)));
  const std::size_t before = allocation_count();
  network.forward(input.data(), output.data(), workspace);
  CHECK(allocation_count() == before);
  CHECK(before > 0);
}

TEST_CASE("forward gives the same in many threads at once, and whatever the workspace held") {
  const MiniFer network = MiniFer::load(mini_fer_path);
  constexpr unsigned inputs = 4;
  std::vector<std::array<float, 7>> expected;
  for (unsigned i = 0; i < inputs; ++i) {
    MiniFer::Workspace workspace;
    expected.push_back(network.forward(random_input(i).data(), workspace));
  }
  std::atomic<int> differences{0};
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      MiniFer::Workspace workspace;
      for (unsigned round = 0; round < 8; ++round) {
        const unsigned i = (thread + round) % inputs;
        if (network.forward(random_input(i).data(), workspace) != expected[i]) ++differences;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(differences == 0);
}

TEST_CASE("a batch gives what each input gives alone") {
  const MiniFer network = MiniFer::load(mini_fer_path);
  constexpr std::size_t inputs = 11;
  std::vector<float> input;
  std::vector<float> expected;
  MiniFer::Workspace alone;
  for (unsigned i = 0; i < inputs; ++i) {
    const std::vector<float> one = random_input(i);
    input.insert(input.end(), one.begin(), one.end());
    const auto output = network.forward(one.data(), alone);
    expected.insert(expected.end(), output.begin(), output.end());
  }
  for (const int count : {0, 1, 4, 11}) {
    for (const int batch : {1, 4, 16}) {
      for (const int threads : {1, 3}) {
        CAPTURE(count);
        CAPTURE(batch);
        CAPTURE(threads);
        MiniFer::Workspace workspace(batch, threads);
        CHECK(workspace.batch() == batch);
        CHECK(workspace.threads() == threads);
        std::vector<float> wanted = expected;
        constexpr float untouched = 54321.0f;
        std::fill(wanted.begin() + count * 7, wanted.end(), untouched);
        std::vector<float> output(7 * inputs, untouched);
        const std::size_t before = allocation_count();
        network.forward(count, input.data(), output.data(), workspace);
        CHECK(allocation_count() == before);
        CHECK(output == wanted);

        std::fill(output.begin(), output.end(), untouched);
        ThreadPool pool(threads);
        network.forward(count, input.data(), output.data(), workspace, std::ref(pool));
        CHECK(output == wanted);
      }
    }
  }
}

TEST_CASE("a typed network serves as a Model") {
  const MiniFer network = MiniFer::load(mini_fer_path);
  const Model model = network;
  CHECK(model.name() == "mini_fer");
  CHECK(model.parameter_count() == MiniFer::parameter_count);
  CHECK(model.multiply_adds() == MiniFer::multiply_adds);
  CHECK(model.output_shape(0) == MiniFer::Output::value);
  CHECK_THROWS_WITH_AS(model.output_shape(1), "output: expected less than 1, found 1", Error);
  const std::vector<float> input = random_input(1);
  MiniFer::Workspace typed;
  Model::Workspace workspace;
  std::array<float, 7> output{};
  model.forward(1, input.data(), output.data(), workspace);
  CHECK(output == network.forward(input.data(), typed));
}

TEST_CASE("a workspace needs room") {
  CHECK_THROWS_WITH_AS(MiniFer::Workspace(0), "workspace: batch: expected 1 or more, found 0",
                       Error);
  CHECK_THROWS_WITH_AS(MiniFer::Workspace(1, -1),
                       "workspace: threads: expected 1 or more, found -1", Error);
}

TEST_CASE("a copy outlives the network it was made from") {
  auto original = std::make_unique<Tiny>(Tiny::load(MIEN_TEST_DATA "/tiny.mien"));
  const Tiny copy = *original;
  original.reset();
  CHECK(copy.verify() < 1e-5);
}

namespace {

// clang-format off
struct OtherTiny : Network<OtherTiny, mien::Input<1, 8, 8>,
    Conv2d<1, 4, Kernel<3>, Padding<1>>, BatchNorm2d<4>, ReLU,
    MaxPool2d<Kernel<2>>,
    InvertedResidual<4, 8>,
    Flatten,
    Dense<64, 7>> {
  static constexpr std::string_view name = "tiny";
  using Network::Network;
};
struct ShorterTiny : Network<ShorterTiny, mien::Input<1, 8, 8>,
    Conv2d<1, 4, Kernel<3>, Padding<1>>, BatchNorm2d<4>, ReLU,
    MaxPool2d<Kernel<2>>,
    Flatten,
    Dense<64, 7>> {
  static constexpr std::string_view name = "tiny";
  using Network::Network;
};
// clang-format on

}  // namespace

TEST_CASE("the first layer that differs from the file's is named") {
  const std::string tiny = MIEN_TEST_DATA "/tiny.mien";
  CHECK_THROWS_WITH_AS(
      OtherTiny::load(tiny),
      (tiny + ": node 4, '4.conv.0' (Conv2d): out_channels: expected 8, found 6").c_str(), Error);
  CHECK_THROWS_WITH_AS(
      ShorterTiny::load(tiny),
      (tiny + ": node 4, '4.conv.0' (Conv2d): expected Flatten, found Conv2d").c_str(), Error);
}

TEST_CASE("weights of another network are refused by name") {
  CHECK_THROWS_WITH_AS(MiniFer::load(MIEN_TEST_DATA "/tiny.mien"),
                       MIEN_TEST_DATA "/tiny.mien: network: expected 'mini_fer', found 'tiny'",
                       Error);
}
