// Times MiniFER's layers one by one, 3x3 convolutions of VGG-like networks, and what only other
// networks have, with random weights on one input that stays in the cache.
//
//   layers [Google Benchmark's options]
//
// MIEN_ISA=baseline|avx2|avxvnni|avx512|avx512vnni in the environment chooses the kernels.
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <ratio>
#include <string>
#include <vector>

#include <mien/graph/program.hpp>
#include <mien/kernels/nn.hpp>
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

/// A convolution with ReLU and products of 8 bits; its fp32 row bears the same name without int8.
void time_quantized(benchmark::State& state, const kernels::WindowGeometry& g) {
  const std::size_t weights = kernels::WindowGeometry::product(g.in_channels * g.out_channels,
                                                               g.kernel_height, g.kernel_width);
  const std::vector<std::int8_t> bytes(weights, std::int8_t{7});
  const std::vector<float> scale(static_cast<std::size_t>(g.out_channels), 0.01f);
  const kernels::PackedConvolution layer(
      g, kernels::QuantizedWeights{bytes.data(), scale.data(), 1.0f / 128.0f, 0}, scale.data(),
      kernels::Activation::relu);
  const RandomInputs inputs(1, g.input_size());
  detail::AlignedBuffer output(g.output_size());
  detail::AlignedBuffer scratch(layer.scratch_size());
  for (auto _ : state) {
    layer.run(1, inputs[0], nullptr, scratch.data(), output.data());
    benchmark::ClobberMemory();
  }
  count_operations(state, weights * static_cast<std::size_t>(g.out_height * g.out_width));
}

/// From and to channels, of images whose sides are multiples of the stride.
void add_quantized(const std::string& name, int in, int out, int side, int kernel = 1,
                   int stride = 1) {
  const int half = kernel / 2;
  const int after = side / stride;
  const kernels::WindowGeometry g = {in,     side,   side,   out,    after, after,
                                     kernel, kernel, stride, stride, half,  half};
  benchmark::RegisterBenchmark((name + "/int8").c_str(), time_quantized, g)
      ->Unit(benchmark::kMicrosecond);
}

void add_quantized() {
  add_quantized("inverted_residual3/expand", 128, 256, 9);
  add_quantized("inverted_residual3/project", 256, 128, 9);
  add_quantized("inverted_residual5/expand", 128, 512, 4);
  add_quantized("inverted_residual5/project", 512, 128, 4);
  add_quantized("dense1", 512, 256, 1);
  add_quantized("conv3x3/64@40x40", 64, 64, 40, 3);
  add_quantized("conv3x3/128@20x20", 128, 128, 20, 3);
  add_quantized("conv3x3/256@10x10", 256, 256, 10, 3);
  add_quantized("conv3x3/512@5x5", 512, 512, 5, 3);
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

/// What reads and writes every value once, on a map as large as MobileNetV3's or ConvNeXt's.
template <class Layer>
void add_elementwise(const std::string& name) {
  add<Layer, Shape<64, 28, 28>>(name + "/64@28x28");
}

void add_activations() {
  add_elementwise<ReLU>("relu");
  add_elementwise<ReLU6>("relu6");
  add_elementwise<Clip<std::ratio<-1>, std::ratio<1>>>("clip");
  add_elementwise<LeakyReLU<>>("leaky_relu");
  add_elementwise<PReLU<64>>("prelu");
  add_elementwise<HardSigmoid<>>("hard_sigmoid");
  add_elementwise<HardSwish>("hard_swish");
  add_elementwise<Sigmoid>("sigmoid");
  add_elementwise<Tanh>("tanh");
  add_elementwise<SiLU>("silu");
  add_elementwise<ELU<>>("elu");
  add_elementwise<SELU>("selu");
  add_elementwise<GELU>("gelu");
  add_elementwise<TanhGELU>("tanh_gelu");
  add_elementwise<Mish>("mish");
  add_elementwise<Softplus>("softplus");
}

void add_arithmetic() {
  add_elementwise<Add<Identity, ReLU>>("add_with_relu");
  add_elementwise<AddConstant<64, 1, 1>>("add_constant");
  add_elementwise<SubConstant<64, 1, 1>>("sub_constant");
  add_elementwise<MulConstant<64, 1, 1>>("mul_constant");
  add_elementwise<DivConstant<64, 1, 1>>("div_constant");
  add_elementwise<MinConstant<64, 1, 1>>("min_constant");
  add_elementwise<MaxConstant<64, 1, 1>>("max_constant");
  add_elementwise<MulConstant<1, 28, 28>>("mul_constant_of_pixels");
  // The gate of squeeze and excitation.
  add_elementwise<Mul<Identity, AdaptiveAvgPool2d<1>>>("mul_with_means");
  add_elementwise<Concatenate<Identity, ReLU>>("concatenate_with_relu");
}

void add_norms() {
  add_elementwise<BatchNorm2d<64>>("batch_norm");
  add_elementwise<InstanceNorm2d<64>>("instance_norm");
  add_elementwise<GroupNorm<8, 64>>("group_norm");
  add_elementwise<LayerNorm2d<64>>("layer_norm");
  add_elementwise<Softmax>("softmax");
  add_elementwise<LogSoftmax>("log_softmax");
}

/// Decoders' and detectors' layers, and windows that only they have.
void add_shapes() {
  using Half = Padding<0, 0, 1, 1>;
  add<ConvTranspose2d<64, 32, Kernel<2>, Stride<2>>, Shape<64, 28, 28>>(
      "conv_transpose2x2/64-32@28x28");
  add<ConvTranspose2d<64, 32, Kernel<4>, Stride<2>, Padding<1>>, Shape<64, 28, 28>>(
      "conv_transpose4x4/64-32@28x28");
  add<Conv2d<64, 64, Kernel<3>, Padding<2>, Dilation<2>>, Shape<64, 28, 28>>(
      "conv3x3_dilated/64@28x28");
  add<Conv2d<64, 64, Kernel<3>, Stride<2>, Half>, Shape<64, 28, 28>>("conv3x3_one_sided/64@28x28");
  add_elementwise<MaxPool2d<Kernel<3>, Stride<1>, Padding<2>, Dilation<2>>>("max_pool_dilated");
  add_elementwise<MaxPool2d<Kernel<3>, Stride<2>, CeilMode>>("max_pool_ceil");
  add_elementwise<AvgPool2d<Kernel<3>, Stride<1>, Padding<1>, ExcludePadding>>("avg_pool_3x3");
  add_elementwise<AdaptiveAvgPool2d<1>>("adaptive_avg_pool_1x1");
  add_elementwise<AdaptiveAvgPool2d<7>>("adaptive_avg_pool_7x7");
  add_elementwise<AdaptiveMaxPool2d<1>>("adaptive_max_pool_1x1");
  add_elementwise<Pad<1, 1, 1, 1>>("pad");
  add_elementwise<Pad<1, 1, 1, 1, Reflect>>("pad_reflect");
  add_elementwise<Resize<Scale<std::ratio<2>>>>("resize_nearest");
  add_elementwise<Resize<Scale<std::ratio<2>>, Bilinear>>("resize_bilinear");
  add_elementwise<Slice<32, 32>>("slice");
  add_elementwise<ChannelShuffle<2>>("channel_shuffle");
  add_elementwise<PixelShuffle<2>>("pixel_shuffle");
  add<Unflatten<64, 28, 28>, Shape<64 * 28 * 28, 1, 1>>("unflatten/64@28x28");
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
    add_activations();
    add_arithmetic();
    add_norms();
    add_shapes();
    add_quantized();
  });
}
