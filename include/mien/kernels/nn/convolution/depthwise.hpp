// Depthwise convolution, one filter a channel. The fast kernel is in depthwise.inl.
#pragma once

#include <cstddef>

#include <mien/config.hpp>
#include <mien/kernels/nn/convolution/method.hpp>
#include <mien/kernels/nn/geometry.hpp>
#include <mien/kernels/nn/kernel_table.hpp>

namespace mien::kernels {

namespace depthwise {

constexpr bool suits(const WindowGeometry& g) {
  return g.groups > 1 && g.groups == g.in_channels && g.groups == g.out_channels;
}

constexpr std::size_t scratch_size(const WindowGeometry&) {
  return 0;
}

constexpr std::size_t packed_size(const WindowGeometry& g, int) {
  return WindowGeometry::product(g.in_channels, g.kernel_height, g.kernel_width);
}

/// From PyTorch's [C][1][KH][KW] to [KH][KW][C].
void pack(const WindowGeometry& g, int block, const float* weight, float* packed);

void run(const KernelTable& table, const WindowGeometry& g, int count, const float* input,
         const float* packed, const Epilogue& epilogue, float* scratch, float* output) noexcept;

constexpr ConvolutionMethod method() {
  ConvolutionMethod m{};
  m.name = "depthwise";
  m.suits = &suits;
  m.can_pool = false;
  m.in_blocks = false;
  m.scratch_size = &scratch_size;
  m.packed_size = &packed_size;
  m.pack = &pack;
  m.run = &run;
  return m;
}

}  // namespace depthwise

inline constexpr ConvolutionMethod depthwise_method = depthwise::method();

}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

namespace mien::kernels::depthwise {

MIEN_INLINE void pack(const WindowGeometry& g, int, const float* weight, float* packed) {
  const std::ptrdiff_t taps = std::ptrdiff_t{g.kernel_height} * g.kernel_width;
  for (std::ptrdiff_t tap = 0; tap < taps; ++tap) {
    for (int c = 0; c < g.in_channels; ++c)
      packed[tap * g.in_channels + c] = weight[c * taps + tap];
  }
}

/// One image after the other, by a kernel of the table.
template <auto kernel>
void run_images(const KernelTable& table, const WindowGeometry& g, int count, const float* input,
                const float* packed, const Epilogue& epilogue, float* output) noexcept {
  Epilogue of_image = epilogue;
  for (int i = 0; i < count; ++i) {
    (table.*kernel)(g, input, packed, of_image, output);
    input += g.input_size();
    output += g.output_size();
    if (of_image.added != nullptr) of_image.added += g.output_size();
  }
}

MIEN_INLINE void run(const KernelTable& table, const WindowGeometry& g, int count,
                     const float* input, const float* packed, const Epilogue& epilogue, float*,
                     float* output) noexcept {
  run_images<&KernelTable::depthwise_conv2d>(table, g, count, input, packed, epilogue, output);
}

}  // namespace mien::kernels::depthwise

#endif  // MIEN_HAS_DEFINITIONS
