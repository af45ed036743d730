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

/// A tensor whose shape is known when it is there, channels last.
struct Image {
  int channels;
  int height;
  int width;
  std::vector<float> values;
};

Image make_image(int channels, int height, int width) {
  return {channels, height, width,
          std::vector<float>(static_cast<std::size_t>(channels) *
                             static_cast<std::size_t>(height * width))};
}

template <class Layer>
kernels::WindowGeometry window_on(const Image& input, int out_channels, int groups) {
  using Kernel = typename Layer::kernel;
  using Stride = typename Layer::stride;
  using Padding = typename Layer::padding;
  return {input.channels,
          input.height,
          input.width,
          out_channels,
          (input.height + 2 * Padding::y - Kernel::height) / Stride::y + 1,
          (input.width + 2 * Padding::x - Kernel::width) / Stride::x + 1,
          Kernel::height,
          Kernel::width,
          Stride::y,
          Stride::x,
          Padding::y,
          Padding::x,
          groups};
}

/// A layer by its definition: nothing is fused, packed or planned.
template <class Layer>
struct Definition;

template <int In, int Out, class... Options>
struct Definition<Conv2d<In, Out, Options...>> {
  static Image apply(const Image& input, TensorReader& tensors) {
    using Layer = Conv2d<In, Out, Options...>;
    const auto g = window_on<Layer>(input, Out, Layer::groups);
    const auto weight = tensors.take(
        "Conv2d", "weight", {Out, In / Layer::groups, Layer::kernel::height, Layer::kernel::width});
    std::vector<float> bias(Out);
    if (Layer::has_bias) bias = tensors.take("Conv2d", "bias", {Out});
    Image output = make_image(Out, g.out_height, g.out_width);
    kernels::naive::conv2d(g, input.values.data(), weight.data(), bias.data(), kernels::no_clamp,
                           output.values.data());
    return output;
  }
};

template <int Channels>
struct Definition<BatchNorm2d<Channels>> {
  static Image apply(Image image, TensorReader& tensors) {
    const auto weight = tensors.take("BatchNorm2d", "weight", {Channels});
    const auto bias = tensors.take("BatchNorm2d", "bias", {Channels});
    const auto mean = tensors.take("BatchNorm2d", "running_mean", {Channels});
    const auto variance = tensors.take("BatchNorm2d", "running_var", {Channels});
    for (std::size_t i = 0; i < image.values.size(); ++i) {
      const std::size_t c = i % Channels;
      image.values[i] =
          (image.values[i] - mean[c]) / std::sqrt(variance[c] + 1e-5f) * weight[c] + bias[c];
    }
    return image;
  }
};

template <>
struct Definition<ReLU> {
  static Image apply(Image image, TensorReader&) {
    for (float& value : image.values) value = std::max(value, 0.0f);
    return image;
  }
};

template <>
struct Definition<ReLU6> {
  static Image apply(Image image, TensorReader&) {
    for (float& value : image.values) value = std::min(std::max(value, 0.0f), 6.0f);
    return image;
  }
};

template <class... Options>
struct Definition<MaxPool2d<Options...>> {
  static Image apply(const Image& input, TensorReader&) {
    const auto g = window_on<MaxPool2d<Options...>>(input, input.channels, 1);
    Image output = make_image(input.channels, g.out_height, g.out_width);
    kernels::naive::max_pool2d(g, input.values.data(), output.values.data());
    return output;
  }
};

template <class... Options>
struct Definition<AvgPool2d<Options...>> {
  static Image apply(const Image& input, TensorReader&) {
    const auto g = window_on<AvgPool2d<Options...>>(input, input.channels, 1);
    Image output = make_image(input.channels, g.out_height, g.out_width);
    kernels::naive::avg_pool2d(g, input.values.data(), output.values.data());
    return output;
  }
};

template <int Size, class Alpha, class Beta, class K>
struct Definition<LocalResponseNorm<Size, Alpha, Beta, K>> {
  static Image apply(const Image& input, TensorReader&) {
    const auto value = [](auto ratio) {
      return static_cast<float>(ratio.num) / static_cast<float>(ratio.den);
    };
    Image output = input;
    kernels::naive::local_response_norm(input.height * input.width, input.channels,
                                        {Size, value(Alpha()), value(Beta()), value(K())},
                                        input.values.data(), output.values.data());
    return output;
  }
};

