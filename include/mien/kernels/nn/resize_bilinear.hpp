// Bilinear interpolation of images: naive reference. The fast kernel is in resize_bilinear.inl.
#pragma once

#include <cstddef>

#include <mien/config.hpp>

namespace mien::kernels {

/// One row of outputs between two rows of inputs; output x lies between their columns left[x] and
/// right[x].
struct BilinearRow {
  int channels;
  int width;
  const float* upper;
  const float* lower;
  float lower_share;
  const int* left;
  const int* right;
  const float* right_share;
};

namespace naive {

void bilinear_row(const BilinearRow& row, float* output);

}  // namespace naive
}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

namespace mien::kernels::naive {

MIEN_INLINE void bilinear_row(const BilinearRow& row, float* output) {
  const auto between = [](double first, double second, double share) {
    return first + share * (second - first);
  };
  for (int x = 0; x < row.width; ++x) {
    const std::ptrdiff_t left = std::ptrdiff_t{row.left[x]} * row.channels;
    const std::ptrdiff_t right = std::ptrdiff_t{row.right[x]} * row.channels;
    const double share{row.right_share[x]};
    for (int c = 0; c < row.channels; ++c) {
      const double above =
          between(double{row.upper[left + c]}, double{row.upper[right + c]}, share);
      const double below =
          between(double{row.lower[left + c]}, double{row.lower[right + c]}, share);
      *output++ = static_cast<float>(between(above, below, double{row.lower_share}));
    }
  }
}

}  // namespace mien::kernels::naive

#endif  // MIEN_HAS_DEFINITIONS
