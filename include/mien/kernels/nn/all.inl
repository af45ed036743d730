// Every kernel of the neural network over the Vector that was defined just before, compiled once
// for each instruction set.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
#endif

#include <mien/kernels/nn/parts.inl>
//
#include <mien/kernels/nn/adaptive_pool2d.inl>
#include <mien/kernels/nn/arithmetic.inl>
#include <mien/kernels/nn/avg_pool2d.inl>
#include <mien/kernels/nn/convolution/depthwise.inl>
#include <mien/kernels/nn/convolution/direct.inl>
#include <mien/kernels/nn/exponential.inl>
//
#include <mien/kernels/nn/elementwise.inl>
#include <mien/kernels/nn/local_response_norm.inl>
#include <mien/kernels/nn/max_pool2d.inl>
#include <mien/kernels/nn/normalisation.inl>
#include <mien/kernels/nn/resize_bilinear.inl>
//
#include <mien/kernels/nn/convolution/winograd.inl>

namespace mien::kernels::MIEN_SET {

constexpr KernelTable make_nn_table() noexcept {
  KernelTable table{};
  table.block = block_channels;
  table.half_width = half_width_table;
  table.conv2d = &conv2d;
  table.depthwise_conv2d = &depthwise_conv2d;
  table.grouped_conv2d = &grouped_conv2d;
  table.winograd_3x3 = &winograd_conv2d<Winograd3x3>;
  table.winograd_3x3_small = &winograd_conv2d<Winograd3x3Small>;
  table.winograd_5x5 = &winograd_conv2d<Winograd5x5>;
  table.max_pool2d = &max_pool2d;
  table.avg_pool2d = &avg_pool2d;
  table.adaptive_avg_pool2d = &adaptive_pool2d<false>;
  table.adaptive_max_pool2d = &adaptive_pool2d<true>;
  table.bilinear_row = &bilinear_row;
  table.local_response_norm = &local_response_norm;
  table.arithmetic = &arithmetic;
  table.elementwise = &elementwise;
  table.scale_channels = &scale_channels;
  table.prelu = &prelu;
  table.group_norm = &group_norm;
  table.layer_norm = &layer_norm;
  return table;
}
inline constexpr KernelTable nn_table = make_nn_table();

}  // namespace mien::kernels::MIEN_SET
