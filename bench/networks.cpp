// Times whole networks: so many faces in one call, on one thread or two. MiniFER has the weights of
// a file; the other networks have random ones, which takes no longer or shorter.
//
//   networks [--model=FILE.mien] [Google Benchmark's options]
//
// MIEN_ISA=baseline|avx2|avx512 in the environment chooses the kernels.
#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#if defined(__unix__)
#include <sys/resource.h>
#endif

#include <mien/models/models.hpp>
#include <mien/parallel.hpp>

#include "program.hpp"
#include "random_inputs.hpp"
#include "random_weights.hpp"

namespace {

using mien::MiniFer;
using namespace mien::bench;

/// Faces that are measured in rotation.
constexpr std::size_t input_count = 16;

/// Faces that go through a layer together, as in ExpressionClassifier.
constexpr int batch = 5;

/// `faces` of them in one call.
template <class Model>
void time_inference(benchmark::State& state, const Model& network, int faces, int threads) {
  const RandomInputs inputs(input_count, Model::Input::size);
  std::vector<float> input;
  for (std::size_t i = 0; i < input_count + static_cast<std::size_t>(faces); ++i) {
    input.insert(input.end(), inputs[i], inputs[i] + Model::Input::size);
  }
  std::vector<float> output(static_cast<std::size_t>(faces) * Model::Output::size);
  mien::ThreadPool pool(threads);
  typename Model::Workspace workspace(std::min(faces, batch), threads);
  std::size_t first = 0;
  for (auto _ : state) {
    const float* const from = input.data() + first++ % input_count * Model::Input::size;
    if (threads == 1) {
      network.forward(faces, from, output.data(), workspace);
    } else {
      network.forward(faces, from, output.data(), workspace, std::ref(pool));
    }
    benchmark::ClobberMemory();
  }
  count_operations(state, Model::multiply_adds * static_cast<std::size_t>(faces));
  state.counters["faces"] =
      benchmark::Counter(faces, benchmark::Counter::kIsIterationInvariantRate);
}

/// Made when it is first measured: the large ones take seconds.
template <class Model>
const Model& random_network() {
  static const Model network(random_network_file<Model>());
  return network;
}

template <class Model>
void add_random_network() {
  for (const int faces : {1, 10}) {
    const std::string name = std::string(Model::name) + "/" + std::to_string(faces);
    benchmark::RegisterBenchmark(name.c_str(), [faces](benchmark::State& state) {
      time_inference(state, random_network<Model>(), faces, 1);
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
    mien::AllModels::for_each([](auto tag) {
      using Model = typename decltype(tag)::type;
      if constexpr (!std::is_same_v<Model, MiniFer>) add_random_network<Model>();
    });
  });
}
