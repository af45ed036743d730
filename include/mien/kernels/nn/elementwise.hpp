// Functions of single values, the activations among them: parameters, definitions and derivatives
// in double precision. The fast kernels are in elementwise.inl.
#pragma once

#include <cstddef>

#include <mien/config.hpp>

namespace mien::kernels {

/// 1.5 2^23 + 127: added to a number of some size it leaves a whole number and an exponent's bias
/// in the lowest bits.
inline constexpr float exponent_shift = 12583039.0f;

enum class Elementwise {
  relu,          ///< max(0, x)
  relu6,         ///< min(max(0, x), 6)
  clip,          ///< min(max(first, x), second)
  leaky_relu,    ///< x > 0 ? x : first x
  elu,           ///< x > 0 ? x : first (e^x - 1)
  selu,          ///< the same with constants, scaled (Klambauer et al., arXiv 1706.02515)
  sigmoid,       ///< 1 / (1 + e^-x)
  tanh,          ///< (e^x - e^-x) / (e^x + e^-x)
  silu,          ///< x sigmoid(x) (Elfwing, Uchibe and Doya, arXiv 1702.03118)
  hard_sigmoid,  ///< min(max(0, first x + second), 1)
  hard_swish,    ///< x min(max(0, x + 3), 6) / 6 (Howard et al., arXiv 1905.02244)
  gelu,          ///< x Phi(x); first 1: by tanh (Hendrycks and Gimpel, arXiv 1606.08415)
  mish,          ///< x tanh(softplus(x)) (Misra, arXiv 1908.08681)
  softplus,      ///< log(1 + e^x)
};

/// A function with its parameters.
struct ElementwiseFunction {
  Elementwise kind;
  float first = 0.0f;
  float second = 0.0f;
};

inline constexpr double selu_alpha = 1.6732632423543772848170429916717;
inline constexpr double selu_scale = 1.0507009873554804934193349852946;

namespace naive {

/// The definition. What is not a number stays so.
double value(const ElementwiseFunction& function, double x) noexcept;

/// As PyTorch's autograd takes it where the function has a corner.
double derivative(const ElementwiseFunction& function, double x) noexcept;

/// output = input scale + shift for every channel; `output` may be `input`.
void scale_channels(std::size_t pixels, std::size_t channels, const float* input,
                    const float* scale, const float* shift, float* output) noexcept;

/// Negative values are multiplied with their channel's slope (He et al., arXiv 1502.01852);
/// `output` may be `input`.
void prelu(std::size_t pixels, std::size_t channels, const float* input, const float* slope,
           float* output) noexcept;

}  // namespace naive
}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

#include <cmath>
#include <limits>

