// Saliency: which pixels an expression was read from, by the gradient of a network's output
// (Simonyan, Vedaldi and Zisserman, "Deep Inside Convolutional Networks", arXiv 1312.6034, section
// 3).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <mien/config.hpp>
#include <mien/expression_classifier.hpp>
#include <mien/image/image.hpp>
#include <mien/saliency/gradient_program.hpp>
#include <mien/tensor.hpp>
#include <mien/weights.hpp>

namespace mien {

/// The gradients of a network's first output with respect to its only input, as PyTorch's autograd
/// has them:
///
///   const Saliency saliency = Saliency::load("mini_fer.mien");
///   Saliency::Workspace workspace;
///   const std::size_t label = saliency.gradient(input, gradient, workspace);
///
/// Reads the same weight file as a Model and computes the outputs by the same layers, but one by
/// one, by plain sums, and keeping what backpropagation needs. For MiniFER a gradient takes ten
/// times as long as a forward pass of the network, 5 ms. Where a ReLU's input is 0, or two values
/// of a pooling window are equal, but for rounding, a gradient may be that of the other side.
///
/// Objects are cheap to copy: copies share the weights, which never change. All functions may run
/// in any number of threads at once, given a Workspace for each.
class Saliency {
 public:
  /// Memory for one call at a time. It grows when a call needs more, and serves any network.
  class Workspace {
    friend class Saliency;

    detail::AlignedBuffer floats_;
  };

  /// Takes network and weights from a file. Throws Error if the network has several inputs, one of
  /// any size, or a layer without gradient.
  explicit Saliency(const WeightFile& file);

  /// Reads a .mien file. Throws Error.
  static Saliency load(const std::string& path);

  const TensorShape& input_shape() const noexcept { return program_->input_shape(); }
  const TensorShape& output_shape() const noexcept { return program_->output_shape(); }

  /// Writes the network's outputs for an input [height][width][channels].
  void outputs(const float* input, float* outputs, Workspace& workspace) const;

  /// Writes the derivatives of an output value, by its index (for a classifier of that class's
  /// logit), by every input value into `gradient`, [height][width][channels] as `input`. They must
  /// not overlap. Allocates nothing if the workspace has room. Throws Error if there is no such
  /// output.
  void gradient(const float* input, std::size_t output, float* gradient,
                Workspace& workspace) const;

  /// The same for the largest output, whose index is returned.
  std::size_t gradient(const float* input, float* gradient, Workspace& workspace) const;

  /// A gradient's saliency map [height][width]: at every pixel the largest absolute derivative of
  /// its channels. It may take the gradient's place.
  void map(const float* gradient, float* map) const noexcept;

 private:
  const float* forward(const float* input, Workspace& workspace) const;
  void backward(const float* input, std::size_t output, float* gradient,
                Workspace& workspace) const noexcept;

  std::shared_ptr<const GradientProgram> program_;
};

/// How much each pixel of a face matters to an expression.
struct SaliencyMap {
  FaceRegion region;      ///< the part of the photo that it covers
  int size = 0;           ///< its width and height: the network's face size
  std::size_t label = 0;  ///< the expression
  /// Row by row, the absolute derivative of the expression's logit, averaged over the crops, by the
  /// network's input value at the pixel. 0 where no crop sees the face.
  std::vector<float> values;
};

/// Saliency maps of faces in photos. Immutable: one object may be used from many threads at once.
class FaceSaliency {
 public:
  /// Memory for one call at a time; keep it for more than one face.
  class Workspace {
    friend class FaceSaliency;

    ExpressionClassifier::Workspace classifier_;
    Saliency::Workspace saliency_;
  };

  /// Both from the same weight file. Throws Error if their shapes differ.
  FaceSaliency(ExpressionClassifier classifier, Saliency saliency);
  /// Takes the network from a file. Throws Error if it is no classifier of gray faces.
  explicit FaceSaliency(const WeightFile& file);

  /// Reads a .mien file. Throws Error.
  static FaceSaliency load(const std::string& path);

  /// The map of an expression of the face in a region of a gray photo; `label` is its index among
  /// the network's labels. Where the network's preprocessing equalises the face's histogram, pixels
  /// are those of the equalised face. Throws Error if the region is empty or outside the photo, or
  /// if there is no such label.
  SaliencyMap map(const GrayView& photo, const FaceRegion& region, std::size_t label, Crops crops,
                  Workspace& workspace) const;
  /// The same for the most probable expression.
  SaliencyMap map(const GrayView& photo, const FaceRegion& region, Crops crops,
                  Workspace& workspace) const;
  SaliencyMap map(const GrayView& photo, const FaceRegion& region,
                  Crops crops = Crops::center) const;

 private:
  SaliencyMap map_of_face(const GrayImage& face, const FaceRegion& region, std::size_t label,
                          Crops crops, Workspace& workspace) const;

