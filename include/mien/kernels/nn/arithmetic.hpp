// Arithmetic of two images that broadcast: how they are walked, and the naive reference. The fast
// kernel is in arithmetic.inl.
#pragma once

#include <cstddef>

#include <mien/config.hpp>
#include <mien/kernels/nn/epilogue.hpp>

namespace mien::kernels {

enum class Arithmetic { add, subtract, multiply, divide, minimum, maximum };

constexpr const char* name(Arithmetic operation) noexcept {
  constexpr const char* names[] = {"add", "subtract", "multiply", "divide", "minimum", "maximum"};
  return names[static_cast<int>(operation)];
}

/// Images one after the other, channels last.
struct Extents {
  std::size_t images;
  std::size_t height;
  std::size_t width;
  std::size_t channels;
};

/// Nested loops over an output and its two operands, the innermost last; a step of 0 stays at the
/// value that is broadcast. The innermost step is 0 or 1.
struct BroadcastLoops {
  static constexpr int count = 4;
  std::size_t sizes[count] = {1, 1, 1, 1};
  std::size_t a_steps[count] = {};
  std::size_t b_steps[count] = {};

  constexpr std::size_t size() const { return sizes[0] * sizes[1] * sizes[2] * sizes[3]; }
};

/// Of operands of which each extent is equal or 1. Loops that can be one are: of equal extents it
/// is a single one.
constexpr BroadcastLoops broadcast_loops(const Extents& a, const Extents& b) {
  const std::size_t a_sizes[] = {a.images, a.height, a.width, a.channels};
  const std::size_t b_sizes[] = {b.images, b.height, b.width, b.channels};
  BroadcastLoops loops;
  int level = BroadcastLoops::count;  // of the loop written last
  std::size_t a_stride = 1;
  std::size_t b_stride = 1;
  for (int axis = 3; axis >= 0; --axis) {
    const std::size_t size = a_sizes[axis] == 1 ? b_sizes[axis] : a_sizes[axis];
    if (size == 1) continue;
    const std::size_t a_step = a_sizes[axis] == 1 ? 0 : a_stride;
    const std::size_t b_step = b_sizes[axis] == 1 ? 0 : b_stride;
    a_stride *= a_sizes[axis];
    b_stride *= b_sizes[axis];
    const bool is_one = level < BroadcastLoops::count &&
                        a_step == loops.sizes[level] * loops.a_steps[level] &&
                        b_step == loops.sizes[level] * loops.b_steps[level];
    if (is_one) {
      loops.sizes[level] *= size;
      continue;
    }
    --level;
    loops.sizes[level] = size;
    loops.a_steps[level] = a_step;
    loops.b_steps[level] = b_step;
  }
  if (level == BroadcastLoops::count) loops.a_steps[level - 1] = loops.b_steps[level - 1] = 1;
  return loops;
}

/// Of two rows of so many values.
constexpr BroadcastLoops row_loops(std::size_t size) {
  return broadcast_loops({1, 1, 1, size}, {1, 1, 1, size});
}

/// Calls visit(a, b) with the operands' places for every value of the output, in its order.
template <class Visit>
void walk(const BroadcastLoops& loops, const Visit& visit) {
  for (std::size_t i = 0; i < loops.sizes[0]; ++i) {
    for (std::size_t j = 0; j < loops.sizes[1]; ++j) {
      for (std::size_t k = 0; k < loops.sizes[2]; ++k) {
        for (std::size_t l = 0; l < loops.sizes[3]; ++l) {
          visit(i * loops.a_steps[0] + j * loops.a_steps[1] + k * loops.a_steps[2] +
                    l * loops.a_steps[3],
                i * loops.b_steps[0] + j * loops.b_steps[1] + k * loops.b_steps[2] +
                    l * loops.b_steps[3]);
        }
      }
    }
  }
}

namespace naive {

/// The definition. What is not a number stays so, in minimum and maximum too.
float combined(Arithmetic operation, float a, float b) noexcept;

/// `output` may be an operand of the same size.
void arithmetic(Arithmetic operation, const BroadcastLoops& loops, const float* a, const float* b,
                Activation activation, float* output) noexcept;

}  // namespace naive
}  // namespace mien::kernels

#if MIEN_HAS_DEFINITIONS

namespace mien::kernels::naive {

MIEN_INLINE float combined(Arithmetic operation, float a, float b) noexcept {
  switch (operation) {
    case Arithmetic::add:
      return a + b;
    case Arithmetic::subtract:
      return a - b;
    case Arithmetic::multiply:
      return a * b;
    case Arithmetic::divide:
      return a / b;
    case Arithmetic::minimum:
      return a != a || a < b ? a : b;
    case Arithmetic::maximum:
      return a != a || a > b ? a : b;
  }
  return a;
}

MIEN_INLINE void arithmetic(Arithmetic operation, const BroadcastLoops& loops, const float* a,
                            const float* b, Activation activation, float* output) noexcept {
  walk(loops, [&](std::size_t a_place, std::size_t b_place) {
    *output++ = activated(activation, combined(operation, a[a_place], b[b_place]));
  });
}

}  // namespace mien::kernels::naive

#endif  // MIEN_HAS_DEFINITIONS
