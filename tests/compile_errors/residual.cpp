// expects: shapes_broadcast<mien::Shape<3, 4, 4>, mien::Shape<3, 6, 6> ?>
#include <mien/network.hpp>

using namespace mien;

std::size_t size() {
  return OutputShape<Residual<Conv2d<3, 3, Kernel<3>>>, Shape<3, 6, 6>>::size;
}
