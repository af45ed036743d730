// The Haar detector with few false faces: whatever it finds is looked at a second time, tilted.
#pragma once

#include <utility>
#include <vector>

#include <mien/config.hpp>
#include <mien/faces/detection.hpp>
#include <mien/faces/haar/haar_detector.hpp>
#include <mien/faces/haar/haar_options.hpp>
#include <mien/faces/search_limits.hpp>
#include <mien/image/image.hpp>
#include <mien/parallel.hpp>

namespace mien {

/// What a cascade takes for a face at the first look and at the second.
struct HaarFinderRule : HaarRule {
  /// How many confirmations a face needs (see HaarFinder::confirmations). 0: faces are what
  /// HaarDetector alone finds.
  int min_confirmations = 8;

  /// Throws Error if a value is out of its range.
  MIEN_COLD void check() const;
};

struct HaarFinderOptions : SearchLimits, HaarFinderRule {
  /// Throws Error if a value is out of its range.
  MIEN_COLD void check() const;
};

/// Finds faces by a detector and keeps those that it also finds when they are tilted. A face is
/// still one when the head leans to a side; folds, hands and shoes that happen to look like one at
/// one place and angle mostly are not. Immutable: one finder may be used from many threads at once.
class HaarFinder {
 public:
  /// Memory of a search, reused from image to image. Not for two searches at once.
  struct Workspace {
    Workspace() = default;
    /// Searches on threads, see HaarDetector::Workspace. Throws Error for less than 1.
    Workspace(Executor executor, int threads) : detector(std::move(executor), threads) {}

    HaarDetector::Workspace detector;
    GrayImage view;
    std::vector<Detection> candidates;
  };

  HaarFinder(HaarDetector detector);

  const HaarDetector& detector() const noexcept { return detector_; }

  /// The faces in an image, in the detector's order. Throws Error as HaarDetector::detect does.
  std::vector<Detection> find(const GrayView& image, const HaarFinderOptions& options = {}) const;
  /// The same in a workspace's memory; the faces replace what is in `found`.
  void find(const GrayView& image, const HaarFinderOptions& options, Workspace& workspace,
            std::vector<Detection>& found) const;

  /// The faces that the detector finds near a known one and of nearly its size, not confirmed: what
  /// is left of it in the next frame of a video. Throws Error as HaarDetector::detect does, and for
  /// options that do not group candidates.
  void find_near(const GrayView& image, const Rect& box, const HaarFinderOptions& options,
                 Workspace& workspace, std::vector<Detection>& found) const;

  /// How many candidates the cascade finds near the middle of two views of a box, which are tilted
  /// by 15 degrees to either side. Each view shows the box at three times the size of the cascade's
  /// window. Candidates count if they are 0.8 to 1.25 times as large as the box, with their centres
  /// within a quarter of its sides. Throws Error if the box is empty or has its centre outside the
  /// image.
  int confirmations(const GrayView& image, const Rect& box, Workspace& workspace) const;

 private:
  int count_confirmations(const GrayView& image, const Rect& box, int enough,
                          Workspace& workspace) const;
  bool is_central(const Rect& candidate) const noexcept;

