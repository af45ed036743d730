// What a convolution does to its sums before it stores them.
#pragma once

#include <cstdint>
#include <limits>

namespace mien::kernels {

enum class Activation {
  none,
  relu,   ///< max(0, x)
  relu6,  ///< min(max(0, x), 6)
};

/// An activation's smallest and largest result. What is not a number passes through all of them.
struct Bounds {
  float low;
  float high;
};

constexpr Bounds bounds(Activation activation) noexcept {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  if (activation == Activation::relu6) return {0.0f, 6.0f};
  return {activation == Activation::relu ? 0.0f : -infinity, infinity};
}

constexpr float activated(Activation activation, float value) noexcept {
  const Bounds b = bounds(activation);
  return value < b.low ? b.low : value > b.high ? b.high : value;
}

constexpr const char* name(Activation activation) noexcept {
  return activation == Activation::none   ? "none"
         : activation == Activation::relu ? "relu"
                                          : "relu6";
}

/// max_2x2 keeps the largest of every two by two outputs, leaving out a last row or column that has
/// no partner.
enum class Pooling { none, max_2x2 };

constexpr const char* name(Pooling pooling) noexcept {
  return pooling == Pooling::none ? "none" : "max_2x2";
}

/// How values become unsigned bytes: rint(value * inverse_scale) + zero_point, from 0 to 255.
struct QuantizedInput {
  float inverse_scale;
  int zero_point;
};

/// What sums of products of bytes need to become floats. Arrays are padded as the bias is.
struct Quantization {
  QuantizedInput input;
  const std::int32_t* offset;  ///< by channel, added to the sum: takes the zero point away
  const float* scale;          ///< by channel
};

/// output = pooling(activation(sum + bias + added)); of bytes, the sum is
/// float(sum + offset) * scale.
struct Epilogue {
  const float* bias;  ///< padded as the packed weights' channels are
  Activation activation = Activation::none;
  Pooling pooling = Pooling::none;
  const float* added = nullptr;             ///< as the output is laid out; never with a pooling
  const Quantization* quantized = nullptr;  ///< of a convolution of bytes
};

}  // namespace mien::kernels
