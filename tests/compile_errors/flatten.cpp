// expects: Dense takes a flat vector: put Flatten before it
#include <mien/network.hpp>

using namespace mien;

std::size_t size() {
  return OutputShape<Dense<3, 7>, Shape<3, 2, 2>>::size;
}
