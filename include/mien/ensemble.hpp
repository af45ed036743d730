// Several networks that look at the same face: the mean of their probabilities.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <mien/any_network.hpp>
#include <mien/error.hpp>
#include <mien/expression.hpp>
#include <mien/models/models.hpp>
#include <mien/parallel.hpp>
#include <mien/vision/image.hpp>

namespace mien {

/// Networks with the same labels, of which each may have its own architecture, face size, views and
/// preprocessing. ExpressionClassifier, ExpressionReader and VideoReader take it in the place of a
/// network:
///
///   const Ensemble networks = Ensemble::load({"a.mien", "b.mien", "c.mien"});
///   const ExpressionReader<Ensemble> reader(networks, finder);
///
/// Where their types are known, Ensemble(MiniFer::load("a.mien"), Vgg10::load("b.mien")) compiles
/// these two alone.
///
/// A network may be in it more than once, and then counts as often. Cheap to copy.
class Ensemble {
 public:
  /// Throws Error if there is no network, or if two have different labels or a different order of
  /// them; the message names both files.
  explicit Ensemble(std::vector<AnyNetwork> networks) : networks_(std::move(networks)) {
    if (networks_.empty()) throw Error("ensemble: expected at least one network, found none");
    for (const AnyNetwork& network : networks_) {
      if (network.labels() == labels()) continue;
      throw Error(network.file_name() + ": labels: expected those of " +
                  networks_.front().file_name() + " (" + joined(labels()) + "), found " +
                  joined(network.labels()));
    }
  }

  /// The same for networks of known types.
  template <class... Networks,
            class = std::enable_if_t<(sizeof...(Networks) > 0) &&
                                     (detail::has_static_shapes<Networks> && ...)>>
  explicit Ensemble(const Networks&... networks)
      : Ensemble(std::vector<AnyNetwork>{AnyNetwork(networks)...}) {}

  /// Reads .mien files of whichever networks in `Models`, a ModelList: see AnyNetwork::load. Throws
  /// Error.
  template <class Models = AllModels>
  static Ensemble load(const std::vector<std::string>& paths) {
    std::vector<AnyNetwork> networks;
    for (const std::string& path : paths) networks.push_back(AnyNetwork::load<Models>(path));
    return Ensemble(std::move(networks));
  }

  /// In the order given.
  const std::vector<AnyNetwork>& networks() const noexcept { return networks_; }
  /// Names of the outputs of every network, in order.
  const std::vector<std::string>& labels() const noexcept { return networks_.front().labels(); }

  /// Replays every file's verification vectors: see Network::verify. Throws Error.
  void verify() const {
    for (const AnyNetwork& network : networks_) network.verify();
  }

 private:
  static std::string joined(const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
    return all;
  }

  std::vector<AnyNetwork> networks_;
};

/// The mean of the networks' probabilities: `members` has each network's, which are of one length.
/// At least one.
inline std::vector<float> mean_probabilities(const std::vector<std::vector<float>>& members) {
  std::vector<float> mean(members.front().size());
  for (const std::vector<float>& probabilities : members) {
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += probabilities[i];
  }
  for (float& probability : mean) probability /= static_cast<float>(members.size());
  return mean;
}

/// Reads expressions from faces by several networks: its probabilities are the mean of what each
/// network's own classifier says, softmax at that network's temperature. It has no logits, and no
/// face size of its own.
template <>
class ExpressionClassifier<Ensemble> {
  using Member = ExpressionClassifier<AnyNetwork>;

 public:
  /// One value a label, in the networks' order of them.
  using Scores = std::vector<float>;

  /// Memory for one call at a time.
  class Workspace {
   public:
    /// For so many threads.
    explicit Workspace(int threads = 1) : threads_(threads) {}

   private:
    friend class ExpressionClassifier;

    Member::Workspace& of_member(std::size_t member) {
      while (members_.size() <= member) members_.emplace_back(threads_);
      return members_[member];
    }

    int threads_;
    std::vector<Member::Workspace> members_;
  };

  /// Throws Error if a network's input is not gray.
  explicit ExpressionClassifier(Ensemble networks) : networks_(std::move(networks)) {
    for (const AnyNetwork& network : networks_.networks()) members_.emplace_back(network);
  }

  const Ensemble& network() const noexcept { return networks_; }
  const std::vector<std::string>& labels() const noexcept { return networks_.labels(); }
  /// Each network's own, in order.
  const std::vector<ExpressionClassifier<AnyNetwork>>& members() const noexcept { return members_; }

  /// Probabilities of the expressions of the face in a box of a gray photo, found by whatever
  /// detector. Throws Error if the box is empty or outside the photo.
  Scores classify(const GrayView& photo, const Rect& box, Views views, Workspace& workspace) const {
    return classify(photo, std::vector<Rect>{box}, views, workspace).front();
  }
  Scores classify(const GrayView& photo, const Rect& box, Views views = Views::centre) const {
    Workspace workspace;
    return classify(photo, box, views, workspace);
  }

  /// The same for several boxes, in batches, on the workspace's threads if there is an executor.
  std::vector<Scores> classify(const GrayView& photo, const std::vector<Rect>& boxes, Views views,
                               Workspace& workspace, const Executor& executor = nullptr) const {
    std::vector<std::vector<Scores>> of_face(boxes.size());
    for (std::size_t m = 0; m < members_.size(); ++m) {
      std::vector<Scores> scores =
          members_[m].classify(photo, boxes, views, workspace.of_member(m), executor);
      for (std::size_t i = 0; i < boxes.size(); ++i) of_face[i].push_back(std::move(scores[i]));
    }
    std::vector<Scores> means;
    for (const std::vector<Scores>& members : of_face) means.push_back(mean_probabilities(members));
    return means;
  }

 private:
  Ensemble networks_;
  std::vector<Member> members_;
};

}  // namespace mien
