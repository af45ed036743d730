// A Haar cascade (Viola and Jones, "Robust Real-Time Face Detection", 2004; tilted features:
// Lienhart and Maydt, 2002) and the .haar file it is read from.
//
// The .haar file, version 1 (kind "HAAR" of mien/binary.hpp; little-endian; from offset 24):
//
//   string  name of the source, e.g. "haarcascade_frontalface_default"
//   string  licence notice of the source; may be empty
//   u8      window width, u8 window height in pixels: 3 to 255 each
//   u32     number of features, then for each:
//             u8   bit 0: tilted by 45 degrees; the other bits are 0
//             u8   number of rectangles, 1 to 3, then for each:
//                    u8 x, u8 y, u8 width, u8 height in the window, i16 weight
//   u32     number of stages, then for each:
//             f32  threshold, the 1e-5 that OpenCV takes off on loading already subtracted
//             u32  number of weak classifiers, then for each, a binary tree:
//                    u8   number of nodes, 1 to 255, then for each, the root first:
//                           i16 left child, i16 right child, u32 feature, f32 threshold
//                    f32  leaf values, one more than nodes
//
// A child above 0 is the number of a node, larger than that of its parent; any other child is the
// leaf of number -child. An upright rectangle covers x..x+width-1, y..y+height-1. A tilted one has
// its top corner at (x, y), runs `width` steps down to the right and `height` steps down to the
// left, and so covers 2 * width * height pixels. All corners lie in the window. Each feature's sum
// over |weight| * pixels * 255 is below 2^24: its value is exact in integers and in floats alike.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <mien/binary.hpp>
#include <mien/vision/image.hpp>

namespace mien {

/// A rectangle of the detection window and the factor of its pixel sum.
struct WeightedRect {
  Rect box;
  int weight = 0;
};

/// The weighted sum of up to three pixel sums.
struct HaarFeature {
  std::array<WeightedRect, 3> rects;
  int rect_count = 0;
  bool tilted = false;
};

/// Goes left if the normalised value of the feature is below the threshold, right otherwise.
struct CascadeNode {
  int left = 0;  // above 0: node of the same tree; otherwise leaf -left
  int right = 0;
  std::size_t feature = 0;
  float threshold = 0;
};

/// A binary tree: `node_count` nodes, the root first, and one leaf more.
struct WeakClassifier {
  std::size_t first_node = 0;
  std::size_t node_count = 0;
  std::size_t first_leaf = 0;
};

/// A window is rejected if its weak classifiers' leaf values sum to less than the threshold.
struct CascadeStage {
  float threshold = 0;
  std::size_t first_classifier = 0;
  std::size_t classifier_count = 0;
};

/// A checked, immutable cascade. The lists are flat: stages name ranges of weak classifiers, weak
/// classifiers name ranges of nodes and leaves, nodes name features.
class Cascade {
 public:
  /// Reads a .haar file. Throws Error naming the file, the place, what was expected and found.
  static Cascade load(const std::string& path) {
    const std::vector<std::uint8_t> bytes = read_file(path);
    return from_memory(bytes.data(), bytes.size(), path);
  }

  /// Reads the `size` bytes of a .haar file, which are not needed afterwards; `file` stands for
  /// them in messages. Throws Error as load does.
  static Cascade from_memory(const std::uint8_t* bytes, std::size_t size,
                             const std::string& file = "cascade in memory") {
    BinaryReader reader(bytes, size, "HAAR", format_version, file);
    return Cascade(reader);
  }

  static constexpr std::uint32_t format_version = 1;

  const std::string& name() const noexcept { return name_; }
  const std::string& notice() const noexcept { return notice_; }
  int window_width() const noexcept { return window_width_; }
  int window_height() const noexcept { return window_height_; }
  bool has_tilted_features() const noexcept { return has_tilted_features_; }
  /// True if every weak classifier is a stump, a tree of one node.
  bool has_only_stumps() const noexcept { return nodes_.size() == classifiers_.size(); }
  const std::vector<HaarFeature>& features() const noexcept { return features_; }
  const std::vector<CascadeStage>& stages() const noexcept { return stages_; }
  const std::vector<WeakClassifier>& classifiers() const noexcept { return classifiers_; }
  const std::vector<CascadeNode>& nodes() const noexcept { return nodes_; }
  const std::vector<float>& leaves() const noexcept { return leaves_; }

