// Inputs to measure with.
#pragma once

#include <cstddef>
#include <random>

#include <mien/tensor.hpp>

namespace mien::bench {

/// So many tensors of `size` values in [0, 1), always the same, each aligned as layers ask for.
class RandomInputs {
 public:
  RandomInputs(std::size_t count, std::size_t size)
      : count_(count), stride_(detail::aligned_size(size)), values_(count * stride_) {
    std::mt19937 generator;
    std::uniform_real_distribution<float> distribution(0.0f, 1.0f);
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = distribution(generator);
  }

  /// The inputs in rotation: a caller that counts up from 0 gets all of them again and again.
  const float* operator[](std::size_t i) const noexcept {
    return values_.data() + i % count_ * stride_;
  }

 private:
  std::size_t count_;
  std::size_t stride_;
  detail::AlignedBuffer values_;
};

}  // namespace mien::bench
