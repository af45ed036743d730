// Every fast kernel over the Vector that was defined just before, compiled once for each
// instruction set (see kernels.hpp).

/// The first `count` of a vector's lanes; all of them where Whole, at no cost.
template <bool Whole>
MIEN_ALWAYS_INLINE Vector load_part(const float* from, int count) noexcept {
  if constexpr (Whole) {
    return load(from);
  } else {
    float values[lanes] = {};
    for (int i = 0; i < count; ++i) values[i] = from[i];
    return load(values);
  }
}

template <bool Whole>
MIEN_ALWAYS_INLINE void store_part(float* to, Vector v, int count) noexcept {
  if constexpr (Whole) {
    store(to, v);
  } else {
    float values[lanes];
    store(values, v);
    for (int i = 0; i < count; ++i) to[i] = values[i];
  }
}

#include <mien/kernels/conv2d.inl>
#include <mien/kernels/depthwise_conv2d.inl>
#include <mien/kernels/max_pool2d.inl>
#include <mien/kernels/winograd.inl>

inline constexpr KernelTable table = {conv2d_block,
                                      &conv2d,
                                      &depthwise_conv2d,
                                      &max_pool2d,
                                      &winograd_conv2d<Winograd3x3>,
                                      &winograd_conv2d<Winograd5x5>};
