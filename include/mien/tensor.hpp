// Shapes are types: what flows between layers is described at compile time.
//
// In memory a tensor is channels last, [height][width][channels], without gaps; a flat vector of n
// values is Shape<n, 1, 1>. Template arguments, files and messages keep PyTorch's order C, H, W.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

namespace mien {

template <int Channels, int Height, int Width>
struct Shape {
  static_assert(Channels > 0 && Height > 0 && Width > 0,
                "a tensor needs at least one channel, row and column: is the kernel larger than "
                "its padded input?");
  static constexpr int channels = Channels;
  static constexpr int height = Height;
  static constexpr int width = Width;
  static constexpr std::size_t size =
      static_cast<std::size_t>(Channels) * static_cast<std::size_t>(Height) * Width;
};

namespace detail {

/// Bytes of a cache line, and of the widest vector: what tensors and weights are aligned to.
inline constexpr std::size_t alignment = 64;

/// `count` floats rounded up so that what follows them is aligned too.
constexpr std::size_t aligned_size(std::size_t count) {
  constexpr std::size_t floats = alignment / sizeof(float);
  return (count + floats - 1) / floats * floats;
}

/// The values of `count` tensors.
template <class Shape>
constexpr std::size_t value_count(int count) {
  return static_cast<std::size_t>(count) * Shape::size;
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
