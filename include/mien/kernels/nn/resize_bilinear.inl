// Fast bilinear interpolation, compiled once for each instruction set: a vector holds `lanes`
// channels of one pixel.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/nn/parts.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// The pixels about one output, and their shares in it.
struct BilinearPixel {
  const float* from[4];
  Vector share[4];
};

template <bool Whole>
inline void bilinear_part(const BilinearPixel& pixel, int channel, int count,
                          float* output) noexcept {
  Vector sum = times(load_part<Whole>(pixel.from[0] + channel, count), pixel.share[0]);
  MIEN_UNROLL
  for (int i = 1; i < 4; ++i) {
    sum = multiply_add(load_part<Whole>(pixel.from[i] + channel, count), pixel.share[i], sum);
  }
  store_part<Whole>(output + channel, sum, count);
}

inline void bilinear_row(const BilinearRow& row, float* output) noexcept {
  const int whole = row.channels / lanes * lanes;
  const float below = row.lower_share;
  for (int x = 0; x < row.width; ++x, output += row.channels) {
    const std::ptrdiff_t left = std::ptrdiff_t{row.left[x]} * row.channels;
    const std::ptrdiff_t right = std::ptrdiff_t{row.right[x]} * row.channels;
    const float share = row.right_share[x];
    const BilinearPixel pixel = {
        {row.upper + left, row.upper + right, row.lower + left, row.lower + right},
        {broadcast((1.0f - below) * (1.0f - share)), broadcast((1.0f - below) * share),
         broadcast(below * (1.0f - share)), broadcast(below * share)}};
    for (int c = 0; c < whole; c += lanes) bilinear_part<true>(pixel, c, lanes, output);
    if (whole < row.channels) {
      bilinear_part<false>(pixel, whole, row.channels - whole, output);
    }
  }
}

}  // namespace mien::kernels::MIEN_SET
