// The named options of layers that move a window over an image: Kernel, Stride, Padding, Groups.
#pragma once

#include <cstddef>
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

/// Rows above and below, columns left and right, of zeros (in pooling of minus infinity).
template <int Y, int X = Y>
struct Padding {
  static_assert(Y >= 0 && X >= 0, "padding is not negative");
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
template <int Y, int X>
struct IsPadding<Padding<Y, X>> : std::true_type {};
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

/// The geometry of a window on an input, and its output's size by PyTorch's rule:
/// floor((size + 2 padding - kernel) / stride) + 1.
constexpr kernels::WindowGeometry window_on(const Node& node, int first, const TensorShape& input,
                                            int out_channels, int groups) {
  const auto option = [&](WindowOption which) { return node.option(first + which); };
  const int height = input.height + 2 * option(padding_y) - option(kernel_height);
  const int width = input.width + 2 * option(padding_x) - option(kernel_width);
  return {input.channels,
          input.height,
          input.width,
          out_channels,
          height < 0 ? 0 : height / option(stride_y) + 1,
          width < 0 ? 0 : width / option(stride_x) + 1,
          option(kernel_height),
          option(kernel_width),
          option(stride_y),
          option(stride_x),
          option(padding_y),
          option(padding_x),
          groups};
}

constexpr ShapeResult window_output(const kernels::WindowGeometry& g) {
  if (g.out_height == 0 || g.out_width == 0) return {{}, ShapeProblem::kernel, 0};
  // The next layer adds its padding to these, in int.
  const int longest = g.out_height > g.out_width ? g.out_height : g.out_width;
  if (longest > static_cast<int>(largest_dimension)) return {{}, ShapeProblem::overflow, 0};
  return {{g.out_channels, g.out_height, g.out_width}, ShapeProblem::none, 0};
}

/// Puts a window's options into a node, from `first` on.
template <class Kernel, class Stride, class Padding>
constexpr void set_window(Node& node, std::size_t first) {
  node.options[first + kernel_height] = Kernel::height;
  node.options[first + kernel_width] = Kernel::width;
  node.options[first + stride_y] = Stride::y;
  node.options[first + stride_x] = Stride::x;
  node.options[first + padding_y] = Padding::y;
  node.options[first + padding_x] = Padding::x;
}

}  // namespace detail
}  // namespace mien