  HaarDetector detector_;
  Size face_;                 // the box in a tilted view
  Size view_;                 // the whole view
  HaarOptions view_options_;  // of a search in a view
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>

#include <mien/error.hpp>
#include <mien/image/tilted_view.hpp>

namespace mien {

MIEN_INLINE void HaarFinderRule::check() const {
  HaarRule::check();
  if (min_confirmations < 0) {
    detail::fail(
        {"min_confirmations: expected 0 or more, found ", detail::Digits(min_confirmations)});
  }
}

MIEN_INLINE void HaarFinderOptions::check() const {
  HaarFinderRule::check();
  SearchLimits::check();
}

namespace detail {

/// The options of the detector alone.
inline HaarOptions without_confirmations(const HaarFinderOptions& options) noexcept {
  return {options, options};
}

/// What a face needs to be found near a known one.
inline HaarOptions near_box(const Rect& box, const HaarFinderOptions& options) noexcept {
  // From one frame to the next a face moves by less than this part of its sides, and grows or
  // shrinks by less than this factor.
  constexpr double reach = 0.25;
  constexpr double size_range = 1.12;
  const auto grown = [](int side, double factor) {
    return static_cast<int>(std::lround(side * factor));
  };
  HaarOptions result = without_confirmations(options);
  // Fewer sizes are searched than in a whole frame, so fewer candidates agree on a face.
  result.min_neighbors = (options.min_neighbors + 1) / 2;
  const Rect around{box.x - grown(box.width, reach), box.y - grown(box.height, reach),
                    grown(box.width, 1.0 + 2.0 * reach), grown(box.height, 1.0 + 2.0 * reach)};
  result.region = options.region == Rect{} ? around : intersection(options.region, around);
  result.min_size = {std::max(options.min_size.width, grown(box.width, 1.0 / size_range)),
                     std::max(options.min_size.height, grown(box.height, 1.0 / size_range))};
  const Size largest{grown(box.width, size_range), grown(box.height, size_range)};
  const bool limited = result.max_size.width > 0 && result.max_size.height > 0;
  result.max_size = limited ? Size{std::min(result.max_size.width, largest.width),
                                   std::min(result.max_size.height, largest.height)}
                            : largest;
  return result;
}

}  // namespace detail

MIEN_INLINE HaarFinder::HaarFinder(HaarDetector detector) : detector_(std::move(detector)) {
  constexpr int view_scale = 3;
  constexpr double smallest_size = 0.8;  // relative to the box
  constexpr double largest_size = 1.25;
  const Cascade& cascade = detector_.cascade();
  face_ = {view_scale * cascade.window_width(), view_scale * cascade.window_height()};
  view_ = {face_.width * 3 / 2, face_.height * 3 / 2};
  const auto scaled = [](const Size& size, double factor) {
    return Size{static_cast<int>(size.width * factor), static_cast<int>(size.height * factor)};
  };
  view_options_.min_neighbors = 0;
  view_options_.min_size = scaled(face_, smallest_size);
  view_options_.max_size = scaled(face_, largest_size);
}

MIEN_INLINE std::vector<Detection> HaarFinder::find(const GrayView& image,
                                                    const HaarFinderOptions& options) const {
  Workspace workspace;
  std::vector<Detection> found;
  find(image, options, workspace, found);
  return found;
}

MIEN_INLINE void HaarFinder::find(const GrayView& image, const HaarFinderOptions& options,
                                  Workspace& workspace, std::vector<Detection>& found) const {
  options.check();
  detector_.detect(image, detail::without_confirmations(options), workspace.detector, found);
  // Without grouping there are no faces to confirm, only candidates.
  if (options.min_confirmations == 0 || options.min_neighbors == 0) return;
  const auto is_false = [&](const Detection& face) {
    return count_confirmations(image, face.box, options.min_confirmations, workspace) <
           options.min_confirmations;
  };
  found.erase(std::remove_if(found.begin(), found.end(), is_false), found.end());
}

MIEN_INLINE void HaarFinder::find_near(const GrayView& image, const Rect& box,
                                       const HaarFinderOptions& options, Workspace& workspace,
                                       std::vector<Detection>& found) const {
  options.check();
  if (options.min_neighbors < 1) {
    detail::fail({"min_neighbors: expected 1 or more to follow faces, found ",
                  detail::Digits(options.min_neighbors)});
  }
  detail::check_magnitude("box", box, 28);
  detector_.detect(image, detail::near_box(box, options), workspace.detector, found);
}

MIEN_INLINE int HaarFinder::confirmations(const GrayView& image, const Rect& box,
                                          Workspace& workspace) const {
  const std::int64_t x = std::int64_t{box.x} + box.width / 2;
  const std::int64_t y = std::int64_t{box.y} + box.height / 2;
  if (box.width <= 0 || box.height <= 0 || x < 0 || y < 0 || x >= image.width ||
      y >= image.height) {
    detail::fail({"box: expected one with its centre inside the image of ",
                  detail::Digits(image.width), "x", detail::Digits(image.height), ", found x ",
                  detail::Digits(box.x), ", y ", detail::Digits(box.y), ", width ",
                  detail::Digits(box.width), ", height ", detail::Digits(box.height)});
  }
  return count_confirmations(image, box, std::numeric_limits<int>::max(), workspace);
}

/// Ends early when there are `enough`.
MIEN_INLINE int HaarFinder::count_confirmations(const GrayView& image, const Rect& box, int enough,
                                                Workspace& workspace) const {
  // cos 15 and sin 15 degrees.
  constexpr std::array<detail::Tilt, 2> tilts = {{{63303, 16962}, {63303, -16962}}};
  if (workspace.view.width() != view_.width || workspace.view.height() != view_.height) {
    workspace.view = GrayImage(view_.width, view_.height);
  }
  constexpr std::int64_t one = std::int64_t{1} << detail::tilt_fraction_bits;
  const std::int64_t centre_x = (std::int64_t{2} * box.x + box.width) * one / 2;
  const std::int64_t centre_y = (std::int64_t{2} * box.y + box.height) * one / 2;
  const std::int64_t step = box.width * one / face_.width;
  int count = 0;
  for (const detail::Tilt& tilt : tilts) {
    detail::sample_tilted(image, centre_x, centre_y, step, tilt, workspace.view);
    detector_.detect(workspace.view.view(), view_options_, workspace.detector,
                     workspace.candidates);
    for (const Detection& candidate : workspace.candidates) count += is_central(candidate.box);
    if (count >= enough) break;
  }
  return count;
}

/// Whether the centre of a candidate in a view is within a quarter of the box's sides of its
/// centre.
MIEN_INLINE bool HaarFinder::is_central(const Rect& candidate) const noexcept {
  const auto is_near = [](int start, int length, int view_length, int face_length) {
    const int doubled_distance = std::abs(2 * start + length - view_length);
    return doubled_distance * 4 <= 2 * face_length;
  };
  return is_near(candidate.x, candidate.width, view_.width, face_.width) &&
         is_near(candidate.y, candidate.height, view_.height, face_.height);
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
