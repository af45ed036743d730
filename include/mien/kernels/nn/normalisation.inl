// Fast normalisation, compiled once for each instruction set: the mean first and then the variance
// about it, which loses nothing where the mean is large beside the deviation.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/nn/parts.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// Where Squares, the squared distance of a value from its channel's centre, else the value.
template <bool Squares>
MIEN_ALWAYS_INLINE Vector sum_with(const Vector& sum, const Vector& x,
                                   const Vector& centre) noexcept {
  if constexpr (Squares) {
    const Vector distance = minus(x, centre);
    return multiply_add(distance, distance, sum);
  } else {
    return plus(sum, x);
  }
}

/// The sums over all pixels of Count vectors of channels, which fill a cache line. Rounding grows
/// with the length of a sum, so that sums of 64 pixels are summed.
template <int Count, bool Whole, bool Squares>
inline void column_sums(std::size_t pixels, std::size_t channels, int left, const float* input,
                        const float* centres, float* sums) noexcept {
  constexpr std::size_t run = 64;
  const Vector zero = broadcast(0.0f);
  Vector totals[std::size_t{Count}];
  Vector middle[std::size_t{Count}];
  MIEN_UNROLL
  for (int i = 0; i < Count; ++i) {
    totals[i] = zero;
    middle[i] = Squares ? load(centres + i * lanes) : zero;
  }
  while (pixels > 0) {
    const std::size_t now = pixels < run ? pixels : run;
    Vector parts[std::size_t{Count}];
    MIEN_UNROLL
    for (int i = 0; i < Count; ++i) parts[i] = zero;
    for (std::size_t pixel = 0; pixel < now; ++pixel, input += channels) {
      MIEN_UNROLL
      for (int i = 0; i < Count; ++i) {
        const Vector x = load_part<Whole>(input + i * lanes, left);
        parts[i] = sum_with<Squares>(parts[i], x, middle[i]);
      }
    }
    MIEN_UNROLL
    for (int i = 0; i < Count; ++i) totals[i] = plus(totals[i], parts[i]);
    pixels -= now;
  }
  MIEN_UNROLL
  for (int i = 0; i < Count; ++i) store(sums + i * lanes, totals[i]);
}

/// `sums` has room for whole vectors, as `centres` does.
template <bool Squares>
inline void channel_sums(std::size_t pixels, std::size_t channels, const float* input,
                         const float* centres, float* sums) noexcept {
  constexpr int wide = 4;
  std::size_t c = 0;
  for (; c + wide * lanes <= channels; c += wide * lanes) {
    column_sums<wide, true, Squares>(pixels, channels, lanes, input + c, centres + c, sums + c);
  }
  for (; c + lanes <= channels; c += lanes) {
    column_sums<1, true, Squares>(pixels, channels, lanes, input + c, centres + c, sums + c);
  }
  if (c < channels) {
    const int left = static_cast<int>(channels - c);
    column_sums<1, false, Squares>(pixels, channels, left, input + c, centres + c, sums + c);
  }
}

/// Every channel's sum becomes the mean over its group.
inline void average_groups(std::size_t pixels, std::size_t channels, std::size_t of_group,
                           float* sums) noexcept {
  const double count = static_cast<double>(pixels * of_group);
  for (std::size_t first = 0; first < channels; first += of_group) {
    double sum = 0.0;
    for (std::size_t c = first; c < first + of_group; ++c) sum += static_cast<double>(sums[c]);
    const float mean = static_cast<float>(sum / count);
    for (std::size_t c = first; c < first + of_group; ++c) sums[c] = mean;
  }
}

