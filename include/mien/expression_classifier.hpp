// The expressions of faces whose place is known, by one network.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <mien/config.hpp>
#include <mien/face_crops.hpp>
#include <mien/face_region.hpp>
#include <mien/image/image.hpp>
#include <mien/model.hpp>
#include <mien/parallel.hpp>

namespace mien {

/// The index of the expression for which scores, logits or probabilities, are highest.
template <class Scores>
std::size_t largest_index(const Scores& scores) noexcept {
  return static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

/// Reads expressions from faces by one network. Immutable: one classifier may be used from many
/// threads at once.
class ExpressionClassifier {
 public:
  /// Memory for one call at a time, of any classifier; keep it to classify without allocating.
  class Workspace {
   public:
    /// For so many threads. Throws Error for less than 1.
    explicit Workspace(int threads = 1) : network_(batch, threads) {}

   private:
    friend class Ensemble;
    friend class ExpressionClassifier;

    /// Crops that go through a layer together: more do not make it faster.
    static constexpr int batch = 5;

    Model::Workspace network_;
    std::vector<float> inputs_;  // of one crop after the other
    std::vector<float> outputs_;
    std::vector<float> scores_;
    GrayImage equalized_;
  };

  /// Throws Error if the network is no classifier of gray faces.
  explicit ExpressionClassifier(Model network);

  const Model& network() const noexcept { return network_; }
  const std::vector<std::string>& labels() const noexcept { return network_.labels(); }
  /// Faces are brought to so many pixels square.
  int face_size() const noexcept { return network_.preprocessing().face_size; }
  /// How such a face becomes the network's inputs.
  const FaceCrops& face_crops() const noexcept { return face_crops_; }

  /// The logits of a face of face_size() square, averaged over the crops: one for each label. Its
  /// histogram is equalised first if the network's preprocessing says so. Throws Error for another
  /// size, and for weights so large that a logit is not finite.
  std::vector<float> logits(const GrayView& face, Crops crops, Workspace& workspace) const;
  /// Those of several faces, in batches, on the workspace's threads if there is an executor. Throws
  /// what it throws, too.
  std::vector<std::vector<float>> logits(const std::vector<GrayView>& faces, Crops crops,
                                         Workspace& workspace,
                                         const Executor& executor = nullptr) const;
  /// The same into the caller's memory, one face after the other. Allocates nothing if the
  /// workspace has seen as many faces and crops before.
  void logits(const GrayView* faces, std::size_t count, Crops crops, float* logits,
              Workspace& workspace, const Executor& executor = nullptr) const;

  /// The probabilities that belong to logits: softmax at the network's temperature.
  std::vector<float> probabilities(std::vector<float> logits) const;

  /// The face that logits() takes for a region of a photo, upright, brought to face_size() by
  /// resize_antialiased. Throws Error if the region is empty or outside the photo.
  GrayImage face(const GrayView& photo, const FaceRegion& region) const;

  /// Probabilities of the expressions of the face in a region of a gray photo, or in a box, found
  /// by whatever detector. Throws Error if it is empty or outside the photo.
  std::vector<float> classify(const GrayView& photo, const FaceRegion& region, Crops crops,
                              Workspace& workspace) const;
  std::vector<float> classify(const GrayView& photo, const FaceRegion& region,
                              Crops crops = Crops::center) const;
  /// The same for several, in batches, on the workspace's threads if there is an executor.
  std::vector<std::vector<float>> classify(const GrayView& photo,
                                           const std::vector<FaceRegion>& regions, Crops crops,
                                           Workspace& workspace,
                                           const Executor& executor = nullptr) const;

 private:
  void require_size(const GrayView& face) const;

  Model network_;
  FaceCrops face_crops_;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cmath>
#include <utility>

#include <mien/error.hpp>
#include <mien/image/crop.hpp>
#include <mien/image/resize.hpp>
#include <mien/kernels/nn/softmax.hpp>

namespace mien {

namespace detail {

/// A classifier's network; throws Error for others.
MIEN_COLD inline Model require_classifier_of_faces(Model network) {
  const auto require = [&network](const char* what, const char* why, const std::string& expected,
                                  const std::string& found) {
    if (expected == found) return;
    detail::fail(
        {network.file_name(), ": ", what, ": ", why, ": expected ", expected, ", found ", found});
  };
  const auto require_one = [&require](const char* what, const char* why, std::size_t found) {
    require(what, why, "1", std::to_string(found));
  };
  require_one("number of inputs", "expressions are read from one face", network.inputs().size());
  require_one("number of outputs", "a classifier has one", network.outputs().size());
  const Preprocessing& preprocessing = network.preprocessing();
  require_one("input channels", "expressions are read from gray faces",
              static_cast<std::size_t>(preprocessing.input_channels));
  if (preprocessing.face_size < 1) {
    detail::fail({network.file_name(),
                  ": face size: expected that of a network whose input is a face, 1 or more, "
                  "found 0"});
  }
  if (network.labels().empty()) {
    detail::fail({network.file_name(),
                  ": labels: expected the names of expressions, found none: it is no classifier"});
  }
  return network;
}

}  // namespace detail

MIEN_INLINE ExpressionClassifier::ExpressionClassifier(Model network)
    : network_(detail::require_classifier_of_faces(std::move(network))),
      face_crops_(network_.preprocessing()) {}

MIEN_INLINE std::vector<float> ExpressionClassifier::logits(const GrayView& face, Crops crops,
                                                            Workspace& workspace) const {
  std::vector<float> scores(labels().size());
  logits(&face, 1, crops, scores.data(), workspace);
  return scores;
}

MIEN_INLINE std::vector<std::vector<float>> ExpressionClassifier::logits(
    const std::vector<GrayView>& faces, Crops crops, Workspace& workspace,
    const Executor& executor) const {
  const std::size_t count = labels().size();
  workspace.scores_.resize(faces.size() * count);
  logits(faces.data(), faces.size(), crops, workspace.scores_.data(), workspace, executor);
  std::vector<std::vector<float>> scores;
  scores.reserve(faces.size());
  for (std::size_t i = 0; i < faces.size(); ++i) {
    const float* const from = workspace.scores_.data() + i * count;
    scores.emplace_back(from, from + count);
  }
  return scores;
}

MIEN_INLINE void ExpressionClassifier::logits(const GrayView* faces, std::size_t count, Crops crops,
                                              float* logits, Workspace& workspace,
                                              const Executor& executor) const {
  const Preprocessing& preprocessing = network_.preprocessing();
  const std::vector<FaceCrop>& face_crops = face_crops_.of(crops);
  const std::size_t crop_count = face_crops.size();
  const std::size_t label_count = labels().size();
  workspace.inputs_.resize(count * crop_count *
                           static_cast<std::size_t>(preprocessing.input_height) *
                           static_cast<std::size_t>(preprocessing.input_width));
  workspace.outputs_.resize(count * crop_count * label_count);
  float* input = workspace.inputs_.data();
  for (std::size_t i = 0; i < count; ++i) {
    require_size(faces[i]);
    const GrayView face = face_crops_.prepare(faces[i], workspace.equalized_);
    for (const FaceCrop& crop : face_crops) input = face_crops_.write(face, crop, input);
  }
  network_.forward(static_cast<int>(count * crop_count), workspace.inputs_.data(),
                   workspace.outputs_.data(), workspace.network_, executor);
  const float* output = workspace.outputs_.data();
  for (std::size_t i = 0; i < count; ++i, logits += label_count) {
    std::fill_n(logits, label_count, 0.0f);
    for (std::size_t crop = 0; crop < crop_count; ++crop) {
      for (std::size_t c = 0; c < label_count; ++c) logits[c] += *output++;
    }
    for (std::size_t c = 0; c < label_count; ++c) {
      logits[c] /= static_cast<float>(crop_count);
      if (!std::isfinite(logits[c])) {
        detail::fail({network_.file_name(), ": output ", detail::Digits(c),
                      ": expected a finite number, found ", detail::real_text(double{logits[c]})});
      }
    }
  }
}

MIEN_INLINE std::vector<float> ExpressionClassifier::probabilities(
    std::vector<float> logits) const {
  kernels::softmax(logits.data(), logits.size(), network_.preprocessing().temperature,
                   logits.data());
  return logits;
}

MIEN_INLINE GrayImage ExpressionClassifier::face(const GrayView& photo,
                                                 const FaceRegion& region) const {
  GrayImage memory;
  return resize_antialiased(detail::face_pixels(photo, region, memory), face_size(), face_size());
}

MIEN_INLINE std::vector<float> ExpressionClassifier::classify(const GrayView& photo,
                                                              const FaceRegion& region, Crops crops,
                                                              Workspace& workspace) const {
  return probabilities(logits(face(photo, region).view(), crops, workspace));
}

MIEN_INLINE std::vector<float> ExpressionClassifier::classify(const GrayView& photo,
                                                              const FaceRegion& region,
                                                              Crops crops) const {
  Workspace workspace;
  return classify(photo, region, crops, workspace);
}

MIEN_INLINE std::vector<std::vector<float>> ExpressionClassifier::classify(
    const GrayView& photo, const std::vector<FaceRegion>& regions, Crops crops,
    Workspace& workspace, const Executor& executor) const {
  std::vector<GrayImage> faces;
  std::vector<GrayView> views;
  for (const FaceRegion& region : regions) faces.push_back(face(photo, region));
  for (const GrayImage& image : faces) views.push_back(image.view());
  std::vector<std::vector<float>> scores = logits(views, crops, workspace, executor);
  for (std::vector<float>& score : scores) score = probabilities(std::move(score));
  return scores;
}

MIEN_INLINE void ExpressionClassifier::require_size(const GrayView& face) const {
  if (!face.empty() && face.width == face_size() && face.height == face_size()) return;
  detail::fail({"face: expected ", detail::Digits(face_size()), "x", detail::Digits(face_size()),
                " pixels, found ", detail::Digits(face.width), "x", detail::Digits(face.height)});
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
