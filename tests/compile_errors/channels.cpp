// expects: layer_takes_channels<mien::Conv2d<16, 8, mien::Kernel<3(, 3)?> ?>, mien::detail::ExpectedChannels<16>, mien::Shape<4, 6, 6> ?>
#include <mien/network.hpp>

using namespace mien;

struct Wrong
    : Network<Wrong, Input<1, 8, 8>, Conv2d<1, 4, Kernel<3>>, ReLU, Conv2d<16, 8, Kernel<3>>> {
  static constexpr std::string_view name = "wrong";
  using Network::Network;
};

std::size_t size() { return Wrong::parameter_count; }
