// Fast kernels against their naive references, over random shapes and alignments.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <mien/kernels/nn.hpp>

#include "sanitized.hpp"

namespace {

using namespace mien;
using namespace mien::kernels;

constexpr float unit_roundoff = std::numeric_limits<float>::epsilon() / 2;

int output_size(int size, int kernel, int stride, int padding) {
  return (size + 2 * padding - kernel) / stride + 1;
}

std::string text(const WindowGeometry& g) {
  const auto pair = [](int y, int x) { return std::to_string(y) + "x" + std::to_string(x); };
  return "input " + std::to_string(g.in_channels) + "x" + pair(g.in_height, g.in_width) +
         ", output " + std::to_string(g.out_channels) + "x" + pair(g.out_height, g.out_width) +
         ", kernel " + pair(g.kernel_height, g.kernel_width) + ", stride " +
         pair(g.stride_y, g.stride_x) + ", padding " + pair(g.padding_y, g.padding_x) +
         ", dilation " + pair(g.dilation_y, g.dilation_x) + ", groups " + std::to_string(g.groups);
}

class Random {
 public:
  explicit Random(unsigned seed) : generator_(seed) {}

  int between(int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(generator_);
  }

  std::vector<float> values(std::size_t count) {
    std::normal_distribution<float> normal;
    std::vector<float> result(count);
    for (float& value : result) value = normal(generator_);
    return result;
  }

  /// A window that fits: kernel up to 7, stride up to 3, dilation up to 3, padding up to
  /// `most_padding`, below and to the right another number, or as much as the last window needs.
  WindowGeometry window(int most_padding) {
    WindowGeometry g{};
    g.kernel_height = between(1, 7);
    g.kernel_width = between(1, 7);
    g.stride_y = between(1, 3);
    g.stride_x = between(1, 3);
    g.padding_y = between(0, std::min(most_padding, g.kernel_height / 2));
    g.padding_x = between(0, std::min(most_padding, g.kernel_width / 2));
    g.groups = 1;
    g.dilation_y = g.dilation_x = 1;
    if (between(0, 3) == 0) {
      g.dilation_y = between(1, 3);
      g.dilation_x = between(1, 3);
    }
    int below = g.padding_y;
    int right = g.padding_x;
    if (between(0, 3) == 0) {
      below = between(0, most_padding);
      right = between(0, most_padding);
    }
    const auto fit = [this](int extent, int padding, int most) {
      return between(std::max(1, extent - padding), std::max(most, extent));
    };
    g.in_height = fit(g.extent_y(), g.padding_y + below, 15);
    g.in_width = fit(g.extent_x(), g.padding_x + right, 30);
    g.out_height = (g.in_height + g.padding_y + below - g.extent_y()) / g.stride_y + 1;
    g.out_width = (g.in_width + g.padding_x + right - g.extent_x()) / g.stride_x + 1;
    return g;
  }

 private:
  std::mt19937 generator_;
};

std::size_t size_of(int channels, int height, int width) {
  return static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) *
         static_cast<std::size_t>(width);
}

std::vector<float> absolute(std::vector<float> values) {
  for (float& value : values) value = std::abs(value);
  return values;
}

/// What rounding may make of every output of a convolution: with high probability a sum of n
/// products is off by no more than lambda sqrt(n) u times the sum of the products' sizes (Higham
/// and Mary, "A New Approach to Probabilistic Rounding Error Analysis", 2019, theorem 3.1).
std::vector<float> rounding_bounds(const WindowGeometry& g, const std::vector<float>& input,
                                   const std::vector<float>& weights,
                                   const std::vector<float>& bias,
                                   const std::vector<float>& added) {
  constexpr float lambda = 6.0f;
  const std::size_t products = weights.size() / bias.size();
  const auto terms = static_cast<float>(products + (added.empty() ? 2 : 3));
  std::vector<float> bounds(size_of(g.out_channels, g.out_height, g.out_width));
  naive::conv2d(g, absolute(input).data(), absolute(weights).data(), absolute(bias).data(),
                Activation::none, bounds.data(), added.empty() ? nullptr : absolute(added).data());
  for (float& bound : bounds) bound *= lambda * std::sqrt(terms) * unit_roundoff;
  return bounds;
}

void check_close(const std::string& what, const std::vector<float>& expected, const float* found,
                 const std::vector<float>& bounds) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    // Equal infinities have no difference.
    if (found[i] == expected[i] || std::abs(found[i] - expected[i]) <= bounds[i]) continue;
    FAIL(name(choose_instruction_set())
         << ", " << what << ", element " << i << ": expected " << expected[i] << ", found "
         << found[i] << ", difference " << found[i] - expected[i] << ", allowed " << bounds[i]);
  }
}

/// What a pooling leaves of an image.
std::vector<float> pooled(const WindowGeometry& g, Pooling pooling,
                          const std::vector<float>& image) {
  if (pooling == Pooling::none) return image;
  const int channels = g.out_channels;
  const WindowGeometry window = {channels,
                                 g.out_height,
                                 g.out_width,
                                 channels,
                                 g.out_height / 2,
                                 g.out_width / 2,
                                 2,
                                 2,
                                 2,
                                 2,
                                 0,
                                 0};
  std::vector<float> result(size_of(channels, window.out_height, window.out_width));
  naive::max_pool2d(window, image.data(), result.data());
  return result;
}

/// The values of every group followed by zeros up to whole blocks, as weights are packed.
std::vector<float> padded_groups(const std::vector<float>& values, int groups, int block) {
  const std::size_t group = values.size() / static_cast<std::size_t>(groups);
  const auto step = static_cast<std::size_t>(block);
  std::vector<float> result;
  for (std::size_t first = 0; first < values.size(); first += group) {
    const auto from = values.begin() + static_cast<std::ptrdiff_t>(first);
    result.insert(result.end(), from, from + static_cast<std::ptrdiff_t>(group));
    result.resize((result.size() + step - 1) / step * step);
  }
  return result;
}

const KernelTable& chosen() {
  return chosen_table();
}

constexpr Activation activations[] = {Activation::none, Activation::relu, Activation::relu6};

