// Every layer against what PyTorch computes (data/make_layers.py).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <ratio>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <mien/layers/layers.hpp>

namespace {

using namespace mien;

/// Takes an image that the file holds as [C][H][W], as [H][W][C].
template <class Shape>
detail::AlignedBuffer take_image(TensorReader& reader, const char* role) {
  const std::vector<float> values = reader.take(
      "case", role,
      {static_cast<std::uint32_t>(Shape::channels), static_cast<std::uint32_t>(Shape::height),
       static_cast<std::uint32_t>(Shape::width)});
  detail::AlignedBuffer image(Shape::size);
  detail::to_channels_last(values.data(), image.data(), Shape::channels,
                           static_cast<std::size_t>(Shape::height * Shape::width));
  return image;
}

template <class Layer, class Input>
void check_layer(const std::string& description, TensorReader& reader) {
  using Compiled = mien::Compiled<Layer, Input>;
  using Output = typename Compiled::Output;
  CAPTURE(description);
  const detail::AlignedBuffer input = take_image<Input>(reader, "input");
  const Compiled layer(reader);
  const detail::AlignedBuffer expected = take_image<Output>(reader, "output");

  float largest = 1.0f;
  for (std::size_t i = 0; i < Output::size; ++i) largest = std::max(largest, std::abs(expected[i]));
  const float tolerance = 32.0f * std::numeric_limits<float>::epsilon() * largest;
  for (const int count : {1, 3}) {
    CAPTURE(count);
    // In a batch of three another input stands in the middle.
    std::vector<float> inputs(static_cast<std::size_t>(count) * Input::size, 0.5f);
    for (int i = 0; i < count; i += 2) {
      std::copy_n(input.data(), Input::size, inputs.data() + detail::value_count<Input>(i));
    }
    // Guard values behind output and scratch show a layer that writes beyond its memory.
    constexpr std::size_t guard = 16;
    constexpr float guard_value = 12345.0f;
    const std::size_t output_size = detail::value_count<Output>(count);
    const std::size_t scratch_size = static_cast<std::size_t>(count) * Compiled::scratch_size;
    std::vector<float> output(output_size + guard, guard_value);
    detail::AlignedBuffer scratch(scratch_size + guard);
    std::fill_n(scratch.data(), scratch.size(), guard_value);
    layer.forward(count, inputs.data(), output.data(), scratch.data());

    for (int i = 0; i < count; i += 2) {
      const float* const found = output.data() + detail::value_count<Output>(i);
      for (std::size_t o = 0; o < Output::size; ++o) {
        CAPTURE(i);
        CAPTURE(o);
        CAPTURE(expected[o]);
        CAPTURE(found[o]);
        REQUIRE(std::abs(found[o] - expected[o]) <= tolerance);
      }
    }
    for (std::size_t i = output_size; i < output.size(); ++i) REQUIRE(output[i] == guard_value);
    for (std::size_t i = scratch_size; i < scratch.size(); ++i) REQUIRE(scratch[i] == guard_value);
  }
}

}  // namespace

TEST_CASE("every layer computes what PyTorch does") {
  const WeightFile file = WeightFile::load(MIEN_TEST_DATA "/layers.mien");
  TensorReader reader(file);
#define LAYER_CASE(...) check_layer<__VA_ARGS__>(#__VA_ARGS__, reader);
#include "data/layer_cases.inc"
#undef LAYER_CASE
  reader.finish();
}

TEST_CASE("parameters are counted as PyTorch counts them") {
  CHECK(Compiled<Conv2d<3, 8, Kernel<3>>, Shape<3, 5, 5>>::parameter_count == 224);
  CHECK(Compiled<Conv2d<3, 8, Kernel<3>, NoBias>, Shape<3, 5, 5>>::parameter_count == 216);
  CHECK(Compiled<Conv2d<4, 8, Kernel<3>, Groups<2>>, Shape<4, 5, 5>>::parameter_count == 152);
  CHECK(Compiled<BatchNorm2d<6>, Shape<6, 5, 5>>::parameter_count == 12);
  CHECK(Compiled<Dense<10, 7>, Shape<10, 1, 1>>::parameter_count == 77);
  CHECK(Compiled<InvertedResidual<128, 256>, Shape<128, 9, 9>>::parameter_count == 68864);
  CHECK(Compiled<AvgPool2d<Kernel<2>>, Shape<3, 4, 4>>::parameter_count == 0);
  using Branches = Concatenate<Conv2d<3, 8, Kernel<1>>, Conv2d<3, 2, Kernel<1>, NoBias>>;
  CHECK(Compiled<Branches, Shape<3, 5, 5>>::parameter_count == 38);
}

TEST_CASE("a rectifier hands on what is not a number") {
  // As PyTorch does: a network that has gone wrong must not look right.
  const WeightFile file = WeightFile::load(MIEN_TEST_DATA "/layers.mien");
  TensorReader none(file);
  const Compiled<ReLU6, Shape<1, 1, 3>> layer(none);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float input[] = {nan, -1.0f, 7.0f};
  float output[3];
  layer.forward(1, input, output, nullptr);
  CHECK(std::isnan(output[0]));
  CHECK(output[1] == 0.0f);
  CHECK(output[2] == 6.0f);
}
