// expects: LocalResponseNorm's alpha, beta and k are std::ratio
#include <ratio>

#include <mien/layers/layers.hpp>

using namespace mien;

std::size_t size() {
  return Compiled<LocalResponseNorm<5, std::ratio<1>, std::ratio<3, 4>, int>,
                  Shape<8, 6, 6>>::scratch_size;
}
