// Fast kernels against their naive references, over random shapes and alignments.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <mien/kernels/kernels.hpp>

namespace {

using namespace mien;
using namespace mien::kernels;

constexpr float infinity = std::numeric_limits<float>::infinity();
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
         ", groups " + std::to_string(g.groups);
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

  /// A window that fits: kernel up to 7, stride up to 3, padding up to 3 (or less than `padding`).
  WindowGeometry window(int most_padding) {
    WindowGeometry g{};
    g.kernel_height = between(1, 7);
    g.kernel_width = between(1, 7);
    g.stride_y = between(1, 3);
    g.stride_x = between(1, 3);
    g.padding_y = between(0, std::min(most_padding, g.kernel_height / 2));
    g.padding_x = between(0, std::min(most_padding, g.kernel_width / 2));
    g.in_height = between(std::max(1, g.kernel_height - 2 * g.padding_y), 15);
    g.in_width = between(std::max(1, g.kernel_width - 2 * g.padding_x), 30);
    g.out_height = output_size(g.in_height, g.kernel_height, g.stride_y, g.padding_y);
    g.out_width = output_size(g.in_width, g.kernel_width, g.stride_x, g.padding_x);
    g.groups = 1;
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
                                   const std::vector<float>& bias) {
  constexpr float lambda = 6.0f;
  const auto terms = static_cast<float>(weights.size() / bias.size() + 2);
  std::vector<float> bounds(size_of(g.out_channels, g.out_height, g.out_width));
  naive::conv2d(g, absolute(input).data(), absolute(weights).data(), absolute(bias).data(),
                no_clamp, bounds.data());
  for (float& bound : bounds) bound *= lambda * std::sqrt(terms) * unit_roundoff;
  return bounds;
}

void check_close(const std::string& what, const std::vector<float>& expected, const float* found,
                 const std::vector<float>& bounds) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::abs(found[i] - expected[i]) <= bounds[i]) continue;
    FAIL(what << ", element " << i << ": expected " << expected[i] << ", found " << found[i]
              << ", difference " << found[i] - expected[i] << ", allowed " << bounds[i]);
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

std::string text(Pooling pooling) {
  return pooling == Pooling::none ? "" : ", pooled";
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

void check_conv2d(const WindowGeometry& g, int misalignment, Clamp clamp, Pooling pooling,
                  Random& random) {
  const KernelTable& table = chosen_table();
  const std::size_t filter = size_of(g.in_channels / g.groups, g.kernel_height, g.kernel_width);
  const auto input = random.values(size_of(g.in_channels, g.in_height, g.in_width));
  const auto weights = random.values(filter * static_cast<std::size_t>(g.out_channels));
  const auto bias = random.values(static_cast<std::size_t>(g.out_channels));
  std::vector<float> expected(size_of(g.out_channels, g.out_height, g.out_width));
  naive::conv2d(g, input.data(), weights.data(), bias.data(), clamp, expected.data());
  expected = pooled(g, pooling, expected);

  const auto offset = static_cast<std::size_t>(misalignment);
  std::vector<float> packed(packed_conv2d_size(g, table.conv2d_block) + offset);
  pack_conv2d(g, table.conv2d_block, weights.data(), packed.data() + offset);
  std::vector<float> packed_bias = padded_groups(bias, g.groups, table.conv2d_block);
  packed_bias.insert(packed_bias.begin(), offset, 0.0f);
  std::vector<float> padded(g.padded_size() + offset);
  pad_image(g, input.data(), padded.data() + offset);
  constexpr float guard = 54321.0f;
  std::vector<float> output(expected.size() + offset + 16, guard);
  table.conv2d(g, padded.data() + offset, packed.data() + offset, packed_bias.data() + offset,
               clamp, pooling, output.data() + offset);
  // The larger of two values is off by no more than the more uncertain of them.
  const std::vector<float> bounds = pooled(g, pooling, rounding_bounds(g, input, weights, bias));
  check_close(
      "conv2d, " + text(g) + text(pooling) + ", misalignment " + std::to_string(misalignment),
      expected, output.data() + offset, bounds);
  for (std::size_t i = offset + expected.size(); i < output.size(); ++i)
    REQUIRE(output[i] == guard);
}

const KernelTable& chosen() {
  return chosen_table();
}

using WinogradKernel = decltype(KernelTable::winograd_3x3);

/// Minimal filtering loses more to rounding than the definition, in proportion to the largest
/// values of a tile: `bound` is the largest error that is allowed, relative to the largest output.
template <class Scheme>
void check_winograd(WinogradKernel convolve, double bound, const WindowGeometry& g, int images,
                    int misalignment, Clamp clamp, Pooling pooling, Random& random) {
  const auto filter =
      static_cast<std::size_t>(g.in_channels / g.groups * Scheme::kernel * Scheme::kernel);
  const std::size_t image_size = size_of(g.in_channels, g.in_height, g.in_width);
  const auto count = static_cast<std::size_t>(images);
  const auto offset = static_cast<std::size_t>(misalignment);
  const auto input = random.values(count * image_size + offset);
  const auto weights = random.values(filter * static_cast<std::size_t>(g.out_channels));
  const auto bias = random.values(static_cast<std::size_t>(g.out_channels));
  std::vector<float> expected;
  float largest = 0.0f;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<float> image(size_of(g.out_channels, g.out_height, g.out_width));
    naive::conv2d(g, input.data() + offset + i * image_size, weights.data(), bias.data(), no_clamp,
                  image.data());
    for (const float size : absolute(image)) largest = std::max(largest, size);
    for (float& value : image) value = std::min(std::max(value, clamp.low), clamp.high);
    const std::vector<float> kept = pooled(g, pooling, image);
    expected.insert(expected.end(), kept.begin(), kept.end());
  }

  const int block = chosen().conv2d_block;
  std::vector<float> packed(packed_winograd_size<Scheme>(g, block));
  pack_winograd<Scheme>(g, block, weights.data(), packed.data());
  const std::vector<float> packed_bias = padded_groups(bias, g.groups, block);
  constexpr std::size_t guards = 16;
  constexpr float guard = 54321.0f;
  std::vector<float> scratch(count * winograd_scratch_size<Scheme>(g, block) + offset + guards,
                             guard);
  std::vector<float> output(expected.size() + offset + guards, guard);
  convolve(g, images, input.data() + offset, packed.data(), packed_bias.data(), clamp, pooling,
           scratch.data() + offset, output.data() + offset);
  const std::string what = "winograd F(" + std::to_string(Scheme::Vertical::tile) + "x" +
                           std::to_string(Scheme::Horizontal::tile) + ", " +
                           std::to_string(Scheme::kernel) + "), " + text(g) + text(pooling) +
                           ", images " + std::to_string(images) + ", misalignment " +
                           std::to_string(misalignment);
  check_close(what, expected, output.data() + offset,
              std::vector<float>(expected.size(), static_cast<float>(bound) * largest));
  for (std::size_t i = output.size() - guards; i < output.size(); ++i) REQUIRE(output[i] == guard);
  for (std::size_t i = scratch.size() - guards; i < scratch.size(); ++i) {
    REQUIRE(scratch[i] == guard);
  }
}

