// Grouped convolution of few channels a group, as in ResNeXt (Xie et al., arXiv 1611.05431). The
// fast kernel is in depthwise.inl.
#pragma once

#include <cstddef>

#include <mien/config.hpp>
#include <mien/kernels/nn/convolution/depthwise.hpp>
#include <mien/kernels/nn/convolution/method.hpp>
#include <mien/kernels/nn/geometry.hpp>
#include <mien/kernels/nn/kernel_table.hpp>

namespace mien::kernels {

namespace grouped {

inline constexpr int largest_group = 8;

/// Whether groups have so few channels that the direct method would leave most lanes of its blocks
/// empty, and so many that whole groups fill a vector.
constexpr bool has_small_groups(int in_channels, int out_channels, int groups) {
  constexpr int largest_vector = 16;
  const int group = in_channels / groups;
  return in_channels == out_channels && out_channels >= largest_vector &&
         (group == 2 || group == 4 || group == largest_group);
}

/// Windows that are three pixels wide, without dilation, which hang over the border by one at most.
constexpr bool suits(const WindowGeometry& g) {
  constexpr int fewest_columns = 4;
  const int beyond = (g.out_width - 1) * g.stride_x + g.kernel_width - g.padding_x - g.in_width;
  return g.groups > 1 && has_small_groups(g.in_channels, g.out_channels, g.groups) &&
         g.kernel_width == 3 && !g.is_dilated() && g.stride_x <= 2 && g.padding_x <= 1 &&
         beyond <= 1 && g.out_width >= fewest_columns;
}

constexpr std::size_t packed_size(const WindowGeometry& g, int) {
  return WindowGeometry::product(g.out_channels, g.kernel_height, g.kernel_width) *
         static_cast<std::size_t>(g.in_channels / g.groups);
}

/// From PyTorch's [O][I / groups][KH][KW] to [KH][I / groups][KW][O].
void pack(const WindowGeometry& g, int block, const float* weight, float* packed);

void run(const KernelTable& table, const WindowGeometry& g, int count, const float* input,
         const float* packed, const Epilogue& epilogue, float* scratch, float* output) noexcept;

constexpr ConvolutionMethod method() {
  ConvolutionMethod m{};
  m.name = "grouped";
  m.suits = &suits;
  m.can_pool = false;
  m.in_blocks = false;
  m.scratch_size = &depthwise::scratch_size;
  m.packed_size = &packed_size;
  m.pack = &pack;
  m.run = &run;
  return m;
}

}  // namespace grouped

inline constexpr ConvolutionMethod grouped_method = grouped::method();

}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

namespace mien::kernels::grouped {

MIEN_INLINE void pack(const WindowGeometry& g, int, const float* weight, float* packed) {
  const int group = g.in_channels / g.groups;
  for (int row = 0; row < g.kernel_height; ++row) {
    for (int i = 0; i < group; ++i) {
      for (int column = 0; column < g.kernel_width; ++column) {
        for (int o = 0; o < g.out_channels; ++o) {
          *packed++ = weight[((o * group + i) * g.kernel_height + row) * g.kernel_width + column];
        }
      }
    }
  }
}

MIEN_INLINE void run(const KernelTable& table, const WindowGeometry& g, int count,
                     const float* input, const float* packed, const Epilogue& epilogue, float*,
                     float* output) noexcept {
  depthwise::run_images<&KernelTable::grouped_conv2d>(table, g, count, input, packed, epilogue,
                                                      output);
}

}  // namespace mien::kernels::grouped

#endif  // MIEN_HAS_DEFINITIONS
