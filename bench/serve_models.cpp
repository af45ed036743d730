// Runs networks as another program asks it to, so that compare_layers.py can take turns with it.
//
//   serve_models MODEL.mien...
//
// The program reads commands, one a line, and answers each with one line:
//
//   about     instruction set and compiler
//   run M N   nanoseconds of CPU time of each of N passes of the M-th network, on one input
#include <cstddef>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <mien/error.hpp>
#include <mien/graph/program.hpp>
#include <mien/kernels/instruction_sets.hpp>
#include <mien/model.hpp>
#include <mien/tensor.hpp>

#include "compiler.hpp"
#include "cpu_time.hpp"
#include "random_inputs.hpp"

namespace {

using mien::bench::cpu_nanoseconds;

class Network {
 public:
  /// Loading replays the file's test vectors.
  explicit Network(const std::string& path)
      : program_(mien::Model::load(path).program()),
        inputs_(1, program_->input_shapes().front().size()),
        outputs_(program_->output_shapes().front().size()),
        arena_(program_->arena_size()) {}

  long long time_pass() noexcept {
    const float* const input = inputs_[0];
    float* const output = outputs_.data();
    const long long start = cpu_nanoseconds();
    program_->run(1, &input, &output, arena_.data());
    return cpu_nanoseconds() - start;
  }

 private:
  std::shared_ptr<const mien::Program> program_;
  mien::bench::RandomInputs inputs_;
  mien::detail::AlignedBuffer outputs_;
  mien::detail::AlignedBuffer arena_;
};

std::string answer(std::vector<Network>& networks, const std::string& line) {
  std::istringstream words(line);
  std::string command;
  std::size_t number = 0;
  std::size_t count = 0;
  words >> command >> number >> count;
  std::ostringstream text;
  if (line == "about") {
    text << mien::name(mien::choose_instruction_set()) << ", " << mien::bench::compiler;
  } else if (command == "run" && words && number < networks.size()) {
    for (std::size_t i = 0; i < count; ++i) text << networks[number].time_pass() << ' ';
  } else {
    throw mien::Error("command: expected 'about' or 'run M N', found '" + line + "'");
  }
  return text.str();
}

}  // namespace

int main(int argc, char** argv) try {
  std::vector<Network> networks;
  for (int i = 1; i < argc; ++i) networks.emplace_back(argv[i]);
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << answer(networks, line) << std::endl;
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "serve_models: %s\n", error.what());
  return 1;
}
