// expects: Dense takes a flat vector: put Flatten before it
#include <mien/layers/layers.hpp>

using namespace mien;

std::size_t size() { return Compiled<Dense<3, 7>, Shape<3, 2, 2>>::parameter_count; }
