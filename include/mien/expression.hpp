// From a photo to faces and their expressions: the front door.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <mien/error.hpp>
#include <mien/face_views.hpp>
#include <mien/kernels/softmax.hpp>
#include <mien/network.hpp>
#include <mien/parallel.hpp>
#include <mien/vision/crop.hpp>
#include <mien/vision/face_finder.hpp>
#include <mien/vision/image.hpp>

namespace mien {

/// The square that is cut out for a face: around the box's centre, as long as its longer side, with
/// no margin.
///
/// That is how tight FER2013's faces are, on which networks are trained. On 1200 of its training
/// images OpenCV's frontal-face cascade finds, in the median, a box 47.5 of the 48 pixels wide
/// whose centre is 0.1 pixels from the image's. A detector with wider or tighter boxes needs them
/// brought to this size: from above the eyebrows to the chin.
inline Rect face_region(const Rect& box) noexcept {
  const int side = std::max(box.width, box.height);
  return {box.x - (side - box.width) / 2, box.y - (side - box.height) / 2, side, side};
}

namespace detail {

/// Whether a network's shapes are known at compile time: AnyNetwork's are not.
template <class Network, class = void>
inline constexpr bool has_static_shapes = false;
template <class Network>
inline constexpr bool has_static_shapes<Network, std::void_t<typename Network::Input>> = true;

template <class Network>
constexpr bool input_can_be_gray() {
  if constexpr (has_static_shapes<Network>) {
    return Network::Input::channels == 1;
  } else {
    return true;
  }
}

/// What a network's forward pass returns.
template <class Network>
using OutputsOf = decltype(std::declval<const Network&>().forward(
    std::declval<const float*>(), std::declval<typename Network::Workspace&>()));

}  // namespace detail

/// The index of the expression for which scores, logits or probabilities, are highest.
template <class Scores>
std::size_t largest_index(const Scores& scores) noexcept {
  return static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

/// Reads expressions from faces whose place is known. `Network` is a model such as MiniFER with one
/// input channel, or AnyNetwork (any_network.hpp), or Ensemble (ensemble.hpp). Immutable: one
/// classifier may be used from many threads at once.
template <class Network>
class ExpressionClassifier {
  static_assert(detail::input_can_be_gray<Network>(), "expressions are read from gray faces");

 public:
  /// One value a label of the network, in its order: a std::array of floats or, for AnyNetwork, a
  /// std::vector.
  using Scores = detail::OutputsOf<Network>;

  /// Memory for one call at a time; keep it to classify without allocating.
  class Workspace {
   public:
    /// For so many threads. Throws Error for less than 1.
    explicit Workspace(int threads = 1) : network_(batch, threads) {}

   private:
    friend class ExpressionClassifier;

    /// Views that go through a layer together: more do not make it faster.
    static constexpr int batch = 5;

    typename Network::Workspace network_;
    std::vector<float> inputs_;  // of one view after the other
    std::vector<float> outputs_;
    GrayImage equalized_;
  };

  /// Throws Error if the network's input is not gray.
  explicit ExpressionClassifier(Network network)
      : network_(std::move(network)), face_views_(network_.preprocessing()) {
    const int channels = network_.preprocessing().input_channels;
    if (channels != 1) {
      throw Error(network_.file_name() +
                  ": input channels: expressions are read from gray faces: " +
                  "expected 1, found " + std::to_string(channels));
    }
  }

  const Network& network() const noexcept { return network_; }
  const std::vector<std::string>& labels() const noexcept { return network_.labels(); }
  /// Faces are brought to so many pixels square.
  int face_size() const noexcept { return network_.preprocessing().face_size; }
  /// How such a face becomes the network's inputs.
  const FaceViews& face_views() const noexcept { return face_views_; }

  /// The logits of a face of face_size() square, averaged over the views. Its histogram is
  /// equalised first if the network's preprocessing says so. Throws Error for another size.
  Scores logits(const GrayView& face, Views views, Workspace& workspace) const {
    Scores scores;
    compute_logits(&face, 1, views, workspace, nullptr, &scores);
    return scores;
  }

  /// Those of several faces, in batches, on the workspace's threads if there is an executor. Throws
  /// what it throws, too.
  std::vector<Scores> logits(const std::vector<GrayView>& faces, Views views, Workspace& workspace,
                             const Executor& executor = nullptr) const {
    std::vector<Scores> scores(faces.size());
    compute_logits(faces.data(), faces.size(), views, workspace, executor, scores.data());
    return scores;
  }

  /// The probabilities that belong to logits: softmax at the network's temperature.
  Scores probabilities(Scores logits) const noexcept {
    kernels::softmax(logits.data(), logits.size(), network_.preprocessing().temperature,
                     logits.data());
    return logits;
  }

  /// The face that logits() takes for a box in a photo: face_region(box), brought to face_size() by
  /// resize_antialiased. Throws Error if the box is empty or outside the photo.
  GrayImage face(const GrayView& photo, const Rect& box) const {
    if (box.width <= 0 || box.height <= 0) {
      throw Error("box: expected a width and height of 1 or more, found " +
                  std::to_string(box.width) + "x" + std::to_string(box.height));
    }
    GrayImage beyond_edges;
    return resize_antialiased(crop(photo, face_region(box), beyond_edges), face_size(),
                              face_size());
  }

  /// Probabilities of the expressions of the face in a box of a gray photo, found by whatever
  /// detector. Throws Error if the box is empty or outside the photo.
  Scores classify(const GrayView& photo, const Rect& box, Views views, Workspace& workspace) const {
    return probabilities(logits(face(photo, box).view(), views, workspace));
  }
  Scores classify(const GrayView& photo, const Rect& box, Views views = Views::centre) const {
    Workspace workspace;
    return classify(photo, box, views, workspace);
  }

  /// The same for several boxes, in batches, on the workspace's threads if there is an executor.
  std::vector<Scores> classify(const GrayView& photo, const std::vector<Rect>& boxes, Views views,
                               Workspace& workspace, const Executor& executor = nullptr) const {
    std::vector<GrayImage> faces;
    std::vector<GrayView> face_views;
    for (const Rect& box : boxes) faces.push_back(face(photo, box));
    for (const GrayImage& image : faces) face_views.push_back(image.view());
    std::vector<Scores> scores = logits(face_views, views, workspace, executor);
    for (Scores& score : scores) score = probabilities(score);
    return scores;
  }

 private:
  void compute_logits(const GrayView* faces, std::size_t count, Views views, Workspace& workspace,
                      const Executor& executor, Scores* scores) const {
    const Preprocessing& preprocessing = network_.preprocessing();
    const std::vector<FaceView>& face_views = face_views_.of(views);
    const std::size_t view_count = face_views.size();
    workspace.inputs_.resize(count * view_count *
                             static_cast<std::size_t>(preprocessing.input_height) *
                             static_cast<std::size_t>(preprocessing.input_width));
    workspace.outputs_.resize(count * view_count * labels().size());
    float* input = workspace.inputs_.data();
    for (std::size_t i = 0; i < count; ++i) {
      require_size(faces[i]);
      const GrayView face = face_views_.prepare(faces[i], workspace.equalized_);
      for (const FaceView& view : face_views) input = face_views_.write(face, view, input);
    }
    const int inputs = static_cast<int>(count * view_count);
    float* const outputs = workspace.outputs_.data();
    if (executor) {
      network_.forward(inputs, workspace.inputs_.data(), outputs, workspace.network_, executor);
    } else {
      network_.forward(inputs, workspace.inputs_.data(), outputs, workspace.network_);
    }
    const float* output = outputs;
    for (std::size_t i = 0; i < count; ++i) {
      scores[i] = {};
      if constexpr (!detail::has_static_shapes<Network>) scores[i].resize(labels().size());
      for (std::size_t v = 0; v < view_count; ++v) {
        for (float& score : scores[i]) score += *output++;
      }
      for (float& score : scores[i]) score /= static_cast<float>(view_count);
    }
  }

  void require_size(const GrayView& face) const {
    if (!face.empty() && face.width == face_size() && face.height == face_size()) return;
    throw Error("face: expected " + std::to_string(face_size()) + "x" +
                std::to_string(face_size()) + " pixels, found " + std::to_string(face.width) + "x" +
                std::to_string(face.height));
  }

  Network network_;
  FaceViews face_views_;
};

/// A face in a photo and what it shows.
template <class Network>
struct Face {
  Rect box;
  int neighbors = 0;           ///< overlapping detections, a measure of confidence
  std::size_t expression = 0;  ///< the most probable label's index
  typename ExpressionClassifier<Network>::Scores probabilities{};
};

/// Finds the faces of a photo and reads their expressions. Immutable: one reader may be used from
/// many threads at once.
template <class Network>
class ExpressionReader {
 public:
  using Workspace = typename ExpressionClassifier<Network>::Workspace;

  ExpressionReader(Network network, FaceFinder finder)
      : classifier_(std::move(network)), finder_(std::move(finder)) {}

  /// From a .mien file and a .haar file. Throws Error. (For an Ensemble, the constructor above.)
  ExpressionReader(const std::string& model_path, const std::string& cascade_path)
      : ExpressionReader(Network::load(model_path),
                         FaceFinder(FaceDetector(Cascade::load(cascade_path)))) {}

  const ExpressionClassifier<Network>& classifier() const noexcept { return classifier_; }
  const FaceFinder& finder() const noexcept { return finder_; }
  const FaceDetector& detector() const noexcept { return finder_.detector(); }
  /// An expression's name.
  const std::string& label(std::size_t expression) const {
    return classifier_.labels().at(expression);
  }

  /// The faces in a photo, in the detector's order. Throws Error for options out of their ranges.
  std::vector<Face<Network>> read(const GrayView& photo, Views views = Views::centre,
                                  const FinderOptions& options = {}) const {
    return read(photo, finder_.find(photo, options), views);
  }
  std::vector<Face<Network>> read(const RgbView& photo, Views views = Views::centre,
                                  const FinderOptions& options = {}) const {
    return read(to_gray(photo).view(), views, options);
  }

  /// The expressions of faces that have been found already. Throws Error for a box without pixels
  /// in the photo.
  std::vector<Face<Network>> read(const GrayView& photo, const std::vector<Detection>& detections,
                                  Views views = Views::centre) const {
    if (detections.empty()) return {};
    Workspace workspace;
    return read(photo, detections, views, workspace);
  }
  /// The same, in batches, on the workspace's threads if there is an executor.
  std::vector<Face<Network>> read(const GrayView& photo, const std::vector<Detection>& detections,
                                  Views views, Workspace& workspace,
                                  const Executor& executor = nullptr) const {
    std::vector<Rect> boxes;
    for (const Detection& detection : detections) boxes.push_back(detection.box);
    const auto probabilities = classifier_.classify(photo, boxes, views, workspace, executor);
    std::vector<Face<Network>> faces;
    for (std::size_t i = 0; i < detections.size(); ++i) {
      Face<Network> face;
      face.box = detections[i].box;
      face.neighbors = detections[i].neighbors;
      face.probabilities = probabilities[i];
      face.expression = largest_index(face.probabilities);
      faces.push_back(face);
    }
    return faces;
  }

 private:
  ExpressionClassifier<Network> classifier_;
  FaceFinder finder_;
};

}  // namespace mien
