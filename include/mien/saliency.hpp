// Saliency: which pixels an expression was read from, by the gradient of a network's output
// (Simonyan, Vedaldi and Zisserman, "Deep Inside Convolutional Networks", arXiv 1312.6034, section
// 3).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <mien/error.hpp>
#include <mien/expression.hpp>
#include <mien/face_views.hpp>
#include <mien/network.hpp>
#include <mien/saliency/gradients.hpp>
#include <mien/tensor.hpp>
#include <mien/vision/image.hpp>
#include <mien/weights.hpp>

namespace mien {

/// The gradients of a network's outputs with respect to its input, as PyTorch's autograd has them:
///
///   const auto saliency = Saliency<MiniFer>::load("mini_fer.mien");
///   Saliency<MiniFer>::Workspace workspace;
///   const std::size_t label = saliency.gradient(input, gradient, workspace);
///
/// Reads the same weight file as the network and computes the outputs by the same layers, but one
/// by one, by plain sums, and keeping what backpropagation needs. For MiniFER a gradient takes ten
/// times as long as a forward pass of the network, 5 ms. Where a rectifier's input is 0, or two
/// values of a pooling window are equal, but for rounding, a gradient may be that of the other
/// side.
///
/// Objects are cheap to copy: copies share the weights, which never change. All functions may run
/// in any number of threads at once, given a Workspace for each.
template <class Network>
class Saliency {
  using Body = detail::Gradient<typename Network::Layers, typename Network::Input>;

 public:
  using Input = typename Network::Input;
  using Output = typename Network::Output;
  static_assert(std::is_same_v<Output, typename Body::Output>);

  /// Memory for one call at a time, allocated once, reused.
  class Workspace {
   public:
    Workspace() : floats_(scratch + Body::scratch_size) {}

   private:
    friend class Saliency;

    static constexpr std::size_t output_gradient = detail::aligned_size(Output::size);
    static constexpr std::size_t memory = output_gradient + detail::aligned_size(Output::size);
    static constexpr std::size_t scratch = memory + Body::memory_size;

    detail::AlignedBuffer floats_;
  };

  /// Takes the weights from a file. Throws Error if they are another network's, or if a tensor is
  /// missing, left over, misshapen or not finite.
  explicit Saliency(const WeightFile& file) {
    if (file.architecture() != Network::name) {
      throw Error(file.name() + ": architecture: expected '" + std::string(Network::name) +
                  "', found '" + file.architecture() + "'");
    }
    TensorReader tensors(file);
    layers_ = std::make_shared<const Body>(tensors);
    tensors.finish();
  }

  /// Reads a .mien file. Throws Error.
  static Saliency load(const std::string& path) { return Saliency(WeightFile::load(path)); }

  /// The network's outputs for an input [height][width][channels]. Allocates nothing.
  std::array<float, Output::size> outputs(const float* input, Workspace& workspace) const noexcept {
    forward(input, workspace);
    std::array<float, Output::size> result;
    std::copy_n(workspace.floats_.data(), Output::size, result.begin());
    return result;
  }

  /// Writes the derivatives of output `label`, less than Output::size (for a classifier of that
  /// class's logit), by every input value into `gradient`, [height][width][channels] as `input`.
  /// They must not overlap. Allocates nothing.
  void gradient(const float* input, std::size_t label, float* gradient,
                Workspace& workspace) const noexcept {
    forward(input, workspace);
    backward(input, label, gradient, workspace);
  }

  /// The same for the largest output, which is returned.
  std::size_t gradient(const float* input, float* gradient, Workspace& workspace) const noexcept {
    forward(input, workspace);
    const float* const output = workspace.floats_.data();
    const auto label =
        static_cast<std::size_t>(std::max_element(output, output + Output::size) - output);
    backward(input, label, gradient, workspace);
    return label;
  }

  /// A gradient's saliency map [height][width]: at every pixel the largest absolute derivative of
  /// its channels. It may take the gradient's place.
  static void map(const float* gradient, float* map) noexcept {
    constexpr std::size_t pixels = Input::size / Input::channels;
    for (std::size_t i = 0; i < pixels; ++i, gradient += Input::channels) {
      float largest = 0.0f;
      for (std::size_t c = 0; c < Input::channels; ++c) {
        largest = std::max(largest, std::abs(gradient[c]));
      }
      map[i] = largest;
    }
  }

 private:
  void forward(const float* input, Workspace& workspace) const noexcept {
    float* const floats = workspace.floats_.data();
    layers_->forward(input, floats, floats + Workspace::memory, floats + Workspace::scratch);
  }

