// YuNet's outputs become boxes: the anchor-free decoding of OpenCV's FaceDetectorYN
// (OpenCV 4.10, modules/objdetect/src/face_detect.cpp).
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include <mien/config.hpp>
#include <mien/faces/detection.hpp>

namespace mien::detail {

/// The network looks for faces on three grids, whose cells are so many pixels apart.
inline constexpr std::array<int, 3> yunet_strides = {8, 16, 32};

/// What the network puts out for a grid, cell by cell and row by row.
struct YuNetGrid {
  /// The numbers of a cell: logits of class and object; the box's centre x and y, and the
  /// logarithms of its width and height; x and y of each landmark.
  static constexpr int channels = 2 + 4 + 10;

  int stride;
  int rows;
  int columns;
  const float* cells;
};

/// A face that a cell reports, in pixels of the network's picture. Its box is finite.
struct YuNetCandidate {
  float x;
  float y;
  float width;
  float height;
  float score;
  std::array<Point, 5> landmarks;
};

/// Appends the faces of a grid whose score is at least `min_score`.
void append_candidates(const YuNetGrid& grid, float min_score,
                       std::vector<YuNetCandidate>& candidates);

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>

namespace mien::detail {

inline float sigmoid(float logit) noexcept {
  return 1.0f / (1.0f + std::exp(-logit));
}

/// A logit that each of a cell's two has at least if its score is `min_score`: neither factor of a
/// product of probabilities is less than the product. Nearly all cells stay below it, and need no
/// exponential.
inline float least_logit(float min_score) noexcept {
  const double least = double{min_score} * double{min_score};
  // For rounding; and single precision rounds 1 / (1 + exp(-17)) to 1.
  constexpr double margin = 1e-3;
  constexpr double certain = 16.0;
  return static_cast<float>(std::min(std::log(least / (1.0 - least)) - margin, certain));
}

MIEN_INLINE void append_candidates(const YuNetGrid& grid, float min_score,
                                   std::vector<YuNetCandidate>& candidates) {
  const auto stride = static_cast<float>(grid.stride);
  const float least = least_logit(min_score);
  const float* cell = grid.cells;
  for (int row = 0; row < grid.rows; ++row) {
    for (int column = 0; column < grid.columns; ++column, cell += YuNetGrid::channels) {
      if (!(cell[0] >= least && cell[1] >= least)) continue;
      const float score = std::sqrt(sigmoid(cell[0]) * sigmoid(cell[1]));
      if (!(score >= min_score)) continue;
      const auto left = static_cast<float>(column);
      const auto top = static_cast<float>(row);
      const float* const box = cell + 2;
      const float* const points = cell + 6;
      YuNetCandidate& found = candidates.emplace_back();
      found.score = score;
      found.width = std::exp(box[2]) * stride;
      found.height = std::exp(box[3]) * stride;
      found.x = (left + box[0]) * stride - found.width / 2;
      found.y = (top + box[1]) * stride - found.height / 2;
      for (std::size_t n = 0; n < found.landmarks.size(); ++n) {
        found.landmarks[n] = {(left + points[2 * n]) * stride, (top + points[2 * n + 1]) * stride};
      }
      // Weights of somebody else's may put out any number.
      constexpr float most = 1 << 24;
      const auto is_within = [](float value) { return value >= -most && value <= most; };
      if (!is_within(found.x) || !is_within(found.y) || !is_within(found.width) ||
          !is_within(found.height)) {
        candidates.pop_back();
      }
    }
  }
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
