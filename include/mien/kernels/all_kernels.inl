// Every fast kernel over the Vector that was defined just before, compiled once for each
// instruction set (see kernels.hpp).

/// The first `count` of a vector's lanes, the others zero; all of them where Whole, at no cost.
template <bool Whole>
MIEN_ALWAYS_INLINE Vector load_part(const float* from, int count) noexcept {
  if constexpr (Whole) {
    return load(from);
  } else {
    return load_first(from, count);
  }
}

template <bool Whole>
MIEN_ALWAYS_INLINE void store_part(float* to, Vector v, int count) noexcept {
  if constexpr (Whole) {
    store(to, v);
  } else {
    store_first(to, v, count);
  }
}

#include <mien/kernels/add.inl>
#include <mien/kernels/avg_pool2d.inl>
#include <mien/kernels/conv2d.inl>
#include <mien/kernels/depthwise_conv2d.inl>
#include <mien/kernels/local_response_norm.inl>
#include <mien/kernels/max_pool2d.inl>
#include <mien/kernels/winograd.inl>

inline constexpr KernelTable table = {conv2d_block,
                                      &conv2d,
                                      &depthwise_conv2d,
                                      &max_pool2d,
                                      &avg_pool2d,
                                      &local_response_norm,
                                      &add,
                                      &winograd_conv2d<Winograd3x3>,
                                      &winograd_conv2d<Winograd3x3Small>,
                                      &winograd_conv2d<Winograd5x5>};
