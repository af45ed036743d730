// Memory for tensors, and the two orders in which they lie: channels last,
// [height][width][channels], in memory; channels first, as in PyTorch, in files and messages.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

namespace mien {

namespace detail {

/// Bytes of a cache line, and of the widest vector: what tensors and weights are aligned to.
inline constexpr std::size_t alignment = 64;

/// `count` floats rounded up so that what follows them is aligned too.
constexpr std::size_t aligned_size(std::size_t count) {
  constexpr std::size_t floats = alignment / sizeof(float);
  return (count + floats - 1) / floats * floats;
}

/// Heap memory for `size` floats, aligned to 64 bytes; moves, does not copy.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  /// Zeros.
  explicit AlignedBuffer(std::size_t size) : AlignedBuffer(uninitialized(size)) {
    std::fill_n(data_.get(), size, 0.0f);
  }
  /// Whatever the memory holds: for a caller that writes all of it, half a millisecond less to load
  /// MiniFER.
  static AlignedBuffer uninitialized(std::size_t size) {
    AlignedBuffer buffer;
    buffer.data_.reset(allocate(size));
    buffer.size_ = size;
    return buffer;
  }

  float* data() noexcept { return data_.get(); }
  const float* data() const noexcept { return data_.get(); }
  std::size_t size() const noexcept { return size_; }
  float& operator[](std::size_t i) noexcept { return data_[i]; }
  const float& operator[](std::size_t i) const noexcept { return data_[i]; }

 private:
  struct Release {
    void operator()(float* data) const noexcept {
      ::operator delete[](data, std::align_val_t{alignment});
    }
  };
  static float* allocate(std::size_t size) {
    return static_cast<float*>(::operator new[](size * sizeof(float), std::align_val_t{alignment}));
  }

  std::size_t size_ = 0;
  std::unique_ptr<float[], Release> data_;
};

/// From channels first (PyTorch) to channels last (memory).
inline void to_channels_last(const float* from, float* to, std::size_t channels,
                             std::size_t pixels) noexcept {
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < pixels; ++i) to[i * channels + c] = from[c * pixels + i];
  }
}

/// From channels last (memory) to channels first (PyTorch).
inline void to_channels_first(const float* from, float* to, std::size_t channels,
                              std::size_t pixels) noexcept {
  to_channels_last(from, to, pixels, channels);
}

}  // namespace detail
}  // namespace mien
