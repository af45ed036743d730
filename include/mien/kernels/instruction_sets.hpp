// The instruction sets that kernels are compiled for, and the choice among them.
#pragma once

#include <mien/config.hpp>

// Compilers that can aim single functions at an instruction set, whatever the user's flags are.
#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define MIEN_X86_TARGETS 1
#else
#define MIEN_X86_TARGETS 0
#endif

// Clang 14 can compile for AVX-VNNI, but cannot ask a machine for it.
#if MIEN_X86_TARGETS && !defined(__clang__) && __GNUC__ >= 12
#define MIEN_COMPILER_KNOWS_AVX_VNNI 1
#else
#define MIEN_COMPILER_KNOWS_AVX_VNNI 0
#endif

#include <mien/kernels/instruction_sets.inl>

namespace mien {

#define MIEN_ENUMERATOR(set, runs_here) set,
enum class InstructionSet { MIEN_INSTRUCTION_SETS(MIEN_ENUMERATOR) };
#undef MIEN_ENUMERATOR

/// Every set, from the least capable to the most.
#define MIEN_ELEMENT(set, runs_here) InstructionSet::set,
inline constexpr InstructionSet instruction_sets[] = {MIEN_INSTRUCTION_SETS(MIEN_ELEMENT)};
#undef MIEN_ELEMENT

constexpr const char* name(InstructionSet set) noexcept {
#define MIEN_NAME(set, runs_here) #set,
  constexpr const char* names[] = {MIEN_INSTRUCTION_SETS(MIEN_NAME)};
#undef MIEN_NAME
  return names[static_cast<int>(set)];
}

/// Whether this build has kernels for the set and this machine can run them.
bool supported(InstructionSet set) noexcept;

/// The best supported set, or the one that the environment variable MIEN_ISA names. Throws Error
/// if that is none of the list's or cannot run here.
MIEN_COLD InstructionSet choose_instruction_set();

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cstdlib>
#include <string>

#include <mien/error.hpp>

namespace mien {

MIEN_INLINE bool supported(InstructionSet set) noexcept {
  switch (set) {
#if MIEN_X86_TARGETS
#define MIEN_CPU_HAS(feature) (__builtin_cpu_supports(feature) != 0)
#else
#define MIEN_CPU_HAS(feature) false
#endif
#if MIEN_COMPILER_KNOWS_AVX_VNNI
#define MIEN_CPU_HAS_AVX_VNNI (MIEN_CPU_HAS_AVX2 && MIEN_CPU_HAS("avxvnni"))
#else
#define MIEN_CPU_HAS_AVX_VNNI false
#endif
#define MIEN_CASE(set, runs_here) \
  case InstructionSet::set:       \
    return runs_here;
    MIEN_INSTRUCTION_SETS(MIEN_CASE)
#undef MIEN_CASE
#undef MIEN_CPU_HAS_AVX_VNNI
#undef MIEN_CPU_HAS
  }
  return false;
}

MIEN_INLINE InstructionSet choose_instruction_set() {
  const char* const found = std::getenv("MIEN_ISA");
  const std::string wanted = found == nullptr ? "" : found;
  if (wanted.empty()) {
    InstructionSet best = InstructionSet::baseline;
    for (const InstructionSet set : instruction_sets) {
      if (supported(set)) best = set;
    }
    return best;
  }
  std::string names;
  constexpr int count = static_cast<int>(sizeof(instruction_sets) / sizeof(InstructionSet));
  for (int i = 0; i < count; ++i) {
    const InstructionSet set = instruction_sets[i];
    if (wanted == name(set)) {
      if (supported(set)) return set;
      detail::fail({"MIEN_ISA: this machine or build does not support ", wanted});
    }
    names += i == 0 ? "" : i + 1 < count ? ", " : " or ";
    names += name(set);
  }
  detail::fail({"MIEN_ISA: expected ", names, ", found '", wanted, "'"});
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