template <class Scheme>
void check_winograd_on_random_shapes(WinogradKernel convolve, double bound, Random& random) {
  const Clamp clamps[] = {no_clamp, {0.0f, infinity}, {0.0f, 6.0f}};
  for (int round = 0; round < 48; ++round) {
    WindowGeometry g{};
    g.groups = round % 4 == 0 ? random.between(2, 3) : 1;
    g.in_channels = g.groups * winograd_channels * random.between(1, 4);
    g.out_channels = g.groups * winograd_channels * random.between(1, 5);
    g.in_height = random.between(Scheme::kernel, 19);
    g.in_width = random.between(Scheme::kernel, 19);
    g.kernel_height = g.kernel_width = Scheme::kernel;
    g.stride_y = g.stride_x = 1;
    g.padding_y = random.between(0, Scheme::kernel - 1);
    g.padding_x = random.between(0, Scheme::kernel - 1);
    g.out_height = output_size(g.in_height, g.kernel_height, 1, g.padding_y);
    g.out_width = output_size(g.in_width, g.kernel_width, 1, g.padding_x);
    const Pooling pooling = round % 2 == 0 ? Pooling::none : Pooling::max_2x2;
    check_winograd<Scheme>(convolve, bound, g, random.between(1, 5), random.between(0, 15),
                           clamps[round % 3], pooling, random);
  }
}

}  // namespace

TEST_CASE("conv2d agrees with its definition") {
  Random random(1);
  const Clamp clamps[] = {no_clamp, {0.0f, infinity}, {0.0f, 6.0f}};
  for (int round = 0; round < 300; ++round) {
    WindowGeometry g = random.window(3);
    g.groups = round % 4 == 0 ? random.between(2, 4) : 1;
    g.in_channels = g.groups * random.between(1, 20);
    g.out_channels = g.groups * random.between(1, 70);
    const Pooling pooling = round % 5 == 0 ? Pooling::max_2x2 : Pooling::none;
    check_conv2d(g, random.between(0, 15), clamps[round % 3], pooling, random);
  }
}

TEST_CASE("conv2d fills tiles of every width") {
  Random random(2);
  for (int width = 1; width <= 40; ++width) {
    const WindowGeometry spread = {3, 1, width + 2, 32, 1, width, 1, 3, 1, 1, 0, 0, 1};
    check_conv2d(spread, 0, no_clamp, Pooling::none, random);
    const WindowGeometry flat = {5, 2, width, 33, 2, width, 1, 1, 1, 1, 0, 0, 1};
    check_conv2d(flat, 0, no_clamp, Pooling::none, random);
    check_conv2d(flat, 0, no_clamp, Pooling::max_2x2, random);
  }
}

