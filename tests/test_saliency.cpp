// Gradients against what PyTorch's autograd computes (data/make_saliency.py), and against
// differences.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <ratio>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include <mien/models/mini_fer.hpp>
#include <mien/saliency.hpp>
#include <mien/saliency/gradient_program.hpp>

#include "allocation_counter.hpp"
#include "pseudo_random.hpp"
#include "tiny.hpp"
#include "vision_data.hpp"

namespace {

using namespace mien;

// As in make_saliency.py.
constexpr std::uint32_t seeds_a_case = 1000;

/// Every kind of layer; make_saliency.py has the same in PyTorch.
struct Everything
    : Network<Everything, Input<2, 14, 13>, Conv2d<2, 6, Kernel<3, 5>, Stride<1, 2>, Padding<1, 2>>,
              BatchNorm2d<6>, ReLU,
              LocalResponseNorm<5, std::ratio<1, 2>, std::ratio<3, 4>, std::ratio<1>>,
              MaxPool2d<Kernel<3>, Stride<2>, Padding<1>>,
              Concatenate<Conv2d<6, 4, Kernel<1>>,
                          Sequential<AvgPool2d<Kernel<3>, Stride<1>, Padding<1>>,
                                     Conv2d<6, 6, Kernel<3>, Padding<1>, Groups<2>>>>,
              Residual<Sequential<Conv2d<10, 8, Kernel<3>, Stride<2>, Padding<1>, NoBias>,
                                  BatchNorm2d<8>, ReLU>,
                       Conv2d<10, 8, Kernel<1>, Stride<2>>>,
              ReLU, InvertedResidual<8, 12>, DepthwiseConv2d<8, Kernel<3>, Padding<1>>,
              AvgPool2d<Kernel<2>, Stride<1>>, Flatten, Dense<24, 20>, ReLU6, Dense<20, 5, NoBias>,
              Softmax> {
  static constexpr std::string_view name = "everything";
  using Network::Network;
};

template <class Net>
WeightFile network_file(int face_size, std::uint32_t first_seed = 0) {
  Preprocessing preprocessing;
  preprocessing.face_size = face_size;
  return pseudo_random_file(Net::graph(), preprocessing, Net::Output::size, first_seed);
}

/// Values in PyTorch's order as they lie in memory.
std::vector<float> channels_last(const TensorShape& shape, const std::vector<float>& values) {
  std::vector<float> result(values.size());
  detail::to_channels_last(values.data(), result.data(), static_cast<std::size_t>(shape.channels),
                           shape.pixels());
  return result;
}

/// The next numbers of a golden line: an image in PyTorch's order.
std::vector<float> read_image(const TensorShape& shape, std::istream& line) {
  std::vector<float> values(shape.size());
  for (float& value : values) line >> value;
  REQUIRE(!line.fail());
  return channels_last(shape, values);
}

/// `relative` is the tolerance as a part of the largest number expected.
void check_close(const std::vector<float>& found, const std::vector<float>& expected,
                 double relative) {
  double largest = 0.0;
  for (const float value : expected) largest = std::max(largest, std::abs(double{value}));
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CAPTURE(found[i]);
    CAPTURE(expected[i]);
    CAPTURE(largest);
    REQUIRE(std::abs(double{found[i]} - double{expected[i]}) <= relative * largest);
  }
}

constexpr std::size_t guard = 16;
constexpr float guard_value = 12345.0f;

/// Memory with values behind it that show who writes beyond it.
detail::AlignedBuffer guarded(std::size_t size) {
  detail::AlignedBuffer buffer(size + guard);
  std::fill_n(buffer.data(), buffer.size(), guard_value);
  return buffer;
}

void check_guard(const detail::AlignedBuffer& buffer) {
  for (std::size_t i = buffer.size() - guard; i < buffer.size(); ++i) {
    REQUIRE(buffer[i] == guard_value);
  }
}

/// A node's own gradient must keep to its own memory, too, where a graph's arena goes on.
void check_node(const ShapedGraph& graph, const NodeTensors& tensors,
                const std::vector<float>& input, const std::vector<float>& output_gradient,
                const std::vector<float>& expected) {
  const GraphView& view = graph.view();
  const Node& node = view.nodes[0];
  const auto gradient = detail::make_gradient({node, view.inputs, graph.shape(1), tensors});
  detail::AlignedBuffer output = guarded(output_gradient.size());
  detail::AlignedBuffer scratch = guarded(gradient->scratch_size());
  detail::AlignedBuffer input_gradient = guarded(input.size());
  const float* const from = input.data();
  float* const to = input_gradient.data();
  gradient->forward(&from, scratch.data(), output.data());
  gradient->backward(&from, output.data(), output_gradient.data(), scratch.data(), &to);
  check_close(std::vector<float>(to, to + input.size()), expected, 1e-5);
  for (const detail::AlignedBuffer* buffer : {&output, &scratch, &input_gradient}) {
    check_guard(*buffer);
  }
}

