// How many multiply-adds this processor can do: the bound that layers are measured against.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include <Eigen/Core>

#include <mien/kernels/instruction_sets.hpp>

#if MIEN_X86_TARGETS
#include <immintrin.h>
#endif

namespace mien::bench {

// Enough independent chains to hide the latency of a multiply-add (4 or 5 cycles, 2 units), few
// enough for 16 registers.
inline constexpr int peak_chains = 12;

// Floats of a vector.
inline constexpr int peak_lanes_baseline = 4;
inline constexpr int peak_lanes_avx2 = 8;
inline constexpr int peak_lanes_avxvnni = peak_lanes_avx2;
inline constexpr int peak_lanes_avx512 = 16;
inline constexpr int peak_lanes_avx512vnni = peak_lanes_avx512;

/// Multiply-adds on registers: `rounds` on each of the chains, x * 0.5 + 1, which stay finite.
/// Returns a sum of them, so that no compiler leaves them out.
inline float multiply_add_chains_baseline(std::size_t rounds) noexcept {
  using Vector = Eigen::Array<float, 4, 1>;
  const Vector half = Vector::Constant(0.5f);
  const Vector one = Vector::Constant(1.0f);
  Vector chains[peak_chains];
  for (Vector& chain : chains) chain = one;
  for (std::size_t i = 0; i < rounds; ++i) {
    for (Vector& chain : chains) chain = chain * half + one;
  }
  Vector sum = Vector::Zero();
  for (const Vector& chain : chains) sum += chain;
  return sum.sum();
}

#if MIEN_X86_TARGETS

/// The same with AVX2 and FMA.
__attribute__((target("avx2,fma"))) inline float multiply_add_chains_avx2(
    std::size_t rounds) noexcept {
  const __m256 half = _mm256_set1_ps(0.5f);
  const __m256 one = _mm256_set1_ps(1.0f);
  __m256 chains[peak_chains];
  for (__m256& chain : chains) chain = one;
  for (std::size_t i = 0; i < rounds; ++i) {
    for (__m256& chain : chains) chain = _mm256_fmadd_ps(chain, half, one);
  }
  __m256 sum = _mm256_setzero_ps();
  for (const __m256& chain : chains) sum = _mm256_add_ps(sum, chain);
  return _mm256_cvtss_f32(sum);
}

/// The same with AVX-512.
__attribute__((target("avx512f"))) inline float multiply_add_chains_avx512(
    std::size_t rounds) noexcept {
  const __m512 half = _mm512_set1_ps(0.5f);
  const __m512 one = _mm512_set1_ps(1.0f);
  __m512 chains[peak_chains];
  for (__m512& chain : chains) chain = one;
  for (std::size_t i = 0; i < rounds; ++i) {
    for (__m512& chain : chains) chain = _mm512_fmadd_ps(chain, half, one);
  }
  __m512 sum = _mm512_setzero_ps();
  for (const __m512& chain : chains) sum = _mm512_add_ps(sum, chain);
  return _mm512_cvtss_f32(sum);
}

#else

inline float multiply_add_chains_avx2(std::size_t rounds) noexcept {
  return multiply_add_chains_baseline(rounds);
}
inline float multiply_add_chains_avx512(std::size_t rounds) noexcept {
  return multiply_add_chains_baseline(rounds);
}

#endif  // MIEN_X86_TARGETS

// Floats are multiplied as the set does that each of these extends.
inline constexpr auto* multiply_add_chains_avxvnni = &multiply_add_chains_avx2;
inline constexpr auto* multiply_add_chains_avx512vnni = &multiply_add_chains_avx512;

/// Multiply-add chains by one instruction set.
struct MultiplyAddChains {
  int lanes;
  float (*run)(std::size_t rounds) noexcept;

  std::size_t multiply_adds(std::size_t rounds) const noexcept {
    return rounds * static_cast<std::size_t>(peak_chains * lanes);
  }
};

inline MultiplyAddChains multiply_add_chains(InstructionSet set) noexcept {
  switch (set) {
#define MIEN_CASE(set, runs_here) \
  case InstructionSet::set:       \
    return {peak_lanes_##set, multiply_add_chains_##set};
    MIEN_INSTRUCTION_SETS(MIEN_CASE)
#undef MIEN_CASE
  }
  return {peak_lanes_baseline, multiply_add_chains_baseline};
}

/// The most floating-point operations a second that one core of this machine reached with the
/// chosen instruction set, a multiply-add being two; measured at the first call, in about 0.3 s.
inline double peak_operations_per_second() {
  static const double peak = [] {
    constexpr std::size_t rounds = 100'000;
    constexpr int trials = 1000;  // short ones: the best of them was disturbed least
    const MultiplyAddChains chains = multiply_add_chains(choose_instruction_set());
    volatile float result = 0.0f;
    double best = 0.0;
    for (int trial = 0; trial < trials; ++trial) {
      const auto start = std::chrono::steady_clock::now();
      result = chains.run(rounds);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      const auto operations = 2.0 * static_cast<double>(chains.multiply_adds(rounds));
      best = std::max(best, operations / seconds.count());
    }
    (void)result;
    return best;
  }();
  return peak;
}

}  // namespace mien::bench
