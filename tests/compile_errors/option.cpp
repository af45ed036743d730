// expects: Conv2d needs a Kernel<Height, Width>
#include <mien/network.hpp>

using namespace mien;

std::size_t size() {
  return OutputShape<Conv2d<1, 2, Padding<1>>, Shape<1, 9, 9>>::size;
}
