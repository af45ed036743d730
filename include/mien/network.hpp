// A network: layers on an input, with a name, loaded from a weight file.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <mien/layers/layers.hpp>
#include <mien/parallel.hpp>
#include <mien/tensor.hpp>
#include <mien/weights.hpp>

namespace mien {

namespace detail {

/// Hands an observer every step with its description.
template <class Observer>
class StepCounter {
 public:
  static constexpr bool never_throws =
      std::is_nothrow_invocable_v<Observer&, const ForwardStep&, const float*>;

  StepCounter(const ForwardStep* steps, Observer& observer) : next_(steps), observer_(observer) {}

  void operator()(const float* values) noexcept(never_throws) { observer_(*next_++, values); }

 private:
  const ForwardStep* next_;
  Observer& observer_;
};

}  // namespace detail

/// A network's input, in PyTorch's order.
template <int Channels, int Height, int Width>
using Input = Shape<Channels, Height, Width>;

/// The base of every network:
///
///   struct Tiny : Network<Tiny, Input<1, 8, 8>, Conv2d<1, 4, Kernel<3>>, ReLU, Flatten,
///                         Dense<144, 7>> {
///     static constexpr std::string_view name = "tiny";
///     using Network::Network;
///   };
///
/// Objects are cheap to copy: copies share the weights, which never change. forward() may run in
/// any number of threads at once, given a Workspace for each.
template <class Derived, class InputShape, class... LayerTypes>
class Network {
  using Body = Compiled<Sequential<LayerTypes...>, InputShape>;

 public:
  using Input = InputShape;
  using Output = typename Body::Output;
  /// The layers as one.
  using Layers = Sequential<LayerTypes...>;
  /// Learned numbers, as PyTorch counts them: running statistics are not among them.
  static constexpr std::size_t parameter_count = Body::parameter_count;
  /// Multiply-adds of convolutions, dense layers and unfused batch normalisations for one input.
  static constexpr std::size_t multiply_adds = Body::multiply_adds;
  /// The steps of a forward pass, in the order in which they run and take their tensors.
  static constexpr std::array<ForwardStep, Body::step_count> steps() {
    std::array<ForwardStep, Body::step_count> result{};
    ForwardStep* to = result.data();
    Body::describe(to);
    return result;
  }

  /// Memory for forward passes: aligned, allocated once, reused. One pass uses it at a time.
  class Workspace {
   public:
    /// With room for `threads` threads to work at once, each on `batch` inputs. Throws Error for
    /// numbers below 1.
    explicit Workspace(int batch = 1, int threads = 1) : batch_(batch) {
      require("batch", batch);
      require("threads", threads);
      for (int i = 0; i < threads; ++i) {
        scratch_.emplace_back(static_cast<std::size_t>(batch) * Body::scratch_size);
      }
    }

    int batch() const noexcept { return batch_; }
    int threads() const noexcept { return static_cast<int>(scratch_.size()); }

   private:
    friend class Network;

    static void require(const char* what, int number) {
      if (number >= 1) return;
      throw Error(std::string("workspace: ") + what + ": expected 1 or more, found " +
                  std::to_string(number));
    }

    int batch_;
    std::vector<detail::AlignedBuffer> scratch_;  // one for each thread
  };

  /// Takes the weights from a file. Throws Error if they are another network's, or if a tensor is
  /// missing, left over, misshapen or not finite.
  explicit Network(const WeightFile& file)
      : preprocessing_(file.preprocessing()),
        labels_(file.labels()),
        verification_vectors_(file.verification_vectors()),
        file_name_(file.name()) {
    if (file.architecture() != Derived::name) {
      throw Error(file.name() + ": architecture: expected '" + std::string(Derived::name) +
                  "', found '" + file.architecture() + "'");
    }
    require("input channels", Input::channels, preprocessing_.input_channels);
    require("input height", Input::height, preprocessing_.input_height);
    require("input width", Input::width, preprocessing_.input_width);
    require("number of labels", static_cast<int>(Output::size), static_cast<int>(labels_.size()));
    TensorReader tensors(file);
    layers_ = std::make_shared<const Body>(tensors);
    tensors.finish();
  }

  /// Reads a .mien file. Throws Error.
  static Derived load(const std::string& path) { return Derived(WeightFile::load(path)); }

  /// One forward pass. `input` is [height][width][channels], `output` receives Output::size values
  /// (for a classifier the logits); they must not overlap. Allocates nothing, throws nothing.
  void forward(const float* input, float* output, Workspace& workspace) const noexcept {
    forward(1, input, output, workspace);
  }

