// Pooling to a given size; to one pixel it is global pooling.
#pragma once

#include <memory>
#include <string_view>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/kernels/nn/adaptive_pool2d.hpp>

namespace mien {

namespace detail::adaptive_pool2d {

enum : int { out_height, out_width };

inline constexpr Option options[] = {required_size("out_height"), required_size("out_width")};

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  return {
      {inputs[0].channels, node.option(out_height), node.option(out_width)}, ShapeProblem::none, 0};
}

constexpr kernels::AdaptiveGeometry geometry(const TensorShape& input, const TensorShape& output) {
  return {input.channels, input.height, input.width, output.height, output.width};
}

template <bool IsMax>
std::unique_ptr<Step> make_step(const StepContext& context);

template <bool IsMax>
constexpr LayerType make_type(std::string_view name) {
  LayerType type;
  type.name = name;
  type.options = options;
  type.option_count = static_cast<int>(std::size(options));
  type.output_shape = &output_shape;
  type.make_step = &make_step<IsMax>;
  return type;
}

inline constexpr LayerType avg_type = make_type<false>("AdaptiveAvgPool2d");
inline constexpr LayerType max_type = make_type<true>("AdaptiveMaxPool2d");

template <const LayerType& type, int Height, int Width>
struct Layer {
  static_assert(Height > 0 && Width > 0, "an image has at least one row and column");

  static constexpr Node node() {
    Node node;
    node.layer = &type;
    node.options[out_height] = Height;
    node.options[out_width] = Width;
    return node;
  }
};

}  // namespace detail::adaptive_pool2d

/// PyTorch's AdaptiveAvgPool2d: the mean of as many windows as there shall be pixels.
template <int Height, int Width = Height>
using AdaptiveAvgPool2d =
    detail::adaptive_pool2d::Layer<detail::adaptive_pool2d::avg_type, Height, Width>;

/// PyTorch's AdaptiveMaxPool2d: the largest values of such windows.
template <int Height, int Width = Height>
using AdaptiveMaxPool2d =
    detail::adaptive_pool2d::Layer<detail::adaptive_pool2d::max_type, Height, Width>;

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cstddef>

#include <mien/kernels/nn.hpp>

namespace mien::detail {

template <bool IsMax>
class AdaptivePool2dStep final : public Step {
 public:
  explicit AdaptivePool2dStep(const kernels::AdaptiveGeometry& geometry)
      : run_(IsMax ? kernels::chosen_table().adaptive_max_pool2d
                   : kernels::chosen_table().adaptive_avg_pool2d),
        geometry_(geometry) {}

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    const float* input = inputs[0];
    for (int i = 0; i < count; ++i) {
      run_(geometry_, input, output);
      input += geometry_.input_size();
      output += geometry_.output_size();
    }
  }

  const kernels::AdaptiveGeometry& geometry() const noexcept { return geometry_; }

 private:
  void (*run_)(const kernels::AdaptiveGeometry&, const float*, float*) noexcept;
  kernels::AdaptiveGeometry geometry_;
};

template <bool IsMax>
std::unique_ptr<Step> adaptive_pool2d::make_step(const StepContext& context) {
  return std::make_unique<AdaptivePool2dStep<IsMax>>(geometry(context.inputs[0], context.output));
}

template <bool IsMax>
class AdaptivePool2dGradient final : public StepGradient<AdaptivePool2dStep<IsMax>> {
 public:
  using StepGradient<AdaptivePool2dStep<IsMax>>::StepGradient;

  /// Of a maximum all goes to the window's first; of a mean, an equal share to each pixel.
  void backward(const float* const* inputs, const float* output, const float* output_gradient,
                float*, float* const* input_gradients) const noexcept override {
    const kernels::AdaptiveGeometry& g = this->step().geometry();
    std::fill_n(input_gradients[0], g.input_size(), 0.0f);
    for (int y = 0; y < g.out_height; ++y) {
      for (int x = 0; x < g.out_width; ++x, output += g.channels, output_gradient += g.channels) {
        const Rows rows = {kernels::adaptive_begin(y, g.in_height, g.out_height),
                           kernels::adaptive_end(y, g.in_height, g.out_height)};
        const Rows columns = {kernels::adaptive_begin(x, g.in_width, g.out_width),
                              kernels::adaptive_end(x, g.in_width, g.out_width)};
        if (IsMax) {
          add_to_maxima(rows, columns, inputs[0], output, output_gradient, input_gradients[0]);
        } else {
          add_shares(rows, columns, output_gradient, input_gradients[0]);
        }
      }
    }
  }

 private:
  struct Rows {
    int first;
    int last;
  };

  void add_shares(const Rows& rows, const Rows& columns, const float* gradient,
                  float* to) const noexcept {
    const kernels::AdaptiveGeometry& g = this->step().geometry();
    const float share = 1.0f / (static_cast<float>(rows.last - rows.first) *
                                static_cast<float>(columns.last - columns.first));
    for (int y = rows.first; y < rows.last; ++y) {
      for (int x = columns.first; x < columns.last; ++x) {
        float* const pixel = to + (std::ptrdiff_t{y} * g.in_width + x) * g.channels;
        for (int c = 0; c < g.channels; ++c) pixel[c] += gradient[c] * share;
      }
    }
  }

  void add_to_maxima(const Rows& rows, const Rows& columns, const float* input,
                     const float* largest, const float* gradient, float* to) const noexcept {
    const kernels::AdaptiveGeometry& g = this->step().geometry();
    for (int c = 0; c < g.channels; ++c) {
      // Only what is not a number equals nothing.
      std::ptrdiff_t at =
          (std::ptrdiff_t{rows.first} * g.in_width + columns.first) * g.channels + c;
      bool is_found = false;
      for (int y = rows.first; y < rows.last && !is_found; ++y) {
        for (int x = columns.first; x < columns.last && !is_found; ++x) {
          const std::ptrdiff_t here = (std::ptrdiff_t{y} * g.in_width + x) * g.channels + c;
          is_found = input[here] == largest[c];
          if (is_found) at = here;
        }
      }
      to[at] += gradient[c];
    }
  }
};

/// GradientOf either.
template <bool IsMax>
struct AdaptivePool2dGradientOf {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    return std::make_unique<AdaptivePool2dGradient<IsMax>>(
        AdaptivePool2dStep<IsMax>(adaptive_pool2d::geometry(context.inputs[0], context.output)));
  }
};

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::adaptive_pool2d::avg_type> : detail::AdaptivePool2dGradientOf<false> {};
template <>
struct GradientOf<detail::adaptive_pool2d::max_type> : detail::AdaptivePool2dGradientOf<true> {};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
