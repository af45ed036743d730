// expects: the kernel is larger than its padded input
#include <mien/network.hpp>

using namespace mien;

std::size_t size() {
  return OutputShape<Conv2d<1, 2, Kernel<5>, Padding<1>>, Shape<1, 2, 9>>::size;
}