/// What a convolution is tested with besides its geometry.
struct Setting {
  int images = 1;
  int misalignment = 0;  // in floats, of everything that the kernel is handed
  Activation activation = Activation::none;
  Pooling pooling = Pooling::none;
  bool adds = false;
};

std::string text(const Setting& setting) {
  return "images " + std::to_string(setting.images) + ", misalignment " +
         std::to_string(setting.misalignment) + ", activation " + name(setting.activation) +
         ", pooling " + name(setting.pooling) + ", added " + (setting.adds ? "yes" : "no");
}

/// The error that is allowed relative to the largest output, where rounding loses more than the
/// definition: minimal filtering, in proportion to the largest values of a tile. 0 elsewhere.
double relative_bound(const ConvolutionMethod& method) {
  if (&method == &winograd_5x5_method) return 1e-4;
  return &method == &winograd_3x3_method || &method == &winograd_3x3_small_method ? 1e-5 : 0.0;
}

void append(std::vector<float>& to, const std::vector<float>& values) {
  to.insert(to.end(), values.begin(), values.end());
}

void check_convolution(const ConvolutionMethod& method, const WindowGeometry& g,
                       const Setting& setting, Random& random) {
  constexpr std::size_t guards = 16;
  constexpr float guard = 54321.0f;
  const std::size_t filter = size_of(g.in_channels / g.groups, g.kernel_height, g.kernel_width);
  const std::size_t full_size = size_of(g.out_channels, g.out_height, g.out_width);
  const auto count = static_cast<std::size_t>(setting.images);
  const auto offset = static_cast<std::size_t>(setting.misalignment);
  const auto weights = random.values(filter * static_cast<std::size_t>(g.out_channels));
  const auto bias = random.values(static_cast<std::size_t>(g.out_channels));
  std::vector<float> input(offset);
  std::vector<float> added(offset);
  std::vector<float> expected;
  std::vector<float> bounds;
  float largest = 0.0f;
  for (std::size_t i = 0; i < count; ++i) {
    const auto image = random.values(g.input_size());
    const auto addend = setting.adds ? random.values(full_size) : std::vector<float>();
    append(input, image);
    append(added, addend);
    std::vector<float> output(full_size);
    const auto convolve = [&](Activation activation) {
      naive::conv2d(g, image.data(), weights.data(), bias.data(), activation, output.data(),
                    setting.adds ? addend.data() : nullptr);
    };
    convolve(Activation::none);
    for (const float size : absolute(output)) largest = std::max(largest, size);
    convolve(setting.activation);
    append(expected, pooled(g, setting.pooling, output));
    // The larger of two values is off by no more than the more uncertain of them.
    append(bounds, pooled(g, setting.pooling, rounding_bounds(g, image, weights, bias, addend)));
  }
  if (const double bound = relative_bound(method); bound > 0.0) {
    bounds.assign(expected.size(), static_cast<float>(bound) * largest);
  }

  const int block = chosen().block;
  std::vector<float> packed(method.packed_size(g, block) + offset);
  method.pack(g, block, weights.data(), packed.data() + offset);
  std::vector<float> packed_bias = padded_groups(bias, g.groups, method.in_blocks ? block : 1);
  packed_bias.insert(packed_bias.begin(), offset, 0.0f);
  std::vector<float> scratch(count * method.scratch_size(g) + offset + guards, guard);
  std::vector<float> output(expected.size() + offset + guards, guard);
  Epilogue epilogue{packed_bias.data() + offset};
  epilogue.activation = setting.activation;
  epilogue.pooling = setting.pooling;
  if (setting.adds) epilogue.added = added.data() + offset;
  method.run(chosen(), g, setting.images, input.data() + offset, packed.data() + offset, epilogue,
             scratch.data() + offset, output.data() + offset);
  const std::string what =
      std::string(method.name) + " convolution, " + text(g) + ", " + text(setting);
  check_close(what, expected, output.data() + offset, bounds);
  for (std::size_t i = 0; i < offset; ++i) REQUIRE_MESSAGE(output[i] == guard, what);
  for (std::size_t i = output.size() - guards; i < output.size(); ++i) {
    REQUIRE_MESSAGE(output[i] == guard, what);
  }
  for (std::size_t i = scratch.size() - guards; i < scratch.size(); ++i) {
    REQUIRE_MESSAGE(scratch[i] == guard, what);
  }
}

/// Whatever suits the geometry, with and without something to add, and pooled where that can be.
void check_every_method(const WindowGeometry& g, Setting setting, Random& random) {
  for (const ConvolutionMethod* method : convolution_methods) {
    if (!method->suits(g)) continue;
    setting.pooling = Pooling::none;
    setting.adds = false;
    check_convolution(*method, g, setting, random);
    setting.adds = true;
    check_convolution(*method, g, setting, random);
    setting.adds = false;
    setting.pooling = Pooling::max_2x2;
    if (method->can_pool) check_convolution(*method, g, setting, random);
  }
}

/// Shapes for one of Winograd's methods, some of them of fewer tiles than it suits.
void check_winograd(const ConvolutionMethod& method, int kernel, Random& random) {
  for (int round = 0; round < rounds(48); ++round) {
    WindowGeometry g{};
    g.groups = round % 4 == 0 ? random.between(2, 3) : 1;
    g.in_channels = g.groups * winograd_channels * random.between(1, 4);
    g.out_channels = g.groups * winograd_channels * random.between(1, 5);
    g.in_height = random.between(kernel, 19);
    g.in_width = random.between(kernel, 19);
    g.kernel_height = g.kernel_width = kernel;
    g.stride_y = g.stride_x = 1;
    g.padding_y = random.between(0, kernel - 1);
    g.padding_x = random.between(0, kernel - 1);
    g.out_height = output_size(g.in_height, g.kernel_height, 1, g.padding_y);
    g.out_width = output_size(g.in_width, g.kernel_width, 1, g.padding_x);
    Setting setting;
    setting.images = random.between(1, 5);
    setting.misalignment = random.between(0, 15);
    setting.activation = activations[round % 3];
    setting.pooling = round % 2 == 0 ? Pooling::none : Pooling::max_2x2;
    setting.adds = round % 4 == 2 || round % 8 == 0;
    check_convolution(method, g, setting, random);
  }
}

}  // namespace

