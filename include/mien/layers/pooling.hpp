// What max and average pooling have in common.
#pragma once

#include <cstddef>
#include <string_view>
#include <type_traits>

#include <mien/graph/node.hpp>
#include <mien/layers/window.hpp>

namespace mien {

/// A pooling's last row and column of windows may hang over the padded image: its output's size is
/// rounded up, as by PyTorch's ceil_mode.
struct CeilMode {};

namespace detail {

template <class Option>
struct IsCeilMode : std::is_same<Option, CeilMode> {};

/// The first of a pooling's options are a window's; then come those of its own list.
constexpr const char* check_pooling(const Node& node, const MoreWindowOptions& more) {
  if (!has_sane_extent(node, 0, more)) return "its kernel is too large";
  const kernels::WindowGeometry g = window_on(node, 0, more, {1, 1, 1}, 1, 1);
  if (g.padding_y >= g.extent_y() || g.padding_x >= g.extent_x() ||
      padding_below(node, 0, more) >= g.extent_y() ||
      padding_right_of(node, 0, more) >= g.extent_x()) {
    return "its padding is less than its kernel";
  }
  // Averages divide by the area, in int.
  constexpr int largest_area = 1 << 30;
  return g.kernel_width <= largest_area / g.kernel_height ? nullptr : "its kernel is too large";
}

/// The list of a pooling's options.
template <std::size_t Count>
constexpr LayerType make_pooling_type(std::string_view name, const Option (&options)[Count]) {
  LayerType type;
  type.name = name;
  type.options = options;
  type.option_count = static_cast<int>(Count);
  return type;
}

/// The options of a pooling layer's type: Kernel (needed), Stride (default: the kernel), Padding,
/// CeilMode, and Own, another one of that layer alone.
template <template <class> class IsOwn, class... Options>
struct PoolingOptions {
  using kernel = find_option<IsKernel, void, Options...>;
  static_assert(!std::is_same_v<kernel, void>, "pooling needs a Kernel<Height, Width>");
  using stride = find_option<IsStride, Stride<kernel::height, kernel::width>, Options...>;
  using padding = find_option<IsPadding, Padding<0>, Options...>;
  using dilation = find_option<IsDilation, Dilation<1>, Options...>;
  static constexpr bool rounds_up =
      std::is_same_v<find_option<IsCeilMode, void, Options...>, CeilMode>;

  static_assert(((IsKernel<Options>::value || IsStride<Options>::value ||
                  IsPadding<Options>::value || IsCeilMode<Options>::value ||
                  IsOwn<Options>::value) &&
                 ...),
                "the options of pooling are Kernel, Stride, Padding and CeilMode, of max pooling "
                "Dilation, too, and of average pooling ExcludePadding");
  static constexpr int extent_y = (kernel::height - 1) * dilation::y + 1;
  static constexpr int extent_x = (kernel::width - 1) * dilation::x + 1;
  static_assert(padding::y < extent_y && padding::x < extent_x && padding::bottom < extent_y &&
                    padding::right < extent_x,
                "the padding of pooling is less than its kernel");

  static constexpr Node node(const LayerType& type, const MoreWindowOptions& more) {
    Node node;
    node.layer = &type;
    set_window<kernel, stride, padding, dilation>(node, 0, more);
    node.options[static_cast<std::size_t>(more.ceil_mode)] = rounds_up ? 1 : 0;
    return node;
  }
};

}  // namespace detail
}  // namespace mien
