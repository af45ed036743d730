// Faces through a video: which is which from frame to frame, and, if wanted, searches that look
// only near the faces that are known already.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/config.hpp>
#include <mien/faces/detection.hpp>
#include <mien/faces/face_finder.hpp>
#include <mien/faces/overlap.hpp>
#include <mien/image/image.hpp>

namespace mien {

struct TrackerOptions {
  /// How a whole frame is searched. Cascades must group candidates (min_neighbors of 1 or more).
  FinderOptions finder;
  /// At least one of this many frames is searched as a whole, the others only around the faces of
  /// the frame before. 1: every frame is searched as a whole.
  int refresh_interval = 1;
  /// For how many frames a face that is not found keeps its identity.
  int patience = 15;
  /// Boxes of neighbouring frames belong to one face if their intersection_over_union is at least
  /// this, above 0 and at most 1.
  double min_overlap = 0.3;

  /// Throws Error if a value is out of its range.
  MIEN_COLD void check() const;
};

/// A face of a video.
struct TrackedFace {
  std::uint64_t identity = 0;  ///< from 1 on; a number is given once only
  Detection detection;         ///< in the latest frame in which it was found
  int frames_missed = 0;       ///< since then; 0: it was found in the present frame
};

/// Follows faces from frame to frame of one video. Between two searches of whole frames it may look
/// near the known faces only, which takes a fraction of the time:
///
/// - A face that such a search loses makes it search the whole frame at once. So a face in the
///   results stays in them as long as searches of whole frames find it.
/// - A face that appears elsewhere is found at most refresh_interval - 1 frames later than by
///   searching every frame as a whole.
///
/// Not for several threads at once.
class FaceTracker {
 public:
  /// Throws Error for options out of their ranges.
  explicit FaceTracker(FaceFinder finder, const TrackerOptions& options = {});

  const FaceFinder& finder() const noexcept { return finder_; }
  const TrackerOptions& options() const noexcept { return options_; }

  /// Takes the next frame and returns the known faces, from the longest known to the newest; faces
  /// that were not found are among them for `patience` frames (see TrackedFace::frames_missed). A
  /// frame may have another size than the one before. Throws Error as FaceFinder::find does, and
  /// for frames of more than 4096 faces: each is compared with all known.
  const std::vector<TrackedFace>& update(const GrayView& frame);

  const std::vector<TrackedFace>& faces() const noexcept { return faces_; }
  /// Whether the present frame was searched as a whole.
  bool searched_whole_frame() const noexcept { return searched_whole_frame_; }

 private:
  /// A known face and a box found, by their places in faces_ and found_.
  struct Pair {
    double overlap;
    std::size_t known;
    std::size_t found;
  };

  bool follow(const GrayView& frame);
  bool find_nearby(const GrayView& frame, TrackedFace& face);
  void search(const GrayView& frame);
  void forget_long_missed();

