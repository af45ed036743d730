// The named options of layers that move a window over an image: Kernel, Stride, Padding, Groups.
#pragma once

#include <type_traits>

#include <mien/kernels/geometry.hpp>
#include <mien/tensor.hpp>

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

/// The geometry of a window layer on an input, and its output's shape by PyTorch's rule:
/// floor((size + 2 padding - kernel) / stride) + 1.
template <class InputShape, int OutChannels, class Kernel, class Stride, class Padding,
          int GroupCount>
struct WindowOn {
  using Input = InputShape;
  static constexpr int padded_height = Input::height + 2 * Padding::y;
  static constexpr int padded_width = Input::width + 2 * Padding::x;
  static_assert(padded_height >= Kernel::height && padded_width >= Kernel::width,
                "the kernel is larger than its padded input");
  using Output = Shape<OutChannels, (padded_height - Kernel::height) / Stride::y + 1,
                       (padded_width - Kernel::width) / Stride::x + 1>;
  static constexpr kernels::WindowGeometry geometry = {
      Input::channels, Input::height,  Input::width,  OutChannels, Output::height,
      Output::width,   Kernel::height, Kernel::width, Stride::y,   Stride::x,
      Padding::y,      Padding::x,     GroupCount};
};

/// The same for a pooling layer.
template <class Layer, class Input>
using PoolingOn = WindowOn<Input, Input::channels, typename Layer::kernel, typename Layer::stride,
                           typename Layer::padding, 1>;

}  // namespace detail
}  // namespace mien