  /// The same, returning the output.
  std::array<float, Output::size> forward(const float* input, Workspace& workspace) const noexcept {
    std::array<float, Output::size> output;
    forward(input, output.data(), workspace);
    return output;
  }

  /// One forward pass that shows its steps: after each of steps(), in their order, it calls
  /// observer(const ForwardStep& step, const float* values), where `values` are the step's output,
  /// [step.height][step.width][step.channels], until the observer returns. What runs is what runs
  /// without an observer, so layers that are fused into one step are not seen apart. Throws what
  /// the observer throws.
  template <class Observer>
  std::array<float, Output::size> forward_observed(const float* input, Workspace& workspace,
                                                   Observer&& observer) const {
    std::array<float, Output::size> output;
    const auto described = steps();
    detail::StepCounter counter(described.data(), observer);
    layers_->forward(1, input, output.data(), workspace.scratch_.front().data(), counter);
    return output;
  }

  /// Forward passes for `count` inputs, one after the other in memory as their outputs will be. A
  /// layer's weights are read once for as many inputs as the workspace's batch() holds. Each output
  /// is what it would be alone.
  void forward(int count, const float* inputs, float* outputs,
               Workspace& workspace) const noexcept {
    for (int first = 0; first < count; first += workspace.batch_) {
      forward_batch(std::min(workspace.batch_, count - first), first, inputs, outputs,
                    workspace.scratch_.front());
    }
  }

  /// The same on as many threads as the workspace is for and the executor provides. Throws what the
  /// executor throws.
  void forward(int count, const float* inputs, float* outputs, Workspace& workspace,
               const Executor& executor) const {
    const int threads = workspace.threads();
    const int share = (count + threads - 1) / threads;
    const int batch = std::min(workspace.batch_, share);
    std::atomic<int> next{0};
    executor(std::min(threads, count), [&](int thread) {
      detail::AlignedBuffer& scratch = workspace.scratch_[static_cast<std::size_t>(thread)];
      for (int first = next.fetch_add(batch); first < count; first = next.fetch_add(batch)) {
        forward_batch(std::min(batch, count - first), first, inputs, outputs, scratch);
      }
    });
  }

  /// Replays the file's verification vectors: the proof that this machine computes what the
  /// exporter did. Returns the largest difference; throws Error if it exceeds 1e-3 of the largest
  /// output, far above rounding and far below any mistake, or if an output is not finite.
  double verify() const {
    constexpr double tolerance = 1e-3;
    double scale = 0.0;
    for (const WeightFile::VerificationVector& vector : verification_vectors_) {
      for (const float value : vector.output) scale = std::max(scale, std::abs(double{value}));
    }
    Workspace workspace;
    double largest_difference = 0.0;
    for (std::size_t i = 0; i < verification_vectors_.size(); ++i) {
      const WeightFile::VerificationVector& vector = verification_vectors_[i];
      std::vector<float> input(Input::size);
      detail::to_channels_last(vector.input.data(), input.data(), Input::channels,
                               static_cast<std::size_t>(Input::height * Input::width));
      const auto found = forward(input.data(), workspace);
      for (std::size_t o = 0; o < Output::size; ++o) {
        const double difference = std::abs(double{found[o]} - double{vector.output[o]});
        if (!(difference <= tolerance * scale)) {
          throw Error(file_name_ + ": verification vector " + std::to_string(i) + ", output " +
                      std::to_string(o) + ": expected " + std::to_string(vector.output[o]) +
                      ", found " + std::to_string(found[o]));
        }
        largest_difference = std::max(largest_difference, difference);
      }
    }
    return largest_difference;
  }

  const Preprocessing& preprocessing() const noexcept { return preprocessing_; }
  /// Names of the outputs, in order.
  const std::vector<std::string>& labels() const noexcept { return labels_; }
  /// The file that the weights came from, or what stood for it.
  const std::string& file_name() const noexcept { return file_name_; }

 private:
  void forward_batch(int count, int first, const float* inputs, float* outputs,
                     detail::AlignedBuffer& scratch) const noexcept {
    const auto at = static_cast<std::size_t>(first);
    layers_->forward(count, inputs + at * Input::size, outputs + at * Output::size, scratch.data());
  }

  void require(const char* what, int expected, int found) const {
    if (expected != found) {
      throw Error(file_name_ + ": " + what + ": the network expects " + std::to_string(expected) +
                  ", found " + std::to_string(found));
    }
  }

  Preprocessing preprocessing_;
  std::vector<std::string> labels_;
  std::vector<WeightFile::VerificationVector> verification_vectors_;
  std::string file_name_;
  std::shared_ptr<const Body> layers_;
};

}  // namespace mien
