// Viola and Jones' detector, with the rectangles of OpenCV 4.6's CascadeClassifier for 8-bit gray
// images in the order it gives on one thread (modules/objdetect/src/cascadedetect.cpp).
//
// Once for each cascade:
//   cascade.hpp          reads the trained cascade from its file
//   feature_shapes.hpp   merges the corners of its features' rectangles
//   cascade_program.hpp  lays its stages out for the kernels
// For each image (search.hpp):
//   pyramid.hpp          lists the sizes that are searched
//   level_sums.hpp       resizes the image to each and makes integral images
//   flat_windows.hpp     rejects windows of low contrast
//   cascade_scanner.hpp  evaluates the other windows, stage by stage
//   grouping.hpp         makes one rectangle of overlapping candidates
// docs/haar.md explains it all.
#pragma once

#include <memory>
#include <vector>

#include <mien/config.hpp>
#include <mien/faces/detection.hpp>
#include <mien/faces/haar/cascade.hpp>
#include <mien/faces/haar/haar_options.hpp>
#include <mien/image/image.hpp>
#include <mien/parallel.hpp>

namespace mien {

namespace detail {
class CascadeProgram;
class HaarSearch;
}  // namespace detail

/// Finds faces, or whatever else its cascade was trained on. Immutable: one detector may be used
/// from many threads at once, each with a workspace of its own; copies share the cascade. The
/// rounding mode must be the default, to nearest.
class HaarDetector {
 public:
  class Workspace;

  /// One detector's part in a search by several.
  struct Search {
    const HaarDetector* detector = nullptr;
    HaarOptions options;
  };

  explicit HaarDetector(Cascade cascade);

  const Cascade& cascade() const noexcept;

  /// The objects in an image, cut to it, mostly from small to large. An image smaller than the
  /// cascade's window has none. Throws Error for options out of their ranges, for images of more
  /// than 2^21 pixels a side, and if the cascade accepts more than 2^20 windows, which no
  /// cascade does that tells objects from what is none. Memory grows with the image and the
  /// accepted windows, not with the number of sizes.
  std::vector<Detection> detect(const GrayView& image, const HaarOptions& options = {}) const;
  std::vector<Detection> detect(const RgbView& image, const HaarOptions& options = {}) const;

  /// The same in a workspace's memory and on its threads.
  std::vector<Detection> detect(const GrayView& image, const HaarOptions& options,
                                Workspace& workspace) const;
  std::vector<Detection> detect(const RgbView& image, const HaarOptions& options,
                                Workspace& workspace) const;

  /// The same; the objects replace what is in `found`.
  void detect(const GrayView& image, const HaarOptions& options, Workspace& workspace,
              std::vector<Detection>& found) const;
  void detect(const RgbView& image, const HaarOptions& options, Workspace& workspace,
              std::vector<Detection>& found) const;

  /// Searches one image by several detectors (frontal faces, profiles, eyes, ...), which share its
  /// resized levels and their sums: `found[i]` becomes what `searches[i]` alone would find. All
  /// options must have the same scale factor and region. Throws Error as detect.
  static void detect_all(const GrayView& image, const std::vector<Search>& searches,
                         Workspace& workspace, std::vector<std::vector<Detection>>& found);
  static void detect_all(const RgbView& image, const std::vector<Search>& searches,
                         Workspace& workspace, std::vector<std::vector<Detection>>& found);

 private:
  template <class Image>
  void detect_into(const Image& image, const HaarOptions& options, Workspace& workspace,
                   std::vector<Detection>& found) const;
  template <class Image>
  static void detect_all_into(const Image& image, const std::vector<Search>& searches,
                              Workspace& workspace, std::vector<std::vector<Detection>>& found);

  std::shared_ptr<const detail::CascadeProgram> program_;
};

/// The memory of a search, reused from image to image: from the second image of a size on, a search
/// allocates nothing (unless more candidates turn up than ever before). Not for two searches at
/// once. It may also bring threads: with any number the results and their order are the same.
class HaarDetector::Workspace {
 public:
  /// Searches in the caller's thread.
  Workspace();

  /// Searches in `threads` tasks of the executor, e.g. Workspace(std::ref(pool), pool.threads()).
  /// Throws Error for less than 1.
  Workspace(Executor executor, int threads);

  Workspace(const Workspace& other);
  Workspace(Workspace&& other) noexcept;
  Workspace& operator=(Workspace other) noexcept;
  ~Workspace();

