// Sixteen integers of 32 bits in an AVX-512 register, and how floats become bytes.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/avx512/vector.inl>
#endif

namespace mien::kernels::MIEN_SET {

using Integers = __m512i;
/// Four bytes for each of the lanes: values, and weights with signs.
using Bytes = __m512i;
using Weights = __m512i;

MIEN_ALWAYS_INLINE Integers load_integers(const std::int32_t* from) noexcept {
  return _mm512_loadu_si512(from);
}
MIEN_ALWAYS_INLINE Integers broadcast_integer(std::int32_t value) noexcept {
  return _mm512_set1_epi32(value);
}
MIEN_ALWAYS_INLINE Integers plus(Integers a, Integers b) noexcept {
  return _mm512_add_epi32(a, b);
}
MIEN_ALWAYS_INLINE Weights load_weights(const std::int8_t* from) noexcept {
  return _mm512_loadu_si512(from);
}
/// Four bytes, in every lane.
MIEN_ALWAYS_INLINE Bytes broadcast_bytes(const std::uint8_t* from) noexcept {
  std::int32_t four;
  std::memcpy(&four, from, sizeof four);
  return _mm512_set1_epi32(four);
}
/// Four rows of bytes from `first` on, as columns: a byte of each in every lane.
MIEN_ALWAYS_INLINE Bytes interleave_bytes(const std::uint8_t* const (&rows)[4],
                                          std::ptrdiff_t first) noexcept {
  __m512i row[4];
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[i] + first));
    row[i] = _mm512_maskz_cvtepu8_epi32(0xFFFF, bytes);
  }
  const __m512i upper = _mm512_or_si512(row[0], _mm512_maskz_slli_epi32(0xFFFF, row[1], 8));
  const __m512i lower = _mm512_or_si512(_mm512_maskz_slli_epi32(0xFFFF, row[2], 16),
                                        _mm512_maskz_slli_epi32(0xFFFF, row[3], 24));
  return _mm512_or_si512(upper, lower);
}
// The masked forms here and below, for the reason that vector.inl gives.
MIEN_ALWAYS_INLINE Vector integers_to_floats(Integers v) noexcept {
  return _mm512_maskz_cvtepi32_ps(0xFFFF, v);
}
/// To nearest even; the least integer for what is not a number or too small for one.
MIEN_ALWAYS_INLINE Integers to_integers(Vector v) noexcept {
  return _mm512_maskz_cvtps_epi32(0xFFFF, v);
}
/// The product, rounded: compilers may not fuse it with an addition.
MIEN_ALWAYS_INLINE Vector rounded_product(Vector a, Vector b) noexcept {
  Vector product = times(a, b);
  MIEN_FORBID_FUSION("+v", product);
  return product;
}
/// The integers of four vectors, each brought to 0 to 255.
MIEN_ALWAYS_INLINE void store_bytes(std::uint8_t* to, const Integers (&v)[4]) noexcept {
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) {
    const __m512i positive = _mm512_maskz_max_epi32(0xFFFF, v[i], _mm512_setzero_si512());
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i * lanes),
                     _mm512_maskz_cvtusepi32_epi8(0xFFFF, positive));
  }
}

}  // namespace mien::kernels::MIEN_SET
