// Resizing of an image, by the nearest pixel or between the nearest four, as ONNX's Resize.
#pragma once

#include <cstddef>
#include <memory>
#include <ratio>
#include <type_traits>

#include <mien/config.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>
#include <mien/layers/numbers.hpp>
#include <mien/layers/window.hpp>

namespace mien {

/// How much larger the output is, down and across: std::ratio.
template <class Y, class X = Y>
struct Scale {
  static_assert(detail::RatioValue<Y>::is_ratio && detail::RatioValue<X>::is_ratio,
                "a Scale is of one std::ratio or two");
  static constexpr double y = detail::RatioValue<Y>::value;
  static constexpr double x = detail::RatioValue<X>::value;
};
/// The output's height and width.
template <int Height, int Width = Height>
struct ToSize {
  static_assert(Height > 0 && Width > 0, "an image has at least one row and column");
  static constexpr int height = Height;
  static constexpr int width = Width;
};

/// Between the four nearest pixels; without it, the nearest.
struct Bilinear {};

// Where in the input an output's place x lies. Default: half pixels,
// (x + 0.5) / scale - 0.5, as PyTorch's align_corners=False and OpenCV.

/// The outermost pixels' centres stay where they are: x (in - 1) / (out - 1).
struct AlignCorners {};
/// x / scale.
struct Asymmetric {};
/// Half pixels, but 0 for an output of one pixel.
struct PyTorchHalfPixel {};

// How a place becomes the nearest pixel. Default: down.

/// To the nearest, halves down.
struct RoundPreferFloor {};
struct RoundCeil {};
/// To the nearest, halves up.
struct RoundPreferCeil {};

namespace detail::resize {

enum : int { mode, scale_y, scale_x, out_height, out_width, coordinates, rounding };
enum Mode : int { nearest, bilinear };
enum Coordinates : int { half_pixel, align_corners, asymmetric, pytorch_half_pixel };
enum Rounding : int { down, prefer_down, up, prefer_up };

inline constexpr Option options[] = {whole_option("mode", 0, 0, 1),
                                     real_option("scale_y", 0.0, 0.0, largest_dimension),
                                     real_option("scale_x", 0.0, 0.0, largest_dimension),
                                     whole_option("out_height", 0, 0),
                                     whole_option("out_width", 0, 0),
                                     whole_option("coordinates", 0, 0, 3),
                                     whole_option("rounding", 0, 0, 3)};

constexpr const char* check_options(const Node& node) {
  const auto is_one = [&node](int scale, int size) {
    return (node.options[static_cast<std::size_t>(scale)] > 0.0) != (node.option(size) > 0);
  };
  return is_one(scale_y, out_height) && is_one(scale_x, out_width)
             ? nullptr
             : "it has either a scale or a size for each axis";
}

/// The length of an axis: floor(in * scale) in the precision of ONNX's scales.
constexpr int out_length(const Node& node, int scale, int size, int in) {
  if (node.option(size) > 0) return node.option(size);
  const float length =
      static_cast<float>(in) * static_cast<float>(node.options[static_cast<std::size_t>(scale)]);
  constexpr int too_large = static_cast<int>(largest_dimension) + 1;
  return length < static_cast<float>(too_large) ? static_cast<int>(length) : too_large;
}

constexpr ShapeResult output_shape(const Node& node, const TensorShape* inputs, int) {
  const int height = out_length(node, scale_y, out_height, inputs[0].height);
  const int width = out_length(node, scale_x, out_width, inputs[0].width);
  if (height < 1 || width < 1) return {{}, ShapeProblem::empty, 0};
  if (height > static_cast<int>(largest_dimension) || width > static_cast<int>(largest_dimension)) {
    return {{}, ShapeProblem::overflow, 0};
  }
  return {{inputs[0].channels, height, width}, ShapeProblem::none, 0};
}

MIEN_COLD std::unique_ptr<Step> make_step(const StepContext& context);

constexpr LayerType make_type() {
  LayerType type;
  type.name = "Resize";
  type.options = options;
  type.option_count = static_cast<int>(std::size(options));
  type.check_options = &check_options;
  type.output_shape = &output_shape;
  type.make_step = &make_step;
  return type;
}

inline constexpr LayerType type = make_type();

template <class Option>
struct IsScale : std::false_type {};
template <class Y, class X>
struct IsScale<Scale<Y, X>> : std::true_type {};
template <class Option>
struct IsToSize : std::false_type {};
template <int Height, int Width>
struct IsToSize<ToSize<Height, Width>> : std::true_type {};

template <class Wanted, class... Options>
constexpr bool has = (std::is_same_v<Wanted, Options> || ...);

}  // namespace detail::resize

/// Resizing as by PyTorch's interpolate and ONNX's Resize. Options in any order: Scale or ToSize
/// (one is needed), Bilinear, one of AlignCorners, Asymmetric and PyTorchHalfPixel, one of
/// RoundPreferFloor, RoundCeil and RoundPreferCeil.
template <class... Options>
struct Resize {
  using scale = detail::find_option<detail::resize::IsScale, void, Options...>;
  using size = detail::find_option<detail::resize::IsToSize, void, Options...>;
  static_assert(std::is_same_v<scale, void> != std::is_same_v<size, void>,
                "Resize needs a Scale<Y, X> or a ToSize<Height, Width>");

