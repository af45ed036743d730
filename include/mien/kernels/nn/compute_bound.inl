// The kernels whose speed is the processor's arithmetic, over the Vector that was defined just
// before: compiled for every instruction set.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/baseline/bytes.inl>
#include <mien/kernels/baseline/dot.inl>
#endif

#include <mien/kernels/nn/parts.inl>
//
#include <mien/kernels/nn/convolution/depthwise.inl>
#include <mien/kernels/nn/convolution/direct.inl>
#include <mien/kernels/nn/exponential.inl>
//
#include <mien/kernels/nn/elementwise.inl>
//
#include <mien/kernels/nn/convolution/winograd.inl>
//
#include <mien/kernels/nn/convolution/quantized.inl>

namespace mien::kernels::MIEN_SET {

constexpr void fill_compute_bound(KernelTable& table) noexcept {
  table.block = block_channels;
  table.conv2d = &conv2d;
  table.depthwise_conv2d = &depthwise_conv2d;
  table.grouped_conv2d = &grouped_conv2d;
  table.winograd_3x3 = &winograd_conv2d<Winograd3x3>;
  table.winograd_3x3_small = &winograd_conv2d<Winograd3x3Small>;
  table.winograd_5x5 = &winograd_conv2d<Winograd5x5>;
  fill_quantized(table);
  table.elementwise = &elementwise;
  table.scale_channels = &scale_channels;
  table.prelu = &prelu;
}

}  // namespace mien::kernels::MIEN_SET