TEST_CASE("convolutions by every method that suits agree with their definition") {
  Random random(1);
  for (int round = 0; round < rounds(300); ++round) {
    WindowGeometry g = random.window(3);
    g.groups = round % 4 == 0 ? random.between(2, 4) : 1;
    g.in_channels = g.groups * random.between(1, 20);
    g.out_channels = g.groups * random.between(1, 70);
    Setting setting;
    setting.images = random.between(1, 3);
    setting.misalignment = random.between(0, 15);
    setting.activation = activations[round % 3];
    check_every_method(g, setting, random);
  }
}

TEST_CASE("direct convolution fills tiles of every width") {
  Random random(2);
  for (int width = 1; width <= 40; ++width) {
    const WindowGeometry spread = {3, 1, width + 2, 32, 1, width, 1, 3, 1, 1, 0, 0, 1};
    const WindowGeometry flat = {5, 2, width, 33, 2, width, 1, 1, 1, 1, 0, 0, 1};
    const WindowGeometry narrow = {3, 1, width + 2, 4, 1, width, 1, 3, 1, 1, 0, 0, 1};
    for (const WindowGeometry& g : {spread, flat, narrow}) {
      Setting setting;
      check_convolution(direct_method, g, setting, random);
      setting.adds = true;
      check_convolution(direct_method, g, setting, random);
      setting.adds = false;
      setting.pooling = Pooling::max_2x2;
      check_convolution(direct_method, g, setting, random);
    }
  }
}

TEST_CASE("direct convolution fills blocks of every width") {
  Random random(9);
  for (int channels = 1; channels <= 2 * largest_block; ++channels) {
    const WindowGeometry g = {4, 3, 14, channels, 3, 14, 3, 3, 1, 1, 1, 1, 1};
    Setting setting;
    setting.activation = activations[channels % 3];
    check_convolution(direct_method, g, setting, random);
    setting.adds = true;
    check_convolution(direct_method, g, setting, random);
    setting.adds = false;
    setting.pooling = Pooling::max_2x2;
    check_convolution(direct_method, g, setting, random);
  }
}

TEST_CASE("minimal filtering agrees with the definition of convolution") {
  Random random(5);
  check_winograd(winograd_3x3_method, 3, random);
  check_winograd(winograd_3x3_small_method, 3, random);
  check_winograd(winograd_5x5_method, 5, random);
}

TEST_CASE("depthwise convolution agrees with its definition") {
  Random random(3);
  for (int round = 0; round < rounds(400); ++round) {
    WindowGeometry g = random.window(3);
    if (round % 4 != 0) {  // which have loops of their own, but for those with dilation
      g.kernel_width = random.between(0, 1) == 0 ? 3 : 5;
      g.stride_x = random.between(1, 2);
      g.padding_x = random.between(0, g.extent_x() / 2);
      g.in_width = random.between(g.extent_x(), 30);
      const int right = random.between(0, g.kernel_width / 2 + 1);
      g.out_width = (g.in_width + g.padding_x + right - g.extent_x()) / g.stride_x + 1;
    }
    g.in_channels = g.out_channels = g.groups = random.between(1, 70);
    Setting setting;
    setting.images = random.between(1, 2);
    setting.misalignment = random.between(0, 15);
    setting.activation = activations[round % 3];
    setting.adds = round % 8 < 4;
    check_convolution(depthwise_method, g, setting, random);
  }
}

TEST_CASE("convolution of small groups agrees with its definition") {
  Random random(13);
  for (int round = 0; round < rounds(300); ++round) {
    WindowGeometry g = random.window(3);
    const int group = 2 << round % 3;
    g.kernel_width = 3;
    g.stride_x = random.between(1, 2);
    g.padding_x = random.between(0, 1);
    g.in_width = random.between(9, 30);
    if (round % 4 == 0) g.in_width = random.between(3, 9);  // one narrow tile
    g.dilation_y = g.dilation_x = 1;
    const int right = random.between(0, 1);
    g.out_width = (g.in_width + g.padding_x + right - 3) / g.stride_x + 1;
    g.groups = random.between((16 + group - 1) / group, 70 / group);
    g.in_channels = g.out_channels = g.groups * group;
    if (!grouped_method.suits(g)) {
      CHECK(g.out_width < 4);
      continue;
    }
    Setting setting;
    setting.images = random.between(1, 2);
    setting.misalignment = random.between(0, 15);
    setting.activation = activations[round % 3];
    setting.adds = round % 8 < 4;
    check_convolution(grouped_method, g, setting, random);
  }
}

TEST_CASE("the first method that suits is chosen") {
  const auto square = [](int channels, int side, int kernel, int padding, int groups) {
    const int out = output_size(side, kernel, 1, padding);
    return WindowGeometry{channels, side, side, channels, out,     out,   kernel,
                          kernel,   1,    1,    padding,  padding, groups};
  };
  CHECK(&choose_convolution_method(square(64, 20, 3, 1, 64)) == &depthwise_method);
  CHECK(&choose_convolution_method(square(64, 20, 3, 1, 16)) == &grouped_method);
  CHECK(&choose_convolution_method(square(64, 20, 3, 1, 4)) == &winograd_3x3_method);
  CHECK(&choose_convolution_method(square(8, 20, 3, 1, 2)) == &direct_method);
  CHECK(&choose_convolution_method(square(64, 3, 3, 1, 16)) == &direct_method);
  CHECK(&choose_convolution_method(square(64, 20, 3, 1, 1)) == &winograd_3x3_method);
  CHECK(&choose_convolution_method(square(64, 6, 3, 1, 1)) == &winograd_3x3_small_method);
  CHECK(&choose_convolution_method(square(64, 20, 5, 1, 1)) == &winograd_5x5_method);
  CHECK(&choose_convolution_method(square(64, 2, 3, 1, 1)) == &direct_method);
  CHECK(&choose_convolution_method(square(24, 20, 3, 1, 1)) == &direct_method);
  CHECK(&choose_convolution_method(square(64, 20, 1, 0, 1)) == &direct_method);
  WindowGeometry dilated = square(64, 20, 3, 2, 1);
  dilated.out_height = dilated.out_width = 20;
  dilated.dilation_y = dilated.dilation_x = 2;
  CHECK(&choose_convolution_method(dilated) == &direct_method);
  dilated.groups = 16;
  CHECK(&choose_convolution_method(dilated) == &direct_method);
  dilated.groups = 64;
  CHECK(&choose_convolution_method(dilated) == &depthwise_method);
}

