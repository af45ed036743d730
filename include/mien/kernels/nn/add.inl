// Fast addition, compiled once for each instruction set.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/nn/parts.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// `output` may be `a` or `b`.
inline void add(std::size_t size, const float* a, const float* b, Activation activation,
                float* output) noexcept {
  const VectorBounds bound(activation);
  const std::size_t whole = size / lanes * lanes;
  for (std::size_t i = 0; i < whole; i += lanes) {
    store(output + i, bound(plus(load(a + i), load(b + i))));
  }
  const int left = static_cast<int>(size - whole);
  const Vector sum = plus(load_part<false>(a + whole, left), load_part<false>(b + whole, left));
  store_part<false>(output + whole, bound(sum), left);
}

}  // namespace mien::kernels::MIEN_SET
