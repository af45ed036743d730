// Skip connections (He et al., arXiv 1512.03385).
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include <mien/kernels/kernels.hpp>
#include <mien/layers/layer.hpp>
#include <mien/layers/relu.hpp>

namespace mien {

/// In a Residual, a shortcut that leaves its input as it is.
struct Identity {};

/// Body(x) + Shortcut(x), where both are layers or Sequentials. The body's tensors come before the
/// shortcut's.
template <class Body, class Shortcut = Identity>
struct Residual {
  static constexpr std::string_view name = "Residual";
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

/// Skip connection, perhaps with an activation of the sum, as one step.
template <class Body, class Shortcut, class Activation>
struct FusedResidual {};

/// The way around the body: a layer, whose output needs memory, or nothing.
template <class Shortcut, class Input>
struct Bypass {
  using Layer = Compiled<Shortcut, Input>;
  using Output = typename Layer::Output;
  static constexpr std::size_t parameter_count = Layer::parameter_count;
  static constexpr std::size_t multiply_adds = Layer::multiply_adds;
  static constexpr std::size_t output_size = aligned_size(Output::size);
  static constexpr std::size_t scratch_size = output_size + Layer::scratch_size;
  static constexpr std::size_t step_count = detail::step_count<Layer>();
  static constexpr void describe(ForwardStep*& to) { detail::describe<Layer>(to); }

  explicit Bypass(TensorReader& tensors) : layer(tensors) {}

  template <class Observer>
  const float* forward(int count, const float* input, float* scratch, Observer& observer) const
      noexcept(Observer::never_throws) {
    float* const rest = scratch + static_cast<std::size_t>(count) * output_size;
    forward_observed(layer, count, input, scratch, rest, observer);
    return scratch;
  }

  Layer layer;
};

template <class Input>
struct Bypass<Identity, Input> {
  using Output = Input;
  static constexpr std::size_t parameter_count = 0;
  static constexpr std::size_t multiply_adds = 0;
  static constexpr std::size_t scratch_size = 0;
  static constexpr std::size_t step_count = 0;
  static constexpr void describe(ForwardStep*&) {}

  explicit Bypass(TensorReader&) {}

  template <class Observer>
  const float* forward(int, const float* input, float*, Observer&) const noexcept {
    return input;
  }
};

}  // namespace detail

template <class Body, class Shortcut, class Activation, class Input>
class Compiled<detail::FusedResidual<Body, Shortcut, Activation>, Input>
    : public detail::Composite {
  using CompiledBody = Compiled<Body, Input>;
  using Bypass = detail::Bypass<Shortcut, Input>;

 public:
  using Output = typename CompiledBody::Output;
  static_assert(detail::residual_adds_equal_shapes<Output, typename Bypass::Output>::value);

  static constexpr std::size_t parameter_count =
      CompiledBody::parameter_count + Bypass::parameter_count;
  static constexpr std::size_t multiply_adds = CompiledBody::multiply_adds + Bypass::multiply_adds;
  static constexpr std::size_t scratch_size =
      std::max(std::size_t{CompiledBody::scratch_size}, std::size_t{Bypass::scratch_size});
  static constexpr std::size_t step_count =
      detail::step_count<CompiledBody>() + Bypass::step_count + 1;

  static constexpr void describe(ForwardStep*& to) {
    detail::describe<CompiledBody>(to);
    Bypass::describe(to);
    *to++ = detail::step_without_tensors<Output>(
        detail::names_of<Residual<Body, Shortcut>, Activation>);
  }

  explicit Compiled(TensorReader& tensors)
      : kernels_(&kernels::chosen_table()), body_(tensors), bypass_(tensors) {}

  void forward(int count, const float* input, float* output, float* scratch) const noexcept {
    detail::NoObserver nobody;
    forward(count, input, output, scratch, nobody);
  }

  template <class Observer>
  void forward(int count, const float* input, float* output, float* scratch,
               Observer& observer) const noexcept(Observer::never_throws) {
    detail::forward_observed(body_, count, input, output, scratch, observer);
    const float* const added = bypass_.forward(count, input, scratch, observer);
    kernels_->add(detail::value_count<Output>(count), output, added, Activation::clamp, output);
    observer(static_cast<const float*>(output));
  }

 private:
  const kernels::KernelTable* kernels_;
  CompiledBody body_;
  Bypass bypass_;
};

/// A skip connection by itself.
template <class Body, class Shortcut, class Input>
class Compiled<Residual<Body, Shortcut>, Input>
    : public Compiled<detail::FusedResidual<Body, Shortcut, detail::NoActivation>, Input> {
  using Compiled<detail::FusedResidual<Body, Shortcut, detail::NoActivation>, Input>::Compiled;
};

}  // namespace mien