 private:
  static constexpr int smallest_window = 3;  // smaller ones have no inside to normalise by
  static constexpr int exact_limit = 1 << 24;
  static constexpr int largest_pixel = 255;
  // Sizes in the file, against counts that promise more than the file can hold.
  static constexpr std::size_t rect_bytes = 6;
  static constexpr std::size_t least_feature_bytes = 2 + rect_bytes;
  static constexpr std::size_t node_bytes = 12;
  static constexpr std::size_t leaf_bytes = 4;
  static constexpr std::size_t least_classifier_bytes = 1 + node_bytes + 2 * leaf_bytes;
  static constexpr std::size_t least_stage_bytes = 8 + least_classifier_bytes;

  explicit Cascade(BinaryReader& reader) {
    name_ = reader.string("name");
    notice_ = reader.string("licence notice");
    window_width_ = read_window_side(reader, "window width");
    window_height_ = read_window_side(reader, "window height");
    const std::size_t feature_count = read_count(reader, "number of features", least_feature_bytes);
    features_.reserve(feature_count);
    for (std::size_t i = 0; i < feature_count; ++i) read_feature(reader);
    const std::size_t stage_count = read_count(reader, "number of stages", least_stage_bytes);
    stages_.reserve(stage_count);
    for (std::size_t i = 0; i < stage_count; ++i) read_stage(reader);
    if (reader.position() != reader.size()) {
      reader.fail("end of the cascade: expected at offset " + std::to_string(reader.position()) +
                  ", found " + std::to_string(reader.size() - reader.position()) +
                  " bytes after it");
    }
  }

  static int read_window_side(BinaryReader& reader, const char* field) {
    const int side = reader.u8(field);
    if (side < smallest_window) {
      reader.fail(std::string(field) + ": expected at least " + std::to_string(smallest_window) +
                  ", found " + std::to_string(side));
    }
    return side;
  }

  /// A count of items that take at least `item_bytes` each, checked before memory is asked for.
  static std::size_t read_count(BinaryReader& reader, const std::string& field,
                                std::size_t item_bytes) {
    const std::size_t count = reader.u32(field.c_str());
    const std::size_t most = (reader.size() - reader.position()) / item_bytes;
    if (count < 1) reader.fail(field + ": expected at least 1, found 0");
    if (count > most) {
      reader.fail(field + ": expected at most " + std::to_string(most) +
                  " (what the rest of the file can hold), found " + std::to_string(count));
    }
    return count;
  }

  static float read_finite(BinaryReader& reader, const std::string& place) {
    const float value = reader.f32(place.c_str());
    if (!std::isfinite(value)) {
      reader.fail(place + ": expected a finite number, found " + std::to_string(value));
    }
    return value;
  }

  void read_feature(BinaryReader& reader) {
    const std::string place = "feature " + std::to_string(features_.size());
    HaarFeature feature;
    const int flags = reader.u8(place.c_str());
    if (flags > 1) {
      reader.fail(place + ", flags: expected 0 or 1 (tilted), found " + std::to_string(flags));
    }
    feature.tilted = flags == 1;
    feature.rect_count = reader.u8(place.c_str());
    if (feature.rect_count < 1 || feature.rect_count > 3) {
      reader.fail(place + ": expected 1 to 3 rectangles, found " +
                  std::to_string(feature.rect_count));
    }
    std::int64_t largest_value = 0;
    for (int i = 0; i < feature.rect_count; ++i) {
      WeightedRect& rect = feature.rects[static_cast<std::size_t>(i)];
      rect = read_rect(reader, feature.tilted, place + ", rectangle " + std::to_string(i));
      const int pixels = rect.box.width * rect.box.height * (feature.tilted ? 2 : 1);
      largest_value += std::int64_t{std::abs(rect.weight)} * pixels * largest_pixel;
    }
    if (largest_value >= exact_limit) {
      reader.fail(place + ": expected a sum of |weight| * pixels * 255 below " +
                  std::to_string(exact_limit) + ", found " + std::to_string(largest_value));
    }
    has_tilted_features_ = has_tilted_features_ || feature.tilted;
    features_.push_back(feature);
  }