  ExpressionClassifier classifier_;
  Saliency saliency_;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <utility>

#include <mien/error.hpp>
#include <mien/graph/graph.hpp>

namespace mien {

MIEN_INLINE Saliency::Saliency(const WeightFile& file) {
  const std::vector<GraphInput>& inputs = file.graph().inputs;
  if (inputs.size() != 1 || inputs.front().has_free_size()) {
    detail::fail({file.name(), ": saliency: expected a network with one input of a fixed size"});
  }
  const ShapedGraph graph(file.graph(), {inputs.front().shape}, file.name());
  program_ = std::make_shared<const GradientProgram>(graph, FileTensors(file));
}

MIEN_INLINE Saliency Saliency::load(const std::string& path) {
  return Saliency(WeightFile::load(path));
}

MIEN_INLINE void Saliency::outputs(const float* input, float* outputs, Workspace& workspace) const {
  std::copy_n(forward(input, workspace), output_shape().size(), outputs);
}

MIEN_INLINE void Saliency::gradient(const float* input, std::size_t output, float* gradient,
                                    Workspace& workspace) const {
  if (output >= output_shape().size()) {
    detail::fail({"saliency: output: expected less than ", detail::Digits(output_shape().size()),
                  ", found ", detail::Digits(output)});
  }
  forward(input, workspace);
  backward(input, output, gradient, workspace);
}

MIEN_INLINE std::size_t Saliency::gradient(const float* input, float* gradient,
                                           Workspace& workspace) const {
  const float* const outputs = forward(input, workspace);
  const auto largest = static_cast<std::size_t>(
      std::max_element(outputs, outputs + output_shape().size()) - outputs);
  backward(input, largest, gradient, workspace);
  return largest;
}

MIEN_INLINE void Saliency::map(const float* gradient, float* map) const noexcept {
  const int channels = input_shape().channels;
  for (std::size_t i = 0; i < input_shape().pixels(); ++i, gradient += channels) {
    float largest = 0.0f;
    for (int c = 0; c < channels; ++c) largest = std::max(largest, std::abs(gradient[c]));
    map[i] = largest;
  }
}

MIEN_INLINE const float* Saliency::forward(const float* input, Workspace& workspace) const {
  // Behind the arena lies the gradient of the output.
  const std::size_t size = program_->arena_size() + output_shape().size();
  if (workspace.floats_.size() < size) workspace.floats_ = detail::AlignedBuffer(size);
  return program_->forward(input, workspace.floats_.data());
}

MIEN_INLINE void Saliency::backward(const float* input, std::size_t output, float* gradient,
                                    Workspace& workspace) const noexcept {
  float* const arena = workspace.floats_.data();
  float* const output_gradient = arena + program_->arena_size();
  std::fill_n(output_gradient, output_shape().size(), 0.0f);
  output_gradient[output] = 1.0f;
  program_->backward(input, output_gradient, gradient, arena);
}

MIEN_INLINE FaceSaliency::FaceSaliency(ExpressionClassifier classifier, Saliency saliency)
    : classifier_(std::move(classifier)), saliency_(std::move(saliency)) {
  const Model& network = classifier_.network();
  const TensorShape& input = network.inputs().front().shape;
  if (saliency_.input_shape() == input && saliency_.output_shape() == network.output_shape(0)) {
    return;
  }
  detail::fail({network.file_name(), ": saliency: expected that of the same network, from ",
                shape_text(input), " to ", shape_text(network.output_shape(0)), ", found from ",
                shape_text(saliency_.input_shape()), " to ", shape_text(saliency_.output_shape())});
}

MIEN_INLINE FaceSaliency::FaceSaliency(const WeightFile& file)
    : FaceSaliency(ExpressionClassifier(Model(file)), Saliency(file)) {}

MIEN_INLINE FaceSaliency FaceSaliency::load(const std::string& path) {
  return FaceSaliency(WeightFile::load(path));
}

MIEN_INLINE SaliencyMap FaceSaliency::map(const GrayView& photo, const FaceRegion& region,
                                          std::size_t label, Crops crops,
                                          Workspace& workspace) const {
  return map_of_face(classifier_.face(photo, region), region, label, crops, workspace);
}

MIEN_INLINE SaliencyMap FaceSaliency::map(const GrayView& photo, const FaceRegion& region,
                                          Crops crops, Workspace& workspace) const {
  const GrayImage face = classifier_.face(photo, region);
  const std::vector<float> logits = classifier_.logits(face.view(), crops, workspace.classifier_);
  return map_of_face(face, region, largest_index(logits), crops, workspace);
}

MIEN_INLINE SaliencyMap FaceSaliency::map(const GrayView& photo, const FaceRegion& region,
                                          Crops crops) const {
  Workspace workspace;
  return map(photo, region, crops, workspace);
}

MIEN_INLINE SaliencyMap FaceSaliency::map_of_face(const GrayImage& face, const FaceRegion& region,
                                                  std::size_t label, Crops crops,
                                                  Workspace& workspace) const {
  if (label >= classifier_.labels().size()) {
    detail::fail({"saliency map: label: expected less than ",
                  detail::Digits(classifier_.labels().size()), ", found ", detail::Digits(label)});
  }
  const FaceCrops& face_crops = classifier_.face_crops();
  const TensorShape& input_shape = saliency_.input_shape();
  GrayImage equalized;
  const GrayView prepared = face_crops.prepare(face.view(), equalized);
  const auto size = static_cast<std::size_t>(face.width());
  std::vector<float> sum(size * size);
  std::vector<float> input(input_shape.size());
  std::vector<float> gradient(input_shape.size());
  for (const FaceCrop& crop : face_crops.of(crops)) {
    face_crops.write(prepared, crop, input.data());
    saliency_.gradient(input.data(), label, gradient.data(), workspace.saliency_);
    const float* from = gradient.data();
    for (int y = crop.top; y < crop.top + input_shape.height; ++y) {
      for (int x = 0; x < input_shape.width; ++x) {
        const int column = crop.left + (crop.mirrored ? input_shape.width - 1 - x : x);
        sum[static_cast<std::size_t>(y) * size + static_cast<std::size_t>(column)] += *from++;
      }
    }
  }
  const auto crop_count = static_cast<float>(face_crops.of(crops).size());
  for (float& value : sum) value = std::abs(value) / crop_count;
  return {region, face.width(), label, std::move(sum)};
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
