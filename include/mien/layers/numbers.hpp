// Numbers in the types of layers: std::ratio, for C++17 takes no floating-point ones.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <ratio>

#include <mien/graph/node.hpp>

namespace mien {

/// In place of a number: no limit.
struct Unbounded {};

namespace detail {

/// A std::ratio as a number, and what there is to say of another type.
template <class Number>
struct RatioValue {
  static constexpr bool is_ratio = false;
  static constexpr double value = 1.0;
};
template <std::intmax_t Numerator, std::intmax_t Denominator>
struct RatioValue<std::ratio<Numerator, Denominator>> {
  static constexpr bool is_ratio = true;
  static constexpr double value = static_cast<double>(Numerator) / static_cast<double>(Denominator);
};

/// The largest number that the options of activations may be.
inline constexpr double largest_real = std::numeric_limits<float>::max();

/// A real number of either sign.
constexpr Option real_option(std::string_view name, double default_value,
                             double lowest = -largest_real, double highest = largest_real) {
  return {name, default_value, lowest, highest, false, false};
}

/// The type of a layer whose options, all of them real, are these numbers.
template <const LayerType& type, class... Numbers>
struct LayerOfNumbers {
  static_assert((RatioValue<Numbers>::is_ratio && ...), "a layer's numbers are std::ratio");

  static constexpr Node node() {
    Node node;
    node.layer = &type;
    std::size_t option = 0;
    ((node.options[option++] = RatioValue<Numbers>::value), ...);
    static_cast<void>(option);
    return node;
  }
};

}  // namespace detail
}  // namespace mien
