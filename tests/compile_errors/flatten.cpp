// expects: Dense and Unflatten take a flat vector: put Flatten before them
#include <mien/network.hpp>

using namespace mien;

std::size_t size() {
  return OutputShape<Dense<3, 7>, Shape<3, 2, 2>>::size;
}
