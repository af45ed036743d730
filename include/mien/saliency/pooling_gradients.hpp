// Gradients of pooling.
#pragma once

#include <algorithm>
#include <cstddef>

#include <Eigen/Core>

#include <mien/kernels/geometry.hpp>
#include <mien/layers/avg_pool2d.hpp>
#include <mien/layers/max_pool2d.hpp>
#include <mien/saliency/gradient.hpp>

namespace mien::detail {

/// Where in a channel of the window of output (y, x) the value `maximum` stands first, row by row.
inline std::ptrdiff_t first_maximum(const kernels::WindowGeometry& g, const float* input,
                                    float maximum, int y, int x, int channel) noexcept {
  const kernels::Window window = kernels::clipped_window(g, y, x);
  for (int tap_y = window.first_y; tap_y < window.last_y; ++tap_y) {
    for (int tap_x = window.first_x; tap_x < window.last_x; ++tap_x) {
      const std::ptrdiff_t at = kernels::tap_offset(g, y, x, tap_y, tap_x) + channel;
      if (input[at] == maximum) return at;
    }
  }
  // Only what is not a number equals nothing.
  return kernels::tap_offset(g, y, x, window.first_y, window.first_x) + channel;
}

/// All of an output's gradient goes to its window's first maximum.
inline void max_pool2d_backward(const kernels::WindowGeometry& g, const ForwardPass& pass,
                                const float* output_gradient, float* input_gradient) noexcept {
  std::fill_n(input_gradient, g.input_size(), 0.0f);
  const float* output = pass.output;
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; ++x) {
      for (int c = 0; c < g.in_channels; ++c) {
        input_gradient[first_maximum(g, pass.input, *output++, y, x, c)] += *output_gradient++;
      }
    }
  }
}

/// Every pixel of a window gets an equal share of the output's gradient; padding keeps its own.
inline void avg_pool2d_backward(const kernels::WindowGeometry& g, const float* output_gradient,
                                float* input_gradient) noexcept {
  const float share = 1.0f / static_cast<float>(g.kernel_height * g.kernel_width);
  std::fill_n(input_gradient, g.input_size(), 0.0f);
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; ++x, output_gradient += g.in_channels) {
      const Eigen::Map<const Eigen::ArrayXf> gradient(output_gradient, g.in_channels);
      const kernels::Window window = kernels::clipped_window(g, y, x);
      for (int tap_y = window.first_y; tap_y < window.last_y; ++tap_y) {
        for (int tap_x = window.first_x; tap_x < window.last_x; ++tap_x) {
          float* const to = input_gradient + kernels::tap_offset(g, y, x, tap_y, tap_x);
          Eigen::Map<Eigen::ArrayXf>(to, g.in_channels) += gradient * share;
        }
      }
    }
  }
}

template <class... Options, class Input>
class Gradient<MaxPool2d<Options...>, Input>
    : public ForwardAsCompiled<MaxPool2d<Options...>, Input> {
 public:
  using ForwardAsCompiled<MaxPool2d<Options...>, Input>::ForwardAsCompiled;

  void backward(const ForwardPass& pass, const float* output_gradient, float* input_gradient,
                float*) const noexcept {
    max_pool2d_backward(PoolingOn<MaxPool2d<Options...>, Input>::geometry, pass, output_gradient,
                        input_gradient);
  }
};

template <class... Options, class Input>
class Gradient<AvgPool2d<Options...>, Input>
    : public ForwardAsCompiled<AvgPool2d<Options...>, Input> {
 public:
  using ForwardAsCompiled<AvgPool2d<Options...>, Input>::ForwardAsCompiled;

  void backward(const ForwardPass&, const float* output_gradient, float* input_gradient,
                float*) const noexcept {
    avg_pool2d_backward(PoolingOn<AvgPool2d<Options...>, Input>::geometry, output_gradient,
                        input_gradient);
  }
};

}  // namespace mien::detail
