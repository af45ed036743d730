// Memory for tensors, and the two orders in which they lie: channels last,
// [height][width][channels], in memory; channels first, as in PyTorch, in files and messages.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

#include <mien/config.hpp>

namespace mien {

namespace detail {

/// Bytes of a cache line, and of the widest vector: what tensors and weights are aligned to.
inline constexpr std::size_t alignment = 64;

/// `count` floats rounded up so that what follows them is aligned too.
constexpr std::size_t aligned_size(std::size_t count) {
  constexpr std::size_t floats = alignment / sizeof(float);
  return (count + floats - 1) / floats * floats;
}

/// Asks the system for huge pages where memory is large: passes through a network's tensors miss
/// the tables of small pages. YuNet takes 0.92 of the time at 1280x960 pixels and 0.87 at 1920x1080
/// (arenas of 25 and 50 MB; Zen 3, a virtual machine whose Linux gives huge pages on request).
void advise_huge_pages(void* memory, std::size_t bytes) noexcept;

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
    const std::size_t bytes = size * sizeof(float);
    void* const memory = ::operator new[](bytes, std::align_val_t{alignment});
    constexpr std::size_t large = std::size_t{8} << 20;
    if (bytes >= large) advise_huge_pages(memory, bytes);
    return static_cast<float*>(memory);
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

#if MIEN_HAS_DEFINITIONS

#if defined(__linux__)
#include <cstdint>

#include <sys/mman.h>
#endif

namespace mien::detail {

#if defined(__linux__)
MIEN_INLINE void advise_huge_pages(void* memory, std::size_t bytes) noexcept {
  // Whole pages of any common size; what madvise does not like stays as it is.
  constexpr std::uintptr_t page = 1 << 16;
  const auto first = (reinterpret_cast<std::uintptr_t>(memory) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(memory) + bytes) / page * page;
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
}
#else
MIEN_INLINE void advise_huge_pages(void*, std::size_t) noexcept {}
#endif

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
