// The face finder: one interface to the detectors that there are, told apart by their files.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <mien/config.hpp>
#include <mien/faces/detection.hpp>
#include <mien/faces/haar/haar_detector.hpp>
#include <mien/faces/haar/haar_finder.hpp>
#include <mien/faces/search_limits.hpp>
#include <mien/faces/yunet/yunet_detector.hpp>
#include <mien/faces/yunet/yunet_options.hpp>
#include <mien/image/image.hpp>
#include <mien/parallel.hpp>

namespace mien {

/// How faces are searched, by whichever detector: limits for all, and each detector's own rule.
struct FinderOptions : SearchLimits {
  YuNetRule yunet;
  HaarFinderRule haar;

  /// Throws Error if a value is out of its range.
  MIEN_COLD void check() const;
};

/// Finds faces:
///
///   const FaceFinder finder = FaceFinder::load("yunet.mien");  // or a cascade, "faces.haar"
///   for (const Detection& face : finder.find(photo)) use(face.box);
///
/// Immutable: one finder may be used from many threads at once, each with a workspace of its own.
/// Cheap to copy.
class FaceFinder {
 public:
  class Workspace;

  /// From YuNet's .mien file or a cascade's .haar file. Throws Error.
  MIEN_COLD static FaceFinder load(const std::string& path);

  FaceFinder(YuNetDetector detector) : detector_(std::move(detector)) {}
  FaceFinder(HaarFinder finder) : detector_(std::move(finder)) {}
  FaceFinder(HaarDetector detector) : detector_(HaarFinder(std::move(detector))) {}

  /// The detector behind it; null if it is of the other kind.
  const YuNetDetector* yunet() const noexcept { return std::get_if<YuNetDetector>(&detector_); }
  const HaarFinder* haar() const noexcept { return std::get_if<HaarFinder>(&detector_); }

  /// The faces in an image, in the detector's order. Throws Error for options out of their ranges,
  /// also those of the other detector, and otherwise as the detector does.
  std::vector<Detection> find(const GrayView& image, const FinderOptions& options = {}) const;
  /// The same in a workspace's memory; the faces replace what is in `found`.
  void find(const GrayView& image, const FinderOptions& options, Workspace& workspace,
            std::vector<Detection>& found) const;

  /// The faces near a known one and about as large: a quick look for it in the next frame of a
  /// video. Throws Error as find.
  void find_near(const GrayView& image, const Rect& box, const FinderOptions& options,
                 Workspace& workspace, std::vector<Detection>& found) const;

 private:
  std::variant<YuNetDetector, HaarFinder> detector_;
};

/// The memory of a search, reused from image to image: from the second image of a size on, a search
/// allocates nothing (unless more turns up than ever before). Not for two searches at once, but for
/// any finder.
class FaceFinder::Workspace {
 public:
  /// Searches in the caller's thread.
  Workspace() = default;
  /// Cascades search on threads, in as many tasks of the executor; YuNet does not. Throws Error for
  /// less than 1.
  Workspace(Executor executor, int threads) : haar_(std::move(executor), threads) {}

 private:
  friend class FaceFinder;

  YuNetDetector::Workspace yunet_;
  HaarFinder::Workspace haar_;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cstdint>
#include <string_view>

#include <mien/binary.hpp>
#include <mien/error.hpp>
#include <mien/faces/haar/cascade.hpp>
#include <mien/weights.hpp>

namespace mien {

MIEN_INLINE void FinderOptions::check() const {
  SearchLimits::check();
  yunet.check();
  haar.check();
}

MIEN_INLINE FaceFinder FaceFinder::load(const std::string& path) {
  const std::vector<std::uint8_t> bytes = read_sealed_file(path, {"HAAR", "MIEN"});
  const auto is_of_kind = [&bytes](std::string_view kind) {
    return detail::is_sealed_as(kind, bytes.data(), bytes.size());
  };
  if (is_of_kind("HAAR")) {
    return HaarDetector(Cascade::from_memory(bytes.data(), bytes.size(), path));
  }
  if (is_of_kind("MIEN")) {
    return YuNetDetector(Model(WeightFile::from_memory(bytes.data(), bytes.size(), path)));
  }
  detail::fail({path,
                ": expected a face detector, YuNet's .mien file or a cascade's .haar file, "
                "found another file"});
}

MIEN_INLINE std::vector<Detection> FaceFinder::find(const GrayView& image,
                                                    const FinderOptions& options) const {
  Workspace workspace;
  std::vector<Detection> found;
  find(image, options, workspace, found);
  return found;
}

MIEN_INLINE void FaceFinder::find(const GrayView& image, const FinderOptions& options,
                                  Workspace& workspace, std::vector<Detection>& found) const {
  options.check();
  if (const YuNetDetector* const detector = yunet()) {
    detector->detect(image, {options, options.yunet}, workspace.yunet_, found);
  } else {
    haar()->find(image, {options, options.haar}, workspace.haar_, found);
  }
}

MIEN_INLINE void FaceFinder::find_near(const GrayView& image, const Rect& box,
                                       const FinderOptions& options, Workspace& workspace,
                                       std::vector<Detection>& found) const {
  options.check();
  if (const YuNetDetector* const detector = yunet()) {
    detector->detect_near(image, box, {options, options.yunet}, workspace.yunet_, found);
  } else {
    haar()->find_near(image, box, {options, options.haar}, workspace.haar_, found);
  }
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
