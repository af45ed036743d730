// Fast local response normalisation, compiled once for each instruction set.
//
// A pixel's squares are written into a row with zeros at both ends, so that the windows of `lanes`
// neighbouring channels are as many shifted loads as the window has channels.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/nn/parts.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// value / base^(quarters / 4), for 1 to 4 quarters.
MIEN_ALWAYS_INLINE Vector divided_by_power(const Vector& value, const Vector& base,
                                           int quarters) noexcept {
  if (quarters == 4) return divide(value, base);
  const Vector root = square_root(base);
  if (quarters == 2) return divide(value, root);
  const Vector fourth_root = square_root(root);
  if (quarters == 1) return divide(value, fourth_root);
  return divide(value, multiply_add(root, fourth_root, broadcast(0.0f)));
}

/// A row of pixels of so many channels; `scratch` holds local_response_norm_scratch_size floats.
/// The response's beta has_fast_power.
inline void local_response_norm(int pixels, int channels, const LocalResponse& response,
                                const float* input, float* scratch, float* output) noexcept {
  const int quarters = static_cast<int>(4.0f * response.beta);
  const Vector zero = broadcast(0.0f);
  const Vector weight = broadcast(response.alpha / static_cast<float>(response.size));
  const Vector k = broadcast(response.k);
  const int whole = channels / lanes * lanes;
  const int padded = response.before() + channels + response.after() + lanes;
  for (int i = 0; i < padded; ++i) scratch[i] = 0.0f;
  float* const squares = scratch + response.before();
  for (int pixel = 0; pixel < pixels; ++pixel, input += channels, output += channels) {
    for (int c = 0; c < whole; c += lanes) {
      const Vector value = load(input + c);
      store(squares + c, multiply_add(value, value, zero));
    }
    for (int c = whole; c < channels; ++c) squares[c] = input[c] * input[c];
    for (int c = 0; c < channels; c += lanes) {
      Vector sum = load(scratch + c);
      for (int i = 1; i < response.size; ++i) {
        sum = multiply_add(broadcast(1.0f), load(scratch + c + i), sum);
      }
      const Vector base = multiply_add(weight, sum, k);
      if (c < whole) {
        store(output + c, divided_by_power(load(input + c), base, quarters));
      } else {
        const int count = channels - whole;
        const Vector value = load_part<false>(input + c, count);
        store_part<false>(output + c, divided_by_power(value, base, quarters), count);
      }
    }
  }
}

}  // namespace mien::kernels::MIEN_SET
