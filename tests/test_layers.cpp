// Every layer against what PyTorch computes (data/make_layers.py): as a C++ type and as the graph
// that its file holds, alone and in a batch.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <ratio>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <doctest/doctest.h>

#include <mien/model.hpp>
#include <mien/network.hpp>

#include "one_layer.hpp"
#include "random_weights.hpp"

namespace {

using namespace mien;

/// A file's test vector, channels last.
struct LayerCase {
  std::vector<float> input;
  std::vector<float> output;
};

LayerCase case_of(const WeightFile& file, const TensorShape& input, const TensorShape& output) {
  REQUIRE(file.test_vectors().size() == 1);
  const TestVector& vector = file.test_vectors().front();
  const std::vector<float> values = test_input_values(vector, 0, file.preprocessing());
  const std::vector<float>& expected = vector.outputs.front().values;
  REQUIRE(vector.inputs.front().shape == input);
  REQUIRE(vector.outputs.front().stride == 1);
  REQUIRE(expected.size() == output.size());
  LayerCase result = {std::vector<float>(input.size()), std::vector<float>(output.size())};
  detail::to_channels_last(values.data(), result.input.data(),
                           static_cast<std::size_t>(input.channels), input.pixels());
  detail::to_channels_last(expected.data(), result.output.data(),
                           static_cast<std::size_t>(output.channels), output.pixels());
  return result;
}

void check_program(const Program& program, const LayerCase& expected) {
  float largest = 1.0f;
  for (const float value : expected.output) largest = std::max(largest, std::abs(value));
  const float tolerance = 32.0f * std::numeric_limits<float>::epsilon() * largest;
  const std::size_t input_size = expected.input.size();
  const std::size_t output_size = expected.output.size();
  for (const int count : {1, 3}) {
    CAPTURE(count);
    // In a batch of three another input stands in the middle.
    const auto batch = static_cast<std::size_t>(count);
    std::vector<float> inputs(batch * input_size, 0.5f);
    for (std::size_t i = 0; i < batch; i += 2) {
      std::copy_n(expected.input.data(), input_size, inputs.data() + i * input_size);
    }
    // Guard values behind output and arena show a layer that writes beyond its memory.
    constexpr std::size_t guard = 16;
    constexpr float guard_value = 12345.0f;
    std::vector<float> output(batch * output_size + guard, guard_value);
    detail::AlignedBuffer arena(batch * program.arena_size() + guard);
    std::fill_n(arena.data(), arena.size(), guard_value);
    const float* const from = inputs.data();
    float* const to = output.data();
    program.run(count, &from, &to, arena.data());

    for (std::size_t i = 0; i < batch; i += 2) {
      for (std::size_t o = 0; o < output_size; ++o) {
        const float found = output[i * output_size + o];
        CAPTURE(i);
        CAPTURE(o);
        CAPTURE(expected.output[o]);
        CAPTURE(found);
        REQUIRE(std::abs(found - expected.output[o]) <= tolerance);
      }
    }
    for (std::size_t i = batch * output_size; i < output.size(); ++i) {
      REQUIRE(output[i] == guard_value);
    }
    for (std::size_t i = batch * program.arena_size(); i < arena.size(); ++i) {
      REQUIRE(arena[i] == guard_value);
    }
  }
}

template <class Layer, class InputShape>
void check_layer(const std::string& file_name, const std::string& description) {
  CAPTURE(file_name);
  CAPTURE(description);
  const WeightFile file = WeightFile::load(MIEN_TEST_DATA "/layers/" + file_name + ".mien");
  // The type is the file's graph: the same layers, options, connections and tensors.
  using Lowered = detail::StaticGraph<Layer, InputShape>;
  require_same_graph(detail::make_graph(Lowered::view, "layer"), file.graph(), file.name());
  using Output = OutputShape<Layer, InputShape>;
  const LayerCase expected = case_of(file, InputShape::value, Output::value);
  const Model model(file);
  CHECK(model.program()->output_shapes().front() == Output::value);
  CHECK(model.program()->arena_size() == Lowered::plan());
  check_program(*model.program(), expected);
}

}  // namespace

