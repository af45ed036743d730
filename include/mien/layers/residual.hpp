// Skip connections (He et al., arXiv 1512.03385).
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include <mien/layers/layer.hpp>

namespace mien {

/// Leaves its input as it is.
struct Identity {};

/// Body(x) + Shortcut(x), where both are layers or Sequentials.
template <class Body, class Shortcut = Identity>
struct Residual {};

template <class Input>
class Compiled<Identity, Input> : public detail::WithoutParameters {
 public:
  using Output = Input;

  explicit Compiled(TensorReader&) {}

  void forward(int count, const float* input, float* output, float*) const noexcept {
    std::copy_n(input, detail::value_count<Input>(count), output);
  }
};

namespace detail {

/// Stands in a compiler's message as the sentence it is.
template <class BodyOutput, class ShortcutOutput>
struct residual_adds_equal_shapes {
  static_assert(std::is_same_v<BodyOutput, ShortcutOutput>,
                "Residual can only add equal shapes: see residual_adds_equal_shapes<Shape<C, H, W> "
                "of the body, Shape<C, H, W> of the shortcut> in this message");
  static constexpr bool value = true;
};

}  // namespace detail

template <class Body, class Shortcut, class Input>
class Compiled<Residual<Body, Shortcut>, Input> {
  using CompiledBody = Compiled<Body, Input>;
  using CompiledShortcut = Compiled<Shortcut, Input>;
  static constexpr bool projects = !std::is_same_v<Shortcut, Identity>;

 public:
  using Output = typename CompiledBody::Output;
  static_assert(
      detail::residual_adds_equal_shapes<Output, typename CompiledShortcut::Output>::value);

  static constexpr std::size_t parameter_count =
      CompiledBody::parameter_count + CompiledShortcut::parameter_count;
  static constexpr std::size_t multiply_adds =
      CompiledBody::multiply_adds + CompiledShortcut::multiply_adds;

  explicit Compiled(TensorReader& tensors) : body_(tensors), shortcut_(tensors) {}

 private:
  static constexpr std::size_t projection_size =
      projects ? detail::aligned_size(Output::size) + CompiledShortcut::scratch_size : 0;

 public:
  static constexpr std::size_t scratch_size =
      CompiledBody::scratch_size > projection_size ? CompiledBody::scratch_size : projection_size;

  void forward(int count, const float* input, float* output, float* scratch) const noexcept {
    body_.forward(count, input, output, scratch);
    const float* added = input;
    if constexpr (projects) {
      const std::size_t taken =
          static_cast<std::size_t>(count) * detail::aligned_size(Output::size);
      shortcut_.forward(count, input, scratch, scratch + taken);
      added = scratch;
    }
    for (std::size_t i = 0; i < detail::value_count<Output>(count); ++i) output[i] += added[i];
  }

 private:
  CompiledBody body_;
  CompiledShortcut shortcut_;
};

}  // namespace mien