TEST_CASE("few channels are computed in vectors of half the width") {
  for (const InstructionSet set : instruction_sets) {
    if (!supported(set)) continue;
    const KernelTable& table = table_for(set);
    CHECK(&table_for_channels(table, largest_block) == &table);
    if (table.half_width == nullptr) continue;
    CHECK(2 * table.half_width->block == table.block);
    CHECK(&table_for_channels(table, table.block / 2) == table.half_width);
    CHECK(&table_for_channels(table, table.block / 2 + 1) == &table);
  }
}

TEST_CASE("a packed convolution computes as its method does") {
  Random random(10);
  for (const int channels : {7, 16, 48}) {
    for (const Pooling pooling : {Pooling::none, Pooling::max_2x2}) {
      const WindowGeometry g = {16, 14, 14, channels, 14, 14, 3, 3, 1, 1, 1, 1, 1};
      constexpr int images = 3;
      const auto weights = random.values(size_of(16 * channels, 3, 3));
      const auto bias = random.values(static_cast<std::size_t>(channels));
      const auto input = random.values(images * g.input_size());
      const auto added = random.values(images * g.output_size());
      const bool pools = pooling == Pooling::max_2x2;
      std::vector<float> expected;
      for (int i = 0; i < images; ++i) {
        std::vector<float> image(g.output_size());
        naive::conv2d(
            g, input.data() + static_cast<std::size_t>(i) * g.input_size(), weights.data(),
            bias.data(), Activation::relu, image.data(),
            pools ? nullptr : added.data() + static_cast<std::size_t>(i) * g.output_size());
        append(expected, pooled(g, pooling, image));
      }
      const PackedConvolution convolution(g, weights.data(), bias.data(), Activation::relu,
                                          pooling);
      std::vector<float> scratch(images * convolution.scratch_size());
      std::vector<float> output(expected.size());
      convolution.run(images, input.data(), pools ? nullptr : added.data(), scratch.data(),
                      output.data());
      check_close("packed convolution, " + text(g) + ", pooling " + name(pooling), expected,
                  output.data(), std::vector<float>(expected.size(), 1e-3f));

      const PackedConvolution plain(direct_method, g, weights.data(), nullptr);
      CHECK(&plain.method() == &direct_method);
      const std::vector<float> zeros(bias.size());
      std::vector<float> whole(g.output_size());
      naive::conv2d(g, input.data(), weights.data(), nullptr, Activation::none, whole.data());
      std::vector<float> padded(plain.scratch_size());
      std::vector<float> found(whole.size());
      plain.run(1, input.data(), nullptr, padded.data(), found.data());
      const std::vector<float> image(input.begin(),
                                     input.begin() + static_cast<std::ptrdiff_t>(g.input_size()));
      check_close("packed direct convolution, " + text(g), whole, found.data(),
                  rounding_bounds(g, image, weights, zeros, {}));
    }
  }
}

std::size_t weight_count(const WindowGeometry& g) {
  return size_of(g.out_channels * (g.in_channels / g.groups), g.kernel_height, g.kernel_width);
}

/// A convolution of bytes by its definition; every instruction set computes exactly this.
std::vector<float> quantized_by_definition(const WindowGeometry& g, const QuantizedWeights& weights,
                                           const std::vector<float>& bias, Activation activation,
                                           Pooling pooling, const std::vector<float>& input,
                                           const std::vector<float>& added) {
  const float factor = 1.0f / weights.input_scale;
  std::vector<float> values;  // bytes without their zero point
  for (const float value : input) {
    const float byte = std::nearbyint(value * factor) + static_cast<float>(weights.zero_point);
    values.push_back(byte > 0.0f ? std::min(byte, 255.0f) - static_cast<float>(weights.zero_point)
                                 : static_cast<float>(-weights.zero_point));
  }
  const std::vector<float> filters(weights.bytes, weights.bytes + weight_count(g));
  std::vector<float> output(g.output_size());
  naive::conv2d(g, values.data(), filters.data(), nullptr, Activation::none, output.data());
  for (std::size_t i = 0; i < output.size(); ++i) {
    const std::size_t o = i % bias.size();
    const volatile float product = output[i] * (weights.input_scale * weights.scale[o]);
    output[i] = product + bias[o];
    if (!added.empty()) output[i] += added[i];
    output[i] = activated(activation, output[i]);
  }
  return pooled(g, pooling, output);
}

