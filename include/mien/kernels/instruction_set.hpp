// The instruction sets that kernels are compiled for, and the choice among them.
#pragma once

#include <cstdlib>
#include <string>

#include <mien/error.hpp>

// Compilers that can aim single functions at an instruction set, whatever the user's flags are.
#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define MIEN_X86_TARGETS 1
#else
#define MIEN_X86_TARGETS 0
#endif

namespace mien {

enum class InstructionSet { baseline, avx2, avx512 };

inline const char* name(InstructionSet set) noexcept {
  switch (set) {
    case InstructionSet::avx2:
      return "avx2";
    case InstructionSet::avx512:
      return "avx512";
    default:
      return "baseline";
  }
}

/// Whether this build has kernels for the set and this machine (and its system) can run them.
inline bool supported(InstructionSet set) noexcept {
#if MIEN_X86_TARGETS
  switch (set) {
    case InstructionSet::avx2:
      return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
    case InstructionSet::avx512:
      return __builtin_cpu_supports("avx512f") != 0;
    default:
      return true;
  }
#else
  return set == InstructionSet::baseline;
#endif
}

/// The best supported set, or the one that the environment variable MIEN_ISA names. Throws Error
/// if that is none of "baseline", "avx2", "avx512" or cannot run here.
inline InstructionSet choose_instruction_set() {
  constexpr InstructionSet best_first[] = {InstructionSet::avx512, InstructionSet::avx2,
                                           InstructionSet::baseline};
  const char* wanted = std::getenv("MIEN_ISA");
  for (const InstructionSet set : best_first) {
    if (wanted == nullptr || *wanted == '\0') {
      if (supported(set)) return set;
    } else if (std::string(wanted) == name(set)) {
      if (supported(set)) return set;
      throw Error(std::string("MIEN_ISA: this machine or build does not support ") + wanted);
    }
  }
  throw Error(std::string("MIEN_ISA: expected baseline, avx2 or avx512, found '") + wanted + "'");
}

}  // namespace mien
