// Runs MiniFER as another program asks it to, so that compare.py can take turns with it.
//
//   serve_times MODEL.mien INPUTS
//
// INPUTS holds inputs [n][1][40][40] as fp32. The program reads commands, one a line, and answers
// each with one line:
//
//   about     instruction set and compiler
//   start     nanoseconds of loading the model and the first inference, by the wall clock
//   output I  the network's output for input I
//   run N     nanoseconds of CPU time of each of N inferences, on the inputs in rotation
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <mien/binary.hpp>
#include <mien/error.hpp>
#include <mien/kernels/instruction_sets.hpp>
#include <mien/models/mini_fer.hpp>

#include "compiler.hpp"
#include "cpu_time.hpp"

namespace {

using mien::Error;
using mien::MiniFer;
using mien::bench::cpu_nanoseconds;
using Clock = std::chrono::steady_clock;

std::vector<float> load_inputs(const std::string& path) {
  constexpr std::size_t input_bytes = MiniFer::Input::size * sizeof(float);
  const std::vector<std::uint8_t> bytes = mien::read_file(path);
  if (bytes.empty() || bytes.size() % input_bytes != 0) {
    throw Error(path + ": expected inputs of " + std::to_string(input_bytes) + " bytes, found " +
                std::to_string(bytes.size()) + " bytes");
  }
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

class Server {
 public:
  Server(const std::string& model, const std::string& inputs)
      : inputs_(load_inputs(inputs)), start_(Clock::now()), network_(MiniFer::load(model)) {
    network_.forward(input(0), workspace_);
    start_nanoseconds_ =
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start_).count();
  }

  /// Throws Error for a command that it does not know.
  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    std::size_t number = 0;
    words >> command >> number;
    std::ostringstream text;
    if (line == "about") {
      text << mien::name(mien::choose_instruction_set()) << ", " << mien::bench::compiler;
    } else if (line == "start") {
      text << start_nanoseconds_;
    } else if (command == "output" && words && number < input_count()) {
      text.precision(9);
      for (const float value : network_.forward(input(number), workspace_)) text << value << ' ';
    } else if (command == "run" && words) {
      for (const long long nanoseconds : run(number)) text << nanoseconds << ' ';
    } else {
      throw Error("command: expected 'about', 'start', 'run N' or 'output I', found '" + line +
                  "'");
    }
    return text.str();
  }

 private:
  std::size_t input_count() const { return inputs_.size() / MiniFer::Input::size; }
  const float* input(std::size_t i) const {
    return inputs_.data() + i % input_count() * MiniFer::Input::size;
  }

  std::vector<long long> run(std::size_t count) {
    std::vector<long long> nanoseconds(count);
    for (std::size_t i = 0; i < count; ++i) {
      const long long start = cpu_nanoseconds();
      output_ = network_.forward(input(i), workspace_);
      nanoseconds[i] = cpu_nanoseconds() - start;
    }
    return nanoseconds;
  }

  std::vector<float> inputs_;
  Clock::time_point start_;
  MiniFer network_;
  MiniFer::Workspace workspace_;
  std::array<float, MiniFer::Output::size> output_{};
  long long start_nanoseconds_ = 0;
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fprintf(stderr, "usage: serve_times MODEL.mien INPUTS\n");
    return 2;
  }
  Server server(argv[1], argv[2]);
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << server.answer(line) << std::endl;
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "serve_times: %s\n", error.what());
  return 1;
}
