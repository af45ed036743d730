// What the .inl files find around them when they are compiled, for an editor (or a test) that
// parses one of them by itself.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <mien/kernels/nn.hpp>
#include <mien/kernels/vision.hpp>
#if MIEN_X86_TARGETS
#include <immintrin.h>
#else
#include <Eigen/Core>
#endif
//
#include <mien/kernels/define_macros.inl>

// Registers of a set are there in its target region alone.
#undef MIEN_FORBID_FUSION
#define MIEN_FORBID_FUSION(constraint, product) static_cast<void>(0)

#define MIEN_SET alone
