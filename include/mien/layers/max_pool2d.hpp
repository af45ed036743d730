// Max pooling.
#pragma once

#include <string_view>
#include <type_traits>

#include <mien/kernels/kernels.hpp>
#include <mien/layers/layer.hpp>
#include <mien/layers/window.hpp>

namespace mien {

/// PyTorch's MaxPool2d: rows and columns that do not fill a window are left out (floor). Options in
/// any order: Kernel (needed), Stride (default: the kernel), Padding.
template <class... Options>
struct MaxPool2d {
  static constexpr std::string_view name = "MaxPool2d";
  using kernel = detail::find_option<detail::IsKernel, void, Options...>;
  static_assert(!std::is_same_v<kernel, void>, "MaxPool2d needs a Kernel<Height, Width>");
  using stride =
      detail::find_option<detail::IsStride, Stride<kernel::height, kernel::width>, Options...>;
  using padding = detail::find_option<detail::IsPadding, Padding<0>, Options...>;

  static_assert(((detail::IsKernel<Options>::value || detail::IsStride<Options>::value ||
                  detail::IsPadding<Options>::value) &&
                 ...),
                "MaxPool2d's options are Kernel, Stride and Padding");
  static_assert(2 * padding::y <= kernel::height && 2 * padding::x <= kernel::width,
                "MaxPool2d's padding is at most half its kernel");
};

template <class... Options, class Input>
class Compiled<MaxPool2d<Options...>, Input> : public detail::WithoutParameters {
  using Window = detail::PoolingOn<MaxPool2d<Options...>, Input>;

 public:
  using Output = typename Window::Output;
  static constexpr LayerNames layer_names = {MaxPool2d<Options...>::name};

  explicit Compiled(TensorReader&) : kernels_(&kernels::chosen_table()) {}

  void forward(int count, const float* input, float* output, float*) const noexcept {
    constexpr kernels::WindowGeometry geometry = Window::geometry;
    for (int i = 0; i < count; ++i, input += Input::size, output += Output::size) {
      kernels_->max_pool2d(geometry, input, output);
    }
  }

 private:
  const kernels::KernelTable* kernels_;
};

}  // namespace mien
