// A face detector with few false faces: whatever it finds is looked at a second time, tilted.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <mien/error.hpp>
#include <mien/vision/face_detector.hpp>
#include <mien/vision/image.hpp>

namespace mien {

struct FinderOptions {
  DetectionOptions detection;
  /// A face must be found so many times more in two views that are tilted to the left and to the
  /// right; see FaceFinder::confirmations. 0: faces are what FaceDetector alone finds.
  int min_confirmations = 8;

  /// Throws Error if a value is out of its range.
  void check() const {
    detection.check();
    if (min_confirmations < 0) {
      throw Error("min_confirmations: expected 0 or more, found " +
                  std::to_string(min_confirmations));
    }
  }
};

namespace detail {

/// A turn about a point, as a cosine and a sine in 16-bit fixed point: the same on every machine.
struct Tilt {
  std::int64_t cosine;
  std::int64_t sine;
};

inline constexpr int tilt_fraction_bits = 16;

/// The surroundings of a point of an image, turned about it and brought to the size of `view`;
/// `step` is the distance of the view's pixels in the image, and `centre_x`, `centre_y` and `step`
/// have tilt_fraction_bits. Bilinear; where it reaches beyond the image, the image's edge is
/// repeated.
inline void sample_tilted(const GrayView& image, std::int64_t centre_x, std::int64_t centre_y,
                          std::int64_t step, const Tilt& tilt, GrayImage& view) noexcept {
  constexpr std::int64_t one = std::int64_t{1} << tilt_fraction_bits;
  const std::int64_t right = step * tilt.cosine / one;
  const std::int64_t down = step * tilt.sine / one;
  for (int y = 0; y < view.height(); ++y) {
    // Twice the distance from the view's centre, so that it is a whole number.
    const std::int64_t from_left = 1 - view.width();
    const std::int64_t from_top = 2 * y + 1 - view.height();
    std::int64_t source_x = centre_x + (from_left * right - from_top * down) / 2 - one / 2;
    std::int64_t source_y = centre_y + (from_left * down + from_top * right) / 2 - one / 2;
    std::uint8_t* to = view.row(y);
    for (int x = 0; x < view.width(); ++x, source_x += right, source_y += down) {
      const std::int64_t left = source_x >> tilt_fraction_bits;
      const std::int64_t top = source_y >> tilt_fraction_bits;
      const std::int64_t right_weight = source_x - left * one;
      const std::int64_t bottom_weight = source_y - top * one;
      const auto column = [&image](std::int64_t at) {
        return std::clamp<std::int64_t>(at, 0, image.width - 1);
      };
      const auto row = [&image](std::int64_t at) {
        return image.row(static_cast<int>(std::clamp<std::int64_t>(at, 0, image.height - 1)));
      };
      const std::uint8_t* upper = row(top);
      const std::uint8_t* lower = row(top + 1);
      const auto mixed = [&](const std::uint8_t* pixels) {
        return (one - right_weight) * pixels[column(left)] +
               right_weight * pixels[column(left + 1)];
      };
      const std::int64_t sum =
          (one - bottom_weight) * mixed(upper) + bottom_weight * mixed(lower) + one * one / 2;
      *to++ = static_cast<std::uint8_t>(sum >> (2 * tilt_fraction_bits));
    }
  }
}

}  // namespace detail

/// Finds faces by a detector and keeps those that it also finds when they are tilted. A face is
/// still one when the head leans to a side; folds, hands and shoes that happen to look like one at
/// one place and angle mostly are not. Immutable: one finder may be used from many threads at once.
class FaceFinder {
 public:
  /// Memory of a search, reused from image to image. Not for two searches at once.
  struct Workspace {
    FaceDetector::Workspace detector;
    GrayImage view;
    std::vector<Detection> candidates;
  };

  FaceFinder(FaceDetector detector) : detector_(std::move(detector)) {
    const Cascade& cascade = detector_.cascade();
    face_ = {view_scale * cascade.window_width(), view_scale * cascade.window_height()};
    view_ = {face_.width * 3 / 2, face_.height * 3 / 2};
    look_.min_neighbors = 0;
    look_.min_size = scaled(face_, smallest_size);
    look_.max_size = scaled(face_, largest_size);
  }

  const FaceDetector& detector() const noexcept { return detector_; }

  /// The faces in an image, in the detector's order. Throws Error as FaceDetector::detect does.
  std::vector<Detection> find(const GrayView& image, const FinderOptions& options,
                              Workspace& workspace) const {
    options.check();
    std::vector<Detection> found = detector_.detect(image, options.detection, workspace.detector);
    // Without grouping there are no faces to confirm, only candidates.
    if (options.min_confirmations == 0 || options.detection.min_neighbors == 0) return found;
    const auto is_false = [&](const Detection& face) {
      return count_confirmations(image, face.box, options.min_confirmations, workspace) <
             options.min_confirmations;
    };
    found.erase(std::remove_if(found.begin(), found.end(), is_false), found.end());
    return found;
  }
  std::vector<Detection> find(const GrayView& image, const FinderOptions& options = {}) const {
    Workspace workspace;
    return find(image, options, workspace);
  }

  /// How many candidates the cascade finds near the middle of two views of a box, which are tilted
  /// by 15 degrees to either side. Each view has the box at three times the cascade's window, and
  /// candidates count that are 0.8 to 1.25 times as large as the box, with their centres within a
  /// quarter of its sides. Throws Error if the box is empty or has its centre outside the image.
  int confirmations(const GrayView& image, const Rect& box, Workspace& workspace) const {
    const int x = box.x + box.width / 2;
    const int y = box.y + box.height / 2;
    if (box.width <= 0 || box.height <= 0 || x < 0 || y < 0 || x >= image.width ||
        y >= image.height) {
      throw Error("box: expected one with its centre inside the image of " +
                  std::to_string(image.width) + "x" + std::to_string(image.height) + ", found x " +
                  std::to_string(box.x) + ", y " + std::to_string(box.y) + ", width " +
                  std::to_string(box.width) + ", height " + std::to_string(box.height));
    }
    return count_confirmations(image, box, std::numeric_limits<int>::max(), workspace);
  }

 private:
  static constexpr int view_scale = 3;
  static constexpr double smallest_size = 0.8;  // in parts of the box
  static constexpr double largest_size = 1.25;
  static constexpr int most_distance = 4;  // of centres: the box's side divided by this
  // cos 15 and sin 15 degrees.
  static constexpr std::array<detail::Tilt, 2> tilts = {{{63303, 16962}, {63303, -16962}}};

  static Size scaled(const Size& size, double factor) noexcept {
    return {static_cast<int>(size.width * factor), static_cast<int>(size.height * factor)};
  }

  /// Ends early when there are `enough`.
  int count_confirmations(const GrayView& image, const Rect& box, int enough,
                          Workspace& workspace) const {
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
      detector_.detect(workspace.view.view(), look_, workspace.detector, workspace.candidates);
      for (const Detection& candidate : workspace.candidates) count += is_central(candidate.box);
      if (count >= enough) break;
    }
    return count;
  }

  bool is_central(const Rect& candidate) const noexcept {
    return std::abs(2 * candidate.x + candidate.width - view_.width) * most_distance <=
               2 * face_.width &&
           std::abs(2 * candidate.y + candidate.height - view_.height) * most_distance <=
               2 * face_.height;
  }

  FaceDetector detector_;
  Size face_;              // the box in a tilted view
  Size view_;              // the whole view
  DetectionOptions look_;  // a search in a view
};

}  // namespace mien
