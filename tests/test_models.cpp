// The networks that come with Mien: their shapes and promises, and all of their layers together
// against the definitions. Weights are random; what a network computes with the same weights in
// PyTorch is compared by tools/tests.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <ratio>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

#include <doctest/doctest.h>

#include <mien/models/models.hpp>

#include "allocation_counter.hpp"
#include "naive_network.hpp"
#include "random_inputs.hpp"
#include "random_weights.hpp"

namespace {

using namespace mien;

/// Every kind of layer and composition that the networks have, in small.
// clang-format off
struct Zoo : Network<Zoo, Input<1, 25, 27>,
    Conv2d<1, 16, Kernel<5>, Stride<2>>, ReLU,
    LocalResponseNorm<5, std::ratio<1, 10>, std::ratio<3, 4>, std::ratio<2>>,
    MaxPool2d<Kernel<3>, Stride<2>, Padding<1>>,
    Conv2d<16, 32, Kernel<3>, Padding<2>, Groups<2>>, ReLU,
    detail::InceptionBlock<32, 16>,
    MaxPool2d<Kernel<3>, Stride<1>, Padding<1>>,
    detail::ResNetDownBlock<36, 20>,
    detail::ResNetBlock<20>,
    InvertedResidual<20, 24>,
    AvgPool2d<Kernel<2, 3>, Stride<2, 1>>,
    Flatten,
    Dense<80, 17>, BatchNorm2d<17>, ReLU,
    Dense<17, 7>> {
  static constexpr std::string_view name = "zoo";
  using Network::Network;
};
// clang-format on

/// Made once: it takes longer than all that is done with it.
template <class Network>
const Network& random_network() {
  static const Network network(bench::random_network_file<Network>());
  return network;
}

template <class Network>
void check_steps(std::vector<std::string>& names) {
  CAPTURE(Network::name);
  static_assert(std::is_same_v<typename Network::Output, Shape<7, 1, 1>>);
  CHECK(std::find(names.begin(), names.end(), Network::name) == names.end());
  names.emplace_back(Network::name);

  const Graph graph = Network::graph();
  const ShapedGraph shaped(graph, {Network::Input::value}, "types");
  std::size_t parameters = 0;
  std::size_t multiply_adds = 0;
  std::size_t tensors = 0;
  const std::vector<ForwardStep> steps = forward_steps(shaped);
  for (const ForwardStep& step : steps) {
    parameters += step.parameters;
    multiply_adds += step.multiply_adds;
    tensors += step.tensors;
  }
  CHECK(parameters == Network::parameter_count);
  CHECK(multiply_adds == Network::multiply_adds);
  CHECK(tensors == bench::tensors_of(graph).size());
  CHECK(steps.back().layers == std::vector<std::string>{"Dense"});
  CHECK(steps.back().shape == TensorShape{7, 1, 1});
}

}  // namespace

TEST_CASE("every network has a name, seven classes and steps that add up to it") {
  std::vector<std::string> names;
  check_steps<MiniFer>(names);
  check_steps<AlexNet>(names);
  check_steps<FerNet>(names);
  check_steps<FerNet256>(names);
  check_steps<VggNet>(names);
  check_steps<Vgg10>(names);
  check_steps<InceptionFer>(names);
  check_steps<ResNet33>(names);
}

