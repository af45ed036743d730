// The named options of layers that move a window over an image: Kernel, Stride, Padding,
// Dilation, Groups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <mien/graph/node.hpp>
#include <mien/kernels/nn/geometry.hpp>

namespace mien {

/// Height and width of the window; one number for both.
template <int Height, int Width = Height>
struct Kernel {
  static_assert(Height > 0 && Width > 0, "a kernel has at least one row and column");
  static constexpr int height = Height;
  static constexpr int width = Width;
};

/// Steps of the window, down and across. Default 1, in pooling the kernel.
template <int Y, int X = Y>
struct Stride {
  static_assert(Y > 0 && X > 0, "a stride is at least 1");
  static constexpr int y = Y;
  static constexpr int x = X;
};

/// Rows above and below, columns left and right, of zeros (in max pooling of minus infinity). Below
/// and to the right there may be other numbers than above and to the left.
template <int Y, int X = Y, int Bottom = -1, int Right = -1>
struct Padding {
  static_assert(Y >= 0 && X >= 0 && Bottom >= -1 && Right >= -1, "padding is not negative");
  static constexpr int y = Y;
  static constexpr int x = X;
  static constexpr int bottom = Bottom;
  static constexpr int right = Right;
};

/// Steps from one tap of the window to the next, down and across. Default 1.
template <int Y, int X = Y>
struct Dilation {
  static_assert(Y > 0 && X > 0, "a dilation is at least 1");
  static constexpr int y = Y;
  static constexpr int x = X;
};

/// Input and output channels fall into so many groups that do not see each other.
template <int Count>
struct Groups {
  static_assert(Count > 0, "there is at least one group");
  static constexpr int count = Count;
};

/// The layer adds no bias.
struct NoBias {};

namespace detail {

template <class Option>
struct IsKernel : std::false_type {};
template <int H, int W>
struct IsKernel<Kernel<H, W>> : std::true_type {};
template <class Option>
struct IsStride : std::false_type {};
template <int Y, int X>
struct IsStride<Stride<Y, X>> : std::true_type {};
template <class Option>
struct IsPadding : std::false_type {};
template <int Y, int X, int Bottom, int Right>
struct IsPadding<Padding<Y, X, Bottom, Right>> : std::true_type {};
template <class Option>
struct IsDilation : std::false_type {};
template <int Y, int X>
struct IsDilation<Dilation<Y, X>> : std::true_type {};
template <class Option>
struct IsGroups : std::false_type {};
template <int Count>
struct IsGroups<Groups<Count>> : std::true_type {};
template <class Option>
struct IsNoBias : std::is_same<Option, NoBias> {};

/// The first option of a kind, or Default.
template <template <class> class IsKind, class Default, class... Options>
struct Find {
  using type = Default;
};
template <template <class> class IsKind, class Default, class First, class... Rest>
struct Find<IsKind, Default, First, Rest...> {
  using type = typename std::conditional_t<IsKind<First>::value, std::enable_if<true, First>,
                                           Find<IsKind, Default, Rest...>>::type;
};
template <template <class> class IsKind, class Default, class... Options>
using find_option = typename Find<IsKind, Default, Options...>::type;

/// A window's options in a node: six of a layer's list, from `first` on.
enum WindowOption { kernel_height, kernel_width, stride_y, stride_x, padding_y, padding_x };

/// Where options stand in a layer's list that came later; negative where it has none. Padding below
/// and to the right is -1 where it is that above and to the left.
struct MoreWindowOptions {
  int padding_bottom = -1;  ///< padding_right follows
  int dilation_y = -1;      ///< dilation_x follows
  int ceil_mode = -1;
};

constexpr int padding_below(const Node& node, int first, const MoreWindowOptions& more) {
  const int own = more.padding_bottom < 0 ? -1 : node.option(more.padding_bottom);
  return own < 0 ? node.option(first + padding_y) : own;
}
constexpr int padding_right_of(const Node& node, int first, const MoreWindowOptions& more) {
  const int own = more.padding_bottom < 0 ? -1 : node.option(more.padding_bottom + 1);
  return own < 0 ? node.option(first + padding_x) : own;
}

/// Places of a window on one axis, by PyTorch's rule: floor((padded - extent) / stride) + 1; with
/// ceil_mode rounded up, but none begins behind the image.
constexpr int window_places(int size, int padding_before, int padding_after, int extent, int stride,
                            bool rounds_up) {
  const int room = size + padding_before + padding_after - extent + (rounds_up ? stride - 1 : 0);
  if (room < 0) return 0;
  const int places = room / stride + 1;
  const bool is_behind =
      rounds_up && std::int64_t{places - 1} * stride >= std::int64_t{size} + padding_before;
  return is_behind ? places - 1 : places;
}

/// The geometry of a window on an input.
constexpr kernels::WindowGeometry window_on(const Node& node, int first,
                                            const MoreWindowOptions& more, const TensorShape& input,
                                            int out_channels, int groups) {
  const auto option = [&](WindowOption which) { return node.option(first + which); };
  kernels::WindowGeometry g{input.channels,
                            input.height,
                            input.width,
                            out_channels,
                            0,
                            0,
                            option(kernel_height),
                            option(kernel_width),
                            option(stride_y),
                            option(stride_x),
                            option(padding_y),
                            option(padding_x),
                            groups};
  if (more.dilation_y >= 0) {
    g.dilation_y = node.option(more.dilation_y);
    g.dilation_x = node.option(more.dilation_y + 1);
  }
  const bool rounds_up = more.ceil_mode >= 0 && node.option(more.ceil_mode) != 0;
  g.out_height = window_places(input.height, g.padding_y, padding_below(node, first, more),
                               g.extent_y(), g.stride_y, rounds_up);
  g.out_width = window_places(input.width, g.padding_x, padding_right_of(node, first, more),
                              g.extent_x(), g.stride_x, rounds_up);
  return g;
}

/// The extents of windows are computed in int.
constexpr bool has_sane_extent(const Node& node, int first, const MoreWindowOptions& more) {
  const auto fits = [&](WindowOption kernel, int dilation) {
    const double rows = node.option(first + kernel) - 1;
    return rows * (more.dilation_y < 0 ? 1 : node.option(dilation)) < largest_dimension;
  };
  return fits(kernel_height, more.dilation_y) && fits(kernel_width, more.dilation_y + 1);
}

constexpr ShapeResult window_output(const kernels::WindowGeometry& g) {
  if (g.out_height == 0 || g.out_width == 0) return {{}, ShapeProblem::kernel, 0};
  // The next layer adds its padding to these, in int.
  const int longest = g.out_height > g.out_width ? g.out_height : g.out_width;
  if (longest > static_cast<int>(largest_dimension)) return {{}, ShapeProblem::overflow, 0};
  return {{g.out_channels, g.out_height, g.out_width}, ShapeProblem::none, 0};
}

/// Puts a window's options into a node, from `first` on.
template <class Kernel, class Stride, class Padding, class Dilation>
constexpr void set_window(Node& node, std::size_t first, const MoreWindowOptions& more) {
  node.options[first + kernel_height] = Kernel::height;
  node.options[first + kernel_width] = Kernel::width;
  node.options[first + stride_y] = Stride::y;
  node.options[first + stride_x] = Stride::x;
  node.options[first + padding_y] = Padding::y;
  node.options[first + padding_x] = Padding::x;
  const auto set = [&node](int at, int value) {
    node.options[static_cast<std::size_t>(at)] = value;
  };
  if (more.padding_bottom >= 0) {
    set(more.padding_bottom, Padding::bottom);
    set(more.padding_bottom + 1, Padding::right);
  }
  if (more.dilation_y >= 0) {
    set(more.dilation_y, Dilation::y);
    set(more.dilation_y + 1, Dilation::x);
  }
}

}  // namespace detail
}  // namespace mien
