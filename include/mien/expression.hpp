// From a photo to faces and their expressions: the front door.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <vector>

#include <mien/config.hpp>
#include <mien/ensemble.hpp>
#include <mien/error.hpp>
#include <mien/expression_classifier.hpp>
#include <mien/face_region.hpp>
#include <mien/faces/face_finder.hpp>
#include <mien/image/image.hpp>
#include <mien/model.hpp>
#include <mien/parallel.hpp>

namespace mien {

/// A face in a photo and what it shows.
struct Face : Detection {
  std::size_t expression = 0;        ///< the most probable label's index
  std::vector<float> probabilities;  ///< one for each label
};

/// Finds the faces of a photo and reads their expressions:
///
///   const ExpressionReader reader("mini_fer.mien", "yunet.mien");
///   for (const Face& face : reader.read(photo)) use(reader.label(face.expression));
///
/// Immutable: one reader may be used from many threads at once.
class ExpressionReader {
 public:
  using Workspace = Ensemble::Workspace;

  /// From a network's .mien file and a face detector's: YuNet's .mien file, or a cascade's .haar
  /// file. Throws Error.
  MIEN_COLD ExpressionReader(const std::string& model_path, const std::string& detector_path);
  /// From several .mien files, whose probabilities are averaged.
  MIEN_COLD ExpressionReader(const std::vector<std::string>& model_paths,
                             const std::string& detector_path);
  MIEN_COLD ExpressionReader(std::initializer_list<std::string> model_paths,
                             const std::string& detector_path);

  ExpressionReader(Ensemble networks, FaceFinder finder);
  /// From one network. Throws Error if it is no classifier of gray faces.
  ExpressionReader(Model network, FaceFinder finder);

  const Ensemble& networks() const noexcept { return networks_; }
  const FaceFinder& finder() const noexcept { return finder_; }
  /// The expressions' names, in order.
  const std::vector<std::string>& labels() const noexcept { return networks_.labels(); }
  /// An expression's name. Throws Error for one that there is not.
  const std::string& label(std::size_t expression) const {
    detail::require_index("expression", expression, labels().size());
    return labels()[expression];
  }

  /// The faces in a photo, in the detector's order. Throws Error for options out of their ranges.
  std::vector<Face> read(const GrayView& photo, Crops crops = Crops::center,
                         const FinderOptions& options = {}) const;
  std::vector<Face> read(const RgbView& photo, Crops crops = Crops::center,
                         const FinderOptions& options = {}) const;

  /// The expressions of faces that have been found already, each read from its face_region. Throws
  /// Error for one without pixels in the photo.
  std::vector<Face> read(const GrayView& photo, const std::vector<Detection>& detections,
                         Crops crops = Crops::center) const;
  /// The same, in batches, on the workspace's threads if there is an executor.
  std::vector<Face> read(const GrayView& photo, const std::vector<Detection>& detections,
                         Crops crops, Workspace& workspace,
                         const Executor& executor = nullptr) const;

 private:
  Ensemble networks_;
  FaceFinder finder_;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <utility>

namespace mien {

MIEN_INLINE ExpressionReader::ExpressionReader(const std::string& model_path,
                                               const std::string& detector_path)
    : ExpressionReader(std::vector<std::string>{model_path}, detector_path) {}

MIEN_INLINE ExpressionReader::ExpressionReader(std::initializer_list<std::string> model_paths,
                                               const std::string& detector_path)
    : ExpressionReader(std::vector<std::string>(model_paths), detector_path) {}

MIEN_INLINE ExpressionReader::ExpressionReader(const std::vector<std::string>& model_paths,
                                               const std::string& detector_path)
    : ExpressionReader(Ensemble::load(model_paths), FaceFinder::load(detector_path)) {}

MIEN_INLINE ExpressionReader::ExpressionReader(Model network, FaceFinder finder)
    : ExpressionReader(Ensemble(std::move(network)), std::move(finder)) {}

MIEN_INLINE ExpressionReader::ExpressionReader(Ensemble networks, FaceFinder finder)
    : networks_(std::move(networks)), finder_(std::move(finder)) {}

MIEN_INLINE std::vector<Face> ExpressionReader::read(const GrayView& photo, Crops crops,
                                                     const FinderOptions& options) const {
  return read(photo, finder_.find(photo, options), crops);
}

MIEN_INLINE std::vector<Face> ExpressionReader::read(const RgbView& photo, Crops crops,
                                                     const FinderOptions& options) const {
  return read(to_gray(photo).view(), crops, options);
}

MIEN_INLINE std::vector<Face> ExpressionReader::read(const GrayView& photo,
                                                     const std::vector<Detection>& detections,
                                                     Crops crops) const {
  if (detections.empty()) return {};
  Workspace workspace;
  return read(photo, detections, crops, workspace);
}

MIEN_INLINE std::vector<Face> ExpressionReader::read(const GrayView& photo,
                                                     const std::vector<Detection>& detections,
                                                     Crops crops, Workspace& workspace,
                                                     const Executor& executor) const {
  std::vector<FaceRegion> regions;
  regions.reserve(detections.size());
  for (const Detection& detection : detections) regions.push_back(face_region(detection));
  std::vector<std::vector<float>> probabilities =
      networks_.classify(photo, regions, crops, workspace, executor);
  std::vector<Face> faces(detections.size());
  for (std::size_t i = 0; i < faces.size(); ++i) {
    static_cast<Detection&>(faces[i]) = detections[i];
    faces[i].expression = largest_index(probabilities[i]);
    faces[i].probabilities = std::move(probabilities[i]);
  }
  return faces;
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
