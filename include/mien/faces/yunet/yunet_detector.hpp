// YuNet (Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence
// Research 20, 2023), with the faces of OpenCV's FaceDetectorYN.
//
// For each picture:
//   picture.hpp      reduces it if it is large, and pads it to multiples of 32
//   yunet_network.hpp  puts out scores, boxes and landmarks for the cells of three grids
//   candidates.hpp   makes faces of the cells whose score is high enough
//   suppression.hpp  keeps the best of those that overlap
// docs/yunet.md explains it all.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include <mien/config.hpp>
#include <mien/faces/detection.hpp>
#include <mien/faces/yunet/candidates.hpp>
#include <mien/faces/yunet/picture.hpp>
#include <mien/faces/yunet/suppression.hpp>
#include <mien/faces/yunet/yunet_network.hpp>
#include <mien/faces/yunet/yunet_options.hpp>
#include <mien/image/image.hpp>
#include <mien/model.hpp>

namespace mien {

/// Finds faces and their landmarks. Immutable: one detector may be used from many threads at once,
/// each with a workspace of its own; copies share the network.
class YuNetDetector {
 public:
  class Workspace;

  /// Throws Error if the network is none that puts out what YuNet does.
  MIEN_COLD explicit YuNetDetector(Model network);
  /// From a .mien file. Throws Error.
  MIEN_COLD static YuNetDetector load(const std::string& path);

  const Model& network() const noexcept { return network_; }

  /// The faces in an image, from the highest score to the lowest, in the image's pixels; boxes may
  /// reach beyond its edges. A gray image is taken for one whose colours are all alike. Throws
  /// Error for options out of their ranges, and for pictures of more than 2^16 pixels a side that
  /// are not reduced.
  std::vector<Detection> detect(const GrayView& image, const YuNetOptions& options = {}) const;
  std::vector<Detection> detect(const RgbView& image, const YuNetOptions& options = {}) const;

  /// The same in a workspace's memory; the faces replace what is in `found`.
  void detect(const GrayView& image, const YuNetOptions& options, Workspace& workspace,
              std::vector<Detection>& found) const;
  void detect(const RgbView& image, const YuNetOptions& options, Workspace& workspace,
              std::vector<Detection>& found) const;

  /// The faces around a box, for faces that are about as large: takes as long as a picture of
  /// 128x128 pixels, whatever the size of the box. Throws Error as detect.
  void detect_near(const GrayView& image, const Rect& box, const YuNetOptions& options,
                   Workspace& workspace, std::vector<Detection>& found) const;

 private:
  /// A part of the image, as the network sees it.
  struct Look {
    Rect region;
    Size reduced;
    Size padded;
  };

  template <class Image>
  void detect_whole(const Image& image, const YuNetOptions& options, Workspace& workspace,
                    std::vector<Detection>& found) const;
  template <class Image>
  void look(const Image& image, const Look& at, const YuNetOptions& options, Workspace& workspace,
            std::vector<Detection>& found) const;
  void run_network(const Size& padded, detail::YuNetNetwork::Colors colors, float min_score,
                   Workspace& workspace) const;

  Model network_;
  std::shared_ptr<const detail::YuNetNetwork> running_;
};

/// The memory of a search, reused from image to image: from the second image of a size on, a search
/// allocates nothing (unless more faces turn up than ever before). Not for two searches at once.
class YuNetDetector::Workspace {
 private:
  friend class YuNetDetector;

