// Average pooling.
#pragma once

#include <string_view>
#include <type_traits>

#include <mien/kernels/kernels.hpp>
#include <mien/layers/layer.hpp>
#include <mien/layers/window.hpp>

namespace mien {

/// PyTorch's AvgPool2d with its defaults: rows and columns that do not fill a window are left out
/// (floor), and padding counts as zeros, which are part of the average. AvgPool2d<Kernel<H, W>> of
/// an image of H x W is global average pooling. Options in any order: Kernel (needed), Stride
/// (default: the kernel), Padding.
template <class... Options>
struct AvgPool2d {
  static constexpr std::string_view name = "AvgPool2d";
  using kernel = detail::find_option<detail::IsKernel, void, Options...>;
  static_assert(!std::is_same_v<kernel, void>, "AvgPool2d needs a Kernel<Height, Width>");
  using stride =
      detail::find_option<detail::IsStride, Stride<kernel::height, kernel::width>, Options...>;
  using padding = detail::find_option<detail::IsPadding, Padding<0>, Options...>;

  static_assert(((detail::IsKernel<Options>::value || detail::IsStride<Options>::value ||
                  detail::IsPadding<Options>::value) &&
                 ...),
                "AvgPool2d's options are Kernel, Stride and Padding");
  static_assert(2 * padding::y <= kernel::height && 2 * padding::x <= kernel::width,
                "AvgPool2d's padding is at most half its kernel");
};

template <class... Options, class Input>
class Compiled<AvgPool2d<Options...>, Input> : public detail::WithoutParameters {
  using Window = detail::PoolingOn<AvgPool2d<Options...>, Input>;

 public:
  using Output = typename Window::Output;
  static constexpr LayerNames layer_names = {AvgPool2d<Options...>::name};

  explicit Compiled(TensorReader&) : kernels_(&kernels::chosen_table()) {}

  void forward(int count, const float* input, float* output, float*) const noexcept {
    constexpr kernels::WindowGeometry geometry = Window::geometry;
    for (int i = 0; i < count; ++i, input += Input::size, output += Output::size) {
      kernels_->avg_pool2d(geometry, input, output);
    }
  }

 private:
  const kernels::KernelTable* kernels_;
};

}  // namespace mien
