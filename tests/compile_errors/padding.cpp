// expects: AvgPool2d's padding is at most half its kernel
#include <mien/layers/layers.hpp>

using namespace mien;

std::size_t size() {
  return Compiled<AvgPool2d<Kernel<3>, Padding<2>>, Shape<3, 6, 6>>::parameter_count;
}