TEST_CASE("minimal filtering agrees with the definition of convolution") {
  Random random(5);
  check_winograd_on_random_shapes<Winograd3x3>(chosen().winograd_3x3, 1e-5, random);
  check_winograd_on_random_shapes<Winograd3x3Small>(chosen().winograd_3x3_small, 1e-5, random);
  check_winograd_on_random_shapes<Winograd5x5>(chosen().winograd_5x5, 1e-4, random);
}

TEST_CASE("depthwise_conv2d agrees with its definition") {
  Random random(3);
  for (int round = 0; round < 400; ++round) {
    WindowGeometry g = random.window(3);
    if (round % 4 == 0) {  // which have a loop of their own
      g.kernel_height = g.kernel_width = 3;
      g.stride_y = g.stride_x = g.padding_y = g.padding_x = 1;
      g.out_height = g.in_height;
      g.out_width = g.in_width;
    }
    g.in_channels = g.out_channels = g.groups = random.between(1, 70);
    const std::size_t taps = size_of(1, g.kernel_height, g.kernel_width);
    const auto offset = static_cast<std::size_t>(random.between(0, 15));
    const auto input = random.values(size_of(g.in_channels, g.in_height, g.in_width));
    const auto weights = random.values(taps * static_cast<std::size_t>(g.in_channels));
    const auto bias = random.values(static_cast<std::size_t>(g.in_channels));
    std::vector<float> expected(size_of(g.out_channels, g.out_height, g.out_width));
    naive::conv2d(g, input.data(), weights.data(), bias.data(), {0.0f, 6.0f}, expected.data());

    std::vector<float> packed(weights.size());
    pack_depthwise_conv2d(g, weights.data(), packed.data());
    std::vector<float> output(expected.size() + offset);
    chosen().depthwise_conv2d(g, input.data(), packed.data(), bias.data(), {0.0f, 6.0f},
                              output.data() + offset);
    check_close("depthwise_conv2d, " + text(g) + ", misalignment " + std::to_string(offset),
                expected, output.data() + offset, rounding_bounds(g, input, weights, bias));
  }
}

TEST_CASE("max_pool2d agrees with its definition") {
  Random random(4);
  for (int round = 0; round < 300; ++round) {
    WindowGeometry g = random.window(3);
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
  for (int round = 0; round < 300; ++round) {
    WindowGeometry g = random.window(3);
    g.in_channels = g.out_channels = random.between(1, 70);
    const auto offset = static_cast<std::size_t>(random.between(0, 15));
    const auto input = random.values(size_of(g.in_channels, g.in_height, g.in_width));
    std::vector<float> expected(size_of(g.out_channels, g.out_height, g.out_width));
    naive::avg_pool2d(g, input.data(), expected.data());
    std::vector<float> output(expected.size() + offset);
    chosen().avg_pool2d(g, input.data(), output.data() + offset);
    std::vector<float> bounds(expected.size());
    naive::avg_pool2d(g, absolute(input).data(), bounds.data());
    const auto taps = static_cast<float>(g.kernel_height * g.kernel_width);
    for (float& bound : bounds) bound *= (taps + 2.0f) * unit_roundoff;
    check_close("avg_pool2d, " + text(g) + ", misalignment " + std::to_string(offset), expected,
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

TEST_CASE("add agrees with its definition") {
  Random random(8);
  const Clamp clamps[] = {no_clamp, {0.0f, infinity}, {0.0f, 1.0f}};
  for (std::size_t size = 1; size < 70; ++size) {
    for (const Clamp& clamp : clamps) {
      const auto a = random.values(size);
      const auto b = random.values(size);
      std::vector<float> expected(size);
      naive::add(size, a.data(), b.data(), clamp, expected.data());
      constexpr float guard = 54321.0f;
      std::vector<float> output = a;
      output.push_back(guard);
      chosen().add(size, output.data(), b.data(), clamp, output.data());
      check_close("add, size " + std::to_string(size) + ", from " + std::to_string(clamp.low) +
                      " to " + std::to_string(clamp.high),
                  expected, output.data(), std::vector<float>(size));
      REQUIRE(output.back() == guard);
    }
  }
}

TEST_CASE("conv2d hands on what is not a number through its rectifier") {
  const WindowGeometry g = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1};
  const float input = std::numeric_limits<float>::quiet_NaN();
  const float weight = 1.0f;
  std::vector<float> packed(packed_conv2d_size(g, chosen().conv2d_block));
  pack_conv2d(g, chosen().conv2d_block, &weight, packed.data());
  const std::vector<float> bias(packed.size());
  float output = 0.0f;
  chosen().conv2d(g, &input, packed.data(), bias.data(), {0.0f, 6.0f}, Pooling::none, &output);
  CHECK(std::isnan(output));
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
