// The neural network's kernels for any processor.
#ifndef MIEN_FILE_OF  // parsed by itself: seen from there
#include <mien/kernels/nn.hpp>
#else

#define MIEN_SET baseline
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/baseline/bytes.inl>
#include <mien/kernels/baseline/dot.inl>
//
#include <mien/kernels/nn/all.inl>
#undef MIEN_SET

#endif  // MIEN_FILE_OF