TEST_CASE("parameters are those of the publications, or counted by hand from the tables") {
  static_assert(MiniFer::parameter_count == 784'263);
  static_assert(AlexNet::parameter_count == 56'873'671);
  static_assert(FerNet::parameter_count == 1'687'943);
  static_assert(FerNet256::parameter_count == 17'807'239);
  static_assert(VggNet::parameter_count == 29'890'759);
  static_assert(Vgg10::parameter_count == 1'765'479);
  static_assert(InceptionFer::parameter_count == 1'189'167);
  static_assert(ResNet33::parameter_count == 5'325'159);
}

TEST_CASE("multiply-adds are those counted by hand from the tables") {
  static_assert(AlexNet::multiply_adds == 650'062'688);
  static_assert(FerNet::multiply_adds == 108'219'904);
  static_assert(FerNet256::multiply_adds == 3'074'492'160);
  static_assert(VggNet::multiply_adds == 350'519'296);
  static_assert(Vgg10::multiply_adds == 118'040'320);
}

TEST_CASE("all layers together compute what their definitions say") {
  const WeightFile file = bench::random_network_file<Zoo>();
  const bench::RandomInputs inputs(3, Zoo::Input::size);
  Zoo::Workspace workspace;
  for (std::size_t i = 0; i < 3; ++i) {
    const naive::Values input(inputs[i], inputs[i] + Zoo::Input::size);
    const naive::Values expected = naive::evaluate(file, {Zoo::Input::value}, {input}).back();
    const auto found = random_network<Zoo>().forward(inputs[i], workspace);
    REQUIRE(expected.size() == found.size());
    float largest = 0.0f;
    for (const float value : expected) largest = std::max(largest, std::abs(value));
    REQUIRE(largest > 0.1f);
    for (std::size_t o = 0; o < found.size(); ++o) {
      CAPTURE(i);
      CAPTURE(o);
      CAPTURE(expected[o]);
      CAPTURE(found[o]);
      CHECK(std::abs(found[o] - expected[o]) <= 1e-5f * largest);
    }
  }
}

// AlexNet, VGGNet and FerNet256 are of the same layers, and large.
TEST_CASE_TEMPLATE("forward allocates nothing and gives the same whoever else works", TypedModel,
                   Zoo, FerNet, Vgg10, InceptionFer, ResNet33) {
  CAPTURE(TypedModel::name);
  const TypedModel& network = random_network<TypedModel>();
  constexpr std::size_t count = 2;
  std::vector<float> inputs;
  const bench::RandomInputs random(count, TypedModel::Input::size);
  for (std::size_t i = 0; i < count; ++i) {
    inputs.insert(inputs.end(), random[i], random[i] + TypedModel::Input::size);
  }
  using Outputs = std::array<float, count * TypedModel::Output::size>;

  Outputs alone{};
  typename TypedModel::Workspace workspace;
  const std::size_t before = allocation_count();
  network.forward(count, inputs.data(), alone.data(), workspace);
  CHECK(allocation_count() == before);
  for (const float value : alone) REQUIRE(std::isfinite(value));
  CHECK(*std::max_element(alone.begin(), alone.end()) > 0.0f);

  std::array<Outputs, 2> together{};
  std::vector<std::thread> threads;
  for (Outputs& outputs : together) {
    threads.emplace_back([&] {
      typename TypedModel::Workspace batch(count);
      network.forward(count, inputs.data(), outputs.data(), batch);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Outputs& outputs : together) CHECK(outputs == alone);
}

TEST_CASE("an observer sees every step as it runs") {
  struct Seen {
    ForwardStep step;
    naive::Values values;
  };
  std::vector<Seen> seen;
  const Zoo& network = random_network<Zoo>();
  const bench::RandomInputs inputs(1, Zoo::Input::size);
  Model::Workspace workspace;
  network.model().forward_observed(
      inputs[0], workspace, [&](const ForwardStep& step, const float* at) {
        seen.push_back({step, naive::Values(at, at + step.shape.size())});
      });
  Zoo::Workspace typed_workspace;
  const auto output = network.forward(inputs[0], typed_workspace);
  REQUIRE(seen.size() == network.model().program()->steps().size());
  CHECK(seen.back().values == naive::Values(output.begin(), output.end()));

  const std::vector<std::string> normalised = {"Conv2d", "BatchNorm2d"};
  const std::vector<std::string> rectified = {"Conv2d", "BatchNorm2d", "ReLU"};
  const std::vector<std::string> added = {"Conv2d", "BatchNorm2d", "Add", "ReLU"};
  const std::vector<std::pair<std::vector<std::string>, TensorShape>> expected = {
      {{"Conv2d", "ReLU"}, {16, 11, 12}},
      {{"LocalResponseNorm"}, {16, 11, 12}},
      {{"MaxPool2d"}, {16, 6, 6}},
      {{"Conv2d", "ReLU"}, {32, 8, 8}},
      {rectified, {12, 8, 8}},
      {rectified, {8, 8, 8}},
      {rectified, {16, 8, 8}},
      {rectified, {2, 8, 8}},
      {rectified, {4, 8, 8}},
      {{"MaxPool2d"}, {32, 8, 8}},
      {rectified, {4, 8, 8}},
      {{"Concatenate"}, {36, 8, 8}},
      {{"MaxPool2d"}, {36, 8, 8}},
      {rectified, {20, 4, 4}},
      {normalised, {20, 4, 4}},
      {added, {20, 4, 4}},
      {rectified, {20, 4, 4}},
      {added, {20, 4, 4}},
      {{"Conv2d", "BatchNorm2d", "ReLU6"}, {24, 4, 4}},
      {{"Conv2d", "BatchNorm2d", "ReLU6"}, {24, 4, 4}},
      {{"Conv2d", "Add"}, {20, 4, 4}},
      {{"AvgPool2d"}, {20, 2, 2}},
      {{"Flatten"}, {80, 1, 1}},
      {{"Dense", "BatchNorm2d", "ReLU"}, {17, 1, 1}},
      {{"Dense"}, {7, 1, 1}}};
  REQUIRE(seen.size() == expected.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    CAPTURE(i);
    CHECK(seen[i].step.layers == expected[i].first);
    CHECK(seen[i].step.shape == expected[i].second);
  }

  // The joined tensor is its four branches', bit by bit.
  constexpr std::array<std::size_t, 4> branches = {4, 6, 8, 10};
  const Seen& joined = seen[11];
  for (std::size_t pixel = 0, at = 0; pixel < 64; ++pixel) {
    for (const std::size_t branch : branches) {
      const auto channels = static_cast<std::size_t>(seen[branch].step.shape.channels);
      for (std::size_t c = 0; c < channels; ++c, ++at) {
        REQUIRE(joined.values[at] == seen[branch].values[pixel * channels + c]);
      }
    }
  }

  // Every step is what the definition has behind its last layer.
  const std::vector<naive::Values> values =
      naive::evaluate(bench::random_network_file<Zoo>(), {Zoo::Input::value},
                      {naive::Values(inputs[0], inputs[0] + Zoo::Input::size)});
  const Graph graph = Zoo::graph();
  std::size_t value = 0;
  for (const Seen& one : seen) {
    value += one.step.layers.size();
    CAPTURE(value);
    CHECK(graph.nodes[value - 1].layer->name == one.step.layers.back());
    REQUIRE(values[value].size() == one.values.size());
    for (std::size_t i = 0; i < one.values.size(); ++i) {
      REQUIRE(std::abs(one.values[i] - values[value][i]) <= 1e-4f);
    }
  }
}