template <>
struct Definition<Flatten> {
  static Image apply(const Image& input, TensorReader&) {
    Image output = make_image(static_cast<int>(input.values.size()), 1, 1);
    detail::to_channels_first(input.values.data(), output.values.data(),
                              static_cast<std::size_t>(input.channels),
                              static_cast<std::size_t>(input.height * input.width));
    return output;
  }
};

template <int In, int Out>
struct Definition<Dense<In, Out>> {
  static Image apply(const Image& input, TensorReader& tensors) {
    const auto weight = tensors.take("Dense", "weight", {Out, In});
    const auto bias = tensors.take("Dense", "bias", {Out});
    Image output = make_image(Out, 1, 1);
    for (std::size_t o = 0; o < Out; ++o) {
      double sum = double{bias[o]};
      for (std::size_t i = 0; i < In; ++i) {
        sum += double{weight[o * In + i]} * double{input.values[i]};
      }
      output.values[o] = static_cast<float>(sum);
    }
    return output;
  }
};

template <class... Layers>
struct Definition<Sequential<Layers...>> {
  static Image apply(Image image, TensorReader& tensors) {
    ((image = Definition<Layers>::apply(image, tensors)), ...);
    return image;
  }
};

template <>
struct Definition<Identity> {
  static Image apply(const Image& input, TensorReader&) { return input; }
};

template <class Body, class Shortcut>
struct Definition<Residual<Body, Shortcut>> {
  static Image apply(const Image& input, TensorReader& tensors) {
    Image sum = Definition<Body>::apply(input, tensors);
    const Image added = Definition<Shortcut>::apply(input, tensors);
    for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += added.values[i];
    return sum;
  }
};

template <class... Branches>
struct Definition<Concatenate<Branches...>> {
  static Image apply(const Image& input, TensorReader& tensors) {
    const std::array<Image, sizeof...(Branches)> parts = {
        Definition<Branches>::apply(input, tensors)...};
    Image output = make_image(0, input.height, input.width);
    for (const Image& part : parts) output.channels += part.channels;
    for (int pixel = 0; pixel < output.height * output.width; ++pixel) {
      for (const Image& part : parts) {
        const auto from = part.values.begin() + std::ptrdiff_t{pixel} * part.channels;
        output.values.insert(output.values.end(), from, from + part.channels);
      }
    }
    return output;
  }
};

/// Made once: it takes longer than all that is done with it.
template <class Model>
const Model& random_network() {
  static const Model network(bench::random_network_file<Model>());
  return network;
}

template <class Model>
void check_steps() {
  constexpr auto steps = Model::steps();
  std::size_t parameters = 0;
  std::size_t multiply_adds = 0;
  std::size_t tensors = 0;
  for (const ForwardStep& step : steps) {
    parameters += step.parameters;
    multiply_adds += step.multiply_adds;
    tensors += step.tensors;
  }
  CAPTURE(Model::name);
  CHECK(parameters == Model::parameter_count);
  CHECK(multiply_adds == Model::multiply_adds);
  std::vector<bench::TensorShape> expected;
  bench::TensorsOf<typename Model::Layers>::append(expected);
  CHECK(tensors == expected.size());
  CHECK(steps.back().layers == LayerNames{"Dense"});
  CHECK(steps.back().channels == 7);
}

}  // namespace

TEST_CASE("every network has a name, seven classes and steps that add up to it") {
  std::vector<std::string_view> names;
  AllModels::for_each([&](auto tag) {
    using Model = typename decltype(tag)::type;
    static_assert(std::is_same_v<typename Model::Output, Shape<7, 1, 1>>);
    CHECK(std::find(names.begin(), names.end(), Model::name) == names.end());
    names.push_back(Model::name);
    check_steps<Model>();
  });
  CHECK(names.size() == AllModels::size);
}

