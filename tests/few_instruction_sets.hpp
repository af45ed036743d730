// Included before all else where a build by sanitizers would take long: two instruction sets of the
// list in kernels/instruction_sets.inl, which take half the time of all five.
#define MIEN_INSTRUCTION_SETS(SET) \
  SET(baseline, true)              \
  SET(avx2, MIEN_CPU_HAS("avx2") && MIEN_CPU_HAS("fma"))
