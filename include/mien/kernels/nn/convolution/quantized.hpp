// Convolution with products of 8 bits and sums of 32: values of the input become unsigned bytes,
// weights are signed ones of 7 bits, and the sums, which are exact, become floats again in the
// epilogue (Jacob et al., arXiv 1712.05877, section 2). Every instruction set computes the same.
// The fast kernel is in quantized.inl.
#pragma once

#include <cstddef>
#include <cstdint>

#include <mien/config.hpp>
#include <mien/kernels/nn/convolution/depthwise.hpp>
#include <mien/kernels/nn/convolution/method.hpp>
#include <mien/kernels/nn/geometry.hpp>
#include <mien/kernels/nn/kernel_table.hpp>
#include <mien/tensor.hpp>

namespace mien::kernels {

namespace quantized {

/// The largest weight: two products with 255 fit into the 16 bits in which AVX2 adds them.
inline constexpr int largest_weight = 64;

/// Products that are added at once.
inline constexpr int depth_step = 4;

/// The bytes of an output under a window lie in runs: of a row of its taps or, where they do not
/// touch, of one tap. A depthwise row of taps is a run, too, whose bytes lie apart. What is read
/// behind a run's end to fill the last step meets weights of 0.
struct Runs {
  int count_in_row;
  int length;  ///< in bytes
  int steps;
};

constexpr Runs runs(const WindowGeometry& g) {
  const bool in_rows = depthwise::suits(g) || (g.groups == 1 && g.dilation_x == 1);
  const int length = (in_rows ? g.kernel_width : 1) * (g.in_channels / g.groups);
  return {in_rows ? 1 : g.kernel_width, length, (length + depth_step - 1) / depth_step};
}

/// Groups whose output channels fill blocks of their own; those of a depthwise one share them.
constexpr int groups_in_blocks(const WindowGeometry& g) {
  return depthwise::suits(g) ? 1 : g.groups;
}

/// Products of one output, those with weights of 0 that fill steps among them.
constexpr std::size_t depth(const WindowGeometry& g) {
  const Runs of_row = runs(g);
  return WindowGeometry::product(g.kernel_height, of_row.count_in_row, of_row.steps * depth_step);
}

/// Convolutions whose sums fit into 32 bits.
constexpr bool suits(const WindowGeometry& g) {
  constexpr std::size_t most = 0x7FFFFFFFu / (255u * largest_weight);
  return WindowGeometry::product(g.in_channels / g.groups, g.kernel_height, g.kernel_width) <= most;
}

/// With what is read behind the last value to fill a step or, where depthwise, a block.
constexpr std::size_t image_bytes(const WindowGeometry& g) {
  return g.padded_size() +
         static_cast<std::size_t>(depthwise::suits(g) ? largest_block : depth_step);
}

/// The image in bytes, its padding around it.
constexpr std::size_t scratch_size(const WindowGeometry& g) {
  return suits(g) ? mien::detail::aligned_size((image_bytes(g) + sizeof(float) - 1) / sizeof(float))
                  : 0;
}

/// Floats whose place the bytes take; output channels are padded to whole blocks.
constexpr std::size_t packed_size(const WindowGeometry& g, int block) {
  const int groups = groups_in_blocks(g);
  const int blocks = (g.out_channels / groups + block - 1) / block;
  return WindowGeometry::product(groups, blocks, block) * depth(g) / sizeof(float);
}

/// Packs weights [O][I / groups][KH][KW] as [group][block of its O][KH][runs of a row][steps of a
/// run][O in block][4], the order in which the kernel reads them. `packed` holds zeros.
void pack(const WindowGeometry& g, int block, const std::int8_t* weight, std::int8_t* packed);

void run(const KernelTable& table, const WindowGeometry& g, int count, const float* input,
         const float* packed, const Epilogue& epilogue, float* scratch, float* output) noexcept;

constexpr ConvolutionMethod method() {
  ConvolutionMethod m{};
  m.name = "quantized";
  m.suits = &suits;
  m.can_pool = true;
  m.in_blocks = true;
  m.scratch_size = &scratch_size;
  m.packed_size = &packed_size;
  m.run = &run;
  return m;
}

}  // namespace quantized

/// Not in the list of methods: a file's weights say whether products have 8 bits.
inline constexpr ConvolutionMethod quantized_method = quantized::method();

}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

