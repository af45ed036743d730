// The list of the instruction sets that kernels are compiled for, from the least capable to the
// most: a set's name and whether this machine (and its system) can run it.
//
// To add a set:
//   1. a folder of its name, with nn.inl and vision.inl as in avx2/, which define its tables,
//   2. a line in the list and one among the includes below it; the compiler says if one is missing.
// Everything else, tests and benchmarks too, iterates the list.
#ifndef MIEN_INSTRUCTION_SETS
#define MIEN_CPU_HAS_AVX2 (MIEN_CPU_HAS("avx2") && MIEN_CPU_HAS("fma"))
// AVX-512's tables use AVX2's kernels for few channels.
#define MIEN_CPU_HAS_AVX512                                                           \
  (MIEN_CPU_HAS("avx512f") && MIEN_CPU_HAS("avx512bw") && MIEN_CPU_HAS("avx512vl") && \
   MIEN_CPU_HAS("bmi2") && MIEN_CPU_HAS_AVX2)
#define MIEN_INSTRUCTION_SETS(SET)    \
  SET(baseline, true)                 \
  SET(avx2, MIEN_CPU_HAS_AVX2)        \
  SET(avxvnni, MIEN_CPU_HAS_AVX_VNNI) \
  SET(avx512, MIEN_CPU_HAS_AVX512)    \
  SET(avx512vnni, MIEN_CPU_HAS_AVX512&& MIEN_CPU_HAS("avx512vnni"))
#endif

// Includes one file of every set's folder: MIEN_FILE_OF(set) says which.
#ifdef MIEN_FILE_OF
#include MIEN_FILE_OF(baseline)
#include MIEN_FILE_OF(avx2)
#include MIEN_FILE_OF(avxvnni)
#include MIEN_FILE_OF(avx512)
#include MIEN_FILE_OF(avx512vnni)
#endif
