// Copies between channels of tensors.
#pragma once

#include <algorithm>
#include <cstddef>

namespace mien::detail {

/// Moves the channels of one value into, or out of, those of the joined one.
inline void copy_channels(std::size_t pixels, std::size_t channels, const float* from,
                          std::size_t from_step, float* to, std::size_t to_step) noexcept {
  for (std::size_t i = 0; i < pixels; ++i, from += from_step, to += to_step) {
    std::copy_n(from, channels, to);
  }
}

}  // namespace mien::detail
