// Padding of an image.
#pragma once

#include <memory>
#include <ratio>
#include <type_traits>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/layers/numbers.hpp>
#include <mien/layers/window.hpp>

namespace mien {

/// Padding by the image mirrored about its outermost pixels, which are not repeated.
struct Reflect {};
/// Padding by the image's outermost pixels.
struct Replicate {};
/// Padding by a number, a std::ratio.
template <class Number>
struct PadValue {
  static_assert(detail::RatioValue<Number>::is_ratio, "a PadValue is a std::ratio");
  static constexpr double value = detail::RatioValue<Number>::value;
};

namespace detail::pad {

enum : int { top, bottom, left, right, mode, value };
enum Mode : int { constant, reflect, replicate };

inline constexpr Option options[] = {whole_option("top", 0, 0),     whole_option("bottom", 0, 0),
                                     whole_option("left", 0, 0),    whole_option("right", 0, 0),
                                     whole_option("mode", 0, 0, 2), real_option("value", 0.0)};

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  const TensorShape& input = inputs[0];
  if (node.option(mode) == reflect &&
      (node.option(top) >= input.height || node.option(bottom) >= input.height ||
       node.option(left) >= input.width || node.option(right) >= input.width)) {
    return {{}, ShapeProblem::reflection, 0};
  }
  const int height = input.height + node.option(top) + node.option(bottom);
  const int width = input.width + node.option(left) + node.option(right);
  if (height > static_cast<int>(largest_dimension) || width > static_cast<int>(largest_dimension)) {
    return {{}, ShapeProblem::overflow, 0};
  }
  return {{input.channels, height, width}, ShapeProblem::none, 0};
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "Pad";
  type.options = options;
  type.option_count = static_cast<int>(std::size(options));
  type.output_shape = &output_shape;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

template <class Option>
struct IsPadMode : std::false_type {};
template <>
struct IsPadMode<Reflect> : std::true_type {
  static constexpr int mode = reflect;
  static constexpr double number = 0.0;
};
template <>
struct IsPadMode<Replicate> : std::true_type {
  static constexpr int mode = replicate;
  static constexpr double number = 0.0;
};
template <class Number>
struct IsPadMode<PadValue<Number>> : std::true_type {
  static constexpr int mode = constant;
  static constexpr double number = PadValue<Number>::value;
};

}  // namespace detail::pad

/// PyTorch's F.pad of an image: rows above and below, columns left and right. How: PadValue<ratio>,
/// Reflect or Replicate.
template <int Top, int Bottom, int Left, int Right, class How = PadValue<std::ratio<0>>>
struct Pad {
  static_assert(Top >= 0 && Bottom >= 0 && Left >= 0 && Right >= 0, "padding is not negative");
  static_assert(detail::pad::IsPadMode<How>::value,
                "an image is padded by PadValue, Reflect or Replicate");

  static constexpr Node node() {
    Node node;
    node.layer = &detail::pad::type;
    node.options = {Top,
                    Bottom,
                    Left,
                    Right,
                    detail::pad::IsPadMode<How>::mode,
                    detail::pad::IsPadMode<How>::number};
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <vector>

#include <mien/layers/pixel_map.hpp>

namespace mien::detail {

namespace pad {

/// Where each place of a padded axis comes from.
inline std::vector<int> places(int size, int before, int after, int how) {
  std::vector<int> from;
  for (int place = -before; place < size + after; ++place) {
    int source = place;
    if (place < 0) source = how == reflect ? -place : 0;
    if (place >= size) source = how == reflect ? 2 * (size - 1) - place : size - 1;
    const bool is_outside = place < 0 || place >= size;
    from.push_back(is_outside && how == constant ? -1 : source);
  }
  return from;
}

inline PixelMapStep make_map(const Node& node, const TensorShape& input) {
  const int how = node.option(mode);
  PixelMap map;
  map.rows = places(input.height, node.option(top), node.option(bottom), how);
  map.columns = places(input.width, node.option(left), node.option(right), how);
  map.constant = static_cast<float>(node.options[value]);
  return PixelMapStep(std::move(map), input);
}

}  // namespace pad

MIEN_INLINE std::unique_ptr<Step> pad::make_step(const StepContext& context) {
  return std::make_unique<PixelMapStep>(make_map(context.node, context.inputs[0]));
}

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::pad::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<detail::PixelMapGradient>(
        detail::pad::make_map(context.node, context.inputs[0]));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
