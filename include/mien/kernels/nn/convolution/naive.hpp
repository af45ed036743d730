// The definition of a convolution, which every method is tested against.
#pragma once

#include <mien/config.hpp>
#include <mien/kernels/nn/epilogue.hpp>
#include <mien/kernels/nn/geometry.hpp>

namespace mien::kernels::naive {

/// Cross-correlation, as PyTorch's Conv2d, in double precision: weights [O][I / groups][KH][KW],
/// bias [O] or null, `added` laid out as the output or null; image channels last and without
/// padding.
void conv2d(const WindowGeometry& g, const float* input, const float* weights, const float* bias,
            Activation activation, float* output, const float* added = nullptr);

}  // namespace mien::kernels::naive

#if MIEN_HAS_DEFINITIONS

#include <cstddef>
#include <vector>

namespace mien::kernels::naive {

MIEN_INLINE void conv2d(const WindowGeometry& g, const float* input, const float* weights,
                        const float* bias, Activation activation, float* output,
                        const float* added) {
  const int group_in = g.in_channels / g.groups;
  const int group_out = g.out_channels / g.groups;
  const int taps = g.kernel_height * g.kernel_width;
  // As [group][tap][I / groups][O / groups], so that the innermost loop runs through memory.
  std::vector<double> filters;
  for (int group = 0; group < g.groups; ++group) {
    for (int tap = 0; tap < taps; ++tap) {
      for (int i = 0; i < group_in; ++i) {
        for (int o = group * group_out; o < (group + 1) * group_out; ++o) {
          filters.push_back(double{weights[(o * group_in + i) * taps + tap]});
        }
      }
    }
  }
  std::vector<double> sums(static_cast<std::size_t>(group_out));
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; ++x) {
      for (int group = 0; group < g.groups; ++group) {
        for (int o = 0; o < group_out; ++o) {
          const int channel = group * group_out + o;
          sums[static_cast<std::size_t>(o)] = bias != nullptr ? double{bias[channel]} : 0.0;
        }
        const double* filter = filters.data() + std::ptrdiff_t{group} * taps * group_in * group_out;
        for (int tap = 0; tap < taps; ++tap) {
          const int from_y = y * g.stride_y + tap / g.kernel_width * g.dilation_y - g.padding_y;
          const int from_x = x * g.stride_x + tap % g.kernel_width * g.dilation_x - g.padding_x;
          const bool inside =
              from_y >= 0 && from_y < g.in_height && from_x >= 0 && from_x < g.in_width;
          for (int i = 0; i < group_in; ++i, filter += group_out) {
            if (!inside) continue;
            const int channel = group * group_in + i;
            const double value{input[(from_y * g.in_width + from_x) * g.in_channels + channel]};
            for (int o = 0; o < group_out; ++o)
              sums[static_cast<std::size_t>(o)] += value * filter[o];
          }
        }
        for (int o = 0; o < group_out; ++o) {
          const int to = (y * g.out_width + x) * g.out_channels + group * group_out + o;
          double sum = sums[static_cast<std::size_t>(o)];
          if (added != nullptr) sum += double{added[to]};
          output[to] = activated(activation, static_cast<float>(sum));
        }
      }
    }
  }
}

}  // namespace mien::kernels::naive

#endif  // MIEN_HAS_DEFINITIONS
