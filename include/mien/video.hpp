// Expressions through a video: faces keep their identities, and their probabilities can be smoothed
// over time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <mien/config.hpp>
#include <mien/error.hpp>
#include <mien/expression.hpp>
#include <mien/faces/face_tracker.hpp>
#include <mien/image/image.hpp>

namespace mien {

struct VideoOptions {
  TrackerOptions tracker;
  Crops crops = Crops::center;
  /// A face is classified in every so many-th frame; in between it keeps its probabilities.
  int classify_interval = 1;
  /// Time constant of exponential smoothing in frames: after so many frames, 63 % of a sudden
  /// change have arrived. 0: no smoothing.
  double smoothing = 0.0;

  /// Throws Error if a value is out of its range.
  MIEN_COLD void check() const;
};

/// A face in a frame of a video.
struct VideoFace : Face {
  std::uint64_t identity = 0;  ///< the same number in all frames; see TrackedFace
  /// Whether the probabilities take this frame into account: see VideoOptions::classify_interval.
  bool classified = false;
};

/// Reads the expressions of the faces of one video, frame by frame. Not for several threads at
/// once.
class VideoReader {
 public:
  /// Throws Error for options out of their ranges.
  VideoReader(const ExpressionReader& reader, const VideoOptions& options = {});

  const FaceTracker& tracker() const noexcept { return tracker_; }
  /// An expression's name. Throws Error for one that there is not.
  const std::string& label(std::size_t expression) const {
    detail::require_index("expression", expression, networks_.labels().size());
    return networks_.labels()[expression];
  }

  /// Takes the next frame and returns its faces, from the longest known to the newest. Throws Error
  /// as FaceFinder::find does.
  const std::vector<VideoFace>& read(const GrayView& frame);
  const std::vector<VideoFace>& read(const RgbView& frame);

 private:
  /// What is remembered of a face.
  struct State {
    std::uint64_t identity = 0;
    bool is_new = true;
    int frames_since_classified = 0;
    GrayImage pixels;           // that were classified
    std::vector<float> scores;  // what it said
    std::vector<float> smoothed;
  };

  void classify(const GrayView& frame, const Detection& face, State& state);
  State& state_of(std::uint64_t identity);
  void forget_lost_faces();

  Ensemble networks_;
  FaceTracker tracker_;
  VideoOptions options_;
  std::vector<State> states_;
  std::vector<VideoFace> faces_;
  GrayImage gray_;
  Ensemble::Workspace workspace_;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <utility>

#include <mien/image/crop.hpp>

namespace mien {

namespace detail {

inline bool same_pixels(const GrayImage& a, const GrayImage& b) noexcept {
  return a.width() == b.width() && a.height() == b.height() &&
         std::equal(a.row(0), a.row(0) + std::ptrdiff_t{a.width()} * a.height(), b.row(0));
}

}  // namespace detail

MIEN_INLINE void VideoOptions::check() const {
  tracker.check();
  if (classify_interval < 1) {
    detail::fail(
        {"classify_interval: expected 1 or more, found ", detail::Digits(classify_interval)});
  }
  if (!(smoothing >= 0.0) || std::isinf(smoothing)) {
    detail::fail({"smoothing: expected a finite number of frames of 0 or more, found ",
                  std::to_string(smoothing)});
  }
}

MIEN_INLINE VideoReader::VideoReader(const ExpressionReader& reader, const VideoOptions& options)
    : networks_(reader.networks()), tracker_(reader.finder(), options.tracker), options_(options) {
  options_.check();
}

MIEN_INLINE const std::vector<VideoFace>& VideoReader::read(const GrayView& frame) {
  tracker_.update(frame);
  forget_lost_faces();
  std::size_t count = 0;  // the faces of the frame before give their memory to these
  for (const TrackedFace& tracked : tracker_.faces()) {
    State& state = state_of(tracked.identity);
    ++state.frames_since_classified;
    if (tracked.frames_missed > 0) continue;
    const bool due = state.is_new || state.frames_since_classified >= options_.classify_interval;
    if (due) classify(frame, tracked.detection, state);
    if (count == faces_.size()) faces_.emplace_back();
    VideoFace& face = faces_[count++];
    static_cast<Detection&>(face) = tracked.detection;
    face.probabilities = state.smoothed;
    face.expression = largest_index(state.smoothed);
    face.identity = tracked.identity;
    face.classified = due;
  }
  faces_.resize(count);
  return faces_;
}

MIEN_INLINE const std::vector<VideoFace>& VideoReader::read(const RgbView& frame) {
  to_gray(frame, gray_);
  return read(gray_.view());
}

MIEN_INLINE void VideoReader::classify(const GrayView& frame, const Detection& face, State& state) {
  GrayImage pixels = detail::face_copy(frame, face_region(face));
  // The same pixels have the same probabilities: a still picture costs the network one pass.
  if (state.is_new || !detail::same_pixels(pixels, state.pixels)) {
    const Rect whole{0, 0, pixels.width(), pixels.height()};
    state.scores = networks_.classify(pixels.view(), whole, options_.crops, workspace_);
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

MIEN_INLINE VideoReader::State& VideoReader::state_of(std::uint64_t identity) {
  const auto found = std::find_if(states_.begin(), states_.end(),
                                  [&](const State& state) { return state.identity == identity; });
  if (found != states_.end()) return *found;
  states_.emplace_back();
  states_.back().identity = identity;
  return states_.back();
}

MIEN_INLINE void VideoReader::forget_lost_faces() {
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

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
