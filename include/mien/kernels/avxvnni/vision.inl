// The detector's kernels for AVX-VNNI: bytes are the neural network's alone.
#ifndef MIEN_FILE_OF  // parsed by itself: seen from there
#include <mien/kernels/vision.hpp>
#else

namespace mien::kernels::avxvnni {
using avx2::vision_table;
}

#endif  // MIEN_FILE_OF
