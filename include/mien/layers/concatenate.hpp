// Branches that read the same input and whose outputs are joined (Szegedy et al., "Going Deeper
// with Convolutions", arXiv 1409.4842).
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include <mien/layers/in_order.hpp>
#include <mien/layers/layer.hpp>

namespace mien {

/// PyTorch's torch.cat(..., dim=1) of the outputs of branches, which are layers or Sequentials: the
/// first branch's channels, then the second's. Their tensors come branch after branch, too.
template <class... Branches>
struct Concatenate {
  static constexpr std::string_view name = "Concatenate";
  static_assert(sizeof...(Branches) > 0, "Concatenate needs at least one branch");
};

namespace detail {

/// Stands in a compiler's message as the sentence it is.
template <class First, class... Others>
struct concatenate_joins_equal_sizes {
  static_assert(((First::height == Others::height && First::width == Others::width) && ...),
                "Concatenate can only join images of equal height and width: see "
                "concatenate_joins_equal_sizes<Shape<C, H, W> of each branch> in this message");
  using type = Shape<(First::channels + ... + Others::channels), First::height, First::width>;
};

}  // namespace detail

template <class... Branches, class Input>
class Compiled<Concatenate<Branches...>, Input> : public detail::Composite {
  template <class Branch>
  static constexpr std::size_t branch_memory =
      detail::aligned_size(Compiled<Branch, Input>::Output::size) +
      Compiled<Branch, Input>::scratch_size;

 public:
  using Output = typename detail::concatenate_joins_equal_sizes<
      typename Compiled<Branches, Input>::Output...>::type;
  static constexpr std::size_t parameter_count = (Compiled<Branches, Input>::parameter_count + ...);
  static constexpr std::size_t multiply_adds = (Compiled<Branches, Input>::multiply_adds + ...);
  /// Branches run one after the other, in the same memory.
  static constexpr std::size_t scratch_size = std::max({branch_memory<Branches>...});
  static constexpr std::size_t step_count =
      (detail::step_count<Compiled<Branches, Input>>() + ... + 1);

  static constexpr void describe(ForwardStep*& to) {
    (detail::describe<Compiled<Branches, Input>>(to), ...);
    *to++ = detail::step_without_tensors<Output>(detail::names_of<Concatenate<Branches...>>);
  }

  explicit Compiled(TensorReader& tensors) : branches_(tensors) {}

  void forward(int count, const float* input, float* output, float* scratch) const noexcept {
    detail::NoObserver nobody;
    forward(count, input, output, scratch, nobody);
  }

  template <class Observer>
  void forward(int count, const float* input, float* output, float* scratch,
               Observer& observer) const noexcept(Observer::never_throws) {
    float* to = output;
    branches_.visit([&](const auto& branch) {
      run(branch, count, input, to, scratch, observer);
      to += std::decay_t<decltype(branch)>::Output::channels;
    });
    observer(static_cast<const float*>(output));
  }

 private:
  /// Runs one branch and puts its channels into every pixel from `to`.
  template <class Branch, class Observer>
  static void run(const Branch& branch, int count, const float* input, float* to, float* scratch,
                  Observer& observer) noexcept(Observer::never_throws) {
    using Joined = typename Branch::Output;
    float* const rest =
        scratch + static_cast<std::size_t>(count) * detail::aligned_size(Joined::size);
    detail::forward_observed(branch, count, input, scratch, rest, observer);
    const float* const end = scratch + detail::value_count<Joined>(count);
    for (const float* from = scratch; from != end; from += Joined::channels) {
      std::copy_n(from, Joined::channels, to);
      to += Output::channels;
    }
  }

  detail::InOrder<Compiled<Branches, Input>...> branches_;
};

}  // namespace mien
