// Expressions through a video: faces keep their identities, and their probabilities can be smoothed
// over time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <mien/error.hpp>
#include <mien/expression.hpp>
#include <mien/vision/crop.hpp>
#include <mien/vision/face_tracker.hpp>
#include <mien/vision/image.hpp>

namespace mien {

struct VideoOptions {
  TrackerOptions tracker;
  Views views = Views::centre;
  /// A face is classified in every so many-th frame; in between it keeps its probabilities.
  int classify_interval = 1;
  /// Time constant of exponential smoothing in frames: after so many frames, 63 % of a sudden
  /// change have arrived. 0: no smoothing.
  double smoothing = 0.0;

  /// Throws Error if a value is out of its range.
  void check() const {
    tracker.check();
    if (classify_interval < 1) {
      throw Error("classify_interval: expected 1 or more, found " +
                  std::to_string(classify_interval));
    }
    if (!(smoothing >= 0.0) || std::isinf(smoothing)) {
      throw Error("smoothing: expected a finite number of frames of 0 or more, found " +
                  std::to_string(smoothing));
    }
  }
};

/// A face in a frame of a video.
template <class Network>
struct VideoFace : Face<Network> {
  std::uint64_t identity = 0;  ///< the same number in all frames; see TrackedFace
  /// Whether the probabilities take this frame into account: see VideoOptions::classify_interval.
  bool classified = false;
};

/// Reads the expressions of the faces of one video, frame by frame. Not for several threads at
/// once.
template <class Network>
class VideoReader {
 public:
  using Scores = typename ExpressionClassifier<Network>::Scores;

  /// Throws Error for options out of their ranges.
  VideoReader(const ExpressionReader<Network>& reader, const VideoOptions& options = {})
      : classifier_(reader.classifier()),
        tracker_(reader.finder(), options.tracker),
        options_(options) {
    options_.check();
  }

  const FaceTracker& tracker() const noexcept { return tracker_; }
  /// An expression's name.
  const std::string& label(std::size_t expression) const {
    return classifier_.labels().at(expression);
  }

  /// Takes the next frame and returns its faces, from the longest known to the newest. Throws Error
  /// as FaceDetector::detect does.
  const std::vector<VideoFace<Network>>& read(const GrayView& frame) {
    tracker_.update(frame);
    forget_lost_faces();
    faces_.clear();
    for (const TrackedFace& tracked : tracker_.faces()) {
      State& state = state_of(tracked.identity);
      ++state.frames_since_classified;
      if (tracked.frames_missed > 0) continue;
      const bool due = state.is_new || state.frames_since_classified >= options_.classify_interval;
      if (due) classify(frame, tracked.detection.box, state);
      VideoFace<Network> face;
      face.box = tracked.detection.box;
      face.neighbors = tracked.detection.neighbors;
      face.probabilities = state.smoothed;
      face.expression = largest_index(state.smoothed);
      face.identity = tracked.identity;
      face.classified = due;
      faces_.push_back(face);
    }
    return faces_;
  }
  const std::vector<VideoFace<Network>>& read(const RgbView& frame) {
    gray_ = to_gray(frame);
    return read(gray_.view());
  }

 private:
  /// What is remembered of a face.
  struct State {
    std::uint64_t identity = 0;
    bool is_new = true;
    int frames_since_classified = 0;
    GrayImage pixels;  // that were classified
    Scores scores{};   // what it said
    Scores smoothed{};
  };

  void classify(const GrayView& frame, const Rect& box, State& state) {
    GrayImage pixels = crop(frame, face_region(box));
    // The same pixels have the same probabilities: a still picture costs the network one pass.
    if (state.is_new || !same_pixels(pixels, state.pixels)) {
      const Rect whole{0, 0, pixels.width(), pixels.height()};
      state.scores = classifier_.classify(pixels.view(), whole, options_.views, workspace_);
      state.pixels = std::move(pixels);
    }
    if (state.is_new || options_.smoothing == 0.0) {
      state.smoothed = state.scores;
    } else {
      const auto weight =
          static_cast<float>(1.0 - std::exp(-state.frames_since_classified / options_.smoothing));
      for (std::size_t c = 0; c < state.smoothed.size(); ++c) {
        state.smoothed[c] += weight * (state.scores[c] - state.smoothed[c]);
      }
    }
    state.is_new = false;
    state.frames_since_classified = 0;
  }

  static bool same_pixels(const GrayImage& a, const GrayImage& b) noexcept {
    return a.width() == b.width() && a.height() == b.height() &&
           std::equal(a.row(0), a.row(0) + std::ptrdiff_t{a.width()} * a.height(), b.row(0));
  }

  State& state_of(std::uint64_t identity) {
    const auto found = std::find_if(states_.begin(), states_.end(),
                                    [&](const State& state) { return state.identity == identity; });
    if (found != states_.end()) return *found;
    states_.emplace_back();
    states_.back().identity = identity;
    return states_.back();
  }

  void forget_lost_faces() {
    const std::vector<TrackedFace>& known = tracker_.faces();
    states_.erase(std::remove_if(states_.begin(), states_.end(),
                                 [&known](const State& state) {
                                   return std::none_of(known.begin(), known.end(),
                                                       [&state](const TrackedFace& face) {
                                                         return face.identity == state.identity;
                                                       });
                                 }),
                  states_.end());
  }

  ExpressionClassifier<Network> classifier_;
  FaceTracker tracker_;
  VideoOptions options_;
  std::vector<State> states_;
  std::vector<VideoFace<Network>> faces_;
  GrayImage gray_;
  typename ExpressionClassifier<Network>::Workspace workspace_;
};

}  // namespace mien
