// Eight integers of 32 bits in an AVX register, and how floats become bytes.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/avx2/vector.inl>
#endif

namespace mien::kernels::MIEN_SET {

using Integers = __m256i;
/// Four bytes for each of the lanes: values, and weights with signs.
using Bytes = __m256i;
using Weights = __m256i;

MIEN_ALWAYS_INLINE Integers load_integers(const std::int32_t* from) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
MIEN_ALWAYS_INLINE Integers broadcast_integer(std::int32_t value) noexcept {
  return _mm256_set1_epi32(value);
}
MIEN_ALWAYS_INLINE Integers plus(Integers a, Integers b) noexcept {
  return _mm256_add_epi32(a, b);
}
MIEN_ALWAYS_INLINE Weights load_weights(const std::int8_t* from) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
/// Four bytes, in every lane.
MIEN_ALWAYS_INLINE Bytes broadcast_bytes(const std::uint8_t* from) noexcept {
  std::int32_t four;
  std::memcpy(&four, from, sizeof four);
  return _mm256_set1_epi32(four);
}
/// Four rows of bytes from `first` on, as columns: a byte of each in every lane.
MIEN_ALWAYS_INLINE Bytes interleave_bytes(const std::uint8_t* const (&rows)[4],
                                          std::ptrdiff_t first) noexcept {
  __m128i row[4];
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) {
    row[i] = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(rows[i] + first));
  }
  const __m128i upper = _mm_unpacklo_epi8(row[0], row[1]);
  const __m128i lower = _mm_unpacklo_epi8(row[2], row[3]);
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi16(upper, lower)),
                                 _mm_unpackhi_epi16(upper, lower), 1);
}
MIEN_ALWAYS_INLINE Vector integers_to_floats(Integers v) noexcept {
  return _mm256_cvtepi32_ps(v);
}
/// To nearest even; the least integer for what is not a number or too small for one.
MIEN_ALWAYS_INLINE Integers to_integers(Vector v) noexcept {
  return _mm256_cvtps_epi32(v);
}
/// The product, rounded: compilers may not fuse it with an addition.
MIEN_ALWAYS_INLINE Vector rounded_product(Vector a, Vector b) noexcept {
  Vector product = times(a, b);
  MIEN_FORBID_FUSION("+x", product);
  return product;
}
/// The integers of four vectors, each brought to 0 to 255.
MIEN_ALWAYS_INLINE void store_bytes(std::uint8_t* to, const Integers (&v)[4]) noexcept {
  const __m256i bytes =
      _mm256_packus_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
  // Packing keeps to the register's halves.
  const __m256i in_order =
      _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), in_order);
}

}  // namespace mien::kernels::MIEN_SET
