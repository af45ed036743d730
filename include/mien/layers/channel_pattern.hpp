// Constants of every channel, repeated so that vectors are whole.
#pragma once

#include <cstddef>
#include <vector>

namespace mien::detail {

/// Channels last, several pixels of few channels are one of many. Where channels are no multiple
/// of a vector, the constants are repeated until they are, so that only an image's end has to be
/// done in parts.
class ChannelPattern {
 public:
  explicit ChannelPattern(std::size_t channels)
      : channels_(channels),
        repeats_(channels % widest_vector == 0 || channels > most_channels ? 1 : widest_vector) {}

  /// Makes the constants of all channels as many as each() assumes.
  void repeat(std::vector<float>& constants) const {
    constants.reserve(channels_ * repeats_);
    for (std::size_t i = channels_; i < channels_ * repeats_; ++i) {
      constants.push_back(constants[i - channels_]);
    }
  }

  /// Calls run(first value, pixels, channels of each) for the parts of `size` values.
  template <class Run>
  void each(std::size_t size, const Run& run) const noexcept {
    const std::size_t wide = channels_ * repeats_;
    const std::size_t whole = size / wide;
    run(0, whole, wide);
    if (size > whole * wide) run(whole * wide, 1, size - whole * wide);
  }

 private:
  static constexpr std::size_t widest_vector = 16;
  static constexpr std::size_t most_channels = 512;

  std::size_t channels_;
  std::size_t repeats_;
};

}  // namespace mien::detail
