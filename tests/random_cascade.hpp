// Random cascades and pictures for tests. What they find means nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <mien/faces/haar/cascade.hpp>
#include <mien/image/image.hpp>
#include <mien/image/resize.hpp>

#include "haar_file.hpp"
#include "vision_data.hpp"

/// Numbers that are the same with every compiler and library.
class Dice {
 public:
  explicit Dice(std::uint32_t seed) : generator_(seed) {}

  /// From `least` to `most`.
  int integer(int least, int most) {
    return least + static_cast<int>(generator_() % static_cast<std::uint32_t>(most - least + 1));
  }
  /// From -1 to 1, mostly in the middle.
  float real() {
    float sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<float>(integer(-1000, 1000)) / 4000.0f;
    return sum;
  }
  /// True once in so many times.
  bool once_in(int times) { return integer(1, times) == 1; }

 private:
  std::mt19937 generator_;
};

struct CascadeKind {
  int width = 3;
  int height = 3;
  int stages = 1;
  int most_nodes = 1;  // of a tree
  bool tilted = false;
  bool ties = false;  // sums that equal the thresholds are common

  std::string text() const {
    std::ostringstream text;
    text << width << " x " << height << ", stages " << stages << ", most nodes " << most_nodes
         << ", tilted " << tilted << ", ties " << ties;
    return text.str();
  }
};

inline CascadeKind random_kind(Dice& dice) {
  CascadeKind kind;
  const bool large = dice.once_in(6);
  kind.width = large ? dice.integer(3, 50) : dice.integer(8, 26);
  kind.height = large ? dice.integer(3, 40) : dice.integer(8, 26);
  kind.stages = dice.integer(1, 9);
  kind.most_nodes = dice.once_in(2) ? 1 : dice.integer(2, 5);
  kind.tilted = dice.once_in(2);
  kind.ties = dice.once_in(3);
  return kind;
}

/// Rectangles in one of the patterns that cascades are trained with, or any.
inline std::vector<mien::WeightedRect> random_rects(Dice& dice, const CascadeKind& kind,
                                                    bool tilted) {
  const auto fits = [&](const mien::Rect& box) {
    const int left = tilted ? box.x - box.height : box.x;
    const int bottom = box.y + box.height + (tilted ? box.width : 0);
    return left >= 0 && box.x + box.width <= kind.width && bottom <= kind.height;
  };
  const auto random_box = [&] {
    mien::Rect box;
    do {
      box = {dice.integer(0, kind.width), dice.integer(0, kind.height), dice.integer(1, kind.width),
             dice.integer(1, kind.height)};
    } while (!fits(box));
    return box;
  };
  std::vector<mien::WeightedRect> rects;
  if (dice.once_in(4)) {
    for (int i = dice.integer(1, 3); i > 0; --i) {
      rects.push_back({random_box(), dice.integer(-4, 4)});
    }
    return rects;
  }
  static constexpr std::pair<int, int> patterns[] = {{2, 1}, {1, 2}, {3, 1}, {1, 3},
                                                     {4, 1}, {1, 4}, {2, 2}, {3, 3}};
  for (int attempt = 0; attempt < 50; ++attempt) {
    const auto [columns, rows] = patterns[dice.integer(0, 7)];
    const mien::Rect cell{0, 0, dice.integer(1, std::max(kind.width / columns, 1)),
                          dice.integer(1, std::max(kind.height / rows, 1))};
    const mien::Rect whole{dice.integer(0, kind.width), dice.integer(0, kind.height),
                           columns * cell.width, rows * cell.height};
    if (!fits(whole)) continue;
    const auto part = [&](int column, int row, int across, int weight) {
      const int right = column * cell.width;
      const int down = row * cell.height;
      const int x = tilted ? whole.x + right - down : whole.x + right;
      const int y = tilted ? whole.y + right + down : whole.y + down;
      const mien::Rect box{x, y, across * cell.width, cell.height};
      rects.push_back({box, weight});
    };
    rects.push_back({whole, -1});
    if (columns == 2 && rows == 2) {
      const bool falling = dice.once_in(2);
      part(falling ? 0 : 1, 0, 1, 2);
      part(falling ? 1 : 0, 1, 1, 2);
    } else if (columns == 4) {
      part(1, 0, 2, 2);
    } else if (rows == 4) {
      part(0, 1, 1, 2);
    } else {
      part(columns / 2, rows / 2, 1, columns * rows);
    }
    return rects;
  }
  return {{random_box(), 1}};
}

inline mien::Cascade random_cascade(Dice& dice, const CascadeKind& kind) {
  HaarFile file;
  file.string("random").string("").u8(kind.width).u8(kind.height);
  const int features = dice.integer(1, 30);
  file.u32(static_cast<std::uint32_t>(features));
  for (int i = 0; i < features; ++i) {
    const bool tilted = kind.tilted && dice.once_in(2);
    const auto rects = random_rects(dice, kind, tilted);
    file.u8(tilted ? 1 : 0).u8(static_cast<int>(rects.size()));
    for (const mien::WeightedRect& rect : rects) {
      file.rect(rect.box.x, rect.box.y, rect.box.width, rect.box.height, rect.weight);
    }
  }
  file.u32(static_cast<std::uint32_t>(kind.stages));
  for (int stage = 0; stage < kind.stages; ++stage) {
    const int classifiers = dice.integer(1, 12);
    const float spread = static_cast<float>(classifiers) / 4.0f;
    file.f32(kind.ties ? static_cast<float>(dice.integer(-4, 1)) / 2.0f
                       : (dice.real() - 0.4f) * spread);
    file.u32(static_cast<std::uint32_t>(classifiers));
    for (int i = 0; i < classifiers; ++i) {
      // A chain with the leaves in a random order: each node goes on to the next on one side.
      const int nodes = dice.integer(1, kind.most_nodes);
      file.u8(nodes);
      std::vector<int> leaves;
      for (int k = 0; k <= nodes; ++k) leaves.insert(leaves.begin() + dice.integer(0, k), -k);
      for (int k = 0; k < nodes; ++k) {
        int left = leaves[static_cast<std::size_t>(k)];
        int right = k + 1 < nodes ? k + 1 : leaves[static_cast<std::size_t>(k) + 1];
        if (dice.once_in(2)) std::swap(left, right);
        file.node(left, right, static_cast<std::uint32_t>(dice.integer(0, features - 1)),
                  dice.real() * 0.1f);
      }
      for (int k = 0; k <= nodes; ++k) {
        file.f32(kind.ties ? static_cast<float>(dice.integer(-2, 2)) / 2.0f : dice.real());
      }
    }
  }
  const Bytes bytes = file.sealed();
  return mien::Cascade::from_memory(bytes.data(), bytes.size());
}

/// Noise, smooth or rough, some with a flat part.
inline mien::GrayImage random_picture(Dice& dice, int width, int height) {
  const auto seed = static_cast<std::uint32_t>(dice.integer(0, 1 << 20));
  mien::GrayImage image = noise_image(width, height, seed);
  if (!dice.once_in(3)) {
    const int fraction = dice.integer(2, 8);
    image = mien::resize_linear_exact(
        noise_image(width / fraction + 1, height / fraction + 1, seed).view(), width, height);
  }
  if (dice.once_in(2)) {
    const int right = dice.integer(0, width);
    const int bottom = dice.integer(0, height);
    for (int y = 0; y < bottom; ++y) {
      for (int x = 0; x < right; ++x)
        image.row(y)[x] = static_cast<std::uint8_t>(image.row(y)[x] / 16);
    }
  }
  return image;
}
