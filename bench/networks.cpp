// Times whole networks: one face, one thread.
//
//   networks [--model=FILE.mien] [Google Benchmark's options]
//
// MIEN_ISA=baseline|avx2|avx512 in the environment chooses the kernels.
#include <cstddef>
#include <string>

#include <mien/models/mini_fer.hpp>

#include "program.hpp"
#include "random_inputs.hpp"

namespace {

using mien::MiniFer;
using namespace mien::bench;

constexpr std::size_t input_count = 16;

void time_inference(benchmark::State& state, const MiniFer& network) {
  const RandomInputs inputs(input_count, MiniFer::Input::size);
  MiniFer::Workspace workspace;
  std::size_t face = 0;
  for (auto _ : state) benchmark::DoNotOptimize(network.forward(inputs[face++], workspace));
  count_operations(state, MiniFer::multiply_adds);
  state.counters["faces"] = benchmark::Counter(1.0, benchmark::Counter::kIsIterationInvariantRate);
}

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
}

}  // namespace

int main(int argc, char** argv) {
  const std::string model =
      take_option(argc, argv, "--model=", MIEN_EXAMPLES_DIR "/models/mini_fer.mien");
  return run_benchmarks(argc, argv, [&model] {
    const MiniFer network = MiniFer::load(model);
    network.verify();
    benchmark::RegisterBenchmark("mini_fer/1", time_inference, network)
        ->Unit(benchmark::kMicrosecond);
    benchmark::RegisterBenchmark("load", time_load, model)->Unit(benchmark::kMicrosecond);
    benchmark::RegisterBenchmark("load_and_first_inference", time_load_and_first_inference, model)
        ->Unit(benchmark::kMicrosecond);
  });
}
