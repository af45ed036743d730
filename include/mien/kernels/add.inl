// Fast addition, compiled once for each instruction set (see kernels.hpp).

/// `output` may be `a` or `b`.
inline void add(std::size_t size, const float* a, const float* b, Clamp clamp,
                float* output) noexcept {
  const Vector one = broadcast(1.0f);
  const Vector low = broadcast(clamp.low);
  const Vector high = broadcast(clamp.high);
  const std::size_t whole = size / lanes * lanes;
  for (std::size_t i = 0; i < whole; i += lanes) {
    const Vector sum = multiply_add(one, load(a + i), load(b + i));
    store(output + i, minimum(maximum(sum, low), high));
  }
  const int left = static_cast<int>(size - whole);
  const Vector sum =
      multiply_add(one, load_part<false>(a + whole, left), load_part<false>(b + whole, left));
  store_part<false>(output + whole, minimum(maximum(sum, low), high), left);
}
