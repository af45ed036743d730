// The kernels that mostly wait for memory, over the Vector that was defined just before. A set that
// extends another may take that one's, which saves their compile time.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/nn/parts.inl>
#endif

#include <mien/kernels/nn/adaptive_pool2d.inl>
#include <mien/kernels/nn/arithmetic.inl>
#include <mien/kernels/nn/avg_pool2d.inl>
#include <mien/kernels/nn/local_response_norm.inl>
#include <mien/kernels/nn/max_pool2d.inl>
#include <mien/kernels/nn/normalisation.inl>
#include <mien/kernels/nn/resize_bilinear.inl>

namespace mien::kernels::MIEN_SET {

constexpr void fill_memory_bound(KernelTable& table) noexcept {
  table.max_pool2d = &max_pool2d;
  table.avg_pool2d = &avg_pool2d;
  table.adaptive_avg_pool2d = &adaptive_pool2d<false>;
  table.adaptive_max_pool2d = &adaptive_pool2d<true>;
  table.bilinear_row = &bilinear_row;
  table.local_response_norm = &local_response_norm;
  table.arithmetic = &arithmetic;
  table.group_norm = &group_norm;
  table.layer_norm = &layer_norm;
}

}  // namespace mien::kernels::MIEN_SET
