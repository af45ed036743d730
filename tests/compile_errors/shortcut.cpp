// expects: layer_takes_channels<mien::Conv2d<8, 4, mien::Kernel<1(, 1)?> ?>, mien::detail::ExpectedChannels<8>, mien::Shape<3, 6, 6> ?>
#include <mien/network.hpp>

using namespace mien;

std::size_t size() {
  return OutputShape<Residual<Conv2d<3, 4, Kernel<1>>, Conv2d<8, 4, Kernel<1>>>,
                     Shape<3, 6, 6>>::size;
}
