// Runs the tests; with MIEN_ISA naming an instruction set that this machine lacks, skips them.
#define DOCTEST_CONFIG_IMPLEMENT
#include <cstdio>
#include <cstdlib>
#include <string>

#include <doctest/doctest.h>

#include <mien/kernels/instruction_sets.hpp>

int main(int argc, char** argv) {
  constexpr int skipped = 77;  // what CTest is told to take for a skipped test
  const char* wanted = std::getenv("MIEN_ISA");
  for (const mien::InstructionSet set : mien::instruction_sets) {
    if (wanted != nullptr && std::string(wanted) == mien::name(set) && !mien::supported(set)) {
      std::printf("skipped: this machine has no %s\n", wanted);
      return skipped;
    }
  }
  return doctest::Context(argc, argv).run();
}
