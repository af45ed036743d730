// Addition of images: naive reference. The fast kernel is in add.inl.
#pragma once

#include <cstddef>

#include <mien/config.hpp>
#include <mien/kernels/nn/epilogue.hpp>

namespace mien::kernels::naive {

/// The definition; `output` may be `a` or `b`.
void add(std::size_t size, const float* a, const float* b, Activation activation, float* output);

}  // namespace mien::kernels::naive

#if MIEN_HAS_DEFINITIONS

namespace mien::kernels::naive {

MIEN_INLINE void add(std::size_t size, const float* a, const float* b, Activation activation,
                     float* output) {
  for (std::size_t i = 0; i < size; ++i) output[i] = activated(activation, a[i] + b[i]);
}

}  // namespace mien::kernels::naive

#endif  // MIEN_HAS_DEFINITIONS