void check_layer(const std::string& description, const Graph& graph, std::istream& line,
                 std::uint32_t number) {
  CAPTURE(description);
  CAPTURE(number);
  const WeightFile file = pseudo_random_file(graph, {}, 0, number * seeds_a_case);
  const FileTensors tensors(file);
  const ShapedGraph shaped(file.graph(), {graph.inputs.front().shape}, "layer");
  const GradientProgram program(shaped, tensors);
  const TensorShape& input_shape = program.input_shape();
  const TensorShape& output_shape = program.output_shape();

  const std::uint32_t last_seed = (number + 1) * seeds_a_case - 1;
  const std::vector<float> input =
      channels_last(input_shape, pseudo_random_image(input_shape.size(), last_seed - 1));
  const std::vector<double> cotangent = pseudo_random(output_shape.size(), last_seed);
  const std::vector<float> output_gradient =
      channels_last(output_shape, std::vector<float>(cotangent.begin(), cotangent.end()));
  const std::vector<float> expected = read_image(input_shape, line);

  detail::AlignedBuffer arena = guarded(program.arena_size());
  detail::AlignedBuffer input_gradient = guarded(input.size());
  program.forward(input.data(), arena.data());
  program.backward(input.data(), output_gradient.data(), input_gradient.data(), arena.data());
  const float* const found = input_gradient.data();
  check_close(std::vector<float>(found, found + input.size()), expected, 1e-5);
  check_guard(arena);
  check_guard(input_gradient);
  if (graph.nodes.size() == 1) check_node(shaped, tensors, input, output_gradient, expected);
}

template <class Layer, class Input>
Graph graph_of() {
  return detail::make_graph(detail::StaticGraph<Layer, Input>::view, "layer");
}

}  // namespace

