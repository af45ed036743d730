// The list of convolution methods. A new one is a header beside this and a line in the list.
#pragma once

#include <mien/kernels/nn/convolution/depthwise.hpp>
#include <mien/kernels/nn/convolution/direct.hpp>
#include <mien/kernels/nn/convolution/grouped.hpp>
#include <mien/kernels/nn/convolution/method.hpp>
#include <mien/kernels/nn/convolution/winograd.hpp>
#include <mien/kernels/nn/geometry.hpp>

namespace mien::kernels {

/// In the order in which they are tried; the last one suits everything.
inline constexpr const ConvolutionMethod* convolution_methods[] = {
    &depthwise_method,          &grouped_method,      &winograd_3x3_method,
    &winograd_3x3_small_method, &winograd_5x5_method, &direct_method,
};

/// The first method that suits.
constexpr const ConvolutionMethod& choose_convolution_method(const WindowGeometry& g) {
  for (const ConvolutionMethod* method : convolution_methods) {
    if (method->suits(g)) return *method;
  }
  return direct_method;
}

}  // namespace mien::kernels
