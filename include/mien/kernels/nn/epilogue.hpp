// What a convolution does to its sums before it stores them.
#pragma once

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

/// output = pooling(activation(sum + bias + added))
struct Epilogue {
  const float* bias;  ///< padded as the packed weights' channels are
  Activation activation = Activation::none;
  Pooling pooling = Pooling::none;
  const float* added = nullptr;  ///< as the output is laid out; never with a pooling
};

}  // namespace mien::kernels
