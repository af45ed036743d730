// The one exception type of the library.
#pragma once

#include <stdexcept>

namespace mien {

/// Thrown while loading or building, never by a forward pass. The message names the file, the
/// place in it, what was expected and what was found.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace mien
