// What max and average pooling have in common.
#pragma once

#include <memory>
#include <string_view>
#include <type_traits>

#include <mien/graph/node.hpp>
#include <mien/layers/window.hpp>

namespace mien::detail {

inline constexpr Option pooling_options[] = {
    required_size("kernel_height"),  required_size("kernel_width"),
    required_size("stride_y"),       required_size("stride_x"),
    whole_option("padding_y", 0, 0), whole_option("padding_x", 0, 0)};

constexpr kernels::WindowGeometry pooling_geometry(const Node& node, const TensorShape& input) {
  return window_on(node, 0, input, input.channels, 1);
}

constexpr const char* check_pooling(const Node& node) {
  const int height = node.option(kernel_height);
  const int width = node.option(kernel_width);
  if (2 * node.option(padding_y) > height || 2 * node.option(padding_x) > width) {
    return "its padding is at most half its kernel";
  }
  // Averages divide by the area, in int.
  constexpr int largest_area = 1 << 30;
  return width <= largest_area / height ? nullptr : "its kernel is too large";
}

constexpr ShapeResult pooling_output(const Node& node, const TensorShape* inputs, int) {
  return window_output(pooling_geometry(node, inputs[0]));
}

constexpr LayerType make_pooling_type(std::string_view name) {
  LayerType type;
  type.name = name;
  type.options = pooling_options;
  type.option_count = static_cast<int>(std::size(pooling_options));
  type.check_options = &check_pooling;
  type.output_shape = &pooling_output;
  return type;
}

/// The options of a pooling layer's type: Kernel (needed), Stride (default: the kernel), Padding.
template <class... Options>
struct PoolingOptions {
  using kernel = find_option<IsKernel, void, Options...>;
  static_assert(!std::is_same_v<kernel, void>, "pooling needs a Kernel<Height, Width>");
  using stride = find_option<IsStride, Stride<kernel::height, kernel::width>, Options...>;
  using padding = find_option<IsPadding, Padding<0>, Options...>;

  static_assert(
      ((IsKernel<Options>::value || IsStride<Options>::value || IsPadding<Options>::value) && ...),
      "the options of pooling are Kernel, Stride and Padding");
  static_assert(2 * padding::y <= kernel::height && 2 * padding::x <= kernel::width,
                "the padding of pooling is at most half its kernel");

  static constexpr Node node(const LayerType& type) {
    Node node;
    node.layer = &type;
    set_window<kernel, stride, padding>(node, 0);
    return node;
  }
};

}  // namespace mien::detail