  static constexpr Node node() {
    namespace own = detail::resize;
    Node node;
    node.layer = &own::type;
    node.options[own::mode] = own::has<Bilinear, Options...> ? own::bilinear : own::nearest;
    if constexpr (std::is_same_v<size, void>) {
      node.options[own::scale_y] = scale::y;
      node.options[own::scale_x] = scale::x;
    } else {
      node.options[own::out_height] = size::height;
      node.options[own::out_width] = size::width;
    }
    node.options[own::coordinates] = own::has<AlignCorners, Options...> ? own::align_corners
                                     : own::has<Asymmetric, Options...> ? own::asymmetric
                                     : own::has<PyTorchHalfPixel, Options...>
                                         ? own::pytorch_half_pixel
                                         : own::half_pixel;
    node.options[own::rounding] = own::has<RoundPreferFloor, Options...>  ? own::prefer_down
                                  : own::has<RoundCeil, Options...>       ? own::up
                                  : own::has<RoundPreferCeil, Options...> ? own::prefer_up
                                                                          : own::down;
    return node;
  }
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <mien/kernels/nn.hpp>
#include <mien/layers/pixel_map.hpp>

namespace mien::detail {

namespace resize {

/// Places of one axis's outputs in its input.
class Axis {
 public:
  Axis(const Node& node, int scale_option, int in, int out)
      : in_(in), out_(out), rule_(static_cast<Coordinates>(node.option(coordinates))) {
    const double scale = node.options[static_cast<std::size_t>(scale_option)];
    scale_ = scale > 0.0 ? scale : static_cast<double>(out) / in;
    // Then a place is a fraction, so that whole places are whole numbers.
    is_by_size_ = !(scale > 0.0);
  }

  double place(int x) const {
    const double number = x;
    switch (rule_) {
      case align_corners:
        return out_ == 1 ? 0.0 : number * (in_ - 1) / (out_ - 1);
      case asymmetric:
        return is_by_size_ ? number * in_ / out_ : number / scale_;
      case pytorch_half_pixel:
        if (out_ == 1) return 0.0;
        break;
      case half_pixel:
        break;
    }
    return is_by_size_ ? (2.0 * number + 1.0) * in_ / (2.0 * out_) - 0.5
                       : (number + 0.5) / scale_ - 0.5;
  }

  std::vector<int> nearest_pixels(Rounding rounding) const {
    std::vector<int> pixels;
    for (int x = 0; x < out_; ++x) {
      const double at = place(x);
      const double rounded = rounding == down          ? std::floor(at)
                             : rounding == prefer_down ? std::ceil(at - 0.5)
                             : rounding == up          ? std::ceil(at)
                                                       : std::floor(at + 0.5);
      pixels.push_back(static_cast<int>(std::clamp(rounded, 0.0, in_ - 1.0)));
    }
    return pixels;
  }

  /// Between which two pixels an output lies, and the second's share in it.
  struct Neighbours {
    std::vector<int> first;
    std::vector<int> second;
    std::vector<float> share;
  };
  Neighbours neighbours() const {
    Neighbours result;
    for (int x = 0; x < out_; ++x) {
      const double at = std::clamp(place(x), 0.0, in_ - 1.0);
      const int first = static_cast<int>(at);
      result.first.push_back(first);
      result.second.push_back(std::min(first + 1, in_ - 1));
      result.share.push_back(static_cast<float>(at - first));
    }
    return result;
  }

