// The detector's kernels for AVX512-VNNI: bytes are the neural network's alone.
#ifndef MIEN_FILE_OF  // parsed by itself: seen from there
#include <mien/kernels/vision.hpp>
#else

namespace mien::kernels::avx512vnni {
using avx512::vision_table;
}

#endif  // MIEN_FILE_OF
