// A line on a terminal that shows how far a long task is.
#pragma once

#include <cstddef>
#include <iomanip>
#include <iostream>
#include <string>

#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

namespace mien::examples {

/// Writes to standard error, and only if that is a terminal. Its line is gone when it is destroyed.
class Progress {
 public:
  Progress(std::string title, std::size_t total)
      : title_(std::move(title)), total_(total), visible_(is_terminal()) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (visible_) std::cerr << "\r" << std::string(line_length(), ' ') << "\r" << std::flush;
  }

  /// So many more are done.
  void advance(std::size_t count) {
    done_ += count;
    if (!visible_ || total_ == 0) return;
    const std::size_t filled = bar_length * done_ / total_;
    std::cerr << "\r" << title_ << " [" << std::string(filled, '#')
              << std::string(bar_length - filled, ' ') << "] " << std::setw(3)
              << 100 * done_ / total_ << " %" << std::flush;
  }

 private:
  static constexpr std::size_t bar_length = 40;

  std::size_t line_length() const noexcept { return title_.size() + bar_length + 9; }

  static bool is_terminal() {
#if defined(_WIN32)
    return _isatty(2) != 0;
#else
    return isatty(STDERR_FILENO) != 0;
#endif
  }

  std::string title_;
  std::size_t total_;
  std::size_t done_ = 0;
  bool visible_;
};

}  // namespace mien::examples