TEST_CASE("convolution of bytes is exactly its definition") {
  Random random(19);
  for (int trial = 0; trial < 300; ++trial) {
    WindowGeometry g = random.window(3);
    if (trial % 3 == 0) {
      g = {0, random.between(1, 9), random.between(1, 9), 0, 0, 0, 1, 1, 1, 1, 0, 0};
      g.out_height = g.in_height;
      g.out_width = g.in_width;
    }
    g.in_channels = random.between(1, 40);
    g.out_channels = random.between(1, 70);
    if (trial % 2 == 1) {
      // Depthwise, or of several channels in each group.
      const bool is_depthwise = trial % 4 == 1;
      g.groups = is_depthwise ? random.between(2, 70) : random.between(2, 5);
      g.in_channels = g.groups * (is_depthwise ? 1 : random.between(1, 9));
      g.out_channels = g.groups * (is_depthwise ? 1 : random.between(1, 20));
    }
    const bool pools = trial % 8 >= 6 && g.out_height > 1 && g.out_width > 1 &&
                       !mien::kernels::depthwise::suits(g);
    const Pooling pooling = pools ? Pooling::max_2x2 : Pooling::none;
    const bool adds = !pools && trial % 2 == 0;
    const auto activation = static_cast<Activation>(trial % 3);
    const int images = random.between(1, 3);
    // The largest products all at once, or any.
    const bool is_extreme = trial % 5 == 0;
    std::vector<std::int8_t> bytes(weight_count(g));
    for (std::int8_t& byte : bytes) {
      byte = static_cast<std::int8_t>(is_extreme ? (trial % 2 == 0 ? 64 : -64)
                                                 : random.between(-64, 64));
    }
    auto scale = absolute(random.values(static_cast<std::size_t>(g.out_channels)));
    if (trial % 7 == 0) scale[0] = -scale[0];
    const QuantizedWeights weights{bytes.data(), scale.data(), 0.02f,
                                   trial % 2 == 0 ? 0 : random.between(0, 255)};
    const auto bias = random.values(scale.size());
    auto input = random.values(static_cast<std::size_t>(images) * g.input_size());
    for (float& value : input) value = is_extreme ? 1e30f : 2.0f * value;
    if (trial % 6 == 1) {
      input.front() = std::numeric_limits<float>::quiet_NaN();
      input.back() = -std::numeric_limits<float>::infinity();
    }
    const auto added = adds ? random.values(static_cast<std::size_t>(images) * g.output_size())
                            : std::vector<float>();
    std::vector<float> expected;
    for (int i = 0; i < images; ++i) {
      const auto part = [&](const std::vector<float>& of, std::size_t size) {
        if (of.empty()) return of;
        const auto first = of.begin() + static_cast<std::ptrdiff_t>(size) * i;
        return std::vector<float>(first, first + static_cast<std::ptrdiff_t>(size));
      };
      append(expected,
             quantized_by_definition(g, weights, bias, activation, pooling,
                                     part(input, g.input_size()), part(added, g.output_size())));
    }
    const PackedConvolution convolution(g, weights, bias.data(), activation, pooling);
    mien::detail::AlignedBuffer scratch(static_cast<std::size_t>(images) *
                                        convolution.scratch_size());
    std::vector<float> output(expected.size());
    convolution.run(images, input.data(), adds ? added.data() : nullptr, scratch.data(),
                    output.data());
    check_close("convolution of bytes, " + text(g) + ", trial " + std::to_string(trial), expected,
                output.data(), std::vector<float>(expected.size(), 0.0f));
  }
}

TEST_CASE("max_pool2d agrees with its definition") {
  Random random(4);
  for (int round = 0; round < rounds(600); ++round) {
    WindowGeometry g = random.window(3);
    if (round % 2 == 0) {
      // Squares, on whose like networks pool; some windows end or begin outside the image.
      g.dilation_y = g.dilation_x = 1;
      g.kernel_height = g.kernel_width = random.between(2, 3);
      g.padding_y = random.between(0, g.kernel_height);
      g.padding_x = random.between(0, g.kernel_width);
      const int beyond = random.between(0, 1);
      const int height = g.in_height + 2 * g.padding_y - g.kernel_height;
      const int width = g.in_width + 2 * g.padding_x - g.kernel_width;
      g.out_height = (height < 0 ? 0 : height / g.stride_y) + 1 + beyond;
      g.out_width = (width < 0 ? 0 : width / g.stride_x) + 1 + beyond;
    }
    g.in_channels = g.out_channels = random.between(1, 70);
    const auto offset = static_cast<std::size_t>(random.between(0, 15));
    const auto input = random.values(size_of(g.in_channels, g.in_height, g.in_width));
    std::vector<float> expected(size_of(g.out_channels, g.out_height, g.out_width));
    naive::max_pool2d(g, input.data(), expected.data());
    std::vector<float> output(expected.size() + offset);
    chosen().max_pool2d(g, input.data(), output.data() + offset);
    check_close("max_pool2d, " + text(g) + ", misalignment " + std::to_string(offset), expected,
                output.data() + offset, std::vector<float>(expected.size()));
  }
}

TEST_CASE("avg_pool2d agrees with its definition") {
  Random random(6);
  for (int round = 0; round < rounds(300); ++round) {
    WindowGeometry g = random.window(3);
    g.in_channels = g.out_channels = random.between(1, 70);
    const auto offset = static_cast<std::size_t>(random.between(0, 15));
    const auto input = random.values(size_of(g.in_channels, g.in_height, g.in_width));
    std::vector<float> expected(size_of(g.out_channels, g.out_height, g.out_width));
    g.dilation_y = g.dilation_x = 1;
    CountedPadding counted;
    if (round % 2 == 0) counted = {g.padding_y, g.padding_x, round / 2 % 3, round / 4 % 3};
    const auto has_windows_that_count = [&] {
      for (int y = 0; y < g.out_height; ++y) {
        for (int x = 0; x < g.out_width; ++x) {
          const Window window = clipped_window(g, y, x);
          if (window.first_y >= window.last_y || window.first_x >= window.last_x) return false;
        }
      }
      return true;
    };
    if (!has_windows_that_count()) continue;
    naive::avg_pool2d(g, counted, input.data(), expected.data());
    std::vector<float> output(expected.size() + offset);
    chosen().avg_pool2d(g, counted, input.data(), output.data() + offset);
    std::vector<float> bounds(expected.size());
    naive::avg_pool2d(g, counted, absolute(input).data(), bounds.data());
    const auto taps = static_cast<float>(g.kernel_height * g.kernel_width);
    for (float& bound : bounds) bound *= (taps + 2.0f) * unit_roundoff;
    check_close("avg_pool2d, " + text(g) + ", misalignment " + std::to_string(offset), expected,
                output.data() + offset, bounds);
  }
}

