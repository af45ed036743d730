// The baseline's four integers of 32 bits, and how floats become bytes: by SSE2 on x86-64, by plain
// C++ elsewhere.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
#endif

namespace mien::kernels::MIEN_SET {

#if MIEN_X86_TARGETS

using Integers = __m128i;
/// Four values for each of the lanes, in 16 bits: those of the first two lanes and of the others.
struct Bytes {
  __m128i low;
  __m128i high;
};
/// Four bytes for each of the lanes.
using Weights = __m128i;

MIEN_ALWAYS_INLINE Integers load_integers(const std::int32_t* from) noexcept {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
MIEN_ALWAYS_INLINE Integers broadcast_integer(std::int32_t value) noexcept {
  return _mm_set1_epi32(value);
}
MIEN_ALWAYS_INLINE Integers plus(Integers a, Integers b) noexcept {
  return _mm_add_epi32(a, b);
}
MIEN_ALWAYS_INLINE Weights load_weights(const std::int8_t* from) noexcept {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
/// Four bytes, in every lane.
MIEN_ALWAYS_INLINE Bytes broadcast_bytes(const std::uint8_t* from) noexcept {
  std::int32_t four;
  std::memcpy(&four, from, sizeof four);
  const __m128i values = _mm_unpacklo_epi8(_mm_set1_epi32(four), _mm_setzero_si128());
  return {values, values};
}
/// Four rows of bytes from `first` on, as columns: a byte of each in every lane.
MIEN_ALWAYS_INLINE Bytes interleave_bytes(const std::uint8_t* const (&rows)[4],
                                          std::ptrdiff_t first) noexcept {
  __m128i row[4];
  MIEN_UNROLL
  for (int i = 0; i < 4; ++i) {
    std::int32_t four;
    std::memcpy(&four, rows[i] + first, sizeof four);
    row[i] = _mm_cvtsi32_si128(four);
  }
  const __m128i bytes =
      _mm_unpacklo_epi16(_mm_unpacklo_epi8(row[0], row[1]), _mm_unpacklo_epi8(row[2], row[3]));
  return {_mm_unpacklo_epi8(bytes, _mm_setzero_si128()),
          _mm_unpackhi_epi8(bytes, _mm_setzero_si128())};
}
MIEN_ALWAYS_INLINE Vector integers_to_floats(Integers v) noexcept {
  return _mm_cvtepi32_ps(v);
}
/// To nearest even; the least integer for what is not a number or too small for one.
MIEN_ALWAYS_INLINE Integers to_integers(Vector v) noexcept {
  return _mm_cvtps_epi32(v);
}
/// The product, rounded: compilers may not fuse it with an addition.
MIEN_ALWAYS_INLINE Vector rounded_product(Vector a, Vector b) noexcept {
  Vector product = times(a, b);
  MIEN_FORBID_FUSION("+x", product);
  return product;
}
/// The integers of four vectors, each brought to 0 to 255.
MIEN_ALWAYS_INLINE void store_bytes(std::uint8_t* to, const Integers (&v)[4]) noexcept {
  const __m128i bytes = _mm_packus_epi16(_mm_packs_epi32(v[0], v[1]), _mm_packs_epi32(v[2], v[3]));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
}

#else

struct Integers {
  std::int32_t lane[lanes];
};
/// Four bytes for each of the lanes: values, and weights with signs.
struct Bytes {
  std::uint8_t byte[lanes * quantized::depth_step];
};
struct Weights {
  std::int8_t byte[lanes * quantized::depth_step];
};

MIEN_ALWAYS_INLINE Integers load_integers(const std::int32_t* from) noexcept {
  return {{from[0], from[1], from[2], from[3]}};
}
MIEN_ALWAYS_INLINE Integers broadcast_integer(std::int32_t value) noexcept {
  return {{value, value, value, value}};
}
MIEN_ALWAYS_INLINE Integers plus(const Integers& a, const Integers& b) noexcept {
  Integers sum;
  for (int i = 0; i < lanes; ++i) sum.lane[i] = a.lane[i] + b.lane[i];
  return sum;
}
MIEN_ALWAYS_INLINE Weights load_weights(const std::int8_t* from) noexcept {
  Weights weights;
  std::memcpy(weights.byte, from, sizeof weights.byte);
  return weights;
}
/// Four bytes, in every lane.
MIEN_ALWAYS_INLINE Bytes broadcast_bytes(const std::uint8_t* from) noexcept {
  Bytes bytes;
  for (int i = 0; i < lanes * quantized::depth_step; ++i) {
    bytes.byte[i] = from[i % quantized::depth_step];
  }
  return bytes;
}
/// Four rows of bytes from `first` on, as columns: a byte of each in every lane.
MIEN_ALWAYS_INLINE Bytes interleave_bytes(const std::uint8_t* const (&rows)[4],
                                          std::ptrdiff_t first) noexcept {
  Bytes bytes;
  for (int i = 0; i < lanes * quantized::depth_step; ++i) {
    bytes.byte[i] = rows[i % quantized::depth_step][first + i / quantized::depth_step];
  }
  return bytes;
}
MIEN_ALWAYS_INLINE Vector integers_to_floats(const Integers& v) noexcept {
  Vector result;
  for (int i = 0; i < lanes; ++i) result[i] = static_cast<float>(v.lane[i]);
  return result;
}
/// To nearest even; a negative number that is large for what is not a number or too small for one.
MIEN_ALWAYS_INLINE Integers to_integers(const Vector& v) noexcept {
  constexpr float least = -65536.0f;
  Integers result;
  for (int i = 0; i < lanes; ++i) {
    const float value = v[i] > least ? v[i] : least;
    result.lane[i] = static_cast<std::int32_t>(std::nearbyint(value));
  }
  return result;
}
/// The product, rounded: through memory that compilers may not see through, so that they do not
/// fuse it with an addition.
MIEN_ALWAYS_INLINE Vector rounded_product(const Vector& a, const Vector& b) noexcept {
  Vector product;
  for (int i = 0; i < lanes; ++i) {
    const volatile float rounded = a[i] * b[i];
    product[i] = rounded;
  }
  return product;
}
/// The integers of four vectors, each brought to 0 to 255.
MIEN_ALWAYS_INLINE void store_bytes(std::uint8_t* to, const Integers (&v)[4]) noexcept {
  for (const Integers& part : v) {
    for (const std::int32_t value : part.lane) {
      *to++ = static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
    }
  }
}

#endif  // MIEN_X86_TARGETS

}  // namespace mien::kernels::MIEN_SET
