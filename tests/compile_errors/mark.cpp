// expects: From<N> stands behind the Mark<N> that it names
#include <mien/network.hpp>

using namespace mien;

std::size_t size() {
  return OutputShape<Sequential<Mark<1>, ReLU, Add<Identity, From<2>>>, Shape<3, 6, 6>>::size;
}
