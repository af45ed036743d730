// The one exception type of the library, and how its messages are put together.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>

#include <mien/config.hpp>

namespace mien {

/// Thrown while loading or building, never by a forward pass. The message names the file, the
/// place in it, what was expected and what was found.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

/// A whole number's digits, as a piece of a message.
class Digits {
 public:
  explicit Digits(int number) : Digits(static_cast<long long>(number)) {}
  explicit Digits(long number) : Digits(static_cast<long long>(number)) {}
  explicit Digits(unsigned number) : Digits(static_cast<unsigned long long>(number)) {}
  explicit Digits(unsigned long number) : Digits(static_cast<unsigned long long>(number)) {}
  MIEN_COLD explicit Digits(long long number);
  MIEN_COLD explicit Digits(unsigned long long number);

  operator std::string_view() const noexcept { return {text_ + first_, sizeof text_ - first_}; }

 private:
  char text_[24];
  std::size_t first_ = sizeof text_;
};

/// The pieces of a message, one after the other. One call: a chain of additions of strings, of
/// which the library has hundreds, takes compilers four times as long.
MIEN_COLD std::string text(std::initializer_list<std::string_view> pieces);

/// A real number as std::ostream has it.
MIEN_COLD std::string real_text(double number);

MIEN_COLD [[noreturn]] void fail(std::initializer_list<std::string_view> pieces);

/// Fails unless `index` is one of 0 to count - 1.
inline void require_index(const char* what, std::size_t index, std::size_t count) {
  if (index >= count) {
    fail({what, ": expected less than ", Digits(count), ", found ", Digits(index)});
  }
}

}  // namespace detail
}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cstdio>

namespace mien::detail {

MIEN_INLINE Digits::Digits(unsigned long long number) {
  do {
    text_[--first_] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
}

MIEN_INLINE Digits::Digits(long long number)
    : Digits(number < 0 ? 0ull - static_cast<unsigned long long>(number)
                        : static_cast<unsigned long long>(number)) {
  if (number < 0) text_[--first_] = '-';
}

MIEN_INLINE std::string text(std::initializer_list<std::string_view> pieces) {
  std::string all;
  for (const std::string_view piece : pieces) all += piece;
  return all;
}

MIEN_INLINE std::string real_text(double number) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%g", number);
  return digits;
}

MIEN_INLINE void fail(std::initializer_list<std::string_view> pieces) {
  throw Error(text(pieces));
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