namespace mien::kernels::naive {

namespace detail {

inline constexpr double gelu_root = 0.79788456080286535587989211986876;  // sqrt(2 / pi)
inline constexpr double gelu_cube = 0.044715;

inline double clipped(double x, double low, double high) noexcept {
  return x < low ? low : x > high ? high : x;
}
inline double sigmoid(double x) noexcept {
  return 1.0 / (1.0 + std::exp(-x));
}
inline double softplus(double x) noexcept {
  return (x > 0.0 ? x : 0.0) + std::log1p(std::exp(-std::abs(x)));
}
/// The share of a normal distribution that lies below x.
inline double normal(double x) noexcept {
  return 0.5 * std::erfc(-x * std::sqrt(0.5));
}
inline double elu(double x, double alpha) noexcept {
  return x > 0.0 ? x : alpha * std::expm1(x);
}

}  // namespace detail

MIEN_INLINE double value(const ElementwiseFunction& f, double x) noexcept {
  using namespace detail;
  if (std::isnan(x)) return x;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const double first = double{f.first};
  const double second = double{f.second};
  switch (f.kind) {
    case Elementwise::relu:
      return clipped(x, 0.0, infinity);
    case Elementwise::relu6:
      return clipped(x, 0.0, 6.0);
    case Elementwise::clip:
      return clipped(x, first, second);
    case Elementwise::leaky_relu:
      return x > 0.0 ? x : first * x;
    case Elementwise::elu:
      return elu(x, first);
    case Elementwise::selu:
      return selu_scale * elu(x, selu_alpha);
    case Elementwise::sigmoid:
      return sigmoid(x);
    case Elementwise::tanh:
      return std::tanh(x);
    case Elementwise::silu:
      return x * sigmoid(x);
    case Elementwise::hard_sigmoid:
      return clipped(first * x + second, 0.0, 1.0);
    case Elementwise::hard_swish:
      return x * clipped(x + 3.0, 0.0, 6.0) / 6.0;
    case Elementwise::gelu:
      if (first == 0.0) return x * normal(x);
      return 0.5 * x * (1.0 + std::tanh(gelu_root * (x + gelu_cube * x * x * x)));
    case Elementwise::mish:
      return x * std::tanh(softplus(x));
    case Elementwise::softplus:
      return softplus(x);
  }
  return x;
}

MIEN_INLINE double derivative(const ElementwiseFunction& f, double x) noexcept {
  using namespace detail;
  const double first = double{f.first};
  const double second = double{f.second};
  switch (f.kind) {
    case Elementwise::relu:
      return x > 0.0 ? 1.0 : 0.0;
    case Elementwise::relu6:
      return x > 0.0 && x < 6.0 ? 1.0 : 0.0;
    case Elementwise::clip:
      return x >= first && x <= second ? 1.0 : 0.0;
    case Elementwise::leaky_relu:
      return x > 0.0 ? 1.0 : first;
    case Elementwise::elu:
      return x > 0.0 ? 1.0 : first * std::exp(x);
    case Elementwise::selu:
      return selu_scale * (x > 0.0 ? 1.0 : selu_alpha * std::exp(x));
    case Elementwise::sigmoid:
      return sigmoid(x) * sigmoid(-x);
    case Elementwise::tanh:
      return 1.0 - std::tanh(x) * std::tanh(x);
    case Elementwise::silu:
      return sigmoid(x) * (1.0 + x * sigmoid(-x));
    case Elementwise::hard_sigmoid: {
      const double line = first * x + second;
      return line > 0.0 && line < 1.0 ? first : 0.0;
    }
    case Elementwise::hard_swish:
      return x <= -3.0 ? 0.0 : x >= 3.0 ? 1.0 : x / 3.0 + 0.5;
    case Elementwise::gelu: {
      if (first == 0.0) return normal(x) + x * 0.5 * gelu_root * std::exp(-0.5 * x * x);
      const double y = std::tanh(gelu_root * (x + gelu_cube * x * x * x));
      const double inner = gelu_root * (1.0 + 3.0 * gelu_cube * x * x);
      return 0.5 * (1.0 + y) + 0.5 * x * (1.0 - y * y) * inner;
    }
    case Elementwise::mish: {
      const double y = std::tanh(softplus(x));
      return y + x * (1.0 - y * y) * sigmoid(x);
    }
    case Elementwise::softplus:
      return sigmoid(x);
  }
  return 1.0;
}

MIEN_INLINE void scale_channels(std::size_t pixels, std::size_t channels, const float* input,
                                const float* scale, const float* shift, float* output) noexcept {
  for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
    for (std::size_t c = 0; c < channels; ++c) *output++ = *input++ * scale[c] + shift[c];
  }
}

MIEN_INLINE void prelu(std::size_t pixels, std::size_t channels, const float* input,
                       const float* slope, float* output) noexcept {
  for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
    for (std::size_t c = 0; c < channels; ++c, ++input) {
      *output++ = *input > 0.0f ? *input : slope[c] * *input;
    }
  }
}

}  // namespace mien::kernels::naive

#endif  // MIEN_HAS_DEFINITIONS
