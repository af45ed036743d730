// The one exception type of the library, how its messages are put together, and where errors go in
// builds without exceptions. No other header has a throw, a try or a catch.
#pragma once

#include <cstddef>
#include <exception>
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

#if !MIEN_HAS_EXCEPTIONS
/// Where errors go in a program that is compiled without exceptions (-fno-exceptions): declared
/// here, defined by the program, once. It gets the message of the Error that would be thrown, and
/// must not return: it ends the program or restarts the device. If it returns, std::abort ends the
/// program, for the library has nowhere to go on. Leaving it by longjmp skips destructors: memory
/// leaks, locks stay locked, and objects in use must not be used again.
///
/// A function that the linker asks for, as boost::throw_exception is: a pointer to be set would be
/// state of the library, a macro could differ from file to file, and a default would end programs
/// whose authors never decided that.
///
/// What the standard library throws is not the library's to hand over: when memory runs out,
/// operator new calls the handler of std::set_new_handler, and std::terminate where there is none.
void handle_error(const char* message);
#endif

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

/// Runs `run`. Returns what it threw: nothing, in a build without exceptions.
template <class Run>
std::exception_ptr caught(const Run& run) {
#if MIEN_HAS_EXCEPTIONS
  try {
    run();
  } catch (...) {
    return std::current_exception();
  }
#else
  run();
#endif
  return nullptr;
}

/// What an exception says.
MIEN_COLD std::string text_of(const std::exception_ptr& exception);

#if !MIEN_HAS_EXCEPTIONS && defined(MIEN_COMPILED)
/// Every source file that is compiled without exceptions needs this from mien::compiled, so that
/// one that throws is a linker's error.
extern const char compiled_without_exceptions;
#if !defined(MIEN_COMPILING) && defined(__GNUC__)
[[gnu::used]] static const char* const needs_no_exceptions = &compiled_without_exceptions;
#endif
#endif

}  // namespace detail
}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cstdio>
#include <cstdlib>

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
#if MIEN_HAS_EXCEPTIONS
  throw Error(text(pieces));
#else
  handle_error(text(pieces).c_str());
  std::abort();
#endif
}

MIEN_INLINE std::string text_of(const std::exception_ptr& exception) {
#if MIEN_HAS_EXCEPTIONS
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
  }
#else
  static_cast<void>(exception);
#endif
  return "unknown exception";
}

#if !MIEN_HAS_EXCEPTIONS && defined(MIEN_COMPILING)
const char compiled_without_exceptions = 1;
#endif

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
