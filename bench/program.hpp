// What the benchmark programs share: options, errors, and what every report says about itself.
#pragma once

#include <cstddef>
#include <cstdio>
#include <exception>
#include <string>

#include <benchmark/benchmark.h>

#include <mien/error.hpp>
#include <mien/kernels/instruction_sets.hpp>

#include "compiler.hpp"

namespace mien::bench {

/// The value of an option "--name=value", which is taken out of the arguments, or `otherwise`.
/// `option` is "--name=". Call it before run_benchmarks.
inline std::string take_option(int& argc, char** argv, const std::string& option,
                               std::string otherwise) {
  int kept = 0;
  for (int i = 0; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.compare(0, option.size(), option) == 0) {
      otherwise = argument.substr(option.size());
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  return otherwise;
}

/// Calls `register_benchmarks` and runs what it registered, by Google Benchmark's options. Returns
/// the program's exit status.
template <class Register>
int run_benchmarks(int argc, char** argv, Register&& register_benchmarks) {
  constexpr int success = 0;
  constexpr int failure = 1;
  constexpr int usage_error = 2;
  const std::string program = argv[0];
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return usage_error;
  try {
    benchmark::AddCustomContext("instruction_set", name(choose_instruction_set()));
    benchmark::AddCustomContext("compiler", compiler);
    register_benchmarks();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program.c_str(), error.what());
    return failure;
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return success;
}

/// Counts so many multiply-adds an iteration as two floating-point operations each.
inline void count_operations(benchmark::State& state, std::size_t multiply_adds) {
  state.counters["FLOP"] = benchmark::Counter(2.0 * static_cast<double>(multiply_adds),
                                              benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace mien::bench
