// 2-d convolution (cross-correlation, as PyTorch's Conv2d): packing and naive reference.
// The fast kernels are in conv2d.inl.
#pragma once

#include <algorithm>
#include <cstddef>

#include <mien/kernels/geometry.hpp>

namespace mien::kernels {

/// The most output channels that a block holds, over all instruction sets.
inline constexpr int largest_conv2d_block = 32;

/// Length of the packed weights: every group's output channels are padded to whole blocks.
constexpr std::size_t packed_conv2d_size(const WindowGeometry& g, int block) {
  const int group_out = g.out_channels / g.groups;
  const int blocks = (group_out + block - 1) / block * g.groups;
  return static_cast<std::size_t>(blocks) * static_cast<std::size_t>(block) *
         static_cast<std::size_t>(g.kernel_height * g.kernel_width) *
         static_cast<std::size_t>(g.in_channels / g.groups);
}

/// Packs weights [O][I / groups][KH][KW] as [group][block of O][KH][KW][I / groups][O in block],
/// the order in which the kernel reads them. `packed` holds packed_conv2d_size zeros.
inline void pack_conv2d(const WindowGeometry& g, int block, const float* weights, float* packed) {
  // Input channels at a time: what they are written to stays in the first cache until it is full.
  constexpr int chunk = 16;
  const int group_in = g.in_channels / g.groups;
  const int group_out = g.out_channels / g.groups;
  const int taps = g.kernel_height * g.kernel_width;
  const std::ptrdiff_t filter_size = std::ptrdiff_t{group_in} * taps;
  for (int group = 0; group < g.groups; ++group) {
    for (int o = 0; o < group_out; o += block, packed += filter_size * block) {
      const int channels = std::min(block, group_out - o);
      const float* const filters = weights + (std::ptrdiff_t{group} * group_out + o) * filter_size;
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

/// Copies an image into a larger one, between padding_y rows and padding_x columns of zeros.
inline void pad_image(const WindowGeometry& g, const float* input, float* padded) noexcept {
  const std::ptrdiff_t row = std::ptrdiff_t{g.in_width} * g.in_channels;
  const std::ptrdiff_t left = std::ptrdiff_t{g.padding_x} * g.in_channels;
  const std::ptrdiff_t padded_row = row + 2 * left;
  padded = std::fill_n(padded, g.padding_y * padded_row, 0.0f);
  for (int y = 0; y < g.in_height; ++y) {
    padded = std::fill_n(padded, left, 0.0f);
    padded = std::copy_n(input + y * row, row, padded);
    padded = std::fill_n(padded, left, 0.0f);
  }
  std::fill_n(padded, g.padding_y * padded_row, 0.0f);
}

namespace naive {

/// The definition, in double precision: weights [O][I / groups][KH][KW], bias [O] or null, image
/// channels last and without padding.
inline void conv2d(const WindowGeometry& g, const float* input, const float* weights,
                   const float* bias, Clamp clamp, float* output) {
  const int group_in = g.in_channels / g.groups;
  const int group_out = g.out_channels / g.groups;
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; ++x) {
      for (int o = 0; o < g.out_channels; ++o) {
        double sum = bias != nullptr ? double{bias[o]} : 0.0;
        for (int ky = 0; ky < g.kernel_height; ++ky) {
          for (int kx = 0; kx < g.kernel_width; ++kx) {
            const int from_y = y * g.stride_y + ky - g.padding_y;
            const int from_x = x * g.stride_x + kx - g.padding_x;
            if (from_y < 0 || from_y >= g.in_height || from_x < 0 || from_x >= g.in_width) continue;
            for (int i = 0; i < group_in; ++i) {
              const int channel = o / group_out * group_in + i;
              sum +=
                  double{input[(from_y * g.in_width + from_x) * g.in_channels + channel]} *
                  double{
                      weights[((o * group_in + i) * g.kernel_height + ky) * g.kernel_width + kx]};
            }
          }
        }
        output[(y * g.out_width + x) * g.out_channels + o] =
            std::min(std::max(static_cast<float>(sum), clamp.low), clamp.high);
      }
    }
  }
}

}  // namespace naive
}  // namespace mien::kernels
