// Several networks that look at the same face: the mean of their probabilities.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <vector>

#include <mien/config.hpp>
#include <mien/expression_classifier.hpp>
#include <mien/face_region.hpp>
#include <mien/image/image.hpp>
#include <mien/model.hpp>
#include <mien/parallel.hpp>

namespace mien {

/// Networks with the same labels, of which each may have its own layers, face size, crops and
/// preprocessing; one alone is an ensemble, too:
///
///   const Ensemble networks = Ensemble::load({"a.mien", "b.mien", "c.mien"});
///   const ExpressionReader reader(networks, finder);
///
/// Its probabilities are the mean of what each network's own classifier says, softmax at that
/// network's temperature. A network may be in it more than once, and then counts as often.
/// Immutable: one ensemble may be used from many threads at once. Cheap to copy.
class Ensemble {
 public:
  /// Memory for one call at a time.
  using Workspace = ExpressionClassifier::Workspace;

  /// Of one network: a Model, or what converts to one. Throws Error if it is no classifier of gray
  /// faces.
  Ensemble(Model network);
  /// Throws Error if there is no network, or if two have different labels or a different order of
  /// them; the message names both files.
  Ensemble(std::initializer_list<Model> networks);
  MIEN_COLD explicit Ensemble(const std::vector<Model>& networks);

  /// Reads .mien files of whatever networks. Throws Error.
  static Ensemble load(const std::vector<std::string>& paths);

  /// Each network's own classifier, in the order given.
  const std::vector<ExpressionClassifier>& members() const noexcept { return members_; }
  /// Names of the outputs of every network, in order.
  const std::vector<std::string>& labels() const noexcept { return members_.front().labels(); }

  /// Replays every file's test vectors: see Model::verify. Throws Error.
  void verify() const;

  /// Probabilities of the expressions of the face in a region of a gray photo, or in a box, found
  /// by whatever detector: one for each label. Throws Error if it is empty or outside the photo.
  std::vector<float> classify(const GrayView& photo, const FaceRegion& region, Crops crops,
                              Workspace& workspace) const;
  std::vector<float> classify(const GrayView& photo, const FaceRegion& region,
                              Crops crops = Crops::center) const;
  /// The same for several, in batches, on the workspace's threads if there is an executor. A face
  /// is cut out once, and resized once for all networks of the same face size.
  std::vector<std::vector<float>> classify(const GrayView& photo,
                                           const std::vector<FaceRegion>& regions, Crops crops,
                                           Workspace& workspace,
                                           const Executor& executor = nullptr) const;

 private:
  std::vector<ExpressionClassifier> members_;
  std::vector<int> face_sizes_;              // all different
  std::vector<std::size_t> size_of_member_;  // its place in face_sizes_
};

/// The mean of the networks' probabilities: `members` has each network's, which are of one length.
/// At least one.
std::vector<float> mean_probabilities(const std::vector<std::vector<float>>& members);

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <utility>

#include <mien/error.hpp>
#include <mien/image/resize.hpp>
#include <mien/kernels/nn/softmax.hpp>

namespace mien {

namespace detail {

MIEN_COLD inline std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

}  // namespace detail

MIEN_INLINE Ensemble::Ensemble(Model network)
    : Ensemble(std::vector<Model>(1, std::move(network))) {}

MIEN_INLINE Ensemble::Ensemble(std::initializer_list<Model> networks)
    : Ensemble(std::vector<Model>(networks)) {}

MIEN_INLINE Ensemble::Ensemble(const std::vector<Model>& networks) {
  if (networks.empty()) detail::fail({"ensemble: expected at least one network, found none"});
  for (const Model& network : networks) {
    members_.emplace_back(network);
    if (network.labels() != labels()) {
      detail::fail({network.file_name(), ": labels: expected those of ",
                    networks.front().file_name(), " (", detail::joined(labels()), "), found ",
                    detail::joined(network.labels())});
    }
    const int size = members_.back().face_size();
    const auto known = std::find(face_sizes_.begin(), face_sizes_.end(), size);
    size_of_member_.push_back(static_cast<std::size_t>(known - face_sizes_.begin()));
    if (known == face_sizes_.end()) face_sizes_.push_back(size);
  }
}

MIEN_INLINE Ensemble Ensemble::load(const std::vector<std::string>& paths) {
  std::vector<Model> networks;
  for (const std::string& path : paths) networks.push_back(Model::load(path));
  return Ensemble(networks);
}

MIEN_INLINE void Ensemble::verify() const {
  for (const ExpressionClassifier& member : members_) member.network().verify();
}

MIEN_INLINE std::vector<float> Ensemble::classify(const GrayView& photo, const FaceRegion& region,
                                                  Crops crops, Workspace& workspace) const {
  return classify(photo, std::vector<FaceRegion>{region}, crops, workspace).front();
}

MIEN_INLINE std::vector<float> Ensemble::classify(const GrayView& photo, const FaceRegion& region,
                                                  Crops crops) const {
  Workspace workspace;
  return classify(photo, region, crops, workspace);
}

MIEN_INLINE std::vector<std::vector<float>> Ensemble::classify(
    const GrayView& photo, const std::vector<FaceRegion>& regions, Crops crops,
    Workspace& workspace, const Executor& executor) const {
  // One list of faces for each of face_sizes_.
  std::vector<std::vector<GrayImage>> faces(face_sizes_.size());
  GrayImage memory;
  for (const FaceRegion& region : regions) {
    const GrayView pixels = detail::face_pixels(photo, region, memory);
    for (std::size_t s = 0; s < face_sizes_.size(); ++s) {
      faces[s].push_back(resize_antialiased(pixels, face_sizes_[s], face_sizes_[s]));
    }
  }
  const std::size_t label_count = labels().size();
  std::vector<std::vector<float>> means(regions.size(), std::vector<float>(label_count));
  std::vector<GrayView> views;
  views.reserve(regions.size());
  for (std::size_t m = 0; m < members_.size(); ++m) {
    views.clear();
    for (const GrayImage& face : faces[size_of_member_[m]]) views.push_back(face.view());
    workspace.scores_.resize(views.size() * label_count);
    float* scores = workspace.scores_.data();
    members_[m].logits(views.data(), views.size(), crops, scores, workspace, executor);
    const float temperature = members_[m].network().preprocessing().temperature;
    for (std::vector<float>& mean : means) {
      kernels::softmax(scores, label_count, temperature, scores);
      for (float& probability : mean) probability += *scores++;
    }
  }
  for (std::vector<float>& mean : means) {
    for (float& probability : mean) probability /= static_cast<float>(members_.size());
  }
  return means;
}

MIEN_INLINE std::vector<float> mean_probabilities(const std::vector<std::vector<float>>& members) {
  std::vector<float> mean(members.front().size());
  for (const std::vector<float>& probabilities : members) {
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += probabilities[i];
  }
  for (float& probability : mean) probability /= static_cast<float>(members.size());
  return mean;
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