#include <algorithm>

namespace mien::kernels::quantized {

MIEN_INLINE void pack(const WindowGeometry& g, int block, const std::int8_t* weight,
                      std::int8_t* packed) {
  const Runs of_row = runs(g);
  const int taps_of_run = g.kernel_width / of_row.count_in_row;
  const std::ptrdiff_t run = std::ptrdiff_t{of_row.steps} * depth_step * block;
  const auto of_block = static_cast<std::ptrdiff_t>(depth(g)) * block;
  const int in_group = g.in_channels / g.groups;
  const int out_group = g.out_channels / groups_in_blocks(g);
  const int blocks = (out_group + block - 1) / block;
  for (int o = 0; o < g.out_channels; ++o) {
    std::int8_t* const to = packed + (o / out_group * blocks + o % out_group / block) * of_block;
    const int lane = o % out_group % block;
    for (int i = 0; i < in_group; ++i) {
      for (int y = 0; y < g.kernel_height; ++y) {
        for (int x = 0; x < g.kernel_width; ++x, ++weight) {
          const int place = x % taps_of_run * in_group + i;
          to[(y * of_row.count_in_row + x / taps_of_run) * run +
             (place / depth_step * block + lane) * depth_step + place % depth_step] = *weight;
        }
      }
    }
  }
}

/// Writes the image in bytes, those of zeros around it.
MIEN_INLINE void quantize_image(const KernelTable& table, const WindowGeometry& g,
                                const QuantizedInput& how, const float* input,
                                std::uint8_t* bytes) noexcept {
  if (!g.is_padded()) {
    table.quantize(g.input_size(), how, input, bytes);
    return;
  }
  const std::ptrdiff_t values = std::ptrdiff_t{g.in_width} * g.in_channels;
  const std::ptrdiff_t row = std::ptrdiff_t{g.padded_width()} * g.in_channels;
  const std::ptrdiff_t left = std::ptrdiff_t{g.padding_x} * g.in_channels;
  const auto zero = static_cast<std::uint8_t>(how.zero_point);
  bytes = std::fill_n(bytes, g.padding_y * row, zero);
  for (int y = 0; y < g.in_height; ++y, input += values) {
    bytes = std::fill_n(bytes, left, zero);
    table.quantize(static_cast<std::size_t>(values), how, input, bytes);
    bytes = std::fill_n(bytes + values, row - left - values, zero);
  }
  std::fill_n(bytes, (g.padded_height() - g.padding_y - g.in_height) * row, zero);
}

MIEN_INLINE void run(const KernelTable& table, const WindowGeometry& g, int count,
                     const float* input, const float* packed, const Epilogue& epilogue,
                     float* scratch, float* output) noexcept {
  auto* const bytes = reinterpret_cast<std::uint8_t*>(scratch);
  const auto* const weight = reinterpret_cast<const std::int8_t*>(packed);
  const bool pools = epilogue.pooling == Pooling::max_2x2;
  WindowGeometry one = g;
  if (g.is_pointwise() && !pools) {
    // A batch is one tall image to a window of one pixel.
    one.in_height *= count;
    one.out_height *= count;
    count = 1;
  }
  const int step = pools ? 2 : 1;
  const std::size_t output_size =
      WindowGeometry::product(one.out_channels, one.out_height / step, one.out_width / step);
  Epilogue of_image = epilogue;
  for (int i = 0; i < count; ++i) {
    quantize_image(table, one, epilogue.quantized->input, input, bytes);
    table.quantized_conv2d(one, bytes, weight, of_image, output);
    input += one.input_size();
    output += output_size;
    if (of_image.added != nullptr) of_image.added += output_size;
  }
}

}  // namespace mien::kernels::quantized

#endif  // MIEN_HAS_DEFINITIONS