 private:
  friend class HaarDetector;

  std::unique_ptr<detail::HaarSearch> search_;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cstddef>
#include <string>
#include <utility>

#include <mien/error.hpp>
#include <mien/faces/haar/cascade_program.hpp>
#include <mien/faces/haar/search.hpp>

namespace mien {

MIEN_INLINE HaarDetector::HaarDetector(Cascade cascade)
    : program_(std::make_shared<const detail::CascadeProgram>(std::move(cascade))) {}

MIEN_INLINE const Cascade& HaarDetector::cascade() const noexcept {
  return program_->cascade();
}

template <class Image>
void HaarDetector::detect_into(const Image& image, const HaarOptions& options, Workspace& workspace,
                               std::vector<Detection>& found) const {
  detail::HaarSearch& search = *workspace.search_;
  search.clear();
  search.add(*program_, options, found);
  search.run(image);
}

MIEN_INLINE void HaarDetector::detect(const GrayView& image, const HaarOptions& options,
                                      Workspace& workspace, std::vector<Detection>& found) const {
  detect_into(image, options, workspace, found);
}

MIEN_INLINE void HaarDetector::detect(const RgbView& image, const HaarOptions& options,
                                      Workspace& workspace, std::vector<Detection>& found) const {
  detect_into(image, options, workspace, found);
}

MIEN_INLINE std::vector<Detection> HaarDetector::detect(const GrayView& image,
                                                        const HaarOptions& options,
                                                        Workspace& workspace) const {
  std::vector<Detection> found;
  detect(image, options, workspace, found);
  return found;
}

MIEN_INLINE std::vector<Detection> HaarDetector::detect(const RgbView& image,
                                                        const HaarOptions& options,
                                                        Workspace& workspace) const {
  std::vector<Detection> found;
  detect(image, options, workspace, found);
  return found;
}

MIEN_INLINE std::vector<Detection> HaarDetector::detect(const GrayView& image,
                                                        const HaarOptions& options) const {
  Workspace workspace;
  return detect(image, options, workspace);
}

MIEN_INLINE std::vector<Detection> HaarDetector::detect(const RgbView& image,
                                                        const HaarOptions& options) const {
  Workspace workspace;
  return detect(image, options, workspace);
}

template <class Image>
void HaarDetector::detect_all_into(const Image& image, const std::vector<Search>& searches,
                                   Workspace& workspace,
                                   std::vector<std::vector<Detection>>& found) {
  detail::HaarSearch& search = *workspace.search_;
  search.clear();
  found.resize(searches.size());
  for (std::size_t i = 0; i < searches.size(); ++i) {
    const HaarOptions& options = searches[i].options;
    const HaarOptions& first = searches.front().options;
    if (options.scale_factor != first.scale_factor || options.region != first.region) {
      detail::fail(
          {"searches: expected the same scale_factor and region in all, found others in search ",
           detail::Digits(i)});
    }
    search.add(*searches[i].detector->program_, options, found[i]);
  }
  search.run(image);
}

MIEN_INLINE void HaarDetector::detect_all(const GrayView& image,
                                          const std::vector<Search>& searches, Workspace& workspace,
                                          std::vector<std::vector<Detection>>& found) {
  detect_all_into(image, searches, workspace, found);
}

MIEN_INLINE void HaarDetector::detect_all(const RgbView& image, const std::vector<Search>& searches,
                                          Workspace& workspace,
                                          std::vector<std::vector<Detection>>& found) {
  detect_all_into(image, searches, workspace, found);
}

MIEN_INLINE HaarDetector::Workspace::Workspace() : Workspace(nullptr, 1) {}

MIEN_INLINE HaarDetector::Workspace::Workspace(Executor executor, int threads)
    : search_(std::make_unique<detail::HaarSearch>(std::move(executor), threads)) {}

MIEN_INLINE HaarDetector::Workspace::Workspace(const Workspace& other)
    : search_(std::make_unique<detail::HaarSearch>(*other.search_)) {}

MIEN_INLINE HaarDetector::Workspace::Workspace(Workspace&& other) noexcept = default;

MIEN_INLINE HaarDetector::Workspace& HaarDetector::Workspace::operator=(Workspace other) noexcept {
  search_.swap(other.search_);
  return *this;
}

MIEN_INLINE HaarDetector::Workspace::~Workspace() = default;

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