TEST_CASE("pooling to a given size agrees with its definition") {
  Random random(12);
  for (int round = 0; round < rounds(200); ++round) {
    const AdaptiveGeometry g = {random.between(1, 140), random.between(1, 9), random.between(1, 9),
                                random.between(1, 9), random.between(1, 9)};
    const std::string what = "channels " + std::to_string(g.channels) + ", from " +
                             std::to_string(g.in_height) + "x" + std::to_string(g.in_width) +
                             " to " + std::to_string(g.out_height) + "x" +
                             std::to_string(g.out_width);
    const auto offset = static_cast<std::size_t>(random.between(0, 15));
    const auto input = random.values(g.input_size());
    std::vector<float> expected(g.output_size());
    std::vector<float> output(expected.size() + offset);
    naive::adaptive_max_pool2d(g, input.data(), expected.data());
    chosen().adaptive_max_pool2d(g, input.data(), output.data() + offset);
    check_close("adaptive_max_pool2d, " + what, expected, output.data() + offset,
                std::vector<float>(expected.size()));
    std::vector<float> bounds(expected.size());
    naive::adaptive_avg_pool2d(g, absolute(input).data(), bounds.data());
    for (float& bound : bounds) {
      bound *= static_cast<float>(g.in_height + g.in_width + 3) * unit_roundoff;
    }
    naive::adaptive_avg_pool2d(g, input.data(), expected.data());
    chosen().adaptive_avg_pool2d(g, input.data(), output.data() + offset);
    check_close("adaptive_avg_pool2d, " + what, expected, output.data() + offset, bounds);
  }
}

TEST_CASE("bilinear interpolation agrees with its definition") {
  Random random(13);
  for (int round = 0; round < rounds(200); ++round) {
    const int in_width = random.between(1, 9);
    BilinearRow row{};
    row.channels = random.between(1, 70);
    row.width = random.between(1, 12);
    std::vector<int> left;
    std::vector<int> right;
    std::vector<float> share;
    for (int x = 0; x < row.width; ++x) {
      left.push_back(random.between(0, in_width - 1));
      right.push_back(random.between(0, in_width - 1));
      share.push_back(static_cast<float>(random.between(0, 100)) / 100.0f);
    }
    const auto upper = random.values(size_of(row.channels, 1, in_width));
    const auto lower = random.values(upper.size());
    row.left = left.data();
    row.right = right.data();
    row.right_share = share.data();
    row.lower_share = static_cast<float>(random.between(0, 100)) / 100.0f;
    const std::vector<float> upper_sizes = absolute(upper);
    const std::vector<float> lower_sizes = absolute(lower);
    std::vector<float> bounds(size_of(row.channels, 1, row.width));
    row.upper = upper_sizes.data();
    row.lower = lower_sizes.data();
    naive::bilinear_row(row, bounds.data());
    for (float& bound : bounds) bound *= 8.0f * unit_roundoff;
    std::vector<float> expected(bounds.size());
    row.upper = upper.data();
    row.lower = lower.data();
    naive::bilinear_row(row, expected.data());
    const auto offset = static_cast<std::size_t>(random.between(0, 15));
    std::vector<float> output(expected.size() + offset);
    chosen().bilinear_row(row, output.data() + offset);
    check_close("bilinear_row, channels " + std::to_string(row.channels), expected,
                output.data() + offset, bounds);
  }
}

TEST_CASE("local_response_norm agrees with its definition") {
  Random random(7);
  const float betas[] = {0.25f, 0.5f, 0.75f, 1.0f};
  for (int round = 0; round < 200; ++round) {
    const LocalResponse response = {random.between(1, 12), 0.1f * static_cast<float>(round % 7),
                                    betas[round % 4], 0.5f * static_cast<float>(1 + round % 3)};
    REQUIRE(has_fast_power(response.beta));
    const int channels = random.between(1, 100);
    const int pixels = random.between(1, 9);
    const auto offset = static_cast<std::size_t>(random.between(0, 15));
    auto input = random.values(size_of(channels, 1, pixels) + offset);
    for (float& value : input) value *= 4.0f;
    std::vector<float> expected(input.size() - offset);
    naive::local_response_norm(pixels, channels, response, input.data() + offset, expected.data());
    constexpr std::size_t guards = 16;
    constexpr float guard = 54321.0f;
    const std::size_t scratch_size = local_response_norm_scratch_size(channels, response);
    std::vector<float> scratch(offset + scratch_size + guards, guard);
    std::vector<float> output(offset + expected.size() + guards, guard);
    chosen().local_response_norm(pixels, channels, response, input.data() + offset,
                                 scratch.data() + offset, output.data() + offset);
    // The sum of squares is of one sign, so every operation adds its own rounding at most.
    std::vector<float> bounds = absolute(expected);
    for (float& bound : bounds) bound *= static_cast<float>(response.size + 8) * unit_roundoff;
    check_close("local_response_norm, size " + std::to_string(response.size) + ", alpha " +
                    std::to_string(response.alpha) + ", beta " + std::to_string(response.beta) +
                    ", k " + std::to_string(response.k) + ", channels " + std::to_string(channels) +
                    ", pixels " + std::to_string(pixels) + ", misalignment " +
                    std::to_string(offset),
                expected, output.data() + offset, bounds);
    for (std::size_t i = 0; i < guards; ++i) {
      REQUIRE(scratch[offset + scratch_size + i] == guard);
      REQUIRE(output[offset + expected.size() + i] == guard);
    }
  }
}

namespace {

constexpr Arithmetic operations[] = {Arithmetic::add,    Arithmetic::subtract, Arithmetic::multiply,
                                     Arithmetic::divide, Arithmetic::minimum,  Arithmetic::maximum};

}  // namespace