  detail::YuNetPicture picture_;
  detail::AlignedBuffer arena_;
  std::vector<float> outputs_;
  std::vector<detail::YuNetCandidate> candidates_;
  detail::Suppression suppression_;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include <mien/error.hpp>

namespace mien {

namespace detail {

MIEN_COLD inline Model require_yunet(Model network) {
  const auto refuse = [&network](const char* what, const std::string& expected,
                                 const std::string& found) {
    fail({network.file_name(), ": ", what, ": expected ", expected, " of YuNet, found ", found});
  };
  const std::vector<GraphInput>& inputs = network.inputs();
  if (inputs.size() != 1 || inputs.front().shape.channels != 3 || !inputs.front().has_free_size()) {
    const std::string found = std::to_string(inputs.size()) + ", the first of " +
                              std::to_string(inputs.front().shape.channels) + " channels and " +
                              (inputs.front().has_free_size() ? "any" : "a fixed") + " size";
    refuse("inputs", "the picture of 3 channels and any size", found);
  }
  constexpr int side = yunet_side(1);
  const std::shared_ptr<const Program> program = network.program({side, side});
  for (std::size_t grid = 0; grid < yunet_outputs.size(); ++grid) {
    for (const YuNetOutput& output : yunet_outputs[grid]) {
      const auto known =
          std::find_if(network.outputs().begin(), network.outputs().end(),
                       [&output](const GraphOutput& one) { return one.name == output.name; });
      const std::string name(output.name);
      if (known == network.outputs().end()) {
        refuse("outputs", "'" + name + "'", "none of this name");
      }
      const auto place = static_cast<std::size_t>(known - network.outputs().begin());
      const TensorShape& shape = program->output_shapes()[place];
      const int cells = side / yunet_strides[grid];
      if (shape.channels != output.channels || shape.height != cells || shape.width != cells) {
        const auto text = [](int channels, int height, int width) {
          return std::to_string(channels) + " x " + std::to_string(height) + " x " +
                 std::to_string(width);
        };
        refuse(("output '" + name + "' of a picture of 32 x 32").c_str(),
               text(output.channels, cells, cells),
               text(shape.channels, shape.height, shape.width));
      }
    }
  }
  return network;
}

/// A part of an image that lies in it.
template <class Image>
Image part_of(const Image& image, const Rect& region, std::ptrdiff_t bytes_of_pixel) noexcept {
  return Image(image.row(region.y) + region.x * bytes_of_pixel, region.width, region.height,
               image.stride);
}
inline GrayView part_of(const GrayView& image, const Rect& region) noexcept {
  return part_of(image, region, 1);
}
inline RgbView part_of(const RgbView& image, const Rect& region) noexcept {
  return part_of(image, region, 3);
}

/// A size reduced so that its longer side is `max_side`, which is at least 1.
inline Size reduced_to(const Size& size, int max_side) noexcept {
  const int longer = std::max(size.width, size.height);
  if (longer <= max_side) return size;
  const auto reduced = [&](int side) {
    const auto rounded = (2 * std::int64_t{side} * max_side + longer) / (2 * std::int64_t{longer});
    return std::max(static_cast<int>(rounded), 1);
  };
  return {reduced(size.width), reduced(size.height)};
}

/// Whether a size is within limits, of which 0 is none.
inline bool is_within(const Rect& box, const SearchLimits& limits) noexcept {
  const auto is_at_most = [](int side, int limit) { return limit == 0 || side <= limit; };
  return box.width >= limits.min_size.width && box.height >= limits.min_size.height &&
         is_at_most(box.width, limits.max_size.width) &&
         is_at_most(box.height, limits.max_size.height);
}

}  // namespace detail

MIEN_INLINE YuNetDetector::YuNetDetector(Model network)
    : network_(detail::require_yunet(std::move(network))),
      running_(std::make_shared<const detail::YuNetNetwork>(network_.file())) {}

MIEN_INLINE YuNetDetector YuNetDetector::load(const std::string& path) {
  return YuNetDetector(Model::load(path));
}

MIEN_INLINE std::vector<Detection> YuNetDetector::detect(const GrayView& image,
                                                         const YuNetOptions& options) const {
  Workspace workspace;
  std::vector<Detection> found;
  detect(image, options, workspace, found);
  return found;
}
MIEN_INLINE std::vector<Detection> YuNetDetector::detect(const RgbView& image,
                                                         const YuNetOptions& options) const {
  Workspace workspace;
  std::vector<Detection> found;
  detect(image, options, workspace, found);
  return found;
}

MIEN_INLINE void YuNetDetector::detect(const GrayView& image, const YuNetOptions& options,
                                       Workspace& workspace, std::vector<Detection>& found) const {
  detect_whole(image, options, workspace, found);
}
MIEN_INLINE void YuNetDetector::detect(const RgbView& image, const YuNetOptions& options,
                                       Workspace& workspace, std::vector<Detection>& found) const {
  detect_whole(image, options, workspace, found);
}

template <class Image>
void YuNetDetector::detect_whole(const Image& image, const YuNetOptions& options,
                                 Workspace& workspace, std::vector<Detection>& found) const {
  options.check();
  found.clear();
  if (image.empty()) return;
  Look at;
  at.region = detail::searched_region({image.width, image.height}, options.region);
  const Size size{at.region.width, at.region.height};
  at.reduced = options.max_side == 0 ? size : detail::reduced_to(size, options.max_side);
  at.padded = {detail::yunet_side(at.reduced.width), detail::yunet_side(at.reduced.height)};
  look(image, at, options, workspace, found);
}

MIEN_INLINE void YuNetDetector::detect_near(const GrayView& image, const Rect& box,
                                            const YuNetOptions& options, Workspace& workspace,
                                            std::vector<Detection>& found) const {
  options.check();
  found.clear();
  if (image.empty()) return;
  detail::check_magnitude("box", box, 28);
  // Twice the face's side shows what YuNet is used to see around one. The input has one size,
  // since every size takes a program of its own.
  constexpr int side = 128;
  const int longer = std::max(box.width, box.height);
  const Rect around{box.x + box.width / 2 - longer, box.y + box.height / 2 - longer, 2 * longer,
                    2 * longer};
  const Rect searched = detail::searched_region({image.width, image.height}, options.region);
  Look at;
  at.region = detail::intersection(searched, around);
  at.reduced = detail::reduced_to({at.region.width, at.region.height}, side);
  at.padded = {side, side};
  look(image, at, options, workspace, found);
}

template <class Image>
void YuNetDetector::look(const Image& image, const Look& at, const YuNetOptions& options,
                         Workspace& workspace, std::vector<Detection>& found) const {
  if (at.region.width <= 0 || at.region.height <= 0) return;
  workspace.picture_.set(detail::part_of(image, at.region), at.reduced, at.padded);
  constexpr auto colors =
      std::is_same_v<Image, GrayView> ? detail::YuNetNetwork::gray : detail::YuNetNetwork::bgr;
  run_network(at.padded, colors, options.min_score, workspace);
  const float scale_x = static_cast<float>(at.region.width) / static_cast<float>(at.reduced.width);
  const float scale_y =
      static_cast<float>(at.region.height) / static_cast<float>(at.reduced.height);
  const auto in_image = [&](const Point& point) {
    return Point{point.x * scale_x + static_cast<float>(at.region.x),
                 point.y * scale_y + static_cast<float>(at.region.y)};
  };
  const auto rounded = [](float value) { return static_cast<int>(std::lround(value)); };
  const auto& kept = workspace.suppression_.run(workspace.candidates_, options.max_overlap);
  for (const detail::Suppression::Kept& one : kept) {
    const detail::YuNetCandidate& candidate = workspace.candidates_[one.candidate];
    const Point corner = in_image({candidate.x, candidate.y});
    Detection face;
    face.box = {rounded(corner.x), rounded(corner.y), rounded(candidate.width * scale_x),
                rounded(candidate.height * scale_y)};
    if (!detail::is_within(face.box, options)) continue;
    face.neighbors = 1 + one.suppressed;
    face.score = candidate.score;
    const auto& points = candidate.landmarks;
    face.landmarks = {in_image(points[0]), in_image(points[1]), in_image(points[2]),
                      in_image(points[3]), in_image(points[4])};
    found.push_back(face);
  }
}

/// The candidates in the workspace's picture.
MIEN_INLINE void YuNetDetector::run_network(const Size& padded, detail::YuNetNetwork::Colors colors,
                                            float min_score, Workspace& workspace) const {
  const std::shared_ptr<const Program> program = running_->program(padded, colors);
  if (workspace.arena_.size() < program->arena_size()) {
    workspace.arena_ = detail::AlignedBuffer(program->arena_size());
  }
  const std::vector<TensorShape>& shapes = program->output_shapes();
  std::size_t size = 0;
  for (const TensorShape& shape : shapes) size += shape.size();
  workspace.outputs_.resize(size);
  std::array<float*, detail::yunet_strides.size()> outputs{};
  float* to = workspace.outputs_.data();
  for (std::size_t grid = 0; grid < outputs.size(); ++grid) {
    outputs[grid] = to;
    to += shapes[grid].size();
  }
  const float* const picture = workspace.picture_.values();
  program->run(1, &picture, outputs.data(), workspace.arena_.data());
  workspace.candidates_.clear();
  for (std::size_t grid = 0; grid < outputs.size(); ++grid) {
    detail::append_candidates(
        {detail::yunet_strides[grid], shapes[grid].height, shapes[grid].width, outputs[grid]},
        min_score, workspace.candidates_);
  }
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
