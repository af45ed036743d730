// Fast convolution of bytes, compiled once for each instruction set.
//
// An implicit matrix product as in direct.inl, four input channels at a step: four bytes of a pixel
// are broadcast and multiplied with those of two vectors of output channels. What takes them to
// sums of 32 bits is the set's dot.inl. With AVX2, pointwise convolutions of MiniFER take 0.57 to
// 0.59 of the time of direct.inl's, dense layers that fill no cache 0.25 (Zen 3).
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/baseline/bytes.inl>
#include <mien/kernels/baseline/dot.inl>
//
#include <mien/kernels/nn/parts.inl>
#endif

namespace mien::kernels::MIEN_SET {

/// Pixels of the widest tile; where a product takes several instructions, they need registers, too.
constexpr int quantized_pixels = registers >= 32 ? 12 : dot_is_one_instruction ? 6 : 4;

/// How the tiles of a block of channels become floats.
struct QuantizedEpilogue {
  const std::int32_t* offset;
  const float* scale;
  const float* bias;
  Bounds bounds;
  std::ptrdiff_t next_pixel;  // of the output
  int channels;               // of the block that exist
};

/// Of one pixel, or of the largest of four.
template <std::size_t Count>
inline void quantized_store(const Integers (*sums)[2], const int (&which)[Count],
                            const QuantizedEpilogue& epilogue, const float* added,
                            float* output) noexcept {
  const VectorBounds bound(epilogue.bounds);
  MIEN_UNROLL
  for (int v = 0; v < 2; ++v) {
    const int first = v * lanes;
    const int count = epilogue.channels - first < lanes ? epilogue.channels - first : lanes;
    if (count <= 0) return;
    const Vector scale = load(epilogue.scale + first);
    const Vector bias = load(epilogue.bias + first);
    Vector value = plus(rounded_product(integers_to_floats(sums[which[0]][v]), scale), bias);
    MIEN_UNROLL
    for (std::size_t i = 1; i < Count; ++i) {
      value =
          maximum(value, plus(rounded_product(integers_to_floats(sums[which[i]][v]), scale), bias));
    }
    if (count == lanes) {
      if (added != nullptr) value = plus(value, load(added + first));
      store(output + first, bound(value));
    } else {
      if (added != nullptr) value = plus(value, load_first(added + first, count));
      store_first(output + first, bound(value), count);
    }
  }
}

/// A tile is a row of pixels or, where they are pooled, two rows of two.
template <int Pixels, Pooling Pooled>
inline void quantized_tile(const TapRuns& taps, const std::uint8_t* input,
                           const std::int8_t* weights, const QuantizedEpilogue& epilogue,
                           const float* added, float* output) noexcept {
  constexpr bool pools = Pooled == Pooling::max_2x2;
  static_assert(!pools || Pixels == 4, "a pooled tile becomes one pixel");
  constexpr int columns = pools ? 2 : Pixels;
  constexpr int vector_bytes = lanes * quantized::depth_step;
  Integers sum[std::size_t{Pixels}][2];
  const Integers offset0 = load_integers(epilogue.offset);
  const Integers offset1 = load_integers(epilogue.offset + lanes);
  MIEN_UNROLL
  for (int p = 0; p < Pixels; ++p) {
    sum[p][0] = offset0;
    sum[p][1] = offset1;
  }
  for (int row = 0; row < taps.rows; ++row) {
    for (int run = 0; run < taps.runs_per_row; ++run) {
      const std::uint8_t* const from = input + row * taps.next_row + run * taps.next_run;
      for (int i = 0; i < taps.length; i += quantized::depth_step, weights += 2 * vector_bytes) {
        const Weights weight0 = load_weights(weights);
        const Weights weight1 = load_weights(weights + vector_bytes);
        MIEN_UNROLL
        for (int p = 0; p < Pixels; ++p) {
          const Bytes value = broadcast_bytes(from + p / columns * taps.next_output_row +
                                              p % columns * taps.next_pixel + i);
          sum[p][0] = add_dot(sum[p][0], value, weight0);
          sum[p][1] = add_dot(sum[p][1], value, weight1);
        }
      }
    }
  }
  if constexpr (pools) {
    quantized_store(sum, {0, 1, 2, 3}, epilogue, nullptr, output);
  } else {
    MIEN_UNROLL
    for (int p = 0; p < Pixels; ++p) {
      const std::ptrdiff_t to = p * epilogue.next_pixel;
      quantized_store(sum, {p}, epilogue, added == nullptr ? nullptr : added + to, output + to);
    }
  }
}

/// One row of output pixels in tiles of nearly equal width.
inline void quantized_row(const TapRuns& taps, const std::uint8_t* input,
                          const std::int8_t* weights, const QuantizedEpilogue& epilogue,
                          const float* added, float* output, int width) noexcept {
  for (int tiles = (width + quantized_pixels - 1) / quantized_pixels; tiles > 0; --tiles) {
    const int pixels = (width + tiles - 1) / tiles;
    switch (pixels) {
#define MIEN_QUANTIZED_TILE(count)                                                        \
  case count:                                                                             \
    quantized_tile<(count < quantized_pixels ? count : quantized_pixels), Pooling::none>( \
        taps, input, weights, epilogue, added, output);                                   \
    break;
      MIEN_QUANTIZED_TILE(1)
      MIEN_QUANTIZED_TILE(2)
      MIEN_QUANTIZED_TILE(3)
      MIEN_QUANTIZED_TILE(4)
      MIEN_QUANTIZED_TILE(5)
      MIEN_QUANTIZED_TILE(6)
      MIEN_QUANTIZED_TILE(7)
      MIEN_QUANTIZED_TILE(8)
      MIEN_QUANTIZED_TILE(9)
      MIEN_QUANTIZED_TILE(10)
      MIEN_QUANTIZED_TILE(11)
      MIEN_QUANTIZED_TILE(12)
#undef MIEN_QUANTIZED_TILE
    }
    input += pixels * taps.next_pixel;
    output += pixels * epilogue.next_pixel;
    if (added != nullptr) added += pixels * epilogue.next_pixel;
    width -= pixels;
  }
}

/// One row of pooled pixels, `width` of them.
inline void quantized_pooled_row(const TapRuns& taps, const std::uint8_t* input,
                                 const std::int8_t* weights, const QuantizedEpilogue& epilogue,
                                 const float*, float* output, int width) noexcept {
  for (; width > 0; --width) {
    quantized_tile<4, Pooling::max_2x2>(taps, input, weights, epilogue, nullptr, output);
    input += 2 * taps.next_pixel;
    output += epilogue.next_pixel;
  }
}

/// Depthwise, four taps of a row at a step.
template <int Pixels>
inline void quantized_depthwise_tile(const TapRuns& taps, const std::uint8_t* input,
                                     const std::int8_t* weights, const QuantizedEpilogue& epilogue,
                                     const float* added, float* output) noexcept {
  constexpr int vector_bytes = lanes * quantized::depth_step;
  Integers sum[std::size_t{Pixels}][2];
  MIEN_UNROLL
  for (int p = 0; p < Pixels; ++p) {
    sum[p][0] = load_integers(epilogue.offset);
    sum[p][1] = load_integers(epilogue.offset + lanes);
  }
  for (int row = 0; row < taps.rows; ++row) {
    for (int tap = 0; tap < taps.length; tap += quantized::depth_step) {
      const std::uint8_t* from[quantized::depth_step];
      MIEN_UNROLL
      for (int i = 0; i < quantized::depth_step; ++i) {
        // Those behind the last one meet weights of 0, wherever they lie.
        const int existing = tap + i < taps.length ? tap + i : tap;
        from[i] = input + row * taps.next_row + existing * taps.next_run;
      }
      MIEN_UNROLL
      for (int v = 0; v < 2; ++v, weights += vector_bytes) {
        const Weights weight = load_weights(weights);
        MIEN_UNROLL
        for (int p = 0; p < Pixels; ++p) {
          const Bytes values = interleave_bytes(from, p * taps.next_pixel + v * lanes);
          sum[p][v] = add_dot(sum[p][v], values, weight);
        }
      }
    }
  }
  MIEN_UNROLL
  for (int p = 0; p < Pixels; ++p) {
    const std::ptrdiff_t to = p * epilogue.next_pixel;
    quantized_store(sum, {p}, epilogue, added == nullptr ? nullptr : added + to, output + to);
  }
}

/// One row of depthwise pixels. With AVX2 it takes 1.7 to 2.7 times the float kernel's time, so
/// that it is chosen by name only.
inline void quantized_depthwise_row(const TapRuns& taps, const std::uint8_t* input,
                                    const std::int8_t* weights, const QuantizedEpilogue& epilogue,
                                    const float* added, float* output, int width) noexcept {
  constexpr int most = 4;
  while (width > 0) {
    const int pixels = width < most ? 1 : most;
    const auto tile =
        pixels == most ? &quantized_depthwise_tile<most> : &quantized_depthwise_tile<1>;
    tile(taps, input, weights, epilogue, added, output);
    input += pixels * taps.next_pixel;
    output += pixels * epilogue.next_pixel;
    if (added != nullptr) added += pixels * epilogue.next_pixel;
    width -= pixels;
  }
}

/// `image` is in bytes, with its padding around it and readable ones behind it, as image_bytes()
/// says.
inline void quantized_conv2d(const WindowGeometry& g, const std::uint8_t* image,
                             const std::int8_t* packed, const Epilogue& epilogue,
                             float* output) noexcept {
  const quantized::Runs runs = quantized::runs(g);
  const std::ptrdiff_t image_row = std::ptrdiff_t{g.padded_width()} * g.in_channels;
  TapRuns taps{};
  taps.rows = g.kernel_height;
  taps.runs_per_row = runs.count_in_row;
  taps.length = runs.length;
  taps.next_row = g.dilation_y * image_row;
  taps.next_run = std::ptrdiff_t{g.dilation_x} * g.in_channels;
  taps.next_pixel = std::ptrdiff_t{g.stride_x} * g.in_channels;
  taps.next_output_row = g.stride_y * image_row;
  const bool pools = epilogue.pooling == Pooling::max_2x2;
  const bool flat = !pools && g.is_pointwise();
  const int step = pools ? 2 : 1;
  const int rows = flat ? 1 : g.out_height / step;
  const int width = flat ? g.out_height * g.out_width : g.out_width / step;
  const bool is_depthwise = depthwise::suits(g);
  const auto row = is_depthwise ? &quantized_depthwise_row
                   : pools      ? &quantized_pooled_row
                                : &quantized_row;
  const std::ptrdiff_t block_size =
      static_cast<std::ptrdiff_t>(quantized::depth(g)) * block_channels;
  QuantizedEpilogue of_block{epilogue.quantized->offset,
                             epilogue.quantized->scale,
                             epilogue.bias,
                             bounds(epilogue.activation),
                             g.out_channels,
                             0};
  const int out_group = g.out_channels / quantized::groups_in_blocks(g);
  const int in_group = g.in_channels / g.groups;
  for (int channel = 0; channel < g.out_channels; channel += of_block.channels) {
    const int left = out_group - channel % out_group;
    of_block.channels = left < block_channels ? left : block_channels;
    const int first_input = is_depthwise ? channel : channel / out_group * in_group;
    for (int y = 0; y < rows; ++y) {
      const std::ptrdiff_t to = std::ptrdiff_t{y} * width * g.out_channels + channel;
      row(taps, image + (y * step * taps.next_output_row + first_input), packed, of_block,
          epilogue.added == nullptr ? nullptr : epilogue.added + to, output + to, width);
    }
    packed += block_size;
    of_block.offset += block_channels;
    of_block.scale += block_channels;
    of_block.bias += block_channels;
  }
}

constexpr int quantize_chunk = 4 * lanes;

MIEN_ALWAYS_INLINE void quantize_values(const float* input, Vector factor, Vector most,
                                        Integers zero_point, std::uint8_t* bytes) noexcept {
  Integers part[4];
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) {
    const Vector value = minimum(times(load(input + i * lanes), factor), most);
    part[i] = plus(to_integers(value), zero_point);
  }
  store_bytes(bytes, part);
}

/// Values in bytes: value * (1 / scale), rounded to nearest even, + zero point, from 0 to 255. What
/// is not a number becomes 0.
inline void quantize(std::size_t size, const QuantizedInput& how, const float* input,
                     std::uint8_t* bytes) noexcept {
  const Vector factor = broadcast(how.inverse_scale);
  const Vector most = broadcast(static_cast<float>(255 - how.zero_point));
  const Integers zero_point = broadcast_integer(how.zero_point);
  std::size_t i = 0;
  for (; i + quantize_chunk <= size; i += quantize_chunk) {
    quantize_values(input + i, factor, most, zero_point, bytes + i);
  }
  if (i == size) return;
  float last[quantize_chunk] = {};
  std::uint8_t last_bytes[quantize_chunk];
  for (std::size_t at = i; at < size; ++at) last[at - i] = input[at];
  quantize_values(last, factor, most, zero_point, last_bytes);
  for (std::size_t at = i; at < size; ++at) bytes[at] = last_bytes[at - i];
}

constexpr void fill_quantized(KernelTable& table) noexcept {
  table.quantized_conv2d = &quantized_conv2d;
  table.quantize = &quantize;
}

}  // namespace mien::kernels::MIEN_SET
