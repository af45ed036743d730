// Local response normalisation (Krizhevsky, Sutskever and Hinton, "ImageNet Classification with
// Deep Convolutional Neural Networks", 2012, section 3.3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <ratio>
#include <string_view>

#include <mien/kernels/kernels.hpp>
#include <mien/layers/layer.hpp>

namespace mien {

namespace detail {

/// A std::ratio as a number, and what there is to say of another type.
template <class Number>
struct RatioValue {
  static constexpr bool is_ratio = false;
  static constexpr double value = 1.0;
};
template <std::intmax_t Numerator, std::intmax_t Denominator>
struct RatioValue<std::ratio<Numerator, Denominator>> {
  static constexpr bool is_ratio = true;
  static constexpr double value = static_cast<double>(Numerator) / static_cast<double>(Denominator);
};

}  // namespace detail

/// PyTorch's LocalResponseNorm(Size, Alpha, Beta, K): every value is divided by
/// (K + Alpha / Size * the sum of squares over the Size channels around it)^Beta. The numbers are
/// std::ratio; the paper's are LocalResponseNorm<5, std::ratio<1, 10000>, std::ratio<3, 4>,
/// std::ratio<2>>, but it writes the formula without dividing Alpha by Size: PyTorch follows Caffe
/// and cuda-convnet, with whose code the paper's network was trained.
template <int Size, class Alpha, class Beta, class K>
struct LocalResponseNorm {
  static constexpr std::string_view name = "LocalResponseNorm";

  static_assert(Size > 0, "LocalResponseNorm's size is at least one channel");
  static_assert(detail::RatioValue<Alpha>::is_ratio && detail::RatioValue<Beta>::is_ratio &&
                    detail::RatioValue<K>::is_ratio,
                "LocalResponseNorm's alpha, beta and k are std::ratio");
  static_assert(detail::RatioValue<Alpha>::value >= 0 && detail::RatioValue<Beta>::value >= 0 &&
                    detail::RatioValue<K>::value > 0,
                "LocalResponseNorm's alpha and beta are not negative, and its k is positive");

  static constexpr kernels::LocalResponse response = {
      Size, static_cast<float>(detail::RatioValue<Alpha>::value),
      static_cast<float>(detail::RatioValue<Beta>::value),
      static_cast<float>(detail::RatioValue<K>::value)};
};

template <int Size, class Alpha, class Beta, class K, class Input>
class Compiled<LocalResponseNorm<Size, Alpha, Beta, K>, Input> : public detail::WithoutParameters {
  using Layer = LocalResponseNorm<Size, Alpha, Beta, K>;
  static constexpr kernels::LocalResponse response = Layer::response;
  static constexpr bool is_fast = kernels::has_fast_power(response.beta);

 public:
  using Output = Input;
  static constexpr LayerNames layer_names = {Layer::name};
  static constexpr std::size_t scratch_size =
      is_fast ? detail::aligned_size(
                    kernels::local_response_norm_scratch_size(Input::channels, response))
              : 0;

  explicit Compiled(TensorReader&) : kernels_(&kernels::chosen_table()) {}

  void forward(int count, const float* input, float* output, float* scratch) const noexcept {
    const int pixels = count * Input::height * Input::width;
    if constexpr (is_fast) {
      kernels_->local_response_norm(pixels, Input::channels, response, input, scratch, output);
    } else {
      kernels::naive::local_response_norm(pixels, Input::channels, response, input, output);
    }
  }

 private:
  const kernels::KernelTable* kernels_;
};

}  // namespace mien
