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
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <mien/config.hpp>
#include <mien/image/image.hpp>

namespace mien {

namespace detail {
class CascadeReader;
}

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
  static Cascade load(const std::string& path);

  /// Reads the `size` bytes of a .haar file, which are not needed afterwards; `file` stands for
  /// them in messages. Throws Error as load does.
  static Cascade from_memory(const std::uint8_t* bytes, std::size_t size,
                             const std::string& file = "cascade in memory");

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
  friend class detail::CascadeReader;
  Cascade() = default;

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

#if MIEN_HAS_DEFINITIONS

#include <cmath>
#include <cstdlib>
#include <utility>

#include <mien/binary.hpp>

namespace mien {

namespace detail {

/// Reads a cascade's fields in the file's order and checks each.
class CascadeReader {
 public:
  explicit CascadeReader(BinaryReader& reader) : reader_(reader) {}

  MIEN_COLD Cascade read();

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

  MIEN_COLD int read_window_side(const char* field);
  MIEN_COLD std::size_t read_count(const std::string& field, std::size_t item_bytes);
  MIEN_COLD float read_finite(const std::string& place);
  MIEN_COLD void read_feature();
  MIEN_COLD WeightedRect read_rect(bool tilted, const std::string& place);
  MIEN_COLD void read_stage();
  MIEN_COLD void read_classifier(const std::string& place);
  MIEN_COLD CascadeNode read_node(int index, int node_count, const std::string& place);