 private:
  int in_;
  int out_;
  Coordinates rule_;
  double scale_ = 1.0;
  bool is_by_size_ = false;
};

inline PixelMapStep make_map(const Node& node, const TensorShape& input,
                             const TensorShape& output) {
  const auto how = static_cast<Rounding>(node.option(rounding));
  PixelMap map;
  map.rows = Axis(node, scale_y, input.height, output.height).nearest_pixels(how);
  map.columns = Axis(node, scale_x, input.width, output.width).nearest_pixels(how);
  return PixelMapStep(std::move(map), input);
}

}  // namespace resize

class ResizeBilinearStep final : public Step {
 public:
  ResizeBilinearStep(const Node& node, const TensorShape& input, const TensorShape& output)
      : kernels_(&kernels::chosen_table()),
        input_(input),
        output_(output),
        rows_(resize::Axis(node, resize::scale_y, input.height, output.height).neighbours()),
        columns_(resize::Axis(node, resize::scale_x, input.width, output.width).neighbours()) {}

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    const std::ptrdiff_t row_size = std::ptrdiff_t{input_.width} * input_.channels;
    const float* input = inputs[0];
    kernels::BilinearRow row{};
    row.channels = input_.channels;
    row.width = output_.width;
    row.left = columns_.first.data();
    row.right = columns_.second.data();
    row.right_share = columns_.share.data();
    for (int i = 0; i < count; ++i, input += input_.size()) {
      for (std::size_t y = 0; y < rows_.first.size(); ++y) {
        row.upper = input + rows_.first[y] * row_size;
        row.lower = input + rows_.second[y] * row_size;
        row.lower_share = rows_.share[y];
        kernels_->bilinear_row(row, output);
        output += std::ptrdiff_t{output_.width} * output_.channels;
      }
    }
  }

  const TensorShape& input() const noexcept { return input_; }
  const resize::Axis::Neighbours& rows() const noexcept { return rows_; }
  const resize::Axis::Neighbours& columns() const noexcept { return columns_; }

 private:
  const kernels::KernelTable* kernels_;
  TensorShape input_;
  TensorShape output_;
  resize::Axis::Neighbours rows_;
  resize::Axis::Neighbours columns_;
};

class ResizeBilinearGradient final : public StepGradient<ResizeBilinearStep> {
 public:
  using StepGradient::StepGradient;

  /// Each of the four pixels gets its share.
  void backward(const float* const*, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    const TensorShape& input = step().input();
    const resize::Axis::Neighbours& rows = step().rows();
    const resize::Axis::Neighbours& columns = step().columns();
    std::fill_n(input_gradients[0], input.size(), 0.0f);
    for (std::size_t y = 0; y < rows.first.size(); ++y) {
      for (std::size_t x = 0; x < columns.first.size(); ++x, output_gradient += input.channels) {
        const auto add = [&](int row, int column, float share) {
          float* const to =
              input_gradients[0] + (std::ptrdiff_t{row} * input.width + column) * input.channels;
          for (int c = 0; c < input.channels; ++c) to[c] += output_gradient[c] * share;
        };
        const float below = rows.share[y];
        const float right = columns.share[x];
        add(rows.first[y], columns.first[x], (1.0f - below) * (1.0f - right));
        add(rows.first[y], columns.second[x], (1.0f - below) * right);
        add(rows.second[y], columns.first[x], below * (1.0f - right));
        add(rows.second[y], columns.second[x], below * right);
      }
    }
  }
};

MIEN_INLINE std::unique_ptr<Step> resize::make_step(const StepContext& context) {
  if (context.node.option(mode) == bilinear) {
    return std::make_unique<ResizeBilinearStep>(context.node, context.inputs[0], context.output);
  }
  return std::make_unique<PixelMapStep>(make_map(context.node, context.inputs[0], context.output));
}

}  // namespace mien::detail

namespace mien {

template <>
struct GradientOf<detail::resize::type> {
  static std::unique_ptr<Gradient> make(const GradientContext& context) {
    if (context.node.option(detail::resize::mode) == detail::resize::bilinear) {
      return std::make_unique<detail::ResizeBilinearGradient>(
          detail::ResizeBilinearStep(context.node, context.inputs[0], context.output));
    }
    return std::make_unique<detail::PixelMapGradient>(
        detail::resize::make_map(context.node, context.inputs[0], context.output));
  }
};

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
