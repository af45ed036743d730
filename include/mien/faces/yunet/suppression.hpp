// Of overlapping candidates the best is kept: greedy non-maximum suppression as OpenCV's
// FaceDetectorYN does it by NMSBoxes (OpenCV 4.10, modules/dnn/src/nms.cpp).
#pragma once

#include <cstddef>
#include <vector>

#include <mien/config.hpp>
#include <mien/faces/yunet/candidates.hpp>
#include <mien/image/image.hpp>

namespace mien::detail {

/// Keeps its memory from call to call.
class Suppression {
 public:
  /// A candidate that is kept, by its place, and how many that are left out it overlaps first.
  struct Kept {
    std::size_t candidate;
    int suppressed;
  };

  /// Takes the candidates by falling score, equal ones in their order, and keeps those that overlap
  /// none kept before by more than `max_overlap`. Of more than 5000, OpenCV's limit, the last are
  /// left out.
  const std::vector<Kept>& run(const std::vector<YuNetCandidate>& candidates, float max_overlap);

 private:
  static constexpr std::size_t most_candidates = 5000;

  std::vector<std::size_t> order_;
  std::vector<Rect> boxes_;  // of those kept
  std::vector<Kept> kept_;
};

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <numeric>

#include <mien/faces/overlap.hpp>

namespace mien::detail {

/// OpenCV compares boxes of whole pixels, cut off towards 0.
inline Rect whole_pixels(const YuNetCandidate& candidate) noexcept {
  const auto cut = [](float value) { return static_cast<int>(value); };
  return {cut(candidate.x), cut(candidate.y), cut(candidate.width), cut(candidate.height)};
}

MIEN_INLINE const std::vector<Suppression::Kept>& Suppression::run(
    const std::vector<YuNetCandidate>& candidates, float max_overlap) {
  order_.resize(candidates.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::sort(order_.begin(), order_.end(), [&candidates](std::size_t a, std::size_t b) {
    if (candidates[a].score != candidates[b].score) {
      return candidates[a].score > candidates[b].score;
    }
    return a < b;
  });
  if (order_.size() > most_candidates) order_.resize(most_candidates);
  boxes_.clear();
  kept_.clear();
  for (const std::size_t place : order_) {
    const Rect box = whole_pixels(candidates[place]);
    const auto overlapped = std::find_if(boxes_.begin(), boxes_.end(), [&](const Rect& other) {
      return static_cast<float>(intersection_over_union(box, other)) > max_overlap;
    });
    if (overlapped != boxes_.end()) {
      ++kept_[static_cast<std::size_t>(overlapped - boxes_.begin())].suppressed;
      continue;
    }
    boxes_.push_back(box);
    kept_.push_back({place, 0});
  }
  return kept_;
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
