// Where labels stand beside their faces.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

#include <mien/image/image.hpp>

namespace mien::examples {

/// The pixels that two rectangles share.
inline long long overlap(const Rect& a, const Rect& b) noexcept {
  const int width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const int height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  return width > 0 && height > 0 ? static_cast<long long>(width) * height : 0;
}

namespace detail {

/// The part of a face's box in the picture.
inline Rect inside(const Rect& box, const Size& picture) noexcept {
  const int left = std::clamp(box.x, 0, picture.width);
  const int top = std::clamp(box.y, 0, picture.height);
  return {left, top, std::clamp(box.x + box.width, 0, picture.width) - left,
          std::clamp(box.y + box.height, 0, picture.height) - top};
}

/// Places for a label at its face, the better ones first: above, below, right, left, each at the
/// face's near edge, far edge and what is between and beyond; then inside at the top and bottom.
inline std::vector<Rect> places_at(const Rect& face, const Size& label, const Size& picture) {
  std::vector<Rect> places;
  const auto add = [&](int x, int y) {
    const Rect place{x, y, label.width, label.height};
    const bool whole =
        x >= 0 && y >= 0 && x + label.width <= picture.width && y + label.height <= picture.height;
    if (whole) places.push_back(place);
  };
  const auto moved_into = [](int position, int length, int most) {
    return std::clamp(position, 0, std::max(most - length, 0));
  };
  // A label touches its face along half of the shorter of the two at least.
  const auto positions = [&](int start, int length, int own, int most) {
    const int touching = std::max(std::min(length, own) / 2, 1);
    const int first = start - own + touching;
    const int last = start + length - touching;
    std::vector<int> result = {start, start + length - own, start + (length - own) / 2};
    constexpr int steps = 16;
    for (int i = 0; i <= steps; ++i) result.push_back(first + (last - first) * i / steps);
    for (int& position : result) position = moved_into(position, own, most);
    return result;
  };
  const std::vector<int> columns = positions(face.x, face.width, label.width, picture.width);
  const std::vector<int> rows = positions(face.y, face.height, label.height, picture.height);
  for (const int x : columns) add(x, face.y - label.height);
  for (const int x : columns) add(x, face.y + face.height);
  for (const int y : rows) add(face.x + face.width, y);
  for (const int y : rows) add(face.x - label.width, y);
  const int top = moved_into(face.y, label.height, picture.height);
  const int bottom = moved_into(face.y + face.height - label.height, label.height, picture.height);
  for (const int x : columns) add(x, top);
  for (const int x : columns) add(x, bottom);
  return places;
}

}  // namespace detail

/// Which of its forms a label takes, and where. Without a place for any of them, `place` is empty.
struct LabelPlacement {
  std::size_t form = 0;
  Rect place;
};

/// A place for each face's label: at the face, whole in the picture, over no other face and no
/// other label, and over its own face only if there is no room beside it. `labels` has the sizes of
/// each label's forms, the best form first; a later one is taken if there is no place for those
/// before.
inline std::vector<LabelPlacement> place_labels(const Size& picture, const std::vector<Rect>& faces,
                                                const std::vector<std::vector<Size>>& labels) {
  std::vector<Rect> boxes;
  for (const Rect& face : faces) boxes.push_back(detail::inside(face, picture));
  std::vector<LabelPlacement> chosen(faces.size());
  const auto covers_others = [&](const Rect& place, std::size_t own) {
    for (std::size_t i = 0; i < boxes.size(); ++i) {
      if (i == own) continue;
      if (overlap(place, boxes[i]) > 0 || overlap(place, chosen[i].place) > 0) return true;
    }
    return false;
  };
  const auto place = [&](std::size_t face) {
    for (std::size_t form = 0; form < labels[face].size(); ++form) {
      LabelPlacement best;
      long long least = std::numeric_limits<long long>::max();
      for (const Rect& candidate : detail::places_at(boxes[face], labels[face][form], picture)) {
        const long long covered = overlap(candidate, boxes[face]);
        if (covered >= least || covers_others(candidate, face)) continue;
        least = covered;
        best = {form, candidate};
        if (covered == 0) return best;
      }
      if (best.place.width > 0) return best;
    }
    return LabelPlacement{};
  };
  // The first labels stand where it suits them best, so those without a good place try once more.
  constexpr int rounds = 2;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < faces.size(); ++i) chosen[i] = place(i);
  }
  return chosen;
}

}  // namespace mien::examples
