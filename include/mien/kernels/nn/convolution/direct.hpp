// Direct convolution: an implicit matrix product, without an unfolded copy of the image. The fast
// kernel is in direct.inl.
#pragma once

#include <cstddef>

#include <mien/config.hpp>
#include <mien/kernels/nn/convolution/method.hpp>
#include <mien/kernels/nn/geometry.hpp>
#include <mien/kernels/nn/kernel_table.hpp>
#include <mien/tensor.hpp>

namespace mien::kernels {

namespace direct {

constexpr bool suits(const WindowGeometry&) {
  return true;
}

/// A copy of the image with its padding around it.
constexpr std::size_t scratch_size(const WindowGeometry& g) {
  return g.is_padded() ? mien::detail::aligned_size(g.padded_size()) : 0;
}

/// Every group's output channels are padded to whole blocks.
constexpr std::size_t packed_size(const WindowGeometry& g, int block) {
  const int group_out = g.out_channels / g.groups;
  const int blocks = (group_out + block - 1) / block * g.groups;
  return static_cast<std::size_t>(blocks) * static_cast<std::size_t>(block) *
         static_cast<std::size_t>(g.kernel_height * g.kernel_width) *
         static_cast<std::size_t>(g.in_channels / g.groups);
}

/// Packs weights [O][I / groups][KH][KW] as [group][block of O][KH][KW][I / groups][O in block],
/// the order in which the kernel reads them.
void pack(const WindowGeometry& g, int block, const float* weight, float* packed);

void run(const KernelTable& table, const WindowGeometry& g, int count, const float* input,
         const float* packed, const Epilogue& epilogue, float* scratch, float* output) noexcept;

constexpr ConvolutionMethod method() {
  ConvolutionMethod m{};
  m.name = "direct";
  m.suits = &suits;
  m.can_pool = true;
  m.in_blocks = true;
  m.scratch_size = &scratch_size;
  m.packed_size = &packed_size;
  m.pack = &pack;
  m.run = &run;
  return m;
}

}  // namespace direct

inline constexpr ConvolutionMethod direct_method = direct::method();

/// Copies an image into a larger one, with zeros around it.
void pad_image(const WindowGeometry& g, const float* input, float* padded) noexcept;

}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

#include <algorithm>

namespace mien::kernels {

MIEN_INLINE void pad_image(const WindowGeometry& g, const float* input, float* padded) noexcept {
  const std::ptrdiff_t row = std::ptrdiff_t{g.in_width} * g.in_channels;
  const std::ptrdiff_t left = std::ptrdiff_t{g.padding_x} * g.in_channels;
  const std::ptrdiff_t padded_row = std::ptrdiff_t{g.padded_width()} * g.in_channels;
  padded = std::fill_n(padded, g.padding_y * padded_row, 0.0f);
  for (int y = 0; y < g.in_height; ++y) {
    padded = std::fill_n(padded, left, 0.0f);
    padded = std::copy_n(input + y * row, row, padded);
    padded = std::fill_n(padded, padded_row - left - row, 0.0f);
  }
  std::fill_n(padded, (g.padded_height() - g.padding_y - g.in_height) * padded_row, 0.0f);
}

namespace direct {

MIEN_INLINE void pack(const WindowGeometry& g, int block, const float* weight, float* packed) {
  // Input channels at a time: what they are written to stays in the first cache until it is full.
  constexpr int chunk = 16;
  const int group_in = g.in_channels / g.groups;
  const int group_out = g.out_channels / g.groups;
  const int taps = g.kernel_height * g.kernel_width;
  const std::ptrdiff_t filter_size = std::ptrdiff_t{group_in} * taps;
  for (int group = 0; group < g.groups; ++group) {
    for (int o = 0; o < group_out; o += block, packed += filter_size * block) {
      const int channels = std::min(block, group_out - o);
      const float* const filters = weight + (std::ptrdiff_t{group} * group_out + o) * filter_size;
      for (int first = 0; first < group_in; first += chunk) {
        const int last = std::min(first + chunk, group_in);
        for (int c = 0; c < channels; ++c) {
          const float* const from = filters + c * filter_size;
          for (int tap = 0; tap < taps; ++tap) {
            float* const to = packed + std::ptrdiff_t{tap} * group_in * block + c;
            for (int i = first; i < last; ++i) {
              to[std::ptrdiff_t{i} * block] = from[std::ptrdiff_t{i} * taps + tap];
            }
          }
        }
      }
    }
  }
}

MIEN_INLINE void run(const KernelTable& table, const WindowGeometry& g, int count,
                     const float* input, const float* packed, const Epilogue& epilogue,
                     float* scratch, float* output) noexcept {
  const bool pools = epilogue.pooling == Pooling::max_2x2;
  if (g.is_pointwise() && !pools) {
    // A batch is one tall image to a window of one pixel.
    WindowGeometry tall = g;
    tall.in_height *= count;
    tall.out_height *= count;
    table.conv2d(tall, input, packed, epilogue, output);
    return;
  }
  const int step = pools ? 2 : 1;
  const std::size_t output_size =
      WindowGeometry::product(g.out_channels, g.out_height / step, g.out_width / step);
  Epilogue of_image = epilogue;
  for (int i = 0; i < count; ++i) {
    if (g.is_padded()) pad_image(g, input, scratch);
    table.conv2d(g, g.is_padded() ? scratch : input, packed, of_image, output);
    input += g.input_size();
    output += output_size;
    if (of_image.added != nullptr) of_image.added += output_size;
  }
}

}  // namespace direct
}  // namespace mien::kernels

#endif  // MIEN_HAS_DEFINITIONS