  void backward(const float* input, std::size_t label, float* gradient,
                Workspace& workspace) const noexcept {
    float* const floats = workspace.floats_.data();
    float* const output_gradient = floats + Workspace::output_gradient;
    std::fill_n(output_gradient, Output::size, 0.0f);
    output_gradient[label] = 1.0f;
    layers_->backward({input, floats, floats + Workspace::memory}, output_gradient, gradient,
                      floats + Workspace::scratch);
  }

  std::shared_ptr<const Body> layers_;
};

/// How much each pixel of a face matters to an expression.
struct SaliencyMap {
  Rect region;            ///< the part of the photo that it covers: face_region() of the box
  int size = 0;           ///< its width and height: the network's face size
  std::size_t label = 0;  ///< the expression
  /// Row by row, the absolute derivative of the expression's logit, averaged over the views, by the
  /// network's input value at the pixel. 0 where no view sees the face.
  std::vector<float> values;
};

/// Saliency maps of faces in photos. `Network` is a model such as MiniFer; the classifier that cuts
/// out the faces may be one of AnyNetwork instead, where there is one already. Immutable: one
/// object may be used from many threads at once.
template <class Network, class ClassifierNetwork = Network>
class FaceSaliency {
 public:
  using Classifier = ExpressionClassifier<ClassifierNetwork>;

  /// Memory for one call at a time; keep it for more than one face.
  class Workspace {
    friend class FaceSaliency;

    typename Classifier::Workspace classifier_;
    typename Saliency<Network>::Workspace saliency_;
  };

  /// Both from the same weight file.
  FaceSaliency(Classifier classifier, Saliency<Network> saliency)
      : classifier_(std::move(classifier)), saliency_(std::move(saliency)) {}

  /// Reads a .mien file. Throws Error.
  static FaceSaliency load(const std::string& path) {
    const WeightFile file = WeightFile::load(path);
    return {Classifier(ClassifierNetwork(file)), Saliency<Network>(file)};
  }

  /// The map of an expression of the face in a box of a gray photo; `label` is its index among the
  /// network's labels. Where the network's preprocessing equalises the face's histogram, pixels are
  /// those of the equalised face. Throws Error if the box is empty or outside the photo, or if
  /// there is no such label.
  SaliencyMap map(const GrayView& photo, const Rect& box, std::size_t label, Views views,
                  Workspace& workspace) const {
    return map_of_face(classifier_.face(photo, box), box, label, views, workspace);
  }
  /// The same for the most probable expression.
  SaliencyMap map(const GrayView& photo, const Rect& box, Views views, Workspace& workspace) const {
    const GrayImage face = classifier_.face(photo, box);
    const auto logits = classifier_.logits(face.view(), views, workspace.classifier_);
    return map_of_face(face, box, largest_index(logits), views, workspace);
  }
  SaliencyMap map(const GrayView& photo, const Rect& box, Views views = Views::centre) const {
    Workspace workspace;
    return map(photo, box, views, workspace);
  }

 private:
  using Input = typename Network::Input;

  SaliencyMap map_of_face(const GrayImage& face, const Rect& box, std::size_t label, Views views,
                          Workspace& workspace) const {
    if (label >= Network::Output::size) {
      throw Error("saliency map: label: expected less than " +
                  std::to_string(Network::Output::size) + ", found " + std::to_string(label));
    }
    const FaceViews& face_views = classifier_.face_views();
    GrayImage equalized;
    const GrayView prepared = face_views.prepare(face.view(), equalized);
    const auto size = static_cast<std::size_t>(face.width());
    std::vector<float> sum(size * size);
    std::vector<float> input(Input::size);
    std::vector<float> gradient(Input::size);
    for (const FaceView& view : face_views.of(views)) {
      face_views.write(prepared, view, input.data());
      saliency_.gradient(input.data(), label, gradient.data(), workspace.saliency_);
      const float* from = gradient.data();
      for (int y = view.top; y < view.top + Input::height; ++y) {
        for (int x = 0; x < Input::width; ++x) {
          const int column = view.left + (view.mirrored ? Input::width - 1 - x : x);
          sum[static_cast<std::size_t>(y) * size + static_cast<std::size_t>(column)] += *from++;
        }
      }
    }
    const auto view_count = static_cast<float>(face_views.of(views).size());
    for (float& value : sum) value = std::abs(value) / view_count;
    return {face_region(box), face.width(), label, std::move(sum)};
  }

  Classifier classifier_;
  Saliency<Network> saliency_;
};

}  // namespace mien