  WeightedRect read_rect(BinaryReader& reader, bool tilted, const std::string& place) const {
    WeightedRect rect;
    Rect& box = rect.box;
    box.x = reader.u8(place.c_str());
    box.y = reader.u8(place.c_str());
    box.width = reader.u8(place.c_str());
    box.height = reader.u8(place.c_str());
    rect.weight = static_cast<std::int16_t>(reader.u16(place.c_str()));
    const int left = tilted ? box.x - box.height : box.x;
    const int right = box.x + box.width;
    const int bottom = box.y + box.height + (tilted ? box.width : 0);
    if (box.width < 1 || box.height < 1 || left < 0 || right > window_width_ ||
        bottom > window_height_) {
      reader.fail(place + ": expected " + (tilted ? "a tilted" : "an upright") +
                  " rectangle inside the window of " + std::to_string(window_width_) + " x " +
                  std::to_string(window_height_) + ", found x " + std::to_string(box.x) + ", y " +
                  std::to_string(box.y) + ", width " + std::to_string(box.width) + ", height " +
                  std::to_string(box.height));
    }
    return rect;
  }

  void read_stage(BinaryReader& reader) {
    const std::string place = "stage " + std::to_string(stages_.size());
    CascadeStage stage;
    stage.threshold = read_finite(reader, place + ", threshold");
    stage.first_classifier = classifiers_.size();
    stage.classifier_count =
        read_count(reader, place + ", number of weak classifiers", least_classifier_bytes);
    for (std::size_t i = 0; i < stage.classifier_count; ++i) {
      read_classifier(reader, place + ", weak classifier " + std::to_string(i));
    }
    stages_.push_back(stage);
  }

  void read_classifier(BinaryReader& reader, const std::string& place) {
    WeakClassifier classifier;
    classifier.first_node = nodes_.size();
    classifier.node_count = reader.u8(place.c_str());
    classifier.first_leaf = leaves_.size();
    if (classifier.node_count < 1) reader.fail(place + ": expected at least 1 node, found 0");
    const int node_count = static_cast<int>(classifier.node_count);
    for (int i = 0; i < node_count; ++i) {
      read_node(reader, i, node_count, place + ", node " + std::to_string(i));
    }
    for (int i = 0; i <= node_count; ++i) {
      leaves_.push_back(read_finite(reader, place + ", leaf " + std::to_string(i)));
    }
    classifiers_.push_back(classifier);
  }

  void read_node(BinaryReader& reader, int index, int node_count, const std::string& place) {
    CascadeNode node;
    node.left = static_cast<std::int16_t>(reader.u16(place.c_str()));
    node.right = static_cast<std::int16_t>(reader.u16(place.c_str()));
    for (const int child : {node.left, node.right}) {
      // Children after their parents: no walk from the root can come back to where it was.
      const bool good_node = child > index && child < node_count;
      const bool good_leaf = child <= 0 && child >= -node_count;
      if (!good_node && !good_leaf) {
        const std::string nodes = index + 1 < node_count
                                      ? "a node from " + std::to_string(index + 1) + " to " +
                                            std::to_string(node_count - 1) + " or "
                                      : "";
        reader.fail(place + ", child: expected " + nodes + "a leaf from 0 to -" +
                    std::to_string(node_count) + ", found " + std::to_string(child));
      }
    }
    node.feature = reader.u32(place.c_str());
    if (node.feature >= features_.size()) {
      reader.fail(place + ", feature: expected 0 to " + std::to_string(features_.size() - 1) +
                  ", found " + std::to_string(node.feature));
    }
    node.threshold = read_finite(reader, place + ", threshold");
    nodes_.push_back(node);
  }

  std::string name_;
  std::string notice_;
  int window_width_ = 0;
  int window_height_ = 0;
  bool has_tilted_features_ = false;
  std::vector<HaarFeature> features_;
  std::vector<CascadeStage> stages_;
  std::vector<WeakClassifier> classifiers_;
  std::vector<CascadeNode> nodes_;
  std::vector<float> leaves_;
};

}  // namespace mien