  BinaryReader& reader_;
  Cascade cascade_;
};

MIEN_INLINE Cascade CascadeReader::read() {
  cascade_.name_ = reader_.string("name");
  cascade_.notice_ = reader_.string("licence notice");
  cascade_.window_width_ = read_window_side("window width");
  cascade_.window_height_ = read_window_side("window height");
  const std::size_t feature_count = read_count("number of features", least_feature_bytes);
  cascade_.features_.reserve(feature_count);
  for (std::size_t i = 0; i < feature_count; ++i) read_feature();
  const std::size_t stage_count = read_count("number of stages", least_stage_bytes);
  cascade_.stages_.reserve(stage_count);
  for (std::size_t i = 0; i < stage_count; ++i) read_stage();
  if (reader_.position() != reader_.size()) {
    reader_.fail({"end of the cascade: expected at offset ", detail::Digits(reader_.position()),
                  ", found ", detail::Digits(reader_.size() - reader_.position()),
                  " bytes after it"});
  }
  return std::move(cascade_);
}

MIEN_INLINE int CascadeReader::read_window_side(const char* field) {
  const int side = reader_.u8(field);
  if (side < smallest_window) {
    reader_.fail({field, ": expected at least ", detail::Digits(smallest_window), ", found ",
                  detail::Digits(side)});
  }
  return side;
}

/// A count of items that take at least `item_bytes` each, checked before memory is asked for.
MIEN_INLINE std::size_t CascadeReader::read_count(const std::string& field,
                                                  std::size_t item_bytes) {
  const std::size_t count = reader_.u32(field.c_str());
  const std::size_t most = (reader_.size() - reader_.position()) / item_bytes;
  if (count < 1) reader_.fail({field, ": expected at least 1, found 0"});
  if (count > most) {
    reader_.fail({field, ": expected at most ", detail::Digits(most),
                  " (what the rest of the file can hold), found ", detail::Digits(count)});
  }
  return count;
}

MIEN_INLINE float CascadeReader::read_finite(const std::string& place) {
  const float value = reader_.f32(place.c_str());
  if (!std::isfinite(value)) {
    reader_.fail({place, ": expected a finite number, found ", std::to_string(value)});
  }
  return value;
}

MIEN_INLINE void CascadeReader::read_feature() {
  const std::string place = "feature " + std::to_string(cascade_.features_.size());
  HaarFeature feature;
  const int flags = reader_.u8(place.c_str());
  if (flags > 1) {
    reader_.fail({place, ", flags: expected 0 or 1 (tilted), found ", detail::Digits(flags)});
  }
  feature.tilted = flags == 1;
  feature.rect_count = reader_.u8(place.c_str());
  if (feature.rect_count < 1 || feature.rect_count > 3) {
    reader_.fail(
        {place, ": expected 1 to 3 rectangles, found ", detail::Digits(feature.rect_count)});
  }
  std::int64_t largest_value = 0;
  for (int i = 0; i < feature.rect_count; ++i) {
    WeightedRect& rect = feature.rects[static_cast<std::size_t>(i)];
    rect = read_rect(feature.tilted, place + ", rectangle " + std::to_string(i));
    const int pixels = rect.box.width * rect.box.height * (feature.tilted ? 2 : 1);
    largest_value += std::int64_t{std::abs(rect.weight)} * pixels * largest_pixel;
  }
  if (largest_value >= exact_limit) {
    reader_.fail({place, ": expected a sum of |weight| * pixels * 255 below ",
                  detail::Digits(exact_limit), ", found ", detail::Digits(largest_value)});
  }
  cascade_.has_tilted_features_ = cascade_.has_tilted_features_ || feature.tilted;
  cascade_.features_.push_back(feature);
}

MIEN_INLINE WeightedRect CascadeReader::read_rect(bool tilted, const std::string& place) {
  WeightedRect rect;
  Rect& box = rect.box;
  box.x = reader_.u8(place.c_str());
  box.y = reader_.u8(place.c_str());
  box.width = reader_.u8(place.c_str());
  box.height = reader_.u8(place.c_str());
  rect.weight = static_cast<std::int16_t>(reader_.u16(place.c_str()));
  const int left = tilted ? box.x - box.height : box.x;
  const int right = box.x + box.width;
  const int bottom = box.y + box.height + (tilted ? box.width : 0);
  if (box.width < 1 || box.height < 1 || left < 0 || right > cascade_.window_width_ ||
      bottom > cascade_.window_height_) {
    reader_.fail({place, ": expected ", (tilted ? "a tilted" : "an upright"),
                  " rectangle inside the window of ", detail::Digits(cascade_.window_width_), " x ",
                  detail::Digits(cascade_.window_height_), ", found x ", detail::Digits(box.x),
                  ", y ", detail::Digits(box.y), ", width ", detail::Digits(box.width), ", height ",
                  detail::Digits(box.height)});
  }
  return rect;
}

MIEN_INLINE void CascadeReader::read_stage() {
  const std::string place = "stage " + std::to_string(cascade_.stages_.size());
  CascadeStage stage;
  stage.threshold = read_finite(place + ", threshold");
  stage.first_classifier = cascade_.classifiers_.size();
  stage.classifier_count =
      read_count(place + ", number of weak classifiers", least_classifier_bytes);
  for (std::size_t i = 0; i < stage.classifier_count; ++i) {
    read_classifier(place + ", weak classifier " + std::to_string(i));
  }
  cascade_.stages_.push_back(stage);
}

MIEN_INLINE void CascadeReader::read_classifier(const std::string& place) {
  WeakClassifier classifier;
  classifier.first_node = cascade_.nodes_.size();
  classifier.node_count = reader_.u8(place.c_str());
  classifier.first_leaf = cascade_.leaves_.size();
  if (classifier.node_count < 1) reader_.fail({place, ": expected at least 1 node, found 0"});
  const int node_count = static_cast<int>(classifier.node_count);
  for (int i = 0; i < node_count; ++i) {
    cascade_.nodes_.push_back(read_node(i, node_count, place + ", node " + std::to_string(i)));
  }
  for (int i = 0; i <= node_count; ++i) {
    cascade_.leaves_.push_back(read_finite(place + ", leaf " + std::to_string(i)));
  }
  cascade_.classifiers_.push_back(classifier);
}

MIEN_INLINE CascadeNode CascadeReader::read_node(int index, int node_count,
                                                 const std::string& place) {
  CascadeNode node;
  node.left = static_cast<std::int16_t>(reader_.u16(place.c_str()));
  node.right = static_cast<std::int16_t>(reader_.u16(place.c_str()));
  for (const int child : {node.left, node.right}) {
    // Children after their parents: no walk from the root can come back to where it was.
    const bool good_node = child > index && child < node_count;
    const bool good_leaf = child <= 0 && child >= -node_count;
    if (!good_node && !good_leaf) {
      const std::string nodes = index + 1 < node_count
                                    ? "a node from " + std::to_string(index + 1) + " to " +
                                          std::to_string(node_count - 1) + " or "
                                    : "";
      reader_.fail({place, ", child: expected ", nodes, "a leaf from 0 to -",
                    detail::Digits(node_count), ", found ", detail::Digits(child)});
    }
  }
  node.feature = reader_.u32(place.c_str());
  if (node.feature >= cascade_.features_.size()) {
    reader_.fail({place, ", feature: expected 0 to ", detail::Digits(cascade_.features_.size() - 1),
                  ", found ", detail::Digits(node.feature)});
  }
  node.threshold = read_finite(place + ", threshold");
  return node;
}

}  // namespace detail

MIEN_INLINE Cascade Cascade::load(const std::string& path) {
  const std::vector<std::uint8_t> bytes = read_sealed_file(path, {"HAAR"});
  return from_memory(bytes.data(), bytes.size(), path);
}

MIEN_INLINE Cascade Cascade::from_memory(const std::uint8_t* bytes, std::size_t size,
                                         const std::string& file) {
  BinaryReader reader(bytes, size, "HAAR", format_version, file);
  return detail::CascadeReader(reader).read();
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
