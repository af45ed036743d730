// expects: concatenate_joins_equal_sizes<mien::Shape<2, 4, 4>, mien::Shape<3, 6, 6> ?>
#include <mien/network.hpp>

using namespace mien;

std::size_t size() {
  return OutputShape<Concatenate<Conv2d<3, 2, Kernel<3>>, ReLU>, Shape<3, 6, 6>>::size;
}