TEST_CASE("every layer computes what PyTorch does") {
#define LAYER_CASE(file, ...) check_layer<__VA_ARGS__>(file, #__VA_ARGS__);
#include "data/layer_cases.inc"
#undef LAYER_CASE
}

TEST_CASE("parameters are counted as PyTorch counts them") {
  const auto count = [](auto view) { return parameter_count(view); };
  CHECK(count(detail::StaticGraph<Conv2d<3, 8, Kernel<3>>, Shape<3, 5, 5>>::view) == 224);
  CHECK(count(detail::StaticGraph<Conv2d<3, 8, Kernel<3>, NoBias>, Shape<3, 5, 5>>::view) == 216);
  CHECK(count(detail::StaticGraph<Conv2d<4, 8, Kernel<3>, Groups<2>>, Shape<4, 5, 5>>::view) ==
        152);
  CHECK(count(detail::StaticGraph<BatchNorm2d<6>, Shape<6, 5, 5>>::view) == 12);
  CHECK(count(detail::StaticGraph<Dense<10, 7>, Shape<10, 1, 1>>::view) == 77);
  CHECK(count(detail::StaticGraph<InvertedResidual<128, 256>, Shape<128, 9, 9>>::view) == 68864);
  CHECK(count(detail::StaticGraph<AvgPool2d<Kernel<2>>, Shape<3, 4, 4>>::view) == 0);
  using Branches = Concatenate<Conv2d<3, 8, Kernel<1>>, Conv2d<3, 2, Kernel<1>, NoBias>>;
  CHECK(count(detail::StaticGraph<Branches, Shape<3, 5, 5>>::view) == 38);
}

TEST_CASE("marks make any acyclic graph of a list") {
  // A value that is taken by three, skipping over each other.
  using Layers = Sequential<Mark<1>, Conv2d<4, 6, Kernel<3>, Padding<1>>, Mark<2>, ReLU, Mark<3>,
                            Conv2d<6, 6, Kernel<1>>, Add<Identity, From<2>>, Add<Identity, From<3>>,
                            Concatenate<Identity, From<1>, Sequential<From<2>, ReLU6>>>;
  static_assert(std::is_same_v<OutputShape<Layers, Shape<4, 5, 5>>, Shape<16, 5, 5>>);
  using Lowered = detail::StaticGraph<Layers, Shape<4, 5, 5>>;
  static_assert(Lowered::size.nodes == 7);
  const auto operands = [](int node) {
    std::vector<int> values;
    for (int i = 0; i < Lowered::view.nodes[node].input_count; ++i) {
      values.push_back(Lowered::view.operand(Lowered::view.nodes[node], i));
    }
    return values;
  };
  CHECK(operands(0) == std::vector<int>{0});
  CHECK(operands(1) == std::vector<int>{1});
  CHECK(operands(2) == std::vector<int>{2});
  CHECK(operands(3) == std::vector<int>{3, 1});
  CHECK(operands(4) == std::vector<int>{4, 2});
  CHECK(operands(5) == std::vector<int>{1});
  CHECK(operands(6) == std::vector<int>{5, 0, 6});
}

TEST_CASE("a rectifier hands on what is not a number") {
  // As PyTorch does: a network that has gone wrong must not look right.
  const OneLayer<ReLU6, Shape<1, 1, 3>> layer(bench::make_weight_file(
      OneLayer<ReLU6, Shape<1, 1, 3>>::graph(), {}, {}, bench::RandomValues()));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float input[] = {nan, -1.0f, 7.0f};
  OneLayer<ReLU6, Shape<1, 1, 3>>::Workspace workspace;
  const auto output = layer.forward(input, workspace);
  CHECK(std::isnan(output[0]));
  CHECK(output[1] == 0.0f);
  CHECK(output[2] == 6.0f);
}