  FaceFinder finder_;
  TrackerOptions options_;
  std::vector<TrackedFace> faces_;
  std::uint64_t faces_since_start_ = 0;
  int frames_since_search_ = 0;
  bool searched_whole_frame_ = false;
  int width_ = 0;  // of the frame before
  int height_ = 0;
  // Memory, kept from frame to frame.
  FaceFinder::Workspace workspace_;
  std::vector<TrackedFace> followed_;
  std::vector<Detection> found_;
  std::vector<Pair> pairs_;
  std::vector<char> is_known_;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <string>
#include <utility>

#include <mien/error.hpp>

namespace mien {

MIEN_INLINE void TrackerOptions::check() const {
  finder.check();
  if (finder.haar.min_neighbors < 1) {
    detail::fail({"min_neighbors: expected 1 or more to follow faces, found ",
                  detail::Digits(finder.haar.min_neighbors)});
  }
  if (refresh_interval < 1) {
    detail::fail(
        {"refresh_interval: expected 1 or more, found ", detail::Digits(refresh_interval)});
  }
  if (patience < 0) {
    detail::fail({"patience: expected 0 or more, found ", detail::Digits(patience)});
  }
  if (!(min_overlap > 0.0 && min_overlap <= 1.0)) {
    detail::fail({"min_overlap: expected a number above 0 and at most 1, found ",
                  std::to_string(min_overlap)});
  }
}

MIEN_INLINE FaceTracker::FaceTracker(FaceFinder finder, const TrackerOptions& options)
    : finder_(std::move(finder)), options_(options) {
  options_.check();
}

MIEN_INLINE const std::vector<TrackedFace>& FaceTracker::update(const GrayView& frame) {
  ++frames_since_search_;
  searched_whole_frame_ = frames_since_search_ >= options_.refresh_interval ||
                          frame.width != width_ || frame.height != height_ || !follow(frame);
  if (searched_whole_frame_) search(frame);
  width_ = frame.width;
  height_ = frame.height;
  return faces_;
}

/// Looks for every face near where it was. Returns whether all were found; if not, faces_ is as
/// before.
MIEN_INLINE bool FaceTracker::follow(const GrayView& frame) {
  followed_ = faces_;
  for (TrackedFace& face : followed_) {
    if (face.frames_missed == 0) {
      if (!find_nearby(frame, face)) return false;
    } else {
      ++face.frames_missed;
    }
  }
  faces_.swap(followed_);
  forget_long_missed();
  return true;
}

MIEN_INLINE bool FaceTracker::find_nearby(const GrayView& frame, TrackedFace& face) {
  const Rect last = face.detection.box;
  finder_.find_near(frame, last, options_.finder, workspace_, found_);
  double largest = 0.0;
  for (const Detection& detection : found_) {
    const double overlap = intersection_over_union(detection.box, last);
    if (overlap < options_.min_overlap || overlap <= largest) continue;
    largest = overlap;
    face.detection = detection;
  }
  if (largest == 0.0) return false;
  // If two faces became one, only a search of the whole frame can tell them apart.
  return std::none_of(followed_.begin(), followed_.end(), [&](const TrackedFace& other) {
    return other.identity < face.identity && other.frames_missed == 0 &&
           intersection_over_union(other.detection.box, face.detection.box) >= options_.min_overlap;
  });
}

/// Finds the faces of a whole frame and gives each the identity of the known face that it
/// overlaps most, or a new one.
MIEN_INLINE void FaceTracker::search(const GrayView& frame) {
  finder_.find(frame, options_.finder, workspace_, found_);
  constexpr std::size_t most_faces = 4096;
  if (found_.size() > most_faces) {
    detail::fail({"frame: expected at most ", detail::Digits(most_faces), " faces, found ",
                  detail::Digits(found_.size())});
  }
  frames_since_search_ = 0;
  pairs_.clear();
  for (std::size_t known = 0; known < faces_.size(); ++known) {
    for (std::size_t found = 0; found < found_.size(); ++found) {
      const double overlap =
          intersection_over_union(faces_[known].detection.box, found_[found].box);
      if (overlap >= options_.min_overlap) pairs_.push_back({overlap, known, found});
    }
  }
  std::sort(pairs_.begin(), pairs_.end(), [](const Pair& a, const Pair& b) {
    if (a.overlap != b.overlap) return a.overlap > b.overlap;
    return std::pair(a.known, a.found) < std::pair(b.known, b.found);
  });
  for (TrackedFace& face : faces_) ++face.frames_missed;
  is_known_.assign(found_.size(), 0);
  for (const Pair& pair : pairs_) {
    TrackedFace& face = faces_[pair.known];
    if (face.frames_missed == 0 || is_known_[pair.found] != 0) continue;
    face.detection = found_[pair.found];
    face.frames_missed = 0;
    is_known_[pair.found] = 1;
  }
  forget_long_missed();
  for (std::size_t found = 0; found < found_.size(); ++found) {
    if (is_known_[found] == 0) faces_.push_back({++faces_since_start_, found_[found], 0});
  }
}

MIEN_INLINE void FaceTracker::forget_long_missed() {
  faces_.erase(std::remove_if(faces_.begin(), faces_.end(),
                              [this](const TrackedFace& face) {
                                return face.frames_missed > options_.patience;
                              }),
               faces_.end());
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
