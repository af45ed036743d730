// Addition of images: naive reference. The fast kernel is in add.inl.
#pragma once

#include <algorithm>
#include <cstddef>

#include <mien/kernels/geometry.hpp>

namespace mien::kernels::naive {

/// The definition; `output` may be `a` or `b`.
inline void add(std::size_t size, const float* a, const float* b, Clamp clamp, float* output) {
  for (std::size_t i = 0; i < size; ++i) {
    output[i] = std::min(std::max(a[i] + b[i], clamp.low), clamp.high);
  }
}

}  // namespace mien::kernels::naive