TEST_CASE("arithmetic agrees with its definition, however values broadcast") {
  Random random(8);
  for (int round = 0; round < 600; ++round) {
    const auto sizes = [&](int most) { return static_cast<std::size_t>(random.between(1, most)); };
    const Extents whole = {sizes(3), sizes(4), sizes(4), sizes(round % 2 == 0 ? 5 : 40)};
    const auto part = [&](std::size_t size) { return random.between(0, 2) == 0 ? 1 : size; };
    const auto part_of = [&](bool all) {
      if (all) return whole;
      return Extents{part(whole.images), part(whole.height), part(whole.width),
                     part(whole.channels)};
    };
    const Extents a_extents = part_of(round % 3 == 0);
    const Extents b_extents = part_of(round % 5 == 0);
    const auto size_of_extents = [](const Extents& e) {
      return e.images * e.height * e.width * e.channels;
    };
    const BroadcastLoops loops = broadcast_loops(a_extents, b_extents);
    auto a = random.values(size_of_extents(a_extents));
    for (float& value : a) value *= 4.0f;  // enough to reach ReLU6's upper bound
    auto b = random.values(size_of_extents(b_extents));
    for (float& value : b) value += value < 0.0f ? -0.1f : 0.1f;
    for (const Arithmetic operation : operations) {
      const Activation activation = activations[round % 3];
      std::vector<float> expected(loops.size());
      naive::arithmetic(operation, loops, a.data(), b.data(), activation, expected.data());
      constexpr float guard = 54321.0f;
      std::vector<float> output(expected.size(), guard);
      // In place where the operand is as large.
      const bool is_in_place = a.size() == output.size();
      if (is_in_place) output = a;
      output.push_back(guard);
      chosen().arithmetic(operation, loops, is_in_place ? output.data() : a.data(), b.data(),
                          activation, output.data());
      check_close(std::string("arithmetic ") + name(operation) + ", round " +
                      std::to_string(round) + ", activation " + name(activation),
                  expected, output.data(), std::vector<float>(expected.size()));
      REQUIRE(output.back() == guard);
    }
  }
}

TEST_CASE("loops over what broadcasts are as few as can be") {
  const auto sizes = [](const BroadcastLoops& loops) {
    return std::vector<std::size_t>(loops.sizes, loops.sizes + BroadcastLoops::count);
  };
  using Sizes = std::vector<std::size_t>;
  CHECK(sizes(broadcast_loops({2, 3, 4, 5}, {2, 3, 4, 5})) == Sizes{1, 1, 1, 120});
  CHECK(sizes(broadcast_loops({2, 3, 4, 5}, {1, 1, 1, 1})) == Sizes{1, 1, 1, 120});
  CHECK(sizes(broadcast_loops({2, 3, 4, 5}, {2, 1, 1, 5})) == Sizes{1, 2, 12, 5});
  CHECK(sizes(broadcast_loops({2, 3, 4, 5}, {2, 3, 4, 1})) == Sizes{1, 1, 24, 5});
  CHECK(sizes(broadcast_loops({1, 1, 1, 5}, {2, 3, 4, 5})) == Sizes{1, 1, 24, 5});
  CHECK(sizes(broadcast_loops({2, 3, 1, 5}, {2, 1, 4, 5})) == Sizes{2, 3, 4, 5});
  CHECK(sizes(broadcast_loops({1, 1, 1, 1}, {1, 1, 1, 1})) == Sizes{1, 1, 1, 1});
}

TEST_CASE("what is not a number in either operand stays so") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Arithmetic operation : operations) {
    INFO(name(operation));
    for (const bool is_first : {false, true}) {
      const std::vector<float> a(35, is_first ? nan : 1.0f);
      const std::vector<float> b(35, is_first ? 1.0f : nan);
      std::vector<float> output(35);
      chosen().arithmetic(operation, row_loops(35), a.data(), b.data(), Activation::none,
                          output.data());
      for (const float value : output) CHECK(std::isnan(value));
      CHECK(std::isnan(naive::combined(operation, a[0], b[0])));
    }
  }
}

namespace {

constexpr ElementwiseFunction functions[] = {
    {Elementwise::relu},
    {Elementwise::relu6},
    {Elementwise::clip, -1.5f, 2.5f},
    {Elementwise::leaky_relu, 0.1f},
    {Elementwise::elu, 0.7f},
    {Elementwise::selu},
    {Elementwise::sigmoid},
    {Elementwise::tanh},
    {Elementwise::silu},
    {Elementwise::hard_sigmoid, 0.2f, 0.5f},
    {Elementwise::hard_swish},
    {Elementwise::gelu},
    {Elementwise::gelu, 1.0f},
    {Elementwise::mish},
    {Elementwise::softplus},
};

}  // namespace

TEST_CASE("elementwise functions agree with their definitions") {
  Random random(11);
  constexpr float guard = 54321.0f;
  for (const ElementwiseFunction& function : functions) {
    CAPTURE(static_cast<int>(function.kind));
    for (std::size_t size = 1; size < 70; ++size) {
      auto input = random.values(size);
      // From where functions are straight lines to where their slope is that at 0.
      for (float& value : input) value *= size % 3 == 0 ? 30.0f : size % 3 == 1 ? 3.0f : 1e-3f;
      std::vector<float> output = input;
      output.push_back(guard);
      chosen().elementwise(function, size, output.data(), output.data());
      for (std::size_t i = 0; i < size; ++i) {
        const double expected = naive::value(function, double{input[i]});
        CAPTURE(input[i]);
        CAPTURE(expected);
        CAPTURE(output[i]);
        // Exponentials of large numbers have the rounding of their argument; tails may vanish.
        const double allowed =
            8e-7 * std::abs(expected) + 1e-8 * std::min(1.0, std::abs(double{input[i]}));
        REQUIRE(std::abs(double{output[i]} - expected) <= allowed);
      }
      REQUIRE(output.back() == guard);
    }
    constexpr float largest = std::numeric_limits<float>::max() / 2.0f;
    for (const float extreme : {largest, -largest}) {
      std::vector<float> values(35, extreme);
      chosen().elementwise(function, values.size(), values.data(), values.data());
      const auto expected = static_cast<float>(naive::value(function, double{extreme}));
      CAPTURE(extreme);
      for (const float value : values) CHECK(value == doctest::Approx(expected).epsilon(1e-6));
    }
    std::vector<float> values(35, std::numeric_limits<float>::quiet_NaN());
    chosen().elementwise(function, values.size(), values.data(), values.data());
    CHECK(std::all_of(values.begin(), values.end(), [](float value) { return std::isnan(value); }));
  }
}

