// Raw video frames from standard input.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#endif

#include <mien/error.hpp>

namespace mien::examples {

enum class PixelFormat { gray, rgb24 };

/// Reads frames of one size, without anything between them, as `ffmpeg -f rawvideo` writes them.
class FrameReader {
 public:
  FrameReader(int width, int height, PixelFormat format)
      : width_(width),
        height_(height),
        format_(format),
        bytes_(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
               (format == PixelFormat::gray ? 1 : 3)) {
#if defined(_WIN32)
    _setmode(_fileno(stdin), _O_BINARY);
#endif
  }

  /// Reads the next frame. Returns false at the end. Throws mien::Error if there is no frame at
  /// all, if the last one is not whole, and if standard input cannot be read.
  bool next() {
    const std::size_t size = std::fread(bytes_.data(), 1, bytes_.size(), stdin);
    if (size == bytes_.size()) {
      ++frames_read_;
      return true;
    }
    if (std::ferror(stdin) != 0) {
      throw Error(std::string("standard input: cannot read: ") + std::strerror(errno));
    }
    if (size == 0 && frames_read_ > 0) return false;
    throw Error("standard input: frame " + std::to_string(frames_read_) + ": expected " +
                std::to_string(bytes_.size()) + " bytes (" + std::to_string(width_) + " x " +
                std::to_string(height_) + ", " + (format_ == PixelFormat::gray ? "gray" : "rgb24") +
                "), found " + std::to_string(size) +
                (frames_read_ == 0 ? "" : ": the input is truncated or of another size or format"));
  }

  const std::uint8_t* pixels() const noexcept {
    return bytes_.data();
  }

 private:
  int width_;
  int height_;
  PixelFormat format_;
  std::vector<std::uint8_t> bytes_;
  std::size_t frames_read_ = 0;
};

}  // namespace mien::examples
