// Fast arithmetic of two images, compiled once for each instruction set.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/nn/parts.inl>
#endif

namespace mien::kernels::MIEN_SET {

template <Arithmetic operation>
MIEN_ALWAYS_INLINE Vector combined(const Vector& a, const Vector& b) noexcept {
  if constexpr (operation == Arithmetic::add) return plus(a, b);
  if constexpr (operation == Arithmetic::subtract) return minus(a, b);
  if constexpr (operation == Arithmetic::multiply) return times(a, b);
  if constexpr (operation == Arithmetic::divide) return divide(a, b);
  if constexpr (operation == Arithmetic::minimum) return smaller(a, b);
  if constexpr (operation == Arithmetic::maximum) return larger(a, b);
}

/// Where an operand is not spread it is one value for the whole row.
template <Arithmetic operation, bool spread_a, bool spread_b>
inline void combine_row(std::size_t size, const float* a, const float* b, const VectorBounds& bound,
                        float* output) noexcept {
  const Vector first_a = broadcast(*a);
  const Vector first_b = broadcast(*b);
  const std::size_t whole = size / lanes * lanes;
  for (std::size_t i = 0; i < whole; i += lanes) {
    const Vector x = spread_a ? load(a + i) : first_a;
    const Vector y = spread_b ? load(b + i) : first_b;
    store(output + i, bound(combined<operation>(x, y)));
  }
  if (whole == size) return;
  const int left = static_cast<int>(size - whole);
  const Vector x = spread_a ? load_part<false>(a + whole, left) : first_a;
  const Vector y = spread_b ? load_part<false>(b + whole, left) : first_b;
  store_part<false>(output + whole, bound(combined<operation>(x, y)), left);
}

template <Arithmetic operation>
inline void combine(const BroadcastLoops& loops, const float* a, const float* b,
                    const VectorBounds& bound, float* output) noexcept {
  const std::size_t size = loops.sizes[3];
  for (std::size_t i = 0; i < loops.sizes[0]; ++i) {
    for (std::size_t j = 0; j < loops.sizes[1]; ++j) {
      for (std::size_t k = 0; k < loops.sizes[2]; ++k) {
        const float* const row_a =
            a + i * loops.a_steps[0] + j * loops.a_steps[1] + k * loops.a_steps[2];
        const float* const row_b =
            b + i * loops.b_steps[0] + j * loops.b_steps[1] + k * loops.b_steps[2];
        if (loops.a_steps[3] == 0) {
          combine_row<operation, false, true>(size, row_a, row_b, bound, output);
        } else if (loops.b_steps[3] == 0) {
          combine_row<operation, true, false>(size, row_a, row_b, bound, output);
        } else {
          combine_row<operation, true, true>(size, row_a, row_b, bound, output);
        }
        output += size;
      }
    }
  }
}

/// As naive::arithmetic.
inline void arithmetic(Arithmetic operation, const BroadcastLoops& loops, const float* a,
                       const float* b, Activation activation, float* output) noexcept {
  const VectorBounds bound(activation);
  switch (operation) {
    case Arithmetic::add:
      return combine<Arithmetic::add>(loops, a, b, bound, output);
    case Arithmetic::subtract:
      return combine<Arithmetic::subtract>(loops, a, b, bound, output);
    case Arithmetic::multiply:
      return combine<Arithmetic::multiply>(loops, a, b, bound, output);
    case Arithmetic::divide:
      return combine<Arithmetic::divide>(loops, a, b, bound, output);
    case Arithmetic::minimum:
      return combine<Arithmetic::minimum>(loops, a, b, bound, output);
    case Arithmetic::maximum:
      return combine<Arithmetic::maximum>(loops, a, b, bound, output);
  }
}

}  // namespace mien::kernels::MIEN_SET
