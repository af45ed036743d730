// Times whole networks: so many faces in one call, on one thread or two. MiniFER has the weights of
// a file, and runs as a type and as a Model; the other networks have random weights, with which
// they take the same time.
//
//   networks [--model=FILE.mien] [Google Benchmark's options]
//
// MIEN_ISA=baseline|avx2|avxvnni|avx512|avx512vnni in the environment chooses the kernels.
#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#if defined(__unix__)
#include <sys/resource.h>
#endif

#include <mien/model.hpp>
#include <mien/models/models.hpp>
#include <mien/parallel.hpp>

#include "program.hpp"
#include "random_inputs.hpp"
#include "random_weights.hpp"

namespace {

using namespace mien;
using namespace mien::bench;

/// Faces that are measured in rotation.
constexpr std::size_t input_count = 16;

/// Faces that go through a layer together, as in ExpressionClassifier.
constexpr int batch = 5;

/// `faces` of them in one call, through a Network or Model.
template <class AnyNetwork>
void time_inference(benchmark::State& state, const AnyNetwork& network, int faces, int threads) {
  const Model& model = network;
  const std::shared_ptr<const Program> program = model.program();
  const std::size_t input_size = program->input_shapes().front().size();
  const auto count = static_cast<std::size_t>(faces);
  const RandomInputs inputs(input_count, input_size);
  std::vector<float> input;
  for (std::size_t i = 0; i < input_count + count; ++i) {
    input.insert(input.end(), inputs[i], inputs[i] + input_size);
  }
  std::vector<float> output(count * program->output_shapes().front().size());
  ThreadPool pool(threads);
  typename AnyNetwork::Workspace workspace(std::min(faces, batch), threads);
  std::size_t first = 0;
  for (auto _ : state) {
    const float* const from = input.data() + first++ % input_count * input_size;
    if (threads == 1) {
      network.forward(faces, from, output.data(), workspace);
    } else {
      network.forward(faces, from, output.data(), workspace, std::ref(pool));
    }
    benchmark::ClobberMemory();
  }
  count_operations(state, program->multiply_adds() * count);
  state.counters["faces"] =
      benchmark::Counter(faces, benchmark::Counter::kIsIterationInvariantRate);
}

/// Made when it is first measured: the large ones take seconds.
template <class Network>
const Network& random_network() {
  static const Network network(random_network_file<Network>());
  return network;
}

template <class Network>
void add_random_network() {
  for (const int faces : {1, 10}) {
    const std::string name = std::string(Network::name) + "/" + std::to_string(faces);
    benchmark::RegisterBenchmark(name.c_str(), [faces](benchmark::State& state) {
      time_inference(state, random_network<Network>(), faces, 1);
    })->Unit(benchmark::kMicrosecond);
  }
}

#if defined(__unix__)
/// The most memory that the process has held so far, Google Benchmark's included.
double peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return 1024.0 * static_cast<double>(usage.ru_maxrss);
}
#endif

void time_load(benchmark::State& state, const std::string& model) {
  for (auto _ : state) benchmark::DoNotOptimize(MiniFer::load(model));
}

void time_load_and_first_inference(benchmark::State& state, const std::string& model) {
  const RandomInputs inputs(input_count, MiniFer::Input::size);
  for (auto _ : state) {
    const MiniFer network = MiniFer::load(model);
    MiniFer::Workspace workspace;
    benchmark::DoNotOptimize(network.forward(inputs[0], workspace));
  }
#if defined(__unix__)
  state.counters["peak_bytes"] =
      benchmark::Counter(peak_bytes(), benchmark::Counter::kDefaults, benchmark::Counter::kIs1024);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  const std::string model =
      take_option(argc, argv, "--model=", MIEN_EXAMPLES_DIR "/models/mini_fer.mien");
  return run_benchmarks(argc, argv, [&model] {
    MiniFer::load(model).verify();
    // Loading comes first, so that the peak of memory is its own.
    benchmark::RegisterBenchmark("load", time_load, model)->Unit(benchmark::kMicrosecond);
    benchmark::RegisterBenchmark("load_and_first_inference", time_load_and_first_inference, model)
        ->Unit(benchmark::kMicrosecond);
    const MiniFer network = MiniFer::load(model);
    for (const int faces : {1, 10, 64}) {
      benchmark::RegisterBenchmark(("mini_fer/" + std::to_string(faces)).c_str(),
                                   time_inference<MiniFer>, network, faces, 1)
          ->Unit(benchmark::kMicrosecond);
    }
    benchmark::RegisterBenchmark("mini_fer/64/threads:2", time_inference<MiniFer>, network, 64, 2)
        ->Unit(benchmark::kMicrosecond)
        ->MeasureProcessCPUTime()
        ->UseRealTime();
    benchmark::RegisterBenchmark("model/mini_fer/1", time_inference<Model>, network.model(), 1, 1)
        ->Unit(benchmark::kMicrosecond);
    add_random_network<AlexNet>();
    add_random_network<FerNet>();
    add_random_network<FerNet256>();
    add_random_network<VggNet>();
    add_random_network<Vgg10>();
    add_random_network<InceptionFer>();
    add_random_network<ResNet33>();
  });
}
