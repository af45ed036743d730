// Graphs: shapes, fusion and the memory plan, in the compiler and at run time; and random graphs
// against their definition.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <mien/model.hpp>
#include <mien/models/models.hpp>
#include <mien/network.hpp>

#include "graph_nodes.hpp"
#include "naive_network.hpp"
#include "random_weights.hpp"

namespace {

using namespace mien;

/// Writes graphs node by node.
class GraphWriter {
 public:
  explicit GraphWriter(const TensorShape& input) {
    graph.name = "test";
    graph.inputs.push_back({"input", input});
  }

  /// Appends a layer and returns the value that it puts out.
  int add(const Node& node, const std::vector<int>& inputs) {
    return append_node(graph, node, inputs);
  }

  void output(const std::string& name, int value) { graph.outputs.push_back({name, value}); }

  WeightFile file() const { return bench::make_weight_file(graph, {}, {}, bench::RandomValues()); }

  Graph graph;
};

Node conv(int in, int out, int kernel, int stride = 1, int padding = 0, int groups = 1) {
  return plain("Conv2d", {in, out, kernel, kernel, stride, stride, padding, padding, groups});
}

Node pool(const char* kind, int kernel, int stride, int padding) {
  return plain(kind, {kernel, kernel, stride, stride, padding, padding});
}

Node batch_norm(int channels) {
  Node node = plain("BatchNorm2d");
  node.options[0] = channels;
  return node;
}

std::vector<std::string> step_texts(const Model& model) {
  std::vector<std::string> texts;
  for (const ForwardStep& step : model.program()->steps()) {
    std::string text;
    for (const std::string& layer : step.layers) text += (text.empty() ? "" : "+") + layer;
    texts.push_back(text);
  }
  return texts;
}

std::vector<float> random_values(std::size_t size, std::mt19937& random) {
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> values(size);
  for (float& value : values) value = uniform(random);
  return values;
}

/// The message of the Error that making a Model of a graph throws.
std::string model_error(const GraphWriter& writer) {
  try {
    Model(writer.file());
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// All outputs of a model are those of its definition.
void check_against_definition(const WeightFile& file, const InputSize& size, std::mt19937& random) {
  const Model model(file);
  std::vector<TensorShape> shapes;
  std::vector<std::vector<float>> inputs;
  std::vector<NamedInput> named_inputs;
  for (const GraphInput& input : file.graph().inputs) {
    shapes.push_back(input.has_free_size()
                         ? TensorShape{input.shape.channels, size.height, size.width}
                         : input.shape);
    inputs.push_back(random_values(shapes.back().size(), random));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    named_inputs.push_back({model.inputs()[i].name, inputs[i].data()});
  }
  const std::vector<naive::Values> values = naive::evaluate(file, shapes, inputs);
  std::vector<std::vector<float>> outputs;
  std::vector<NamedOutput> named_outputs;
  for (const GraphOutput& output : model.outputs()) {
    outputs.emplace_back(values[static_cast<std::size_t>(output.value)].size());
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    named_outputs.push_back({model.outputs()[i].name, outputs[i].data()});
  }
  Model::Workspace workspace;
  model.forward(size, named_inputs.data(), named_inputs.size(), named_outputs.data(),
                named_outputs.size(), workspace);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const naive::Values& expected = values[static_cast<std::size_t>(model.outputs()[i].value)];
    float largest = 1e-3f;
    for (const float value : expected) largest = std::max(largest, std::abs(value));
    for (std::size_t o = 0; o < expected.size(); ++o) {
      CAPTURE(model.outputs()[i].name);
      CAPTURE(o);
      CAPTURE(expected[o]);
      CAPTURE(outputs[i][o]);
      REQUIRE(std::abs(outputs[i][o] - expected[o]) <= 2e-5f * largest);
    }
  }
}

/// A network of layers that fit, in which any value may be taken again.
class RandomGraph {
 public:
  explicit RandomGraph(unsigned seed) : random_(seed) {}

  WeightFile make() {
    const TensorShape input = {pick(1, 20), pick(6, 17), pick(6, 17)};
    GraphWriter writer(input);
    shapes_ = {input};
    const int nodes = pick(3, 14);
    for (int i = 0; i < nodes; ++i) add_node(writer);
    const int last = static_cast<int>(shapes_.size()) - 1;
    writer.output("last", last);
    if (pick(0, 2) == 0) writer.output("other", pick(0, last));
    if (pick(0, 3) == 0) writer.output("again", last);
    return writer.file();
  }

  std::mt19937& random() noexcept { return random_; }

 private:
  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  /// The newest value mostly, so that graphs are deep.
  int pick_value() {
    const int last = static_cast<int>(shapes_.size()) - 1;
    return pick(0, 3) == 0 ? pick(0, last) : last;
  }

  template <class Fits>
  std::vector<int> values_that(Fits fits) const {
    std::vector<int> values;
    for (std::size_t v = 0; v < shapes_.size(); ++v) {
      if (fits(shapes_[v])) values.push_back(static_cast<int>(v));
    }
    return values;
  }

  void append(GraphWriter& writer, const Node& node, const std::vector<int>& inputs) {
    std::vector<TensorShape> shapes;
    for (const int value : inputs) shapes.push_back(shapes_[static_cast<std::size_t>(value)]);
    const ShapeResult result =
        node.layer->output_shape(node, shapes.data(), static_cast<int>(shapes.size()));
    if (result.problem != ShapeProblem::none) return;
    writer.add(node, inputs);
    shapes_.push_back(result.shape);
  }

  void add_node(GraphWriter& writer) {
    const int value = pick_value();
    const TensorShape shape = shapes_[static_cast<std::size_t>(value)];
    const int kinds[] = {1, 3, 3, 5, 2};
    if (pick(0, 2) == 0) return add_newer(writer, value, shape);
    switch (pick(0, 9)) {
      case 0:
      case 1:
      case 2: {
        const int kernel = kinds[pick(0, 4)];
        const bool wide = pick(0, 1) == 0;
        const int out = wide ? 16 * pick(1, 3) : pick(1, 20);
        append(writer, conv(shape.channels, out, kernel, pick(1, 2), pick(0, kernel / 2)), {value});
        break;
      }
      case 3:
        append(writer, conv(shape.channels, shape.channels, 3, 1, 1, shape.channels), {value});
        break;
      case 4:
        append(writer, batch_norm(shape.channels), {value});
        break;
      case 5:
        append(writer, plain(pick(0, 1) == 0 ? "ReLU" : "ReLU6"), {value});
        break;
      case 6: {
        const int kernel = pick(2, 3);
        if (pick(0, 3) == 0) {  // over all of the image, to be broadcast
          Node node = pool("AvgPool2d", 1, 1, 0);
          node.options[0] = shape.height;
          node.options[1] = shape.width;
          append(writer, node, {value});
          break;
        }
        append(writer,
               pool(pick(0, 2) == 0 ? "AvgPool2d" : "MaxPool2d", kernel, pick(1, 2),
                    pick(0, kernel / 2)),
               {value});
        break;
      }
      case 7:
      case 8: {
        // Equal shapes may be fused, others broadcast.
        const bool is_equal = pick(0, 1) == 0;
        const auto others = values_that([&](const TensorShape& other) {
          return is_equal ? other == shape : detail::arithmetic::broadcast(other, shape).size() > 0;
        });
        const int other =
            others[static_cast<std::size_t>(pick(0, static_cast<int>(others.size()) - 1))];
        std::vector<int> inputs = {value, other};
        if (pick(0, 1) == 0) std::swap(inputs[0], inputs[1]);
        append(writer, plain(is_equal || pick(0, 1) == 0 ? "Add" : "Mul"), inputs);
        break;
      }
      default: {
        const auto equal = values_that([&](const TensorShape& other) {
          return other.height == shape.height && other.width == shape.width;
        });
        std::vector<int> inputs = {value};
        const int more = pick(1, 2);
        for (int i = 0; i < more; ++i) {
          inputs.push_back(
              equal[static_cast<std::size_t>(pick(0, static_cast<int>(equal.size()) - 1))]);
        }
        append(writer, plain("Concatenate"), inputs);
      }
    }
  }

  /// What came after the networks that are types in models/.
  void add_newer(GraphWriter& writer, int value, const TensorShape& shape) {
    const int channels = shape.channels;
    switch (pick(0, 12)) {
      case 0: {
        const char* const kinds[] = {"Sigmoid",     "Tanh",      "SiLU",    "HardSwish",
                                     "HardSigmoid", "LeakyReLU", "ELU",     "SELU",
                                     "GELU",        "Mish",      "Softplus"};
        return append(writer, plain(kinds[pick(0, 10)]), {value});
      }
      case 1:
        return append(writer, plain("PReLU", {pick(0, 1) == 0 ? 1 : channels}), {value});
      case 2: {
        const char* const kinds[] = {"Add", "Sub", "Mul", "Min", "Max"};
        const auto or_one = [this](int size) { return pick(0, 1) == 0 ? size : 1; };
        const std::vector<int> sizes = {or_one(channels), or_one(shape.height), or_one(shape.width),
                                        pick(0, 1)};
        return append(writer, plain(kinds[pick(0, 4)], sizes), {value});
      }
      case 3: {
        const char* const kinds[] = {"InstanceNorm2d", "LayerNorm2d", "GroupNorm"};
        Node norm = plain(kinds[pick(0, 2)]);
        norm.options[detail::normalisation::channels] = channels;
        norm.options[detail::normalisation::epsilon] = 0.01;
        if (norm.layer == find_layer("GroupNorm")) {
          norm.options[detail::normalisation::groups] = channels % 2 == 0 ? 2 : 1;
        }
        return append(writer, norm, {value});
      }
      case 4: {
        const int groups = channels % 2 == 0 ? pick(1, 2) : 1;
        const int kernel = pick(1, 4);
        const int stride = pick(1, 3);
        const int padding = pick(0, kernel - 1);
        return append(writer,
                      plain("ConvTranspose2d",
                            {channels, groups * pick(1, 9), kernel, kernel, stride, stride, padding,
                             padding, -1, pick(0, kernel - 1), 0, 0, groups, pick(0, 1)}),
                      {value});
      }
      case 5: {  // dilation and padding of each side
        Node node = conv(channels, pick(1, 20), pick(2, 3), pick(1, 2), pick(0, 1));
        node.options[detail::conv2d::padding_bottom] = pick(0, 2);
        node.options[detail::conv2d::dilation_y] = pick(1, 2);
        node.options[detail::conv2d::dilation_x] = pick(1, 2);
        return append(writer, node, {value});
      }
      case 6:
        return append(writer,
                      plain("MaxPool2d", {3, 2, pick(1, 3), pick(1, 2), pick(0, 1), 0, -1,
                                          pick(0, 1), pick(1, 2), 1, pick(0, 1)}),
                      {value});
      case 7:
        return append(writer,
                      plain("AvgPool2d", {2, 3, pick(1, 2), pick(1, 3), 1, pick(0, 1), 0, -1,
                                          pick(0, 1), pick(0, 1)}),
                      {value});
      case 8:
        return append(writer,
                      plain(pick(0, 1) == 0 ? "AdaptiveAvgPool2d" : "AdaptiveMaxPool2d",
                            {pick(1, 5), pick(1, 5)}),
                      {value});
      case 9: {
        const int most = std::min({2, shape.height - 1, shape.width - 1});
        const auto side = [this, most] { return pick(0, std::max(most, 0)); };
        return append(writer, plain("Pad", {side(), side(), side(), side(), pick(0, 2)}), {value});
      }
      case 10: {
        if (channels % 4 == 0 && pick(0, 1) == 0) {
          return append(writer, plain("PixelShuffle", {2}), {value});
        }
        if (channels % 2 == 0) return append(writer, plain("ChannelShuffle", {2}), {value});
        const int first = pick(0, channels - 1);
        return append(writer, plain("Slice", {first, pick(1, channels - first)}), {value});
      }
      case 11:
        append(writer, plain("Flatten"), {value});
        return append(writer, plain("Unflatten", {shape.height, channels, shape.width}),
                      {static_cast<int>(shapes_.size()) - 1});
      default:
        return append(writer, plain(pick(0, 1) == 0 ? "Softmax" : "LogSoftmax"), {value});
    }
  }

  std::mt19937 random_;
  std::vector<TensorShape> shapes_;
};

template <class Model>
constexpr std::size_t arena_size() {
  constexpr std::size_t size =
      detail::StaticGraph<typename Model::Layers, typename Model::Input>::plan();
  return size;
}

struct Block
    : Network<Block, Input<16, 9, 9>,
              Residual<Sequential<Conv2d<16, 16, Kernel<3>, Padding<1>>, BatchNorm2d<16>, ReLU,
                                  Conv2d<16, 16, Kernel<3>, Padding<1>>, BatchNorm2d<16>>>,
              ReLU, MaxPool2d<Kernel<2>>, Conv2d<16, 8, Kernel<1>>, ReLU6, MaxPool2d<Kernel<2>>> {
  static constexpr std::string_view name = "block";
  using Network::Network;
};

}  // namespace

TEST_CASE("the compiler infers shapes, counts and plans as the engine does") {
  static_assert(std::is_same_v<Block::Output, Shape<8, 2, 2>>);
  static_assert(Block::parameter_count == 2 * (16 * 16 * 9 + 16 + 32) + 16 * 8 + 8);
  static_assert(Block::multiply_adds == 2 * 16 * 16 * 9 * 81 + 16 * 8 * 16);
  constexpr std::size_t arena = arena_size<Block>();
  const Block block(bench::random_network_file<Block>());
  CHECK(block.model().program()->arena_size() == arena);
  CHECK(step_texts(block) == std::vector<std::string>{"Conv2d+BatchNorm2d+ReLU",
                                                      "Conv2d+BatchNorm2d+Add+ReLU", "MaxPool2d",
                                                      "Conv2d+ReLU6+MaxPool2d"});
  CHECK(block.model().multiply_adds() == Block::multiply_adds);
  CHECK(block.model().parameter_count() == Block::parameter_count);
}

TEST_CASE("memory plans need no more than networks needed when they were trees of types") {
  // Floats for one input, as the planner of version 0.1 had them.
  CHECK(arena_size<MiniFer>() <= 122'368);
  CHECK(arena_size<AlexNet>() <= 580'928);
  CHECK(arena_size<FerNet>() <= 117'504);
  // And an image in bytes: which products have 8 bits is known when the file is.
  CHECK(arena_size<FerNet256>() <= 1'635'072 + 208'208);
  CHECK(arena_size<VggNet>() <= 190'208);
  CHECK(arena_size<Vgg10>() <= 133'632);
  CHECK(arena_size<InceptionFer>() <= 479'232);
  CHECK(arena_size<ResNet33>() <= 262'656);
}

TEST_CASE("buffers that are in use at the same time do not overlap") {
  std::mt19937 random(1);
  const auto pick = [&random](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (int round = 0; round < 500; ++round) {
    const int steps = pick(1, 20);
    std::vector<PlannedBuffer> buffers;
    for (int step = 0; step < steps; ++step) {
      const int begun = pick(0, 2);
      for (int i = 0; i < begun; ++i) {
        buffers.push_back({static_cast<std::size_t>(16 * pick(1, 50)), step,
                           std::min(step + pick(0, 4), steps - 1), 0, false});
      }
    }
    const auto count = static_cast<int>(buffers.size());
    const std::size_t arena = plan_memory(buffers.data(), count, steps);
    CHECK(arena >= detail::least_memory(buffers.data(), count, steps));
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      CHECK(buffers[i].offset + buffers[i].size <= arena);
      CHECK(buffers[i].offset % 16 == 0);
      for (std::size_t j = 0; j < i; ++j) {
        if (!buffers[i].meets(buffers[j])) continue;
        const bool apart = buffers[i].offset >= buffers[j].offset + buffers[j].size ||
                           buffers[j].offset >= buffers[i].offset + buffers[i].size;
        CHECK(apart);
      }
    }
  }
}

TEST_CASE("a chain needs what its hungriest step does") {
  constexpr int steps = 12;
  std::vector<PlannedBuffer> buffers;
  std::mt19937 random(2);
  for (int step = 0; step < steps; ++step) {
    buffers.push_back({16 * (1 + random() % 40), step, std::min(step + 1, steps - 1), 0, false});
    if (step % 3 == 0 && step + 1 < steps) {
      buffers.push_back({16 * (1 + random() % 40), step, step, 0, false});
    }
  }
  const auto count = static_cast<int>(buffers.size());
  CHECK(plan_memory(buffers.data(), count, steps) ==
        detail::least_memory(buffers.data(), count, steps));
}

TEST_CASE("a value that several nodes take is not fused away") {
  GraphWriter writer({4, 8, 8});
  const int a = writer.add(conv(4, 4, 3, 1, 1), {0});
  const int b = writer.add(plain("ReLU"), {a});
  const int c = writer.add(conv(4, 4, 1), {b});
  const int d = writer.add(plain("Add"), {c, a});  // takes a besides b
  writer.output("output", d);
  CHECK(step_texts(Model(writer.file())) ==
        std::vector<std::string>{"Conv2d", "ReLU", "Conv2d+Add"});

  GraphWriter twice({4, 8, 8});
  const int first = twice.add(conv(4, 4, 3, 1, 1), {0});
  twice.output("output", twice.add(plain("Add"), {first, first}));
  CHECK(step_texts(Model(twice.file())) == std::vector<std::string>{"Conv2d", "Add"});
}

TEST_CASE("what a graph puts out is not fused away either") {
  GraphWriter writer({3, 8, 8});
  const int a = writer.add(conv(3, 5, 3), {0});
  const int b = writer.add(plain("ReLU"), {a});
  writer.output("linear", a);
  writer.output("rectified", b);
  CHECK(step_texts(Model(writer.file())) == std::vector<std::string>{"Conv2d", "ReLU"});
  std::mt19937 random(3);
  check_against_definition(writer.file(), {}, random);
}

TEST_CASE("an addition runs inside the later of the convolutions that it joins") {
  GraphWriter writer({6, 7, 7});
  const int body = writer.add(batch_norm(6), {writer.add(conv(6, 6, 3, 1, 1), {0})});
  const int shortcut = writer.add(conv(6, 6, 1), {0});
  writer.output("output", writer.add(plain("ReLU"), {writer.add(plain("Add"), {body, shortcut})}));
  CHECK(step_texts(Model(writer.file())) ==
        std::vector<std::string>{"Conv2d+BatchNorm2d", "Conv2d+Add+ReLU"});
  std::mt19937 random(4);
  check_against_definition(writer.file(), {}, random);
}

TEST_CASE("a depthwise convolution runs inside the pointwise one before it, band by band") {
  std::mt19937 random(8);
  // The last ones have several bands, and the last band is not as high as the others.
  for (const TensorShape& input : {TensorShape{3, 1, 1}, TensorShape{5, 2, 9}, TensorShape{4, 7, 6},
                                   TensorShape{2, 23, 700}, TensorShape{9, 11, 1600}}) {
    CAPTURE(input.height);
    CAPTURE(input.width);
    for (const int channels : {6, 8, 19}) {
      CAPTURE(channels);
      GraphWriter writer(input);
      const auto separable = [&](int value, int in) {
        return writer.add(conv(channels, channels, 3, 1, 1, channels),
                          {writer.add(conv(in, channels, 1), {value})});
      };
      const int first = writer.add(plain("ReLU"), {separable(0, input.channels)});
      writer.output("first", first);
      const int second = writer.add(batch_norm(channels), {separable(first, channels)});
      const int sum = writer.add(plain("Add"), {second, first});
      const int rectified = writer.add(plain("ReLU6"), {sum});
      writer.output("second", rectified);
      std::vector<std::string> steps = {"Conv2d+Conv2d+ReLU",
                                        "Conv2d+Conv2d+BatchNorm2d+Add+ReLU6"};
      if (input.height > 1) {
        const int third = writer.add(plain("ReLU"), {separable(rectified, channels)});
        writer.output("third", writer.add(pool("MaxPool2d", 2, 2, 0), {third}));
        steps.push_back("Conv2d+Conv2d+ReLU+MaxPool2d");
      }
      CHECK(step_texts(Model(writer.file())) == steps);
      check_against_definition(writer.file(), {}, random);
    }
  }
}

TEST_CASE("a depthwise convolution that sees more than its neighbours is a step of its own") {
  GraphWriter writer({6, 9, 9});
  int value = 0;
  for (const Node& node :
       {conv(6, 6, 3, 2, 1, 6), conv(6, 6, 5, 1, 2, 6), conv(6, 6, 3, 1, 0, 6)}) {
    value = writer.add(node, {writer.add(conv(6, 6, 1), {value})});
  }
  writer.output("output", value);
  CHECK(step_texts(Model(writer.file())) == std::vector<std::string>(6, "Conv2d"));
  std::mt19937 random(9);
  check_against_definition(writer.file(), {}, random);
}

TEST_CASE("a sum that broadcasts is a step of its own, in place where the larger value lies") {
  GraphWriter writer({6, 7, 7});
  const int body = writer.add(conv(6, 6, 3, 1, 1), {0});
  Node mean = pool("AvgPool2d", 7, 1, 0);
  const int gate = writer.add(conv(6, 6, 1), {writer.add(mean, {body})});
  const int scaled = writer.add(plain("Mul"), {gate, body});
  writer.output("output", writer.add(plain("ReLU"), {writer.add(plain("Add"), {gate, scaled})}));
  const Model model(writer.file());
  CHECK(step_texts(model) ==
        std::vector<std::string>{"Conv2d", "AvgPool2d", "Conv2d", "Mul", "Add+ReLU"});
  std::mt19937 random(6);
  check_against_definition(writer.file(), {}, random);
}

TEST_CASE("random graphs compute what their definitions say") {
  std::set<std::string> seen;
  for (unsigned seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    RandomGraph graph(seed);
    const WeightFile file = graph.make();
    for (const Node& node : file.graph().nodes) seen.emplace(node.layer->name);
    check_against_definition(file, {}, graph.random());
  }
  // Those without a definition here are compared with ONNX Runtime, in tests/programs.
  const std::set<std::string> others = {"Clip", "Dense", "Div", "LocalResponseNorm", "Resize"};
  for (const LayerType* layer : layer_types) {
    CAPTURE(std::string(layer->name));
    CHECK(seen.count(std::string(layer->name)) + others.count(std::string(layer->name)) == 1);
  }
}

TEST_CASE("a network takes pictures of any size that its layers allow") {
  GraphWriter writer({3, 0, 0});
  const int a = writer.add(plain("ReLU"), {writer.add(conv(3, 16, 3, 2, 1), {0})});
  const int b = writer.add(conv(16, 16, 3, 1, 1), {a});
  const int c = writer.add(plain("Concatenate"), {b, a});
  writer.output("map", writer.add(pool("MaxPool2d", 2, 2, 0), {c}));
  writer.output("sum", writer.add(plain("Add"), {b, a}));
  const WeightFile file = writer.file();
  std::mt19937 random(5);
  for (const InputSize size : {InputSize{4, 4}, {31, 17}, {64, 48}, {9, 40}}) {
    check_against_definition(file, size, random);
  }
  const Model model(file);
  CHECK_THROWS_WITH_AS(model.program({2, 9}),
                       "random weights: node 4, 'layer5' (MaxPool2d): the kernel is larger than "
                       "its padded input, 32 x 1 x 5",
                       Error);
  CHECK_THROWS_WITH_AS(
      model.program({0, 9}),
      "random weights: input size: expected a height and width of 1 to 65536, found 0 x 9", Error);
  CHECK_THROWS_WITH_AS(model.program(),
                       "random weights: the network takes pictures of any size: name one", Error);
  // A plan is made once for each size.
  CHECK(model.program({31, 17}) == model.program({31, 17}));
  CHECK(model.program({31, 17}) != model.program({17, 31}));
}

TEST_CASE("a graph whose layers do not fit is refused by node and shapes") {
  GraphWriter channels({3, 8, 8});
  channels.output("output", channels.add(conv(4, 5, 3), {0}));
  CHECK(model_error(channels) ==
        "random weights: node 0, 'layer1' (Conv2d): expected 4 input channels, found 3 x 8 x 8");

  GraphWriter sums({3, 8, 8});
  sums.output("output", sums.add(plain("Add"), {0, sums.add(conv(3, 5, 3), {0})}));
  CHECK(model_error(sums) ==
        "random weights: node 1, 'layer2' (Add): expected channels, height and width that are "
        "equal or 1, found 3 x 8 x 8 and 5 x 6 x 6");

  GraphWriter constants({3, 8, 8});
  Node product = plain("Mul");
  product.options = {3.0, 1.0, 4.0};
  constants.output("output", constants.add(product, {0}));
  CHECK(model_error(constants) ==
        "random weights: node 0, 'layer1' (Mul): expected channels, height and width that are "
        "equal or 1, found 3 x 8 x 8 and the constant 3 x 1 x 4");

  GraphWriter alone({3, 8, 8});
  alone.output("output", alone.add(plain("Sub"), {0}));
  CHECK(model_error(alone) ==
        "random weights: node 0, 'layer1' (Sub): expected two values, or one and a constant, found "
        "3 x 8 x 8");

  GraphWriter joined({3, 8, 8});
  joined.output("output", joined.add(plain("Concatenate"), {0, joined.add(conv(3, 5, 3), {0})}));
  CHECK(model_error(joined) ==
        "random weights: node 1, 'layer2' (Concatenate): expected inputs of equal height and "
        "width, found 3 x 8 x 8 and 5 x 6 x 6");

  GraphWriter flat({3, 2, 2});
  Node dense = plain("Dense");
  dense.options = {3.0, 7.0, 1.0};
  flat.output("output", flat.add(dense, {0}));
  CHECK(model_error(flat) ==
        "random weights: node 0, 'layer1' (Dense): expected a flat vector, found 3 x 2 x 2");
}

TEST_CASE("options that numbers cannot hold are refused, not computed with") {
  // A padding of 2^24 on all sides, time and again, outgrows an int.
  GraphWriter padded({1, 8, 8});
  int value = 0;
  for (int i = 0; i < 70; ++i) value = padded.add(conv(1, 1, 1, 1, 1 << 24), {value});
  padded.output("output", value);
  CHECK(model_error(padded) ==
        "random weights: node 0, 'layer1' (Conv2d): its output would be too large; its input is "
        "1 x 8 x 8");

  GraphWriter pooled({1, 8, 8});
  pooled.output("output", pooled.add(pool("AvgPool2d", 1 << 24, 1, 1 << 23), {0}));
  CHECK(model_error(pooled) ==
        "random weights: node 0, 'layer1' (AvgPool2d): its kernel is too large");
}