TEST_CASE("derivatives of elementwise functions are differences of their values") {
  for (const ElementwiseFunction& function : functions) {
    CAPTURE(static_cast<int>(function.kind));
    for (double x = -8.05; x < 8.0; x += 0.1) {
      CAPTURE(x);
      constexpr double step = 1e-5;
      const double difference = naive::value(function, x + step) - naive::value(function, x - step);
      CHECK(naive::derivative(function, x) ==
            doctest::Approx(difference / (2.0 * step)).epsilon(1e-6));
    }
  }
}

TEST_CASE("scale_channels and prelu agree with their definitions") {
  Random random(12);
  for (std::size_t channels = 1; channels < 70; ++channels) {
    CAPTURE(channels);
    constexpr float guard = 54321.0f;
    const auto pixels = static_cast<std::size_t>(random.between(1, 5));
    const auto input = random.values(pixels * channels);
    const auto scale = random.values(channels);
    const auto shift = random.values(channels);
    std::vector<float> expected(input.size());
    const auto check = [&](const char* what, const std::vector<float>& output) {
      std::vector<float> bounds = absolute(input);
      for (float& bound : bounds) bound = 8.0f * unit_roundoff * (bound + 1.0f) * 3.0f;
      check_close(what, expected, output.data(), bounds);
      REQUIRE(output.back() == guard);
    };
    std::vector<float> output = input;
    output.push_back(guard);
    naive::scale_channels(pixels, channels, input.data(), scale.data(), shift.data(),
                          expected.data());
    chosen().scale_channels(pixels, channels, output.data(), scale.data(), shift.data(),
                            output.data());
    check("scale_channels", output);
    std::copy(input.begin(), input.end(), output.begin());
    naive::prelu(pixels, channels, input.data(), scale.data(), expected.data());
    chosen().prelu(pixels, channels, output.data(), scale.data(), output.data());
    check("prelu", output);
  }
}

TEST_CASE("normalisations agree with their definitions") {
  Random random(13);
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    const int groups = random.between(1, 9);
    const int channels = groups * random.between(1, 20);
    const auto pixels = static_cast<std::size_t>(random.between(1, round % 4 == 0 ? 300 : 9));
    const auto count = static_cast<std::size_t>(channels);
    const auto offset = static_cast<std::size_t>(random.between(0, 15));
    auto input = random.values(pixels * count + offset);
    // A mean that is large beside the deviation.
    const float mean = round % 2 == 0 ? 0.0f : 100.0f;
    for (float& value : input) value = mean + 2.0f * value;
    const auto weight = random.values(count);
    const auto bias = random.values(count);
    const Normalisation norm = {channels, groups, 0.1f, weight.data(), bias.data()};
    constexpr float guard = 54321.0f;
    std::vector<float> expected(pixels * count);
    std::vector<float> scratch(group_norm_scratch_size(channels) + 1, guard);
    // Distances from a mean have the rounding of the mean.
    const std::vector<float> bounds(expected.size(), 4e-6f * (1.0f + mean));
    const auto check = [&](const char* what, const std::vector<float>& output) {
      check_close(what, expected, output.data() + offset, bounds);
      REQUIRE(output.back() == guard);
      REQUIRE(scratch.back() == guard);
    };
    std::vector<float> output = input;
    output.push_back(guard);
    naive::group_norm(pixels, norm, input.data() + offset, expected.data());
    chosen().group_norm(pixels, norm, output.data() + offset, scratch.data(),
                        output.data() + offset);
    check("group_norm", output);
    std::copy(input.begin(), input.end(), output.begin());
    naive::layer_norm(pixels, norm, input.data() + offset, expected.data());
    chosen().layer_norm(pixels, norm, output.data() + offset, output.data() + offset);
    check("layer_norm", output);
  }
}

TEST_CASE("what is not a number passes through activations") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto is_nan = [](float value) { return std::isnan(value); };
  for (const Activation activation : activations) {
    INFO("activation " << name(activation));
    CHECK(std::isnan(activated(activation, nan)));
    std::vector<float> sum(35, nan);
    chosen().arithmetic(Arithmetic::add, row_loops(35), sum.data(), std::vector<float>(35).data(),
                        activation, sum.data());
    CHECK(std::all_of(sum.begin(), sum.end(), is_nan));
    // A geometry for each method: many channels, and some that do not fill a vector.
    const WindowGeometry depthwise = {35, 3, 3, 35, 3, 3, 3, 3, 1, 1, 1, 1, 35};
    const WindowGeometry winograd_3x3 = {16, 12, 12, 16, 12, 12, 3, 3, 1, 1, 1, 1, 1};
    const WindowGeometry winograd_3x3_small = {16, 6, 6, 16, 6, 6, 3, 3, 1, 1, 1, 1, 1};
    const WindowGeometry winograd_5x5 = {16, 18, 18, 16, 18, 18, 5, 5, 1, 1, 2, 2, 1};
    const WindowGeometry direct = {1, 1, 1, 35, 1, 1, 1, 1, 1, 1, 0, 0, 1};
    for (const WindowGeometry& g :
         {depthwise, winograd_3x3, winograd_3x3_small, winograd_5x5, direct}) {
      INFO(text(g));
      const std::vector<float> input(g.input_size(), nan);
      const std::vector<float> weights(
          size_of(g.out_channels * (g.in_channels / g.groups), g.kernel_height, g.kernel_width),
          1.0f);
      const PackedConvolution convolution(g, weights.data(), nullptr, activation);
      std::vector<float> scratch(convolution.scratch_size());
      std::vector<float> output(g.output_size());
      convolution.run(1, input.data(), nullptr, scratch.data(), output.data());
      CHECK(std::all_of(output.begin(), output.end(), is_nan));
    }
  }
}

TEST_CASE("softmax sums to one and does not overflow") {
  const float logits[] = {1000.0f, 999.0f, -1000.0f};
  float probabilities[3];
  softmax(logits, 3, 1.0f, probabilities);
  CHECK(probabilities[0] == doctest::Approx(0.7310586).epsilon(1e-6));
  CHECK(probabilities[1] == doctest::Approx(0.2689414).epsilon(1e-6));
  CHECK(probabilities[2] == 0.0f);
  softmax(logits, 3, 2.0f, probabilities);
  CHECK(probabilities[0] == doctest::Approx(0.6224593).epsilon(1e-6));
}
