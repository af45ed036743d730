// Times MiniFER's layers one by one, 3x3 convolutions of VGG-like networks, and what only other
// networks have, with random weights on one input that stays in the cache.
//
//   layers [Google Benchmark's options]
//
// MIEN_ISA=baseline|avx2|avx512 in the environment chooses the kernels.
#include <cstddef>
#include <ctime>
#include <memory>
#include <ratio>
#include <string>

#include <mien/graph/program.hpp>
#include <mien/layers/layers.hpp>
#include <mien/model.hpp>
#include <mien/models/inception_fer.hpp>
#include <mien/models/resnet33.hpp>
#include <mien/network.hpp>
#include <mien/tensor.hpp>

#include "peak_fma.hpp"
#include "program.hpp"
#include "random_inputs.hpp"
#include "random_weights.hpp"

namespace {

using namespace mien;
using namespace mien::bench;

double cpu_seconds() noexcept {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

/// Counts operations, and how large a share of the peak they are.
void count_operations_of_peak(benchmark::State& state, std::size_t multiply_adds, double seconds) {
  count_operations(state, multiply_adds);
  const double operations =
      2.0 * static_cast<double>(multiply_adds) * static_cast<double>(state.iterations());
  state.counters["of_peak_%"] = 100.0 * operations / seconds / peak_operations_per_second();
}

void time_peak(benchmark::State& state) {
  constexpr std::size_t rounds = 100'000;
  const MultiplyAddChains chains = multiply_add_chains(choose_instruction_set());
  const double start = cpu_seconds();
  for (auto _ : state) benchmark::DoNotOptimize(chains.run(rounds));
  count_operations_of_peak(state, chains.multiply_adds(rounds), cpu_seconds() - start);
}

template <class Layer, class Input>
void time_layer(benchmark::State& state) {
  const Model model(random_layer_file<Layer, Input>());
  const std::shared_ptr<const Program> layer = model.program();
  const RandomInputs inputs(1, Input::size);
  detail::AlignedBuffer outputs(layer->output_shapes().front().size());
  detail::AlignedBuffer arena(layer->arena_size());
  const float* const input = inputs[0];
  float* const output = outputs.data();
  const double start = cpu_seconds();
  for (auto _ : state) {
    layer->run(1, &input, &output, arena.data());
    benchmark::ClobberMemory();
  }
  const double seconds = cpu_seconds() - start;
  if (layer->multiply_adds() > 0) {
    count_operations_of_peak(state, layer->multiply_adds(), seconds);
  }
  const std::size_t values = model.parameter_count() + Input::size + outputs.size();
  state.counters["bytes"] =
      benchmark::Counter(static_cast<double>(values * sizeof(float)), benchmark::Counter::kDefaults,
                         benchmark::Counter::kIs1024);
}

template <class Layer, class Input>
void add(const std::string& name) {
  benchmark::RegisterBenchmark(name.c_str(), time_layer<Layer, Input>)
      ->Unit(benchmark::kMicrosecond);
}

/// An inverted residual, and its three convolutions by themselves.
template <int Channels, int Hidden, int Side>
void add_inverted_residual(const std::string& name) {
  add<InvertedResidual<Channels, Hidden>, Shape<Channels, Side, Side>>(name);
  add<Sequential<Conv2d<Channels, Hidden, Kernel<1>, NoBias>, BatchNorm2d<Hidden>, ReLU6>,
      Shape<Channels, Side, Side>>(name + "/expand");
  add<Sequential<DepthwiseConv2d<Hidden, Kernel<3>, Padding<1>, NoBias>, BatchNorm2d<Hidden>,
                 ReLU6>,
      Shape<Hidden, Side, Side>>(name + "/depthwise");
  add<Conv2d<Hidden, Channels, Kernel<1>, NoBias>, Shape<Hidden, Side, Side>>(name + "/project");
}

void add_mini_fer() {
  using Pool = MaxPool2d<Kernel<2>>;
  add<Sequential<Conv2d<1, 64, Kernel<3>, Padding<1>>, BatchNorm2d<64>, ReLU, Pool>,
      Shape<1, 40, 40>>("conv1+pool1");
  add<Sequential<Conv2d<1, 64, Kernel<3>, Padding<1>>, BatchNorm2d<64>, ReLU>, Shape<1, 40, 40>>(
      "conv1");
  add<Pool, Shape<64, 40, 40>>("pool1");
  add<Sequential<Conv2d<64, 128, Kernel<5>, Padding<1>>, BatchNorm2d<128>, ReLU, Pool>,
      Shape<64, 20, 20>>("conv2+pool2");
  add<Sequential<Conv2d<64, 128, Kernel<5>, Padding<1>>, BatchNorm2d<128>, ReLU>,
      Shape<64, 20, 20>>("conv2");
  add<Pool, Shape<128, 18, 18>>("pool2");
  add_inverted_residual<128, 256, 9>("inverted_residual3");
  add_inverted_residual<128, 256, 9>("inverted_residual4");
  add<Pool, Shape<128, 9, 9>>("pool3");
  add_inverted_residual<128, 512, 4>("inverted_residual5");
  add_inverted_residual<128, 512, 4>("inverted_residual6");
  add<Pool, Shape<128, 4, 4>>("pool4");
  add<Flatten, Shape<128, 2, 2>>("flatten");
  add<Sequential<Dense<512, 256>, ReLU>, Shape<512, 1, 1>>("dense1");
  add<Sequential<Dense<256, 128>, ReLU>, Shape<256, 1, 1>>("dense2");
  add<Dense<128, 7>, Shape<128, 1, 1>>("dense3");
}

/// From as many channels to as many, as in the inner layers of VGG (Simonyan and Zisserman, arXiv
/// 1409.1556).
template <int Channels, int Side>
void add_3x3() {
  const std::string side = std::to_string(Side);
  add<Sequential<Conv2d<Channels, Channels, Kernel<3>, Padding<1>>, BatchNorm2d<Channels>, ReLU>,
      Shape<Channels, Side, Side>>("conv3x3/" + std::to_string(Channels) + "@" + side + "x" + side);
}

/// Large and strided windows, groups and normalisation, from the largest network.
void add_alexnet() {
  using Norm = LocalResponseNorm<5, std::ratio<1, 10000>, std::ratio<3, 4>, std::ratio<2>>;
  add<Sequential<Conv2d<1, 96, Kernel<11>, Stride<4>>, ReLU>, Shape<1, 227, 227>>(
      "alexnet/conv11x11");
  add<Norm, Shape<96, 55, 55>>("alexnet/norm");
  add<MaxPool2d<Kernel<3>, Stride<2>>, Shape<96, 55, 55>>("alexnet/pool");
  add<Sequential<Conv2d<96, 256, Kernel<5>, Padding<2>, Groups<2>>, ReLU>, Shape<96, 27, 27>>(
      "alexnet/conv5x5");
  add<Sequential<Conv2d<384, 384, Kernel<3>, Padding<1>, Groups<2>>, ReLU>, Shape<384, 13, 13>>(
      "alexnet/conv3x3");
}

/// Branches, sums and average pooling, from the networks of Pramerdorfer and Kampel.
void add_blocks() {
  add<mien::detail::InceptionBlock<72, 64>, Shape<72, 24, 24>>("inception/72@24x24");
  add<mien::detail::InceptionBlock<432, 224>, Shape<432, 6, 6>>("inception/432@6x6");
  add<mien::detail::ResNetBlock<64>, Shape<64, 24, 24>>("residual/64@24x24");
  add<mien::detail::ResNetDownBlock<64, 128>, Shape<64, 24, 24>>("residual/64-128@24x24");
  add<AvgPool2d<Kernel<6>>, Shape<504, 6, 6>>("average_pool/504@6x6");
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmarks(argc, argv, [] {
    benchmark::RegisterBenchmark("peak_fma", time_peak)->Unit(benchmark::kMicrosecond);
    add_mini_fer();
    add_3x3<64, 40>();
    add_3x3<128, 20>();
    add_3x3<256, 10>();
    add_3x3<512, 5>();
    add_alexnet();
    add_blocks();
  });
}