/// As naive::group_norm; `scratch` holds group_norm_scratch_size floats. `output` may be `input`.
inline void group_norm(std::size_t pixels, const Normalisation& norm, const float* input,
                       float* scratch, float* output) noexcept {
  const std::size_t channels = static_cast<std::size_t>(norm.channels);
  const std::size_t of_group = channels / static_cast<std::size_t>(norm.groups);
  const std::size_t room = group_norm_scratch_size(norm.channels) / 3;
  float* const means = scratch;
  float* const scales = scratch + room;
  float* const biases = scratch + 2 * room;
  for (std::size_t c = channels / lanes * lanes; c < room; ++c) means[c] = 0.0f;
  channel_sums<false>(pixels, channels, input, means, means);
  average_groups(pixels, channels, of_group, means);
  channel_sums<true>(pixels, channels, input, means, scales);
  average_groups(pixels, channels, of_group, scales);
  const std::size_t whole = channels / lanes * lanes;
  const int left = static_cast<int>(channels - whole);
  const Vector epsilon = broadcast(norm.epsilon);
  for (std::size_t c = 0; c < channels; c += lanes) {
    const bool is_last = c == whole;
    const Vector weight = is_last ? load_part<false>(norm.weight + c, left) : load(norm.weight + c);
    const Vector bias = is_last ? load_part<false>(norm.bias + c, left) : load(norm.bias + c);
    store(scales + c, divide(weight, square_root(plus(load(scales + c), epsilon))));
    store(biases + c, bias);
  }
  for (std::size_t pixel = 0; pixel < pixels; ++pixel, input += channels, output += channels) {
    for (std::size_t c = 0; c < whole; c += lanes) {
      const Vector distance = minus(load(input + c), load(means + c));
      store(output + c, multiply_add(distance, load(scales + c), load(biases + c)));
    }
    if (left == 0) continue;
    const Vector distance = minus(load_part<false>(input + whole, left), load(means + whole));
    const Vector y = multiply_add(distance, load(scales + whole), load(biases + whole));
    store_part<false>(output + whole, y, left);
  }
}

MIEN_ALWAYS_INLINE float sum_of_lanes(const Vector& v) noexcept {
  float all[lanes];
  store(all, v);
  float sum = 0.0f;
  for (int i = 0; i < lanes; ++i) sum += all[i];
  return sum;
}

/// As naive::layer_norm; `output` may be `input`.
inline void layer_norm(std::size_t pixels, const Normalisation& norm, const float* input,
                       float* output) noexcept {
  const std::size_t channels = static_cast<std::size_t>(norm.channels);
  const std::size_t whole = channels / lanes * lanes;
  const int left = static_cast<int>(channels - whole);
  const Vector zero = broadcast(0.0f);
  const float share = 1.0f / static_cast<float>(channels);
  for (std::size_t pixel = 0; pixel < pixels; ++pixel, input += channels, output += channels) {
    Vector sum = load_part<false>(input + whole, left);
    for (std::size_t c = 0; c < whole; c += lanes) sum = plus(sum, load(input + c));
    const Vector mean = broadcast(sum_of_lanes(sum) * share);
    // Beyond the channels there is nothing to count.
    const Vector last = minus(load_part<false>(input + whole, left), mean);
    float distances[lanes];
    store(distances, last);
    for (int i = left; i < lanes; ++i) distances[i] = 0.0f;
    Vector squares = load(distances);
    squares = multiply_add(squares, squares, zero);
    for (std::size_t c = 0; c < whole; c += lanes) {
      const Vector distance = minus(load(input + c), mean);
      squares = multiply_add(distance, distance, squares);
    }
    const Vector variance = broadcast(sum_of_lanes(squares) * share + norm.epsilon);
    const Vector scale = divide(broadcast(1.0f), square_root(variance));
    for (std::size_t c = 0; c < whole; c += lanes) {
      const Vector distance = times(minus(load(input + c), mean), scale);
      store(output + c, multiply_add(distance, load(norm.weight + c), load(norm.bias + c)));
    }
    if (left == 0) continue;
    const Vector y = multiply_add(times(last, scale), load_part<false>(norm.weight + whole, left),
                                  load_part<false>(norm.bias + whole, left));
    store_part<false>(output + whole, y, left);
  }
}

}  // namespace mien::kernels::MIEN_SET