TEST_CASE("multiply-adds are those counted by hand from the tables") {
  static_assert(AlexNet::multiply_adds == 650'062'688);
  static_assert(FerNet::multiply_adds == 108'219'904);
  static_assert(FerNet256::multiply_adds == 3'074'492'160);
  static_assert(VggNet::multiply_adds == 350'519'296);
  static_assert(Vgg10::multiply_adds == 118'040'320);
}

TEST_CASE("a network is found by its name") {
  const auto parameters = [](std::string_view name) {
    return AllModels::visit(name, "a file",
                            [](auto tag) { return decltype(tag)::type::parameter_count; });
  };
  CHECK(parameters("mini_fer") == 784'263);
  CHECK(parameters("alexnet") == 56'873'671);
  CHECK(parameters("resnet33") == 5'325'159);
  using Two = ModelList<FerNet, FerNet256>;
  CHECK_THROWS_WITH_AS(
      Two::visit("vgg_net", "a file", [](auto) { return 0; }),
      "a file: architecture: expected one of 'fer_net', 'fer_net_256', found 'vgg_net'", Error);
  CHECK_THROWS_WITH_AS(ModelList<FerNet>::visit("vgg_net", "a file", [](auto) { return 0; }),
                       "a file: architecture: expected 'fer_net', found 'vgg_net'", Error);
}

TEST_CASE("all layers together compute what their definitions say") {
  const WeightFile file = bench::random_network_file<Zoo>();
  const bench::RandomInputs inputs(3, Zoo::Input::size);
  Zoo::Workspace workspace;
  for (std::size_t i = 0; i < 3; ++i) {
    Image image = make_image(1, Zoo::Input::height, Zoo::Input::width);
    std::copy_n(inputs[i], Zoo::Input::size, image.values.begin());
    TensorReader tensors(file);
    const Image expected = Definition<Zoo::Layers>::apply(image, tensors);
    tensors.finish();
    const auto found = random_network<Zoo>().forward(inputs[i], workspace);
    REQUIRE(expected.values.size() == found.size());
    float largest = 0.0f;
    for (const float value : expected.values) largest = std::max(largest, std::abs(value));
    REQUIRE(largest > 0.1f);
    for (std::size_t o = 0; o < found.size(); ++o) {
      CAPTURE(i);
      CAPTURE(o);
      CAPTURE(expected.values[o]);
      CAPTURE(found[o]);
      CHECK(std::abs(found[o] - expected.values[o]) <= 1e-5f * largest);
    }
  }
}

// AlexNet, VGGNet and FerNet256 are of the same layers, and large.
TEST_CASE_TEMPLATE("forward allocates nothing and gives the same whoever else works", Model, Zoo,
                   FerNet, Vgg10, InceptionFer, ResNet33) {
  CAPTURE(Model::name);
  const Model& network = random_network<Model>();
  constexpr std::size_t count = 2;
  std::vector<float> inputs;
  const bench::RandomInputs random(count, Model::Input::size);
  for (std::size_t i = 0; i < count; ++i) {
    inputs.insert(inputs.end(), random[i], random[i] + Model::Input::size);
  }
  using Outputs = std::array<float, count * Model::Output::size>;

  Outputs alone{};
  typename Model::Workspace workspace;
  const std::size_t before = allocation_count();
  network.forward(count, inputs.data(), alone.data(), workspace);
  CHECK(allocation_count() == before);
  for (const float value : alone) REQUIRE(std::isfinite(value));
  CHECK(*std::max_element(alone.begin(), alone.end()) > 0.0f);

  std::array<Outputs, 2> together{};
  std::vector<std::thread> threads;
  for (Outputs& outputs : together) {
    threads.emplace_back([&] {
      typename Model::Workspace batch(count);
      network.forward(count, inputs.data(), outputs.data(), batch);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Outputs& outputs : together) CHECK(outputs == alone);
}

TEST_CASE("an observer sees every step as it runs") {
  struct Seen {
    ForwardStep step;
    std::vector<float> values;
  };
  std::vector<Seen> seen;
  const Zoo& network = random_network<Zoo>();
  const bench::RandomInputs inputs(1, Zoo::Input::size);
  Zoo::Workspace workspace;
  const auto output =
      network.forward_observed(inputs[0], workspace, [&](const ForwardStep& step, const float* at) {
        const auto size = static_cast<std::size_t>(step.channels) *
                          static_cast<std::size_t>(step.height * step.width);
        seen.push_back({step, std::vector<float>(at, at + size)});
      });
  CHECK(output == network.forward(inputs[0], workspace));
  REQUIRE(seen.size() == Zoo::steps().size());
  CHECK(seen.back().values == std::vector<float>(output.begin(), output.end()));

  const std::vector<std::pair<LayerNames, std::array<int, 3>>> expected = {
      {{"Conv2d", "ReLU"}, {16, 11, 12}},
      {{"LocalResponseNorm"}, {16, 11, 12}},
      {{"MaxPool2d"}, {16, 6, 6}},
      {{"Conv2d", "ReLU"}, {32, 8, 8}},
      {{"Conv2d", "BatchNorm2d", "ReLU"}, {12, 8, 8}},
      {{"Conv2d", "BatchNorm2d", "ReLU"}, {8, 8, 8}},
      {{"Conv2d", "BatchNorm2d", "ReLU"}, {16, 8, 8}},
      {{"Conv2d", "BatchNorm2d", "ReLU"}, {2, 8, 8}},
      {{"Conv2d", "BatchNorm2d", "ReLU"}, {4, 8, 8}},
      {{"MaxPool2d"}, {32, 8, 8}},
      {{"Conv2d", "BatchNorm2d", "ReLU"}, {4, 8, 8}},
      {{"Concatenate"}, {36, 8, 8}},
      {{"MaxPool2d"}, {36, 8, 8}},
      {{"Conv2d", "BatchNorm2d", "ReLU"}, {20, 4, 4}},
      {{"Conv2d", "BatchNorm2d"}, {20, 4, 4}},
      {{"Conv2d", "BatchNorm2d"}, {20, 4, 4}},
      {{"Residual", "ReLU"}, {20, 4, 4}},
      {{"Conv2d", "BatchNorm2d", "ReLU"}, {20, 4, 4}},
      {{"Conv2d", "BatchNorm2d"}, {20, 4, 4}},
      {{"Residual", "ReLU"}, {20, 4, 4}},
      {{"Conv2d", "BatchNorm2d", "ReLU6"}, {24, 4, 4}},
      {{"Conv2d", "BatchNorm2d", "ReLU6"}, {24, 4, 4}},
      {{"Conv2d"}, {20, 4, 4}},
      {{"Residual"}, {20, 4, 4}},
      {{"AvgPool2d"}, {20, 2, 2}},
      {{"Flatten"}, {80, 1, 1}},
      {{"Dense", "BatchNorm2d", "ReLU"}, {17, 1, 1}},
      {{"Dense"}, {7, 1, 1}}};
  REQUIRE(seen.size() == expected.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    CAPTURE(i);
    CHECK(seen[i].step.layers == expected[i].first);
    CHECK(std::array{seen[i].step.channels, seen[i].step.height, seen[i].step.width} ==
          expected[i].second);
  }

  // The joined tensor is its four branches', and a sum is what was added.
  constexpr std::array<std::size_t, 4> branches = {4, 6, 8, 10};
  const Seen& joined = seen[11];
  for (std::size_t pixel = 0, at = 0; pixel < 64; ++pixel) {
    for (const std::size_t branch : branches) {
      const auto channels = static_cast<std::size_t>(seen[branch].step.channels);
      for (std::size_t c = 0; c < channels; ++c, ++at) {
        REQUIRE(joined.values[at] == seen[branch].values[pixel * channels + c]);
      }
    }
  }
  for (std::size_t i = 0; i < seen[16].values.size(); ++i) {
    REQUIRE(seen[16].values[i] == std::max(seen[14].values[i] + seen[15].values[i], 0.0f));
    REQUIRE(seen[19].values[i] == std::max(seen[18].values[i] + seen[16].values[i], 0.0f));
    REQUIRE(seen[23].values[i] == seen[22].values[i] + seen[19].values[i]);
  }
}
