// expects: LocalResponseNorm's alpha, beta and k are std::ratio
#include <ratio>

#include <mien/network.hpp>

using namespace mien;

std::size_t size() {
  return OutputShape<LocalResponseNorm<5, std::ratio<1>, std::ratio<3, 4>, int>,
                     Shape<8, 6, 6>>::size;
}
