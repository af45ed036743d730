// expects: the padding of pooling is less than its kernel
#include <mien/network.hpp>

using namespace mien;

std::size_t size() {
  return OutputShape<AvgPool2d<Kernel<3>, Padding<3>>, Shape<3, 6, 6>>::size;
}