TEST_CASE("every layer's gradient is PyTorch's") {
  std::vector<std::istringstream> lines = golden_lines("saliency_layers.txt");
  std::uint32_t number = 0;
#define LAYER_CASE(...)                                                         \
  check_layer(#__VA_ARGS__, graph_of<__VA_ARGS__>(), lines.at(number), number); \
  ++number;
#include "data/saliency_layers.inc"
#undef LAYER_CASE
  CHECK(number == lines.size());
}

TEST_CASE("the gradients of every output of a network with every kind of layer are PyTorch's") {
  std::istringstream line = std::move(golden_lines("saliency_network.txt").front());
  const WeightFile file = network_file<Everything>(14);
  const Saliency saliency(file);
  const Everything network(file);
  const TensorShape shape = Everything::Input::value;
  CHECK(saliency.input_shape() == shape);
  const std::vector<float> input = channels_last(shape, pseudo_random_image(shape.size(), 998));

  Saliency::Workspace workspace;
  Everything::Workspace network_workspace;
  const auto expected_outputs = network.forward(input.data(), network_workspace);
  std::vector<float> outputs(saliency.output_shape().size());
  saliency.outputs(input.data(), outputs.data(), workspace);
  check_close(outputs, {expected_outputs.begin(), expected_outputs.end()}, 1e-5);

  std::vector<std::vector<float>> gradients;
  for (std::size_t label = 0; label < Everything::Output::size; ++label) {
    CAPTURE(label);
    std::vector<float> gradient(input.size());
    saliency.gradient(input.data(), label, gradient.data(), workspace);
    check_close(gradient, read_image(shape, line), 1e-4);
    gradients.push_back(gradient);
  }

  std::vector<float> largest(input.size());
  const std::size_t label = saliency.gradient(input.data(), largest.data(), workspace);
  CHECK(label == static_cast<std::size_t>(std::max_element(outputs.begin(), outputs.end()) -
                                          outputs.begin()));
  CHECK(largest == gradients[label]);

  // Two channels become one map, which may take their place.
  std::vector<float> map = largest;
  saliency.map(map.data(), map.data());
  for (std::size_t i = 0; i < input.size() / 2; ++i) {
    REQUIRE(map[i] == std::max(std::abs(largest[2 * i]), std::abs(largest[2 * i + 1])));
  }
}

TEST_CASE("MiniFER's gradient is PyTorch's") {
  std::istringstream line = std::move(golden_lines("saliency_mini_fer.txt").front());
  const Saliency saliency(network_file<MiniFer>(48));
  std::size_t expected_label = 0;
  line >> expected_label;
  const std::vector<float> expected = read_image(MiniFer::Input::value, line);

  const GrayImage photo = read_pgm(MIEN_TEST_DATA "/astronaut.pgm");
  constexpr int left = 80;
  constexpr int top = 40;
  std::vector<float> input;
  for (int y = 0; y < MiniFer::Input::height; ++y) {
    for (int x = 0; x < MiniFer::Input::width; ++x) {
      input.push_back(static_cast<float>(photo.row(top + y)[left + x]) / 255.0f);
    }
  }
  Saliency::Workspace workspace;
  std::vector<float> gradient(input.size());
  saliency.gradient(expected.data(), gradient.data(), workspace);
  const std::size_t before = allocation_count();
  const std::size_t label = saliency.gradient(input.data(), gradient.data(), workspace);
  CHECK(allocation_count() == before);
  CHECK(before > 0);
  CHECK(label == expected_label);
  check_close(gradient, expected, 1e-4);

  // Whatever the workspace held.
  std::vector<float> other(input.size());
  saliency.gradient(expected.data(), other.data(), workspace);
  CHECK(other != gradient);
  saliency.gradient(input.data(), other.data(), workspace);
  CHECK(other == gradient);
}

namespace {

struct Small : Network<Small, Input<1, 6, 5>, Conv2d<1, 3, Kernel<3>, Padding<1>>, ReLU,
                       MaxPool2d<Kernel<2>>, Flatten, Dense<18, 4>> {
  static constexpr std::string_view name = "small";
  using Network::Network;
};

/// An output of Small by its definition.
double small_output(const std::vector<std::vector<float>>& tensors,
                    const std::vector<double>& input, std::size_t label) {
  const auto& filters = tensors[0];
  const auto& filter_bias = tensors[1];
  const auto rectified = [&](int channel, int y, int x) {
    double sum = double{filter_bias[static_cast<std::size_t>(channel)]};
    for (int ky = 0; ky < 3; ++ky) {
      for (int kx = 0; kx < 3; ++kx) {
        const int from_y = y + ky - 1;
        const int from_x = x + kx - 1;
        if (from_y < 0 || from_y >= 6 || from_x < 0 || from_x >= 5) continue;
        sum += double{filters[static_cast<std::size_t>((channel * 3 + ky) * 3 + kx)]} *
               input[static_cast<std::size_t>(from_y * 5 + from_x)];
      }
    }
    return std::max(sum, 0.0);
  };
  double output = double{tensors[3][label]};
  std::size_t feature = label * 18;
  for (int channel = 0; channel < 3; ++channel) {
    for (int y = 0; y < 6; y += 2) {
      for (int x = 0; x + 1 < 5; x += 2) {
        const double pooled =
            std::max({rectified(channel, y, x), rectified(channel, y, x + 1),
                      rectified(channel, y + 1, x), rectified(channel, y + 1, x + 1)});
        output += double{tensors[2][feature++]} * pooled;
      }
    }
  }
  return output;
}

}  // namespace

TEST_CASE("the gradient is what small changes of the input do to the output") {
  const WeightFile file = network_file<Small>(6, 7 * seeds_a_case);
  const Saliency saliency(file);
  std::vector<std::vector<float>> tensors;
  for (const WeightFile::Tensor& tensor : file.tensors()) tensors.push_back(file.values(tensor));
  std::vector<double> input = pseudo_random(Small::Input::size, 8);
  const std::vector<float> rounded(input.begin(), input.end());
  Saliency::Workspace workspace;
  std::vector<float> gradient(input.size());
  constexpr double step = 1e-6;
  for (std::size_t label = 0; label < Small::Output::size; ++label) {
    CAPTURE(label);
    saliency.gradient(rounded.data(), label, gradient.data(), workspace);
    std::vector<float> differences;
    for (double& value : input) {
      const double middle = value;
      value = middle + step;
      const double above = small_output(tensors, input, label);
      value = middle - step;
      const double below = small_output(tensors, input, label);
      value = middle;
      differences.push_back(static_cast<float>((above - below) / (2.0 * step)));
    }
    check_close(gradient, differences, 1e-6);
  }
}

namespace {

/// x + x + x + max(x, 0), by nodes that take a value twice, once, and besides another.
struct Shared : Network<Shared, Input<1, 2, 2>, Mark<1>, Add<Add<Identity, Identity>, From<1>>,
                        Add<Identity, Sequential<From<1>, ReLU>>> {
  static constexpr std::string_view name = "shared";
  using Network::Network;
};

}  // namespace

TEST_CASE("a value that several layers take gets the sum of their gradients") {
  const Saliency saliency(network_file<Shared>(2));
  Saliency::Workspace workspace;
  const std::vector<float> input = {1.0f, -1.0f, 2.0f, -3.0f};
  std::vector<float> outputs(4);
  saliency.outputs(input.data(), outputs.data(), workspace);
  CHECK(outputs == std::vector<float>{4.0f, -3.0f, 8.0f, -9.0f});
  for (std::size_t i = 0; i < 4; ++i) {
    CAPTURE(i);
    std::vector<float> gradient(4, 99.0f);
    std::vector<float> expected(4);
    expected[i] = input[i] > 0.0f ? 4.0f : 3.0f;
    saliency.gradient(input.data(), i, gradient.data(), workspace);
    CHECK(gradient == expected);
  }
}

TEST_CASE("saliency maps of faces are those of PyTorch on the crops of the face") {
  for (std::istringstream& line : golden_lines("saliency_faces.txt")) {
    std::uint32_t seed = 0;
    Rect box;
    int equalized = 0;
    int crop_count = 0;
    std::size_t label = 0;
    line >> seed >> box.x >> box.y >> box.width >> box.height >> equalized >> crop_count >> label;
    CAPTURE(seed);
    CAPTURE(equalized);
    CAPTURE(crop_count);
    CAPTURE(label);
    const std::vector<float> expected = read_image({1, 10, 10}, line);

    Preprocessing preprocessing;
    preprocessing.face_size = 10;
    preprocessing.mean = {0.5f};
    preprocessing.standard_deviation = {0.25f};
    preprocessing.equalize_histogram = equalized == 1;
    const WeightFile file = pseudo_random_file(Tiny::graph(), preprocessing, Tiny::Output::size, 0);
    const FaceSaliency saliency(file);
    const GrayImage photo = noise_image(40, 30, seed);
    const Crops crops = crop_count == 10 ? Crops::ten : Crops::center;
    const SaliencyMap map = saliency.map(photo.view(), box, crops);
    CHECK(map.region == FaceRegion(box));
    CHECK(map.size == 10);
    CHECK(map.label == label);
    check_close(map.values, expected, 1e-4);

    FaceSaliency::Workspace workspace;
    CHECK(saliency.map(photo.view(), box, label, crops, workspace).values == map.values);
    const ExpressionClassifier classifier{Tiny(file)};
    const FaceSaliency of_type(classifier, Saliency(file));
    CHECK(of_type.map(photo.view(), box, crops).values == map.values);
    const std::size_t other = (label + 1) % Tiny::Output::size;
    CHECK(saliency.map(photo.view(), box, other, crops, workspace).values != map.values);
  }
}

namespace {

/// ReLU, but that no gradient belongs to it.
constexpr LayerType relu_without_gradient = *find_layer("ReLU");

struct NoTensors final : NodeTensors {
  std::vector<float> values(const Node&, int) const override { return {}; }
  std::string where(const Node&) const override { return "file: node"; }
};

}  // namespace

TEST_CASE("a layer without gradient is an error if the output depends on it") {
  Graph graph = graph_of<Sequential<ReLU, ReLU, ReLU6>, Shape<1, 2, 2>>();
  graph.nodes[1].layer = &relu_without_gradient;
  const auto make = [&graph] {
    return GradientProgram(ShapedGraph(graph, {{1, 2, 2}}, "file"), NoTensors());
  };
  CHECK_THROWS_WITH_AS(make(), "file: node: the layer has no gradient", Error);
  graph.operands[2] = 1;  // of the third node: past the second
  CHECK_NOTHROW(make());
}

TEST_CASE("what saliency cannot be computed for is refused") {
  const std::string path = MIEN_TEST_DATA "/tiny.mien";
  const FaceSaliency saliency = FaceSaliency::load(path);
  FaceSaliency::Workspace workspace;
  const GrayImage photo = noise_image(40, 30, 0);
  CHECK_THROWS_WITH_AS(saliency.map(photo.view(), {5, 5, 20, 20}, 7, Crops::center, workspace),
                       "saliency map: label: expected less than 7, found 7", Error);
  CHECK_THROWS_WITH_AS(saliency.map(photo.view(), {5, 5, 0, 20}),
                       "box: expected a width and height of 1 or more, found 0x20", Error);

  const ExpressionClassifier classifier(Model::load(path));
  CHECK_THROWS_WITH_AS(FaceSaliency(classifier, Saliency(network_file<Small>(6))),
                       (path + ": saliency: expected that of the same network, from 1 x 8 x 8 to "
                               "7 x 1 x 1, found from 1 x 6 x 5 to 4 x 1 x 1")
                           .c_str(),
                       Error);
  Saliency::Workspace memory;
  std::vector<float> image(64);
  std::vector<float> gradient(64);
  CHECK_THROWS_WITH_AS(Saliency::load(path).gradient(image.data(), 7, gradient.data(), memory),
                       "saliency: output: expected less than 7, found 7", Error);

  Graph free_size = graph_of<ReLU, Shape<1, 2, 2>>();
  free_size.inputs.front().shape = {1, 0, 0};
  CHECK_THROWS_WITH_AS(
      Saliency(pseudo_random_file(free_size, {}, 0, 0)),
      "random weights: saliency: expected a network with one input of a fixed size", Error);
}
