// Viola and Jones' detector, with the rectangles of OpenCV 4.6's CascadeClassifier for 8-bit gray
// images in the order it gives on one thread (modules/objdetect/src/cascadedetect.cpp).
//
// The image is scanned at shrinking sizes with a window of fixed size; the cascade rejects most
// windows after a few features; the surviving windows are grouped.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <iterator>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <mien/error.hpp>
#include <mien/parallel.hpp>
#include <mien/vision/cascade.hpp>
#include <mien/vision/cascade_scanner.hpp>
#include <mien/vision/grouping.hpp>
#include <mien/vision/image.hpp>
#include <mien/vision/level_tables.hpp>
#include <mien/vision/resize.hpp>

namespace mien {

struct DetectionOptions {
  /// How much larger each searched size is than the one before; at least `smallest_scale_factor`.
  /// 1.05 finds more than 1.1 and takes twice as long.
  double scale_factor = 1.1;
  /// A face needs more than so many overlapping candidates. With 0 the candidates themselves are
  /// returned, not grouped, each with 1 as its neighbors.
  int min_neighbors = 4;
  /// Sizes outside these limits are not searched; {0, 0} is no limit. If no size lies within them,
  /// the size nearest to `min_size` is searched all the same.
  Size min_size;
  Size max_size;
  /// Searched instead of the whole image, which {} stands for. Only its part inside the image
  /// counts. The same as a search in the view of these pixels alone, with the boxes moved to the
  /// image's coordinates: what the region cuts is not found.
  Rect region;
  /// Objects of a smaller margin (see Detection) are left out; 0 leaves out none.
  float min_margin = 0;

  static constexpr double smallest_scale_factor = 1.0001;  // 6932 sizes an octave

  /// Throws Error if a value is out of its range.
  void check() const {
    if (!(scale_factor >= smallest_scale_factor) || std::isinf(scale_factor)) {
      throw Error("scale_factor: expected a finite number of at least " +
                  to_text(smallest_scale_factor) + ", found " + to_text(scale_factor));
    }
    if (min_neighbors < 0) {
      throw Error("min_neighbors: expected 0 or more, found " + std::to_string(min_neighbors));
    }
    check_size("min_size", min_size);
    check_size("max_size", max_size);
    check_size("region", {region.width, region.height});
    if (!(min_margin >= 0) || std::isinf(min_margin)) {
      throw Error("min_margin: expected a finite number of 0 or more, found " +
                  to_text(min_margin));
    }
  }

 private:
  static void check_size(const std::string& name, const Size& size) {
    if (size.width < 0 || size.height < 0) {
      throw Error(name + ": expected 0 or more, found " + std::to_string(size.width) + " x " +
                  std::to_string(size.height));
    }
  }

  static std::string to_text(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", value);
    return text;
  }
};

/// Finds faces, or whatever else its cascade was trained on. Immutable: one detector may be used
/// from many threads at once, each with a workspace of its own. The rounding mode must be the
/// default, to nearest.
class FaceDetector {
 public:
  class Workspace;

  /// One detector's part in a search by several.
  struct Search {
    const FaceDetector* detector = nullptr;
    DetectionOptions options;
  };

  explicit FaceDetector(Cascade cascade) : cascade_(std::move(cascade)) {}

  const Cascade& cascade() const noexcept { return cascade_.cascade(); }

  /// The objects in an image, cut to it, mostly from small to large. An image smaller than the
  /// cascade's window has none. Throws Error for options out of their ranges and for images of
  /// more than 2^21 pixels a side.
  std::vector<Detection> detect(const GrayView& image, const DetectionOptions& options = {}) const;
  std::vector<Detection> detect(const RgbView& image, const DetectionOptions& options = {}) const;

  /// The same in a workspace's memory and on its threads.
  std::vector<Detection> detect(const GrayView& image, const DetectionOptions& options,
                                Workspace& workspace) const;
  std::vector<Detection> detect(const RgbView& image, const DetectionOptions& options,
                                Workspace& workspace) const;

  /// The same; the objects replace what is in `found`.
  void detect(const GrayView& image, const DetectionOptions& options, Workspace& workspace,
              std::vector<Detection>& found) const;
  void detect(const RgbView& image, const DetectionOptions& options, Workspace& workspace,
              std::vector<Detection>& found) const;

  /// Searches one image by several detectors (frontal faces, profiles, eyes, ...), which share its
  /// resized levels and their sums: `found[i]` becomes what `searches[i]` alone would find. All
  /// options must have the same scale factor and region. Throws Error as detect.
  static void detect_all(const GrayView& image, const std::vector<Search>& searches,
                         Workspace& workspace, std::vector<std::vector<Detection>>& found);
  static void detect_all(const RgbView& image, const std::vector<Search>& searches,
                         Workspace& workspace, std::vector<std::vector<Detection>>& found);

 private:
  static constexpr int largest_side = 1 << 21;          // for 32-bit distances in tables
  static constexpr double positions_per_stripe = 32.0;  // of the first level's width

  /// The levels that one detector searches: numbers in the common list of scales.
  struct LevelRange {
    std::size_t first = 0;
    std::size_t end = 0;
    int stripes = 1;
  };

  /// The window at a scale: a product of floats, rounded.
  Size window_size(float scale) const noexcept {
    return {round_to_int(static_cast<float>(cascade().window_width()) * scale),
            round_to_int(static_cast<float>(cascade().window_height()) * scale)};
  }

  /// Nearest integer, ties to even. A product passed in has been rounded before: compilers fuse
  /// products with additions only.
  static int round_to_int(float value) noexcept { return static_cast<int>(std::lrint(value)); }

  static Size level_size(const Size& image, float scale) noexcept {
    return {round_to_int(static_cast<float>(image.width) / scale),
            round_to_int(static_cast<float>(image.height) / scale)};
  }

  std::size_t fitting_scale_count(const Size& image, double scale_factor) const;
  static void check_image(int width, int height);
  static Rect searched_region(int width, int height, const Rect& region) noexcept;
  template <class Found>
  static void search(const GrayView& image, const Search* searches, std::size_t count,
                     Workspace& workspace, const Found& found);
  LevelRange searched_levels(const Size& image, const DetectionOptions& options,
                             const std::vector<float>& scales) const;
  int row_end(const detail::Level& level, int stripes) const noexcept;

  detail::ScannableCascade cascade_;
};

/// The memory of a search, reused from image to image: from the second image of a size on, a search
/// allocates nothing (but where more candidates turn up than ever before). Not for two searches at
/// once. It may also bring threads: with any number the results and their order are the same.
class FaceDetector::Workspace {
 public:
  /// Searches in the caller's thread.
  Workspace() : Workspace(nullptr, 1) {}

  /// Searches in `threads` tasks of the executor, e.g. Workspace(std::ref(pool), pool.threads()).
  /// Throws Error for less than 1.
  Workspace(Executor executor, int threads) : executor_(std::move(executor)) {
    if (threads < 1) {
      throw Error("threads: expected 1 or more, found " + std::to_string(threads));
    }
    memories_.resize(static_cast<std::size_t>(threads));
  }

 private:
  friend class FaceDetector;

  /// Rows of windows of one level: what a thread takes at a time.
  struct Band {
    std::size_t level = 0;
    int first_row = 0;
    int row_end = 0;
  };

  struct Candidate {
    std::size_t search = 0;
    std::size_t level = 0;
    int y = 0;
    int x = 0;
    float margin = 0;
  };

  /// A band in a thread's tables, which starts there at row `start`.
  struct TabledBand {
    Band band;
    int start = 0;
  };

  /// What one thread works with.
  struct Memory {
    detail::LevelTables tables;
    std::vector<TabledBand> bands;                 // in the tables
    std::vector<detail::CascadeScanner> scanners;  // one for each search
    std::vector<Candidate> candidates;
  };

  GrayView to_gray(const RgbView& image) {
    check_image(image.width, image.height);
    if (image.empty()) return {};
    mien::to_gray(image, gray_);
    return gray_.view();
  }
  static int rows_in_cache(int width) noexcept;
  static int rows_of_band(const detail::Level& level) noexcept;
  void plan(const Size& image, const Search* searches, std::size_t count);
  void scan(const GrayView& image, const Search* searches, const Band& band, Memory& memory);
  void finish_bands(Memory& memory);
  void scan_all(const GrayView& image, const Search* searches);
  void collect(const Size& image, const Search& search, std::size_t number,
               std::vector<Detection>& found);

  Executor executor_;
  std::vector<Memory> memories_;  // one for each thread
  GrayImage gray_;
  std::vector<float> scales_;
  std::vector<LevelRange> ranges_;     // one for each search
  std::vector<detail::Level> levels_;  // one for each scale
  std::vector<detail::ResizePlan> plans_;
  std::vector<Band> bands_;
  std::vector<Candidate> candidates_;
  std::vector<Detection> boxes_;
  detail::Grouper grouper_;
};

inline void FaceDetector::check_image(int width, int height) {
  if (width <= largest_side && height <= largest_side) return;
  throw Error("image: expected at most " + std::to_string(largest_side) + " pixels a side, found " +
              std::to_string(width) + " x " + std::to_string(height));
}

/// The part of a region that lies in the image; all of the image for {}.
inline Rect FaceDetector::searched_region(int width, int height, const Rect& region) noexcept {
  if (region == Rect{}) return {0, 0, width, height};
  const auto cut = [](int start, int length, int limit) {
    const std::int64_t end = std::min(std::int64_t{start} + length, std::int64_t{limit});
    const int first = std::max(start, 0);
    return std::pair<int, int>(first, static_cast<int>(std::max(end - first, std::int64_t{0})));
  };
  const auto [x, cut_width] = cut(region.x, region.width, width);
  const auto [y, cut_height] = cut(region.y, region.height, height);
  return {x, y, cut_width, cut_height};
}

/// At how many scales the window fits into the image.
inline std::size_t FaceDetector::fitting_scale_count(const Size& image, double scale_factor) const {
  double scale = 1.0;
  std::size_t count = 0;
  // Compared as floating-point numbers: a huge scale does not fit into an int.
  while (std::nearbyint(cascade().window_width() * scale) <= image.width &&
         std::nearbyint(cascade().window_height() * scale) <= image.height) {
    scale *= scale_factor;
    ++count;
  }
  return count;
}

/// Those of the scales that lie within the limits, or else the one nearest to the lower limit.
inline FaceDetector::LevelRange FaceDetector::searched_levels(
    const Size& image, const DetectionOptions& options, const std::vector<float>& scales) const {
  const Size& least = options.min_size;
  const bool limited = options.max_size.width > 0 && options.max_size.height > 0;
  const Size most = limited ? options.max_size : image;
  // The list may go on with scales at which only other detectors' windows fit.
  const std::size_t fitting = fitting_scale_count(image, options.scale_factor);
  LevelRange range;
  while (range.end < fitting) {
    const Size window = window_size(scales[range.end]);
    if (window.width > most.width || window.height > most.height) break;
    ++range.end;
    if (window.width < least.width || window.height < least.height) range.first = range.end;
  }
  if (range.first == range.end && fitting > 0) {
    const auto distance = [&](float scale) {
      const Size window = window_size(scale);
      const std::int64_t dx = std::int64_t{least.width} - window.width;
      const std::int64_t dy = std::int64_t{least.height} - window.height;
      return dx * dx + dy * dy;
    };
    const auto end = scales.begin() + static_cast<std::ptrdiff_t>(fitting);
    const auto nearest = std::min_element(
        scales.begin(), end, [&](float a, float b) { return distance(a) < distance(b); });
    range.first = static_cast<std::size_t>(nearest - scales.begin());
    range.end = range.first + 1;
  }
  if (range.first < range.end) {
    // OpenCV splits the rows of every level into so many stripes for its threads.
    const int positions =
        level_size(image, scales[range.first]).width + 1 - cascade().window_width();
    range.stripes = std::max(static_cast<int>(std::ceil(positions / positions_per_stripe)), 1);
  }
  return range;
}

/// The end of the rows that the stripes cover: with a step of 2 the last row may fall out.
inline int FaceDetector::row_end(const detail::Level& level, int stripes) const noexcept {
  const int rows = std::max(level.size.height + 1 - cascade().window_height(), 0);
  const int stripe_rows = std::max((rows / level.step + stripes - 1) / stripes, 1) * level.step;
  return static_cast<int>(std::min(std::int64_t{stripes} * stripe_rows, std::int64_t{rows}));
}

/// Lists the levels that some search needs, and cuts them into bands.
inline void FaceDetector::Workspace::plan(const Size& image, const Search* searches,
                                          std::size_t count) {
  scales_.clear();
  const double scale_factor = searches[0].options.scale_factor;
  std::size_t scale_count = 0;
  for (std::size_t i = 0; i < count; ++i) {
    scale_count =
        std::max(scale_count, searches[i].detector->fitting_scale_count(image, scale_factor));
  }
  for (double scale = 1.0; scales_.size() < scale_count; scale *= scale_factor) {
    scales_.push_back(static_cast<float>(scale));
  }
  ranges_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    ranges_.push_back(searches[i].detector->searched_levels(image, searches[i].options, scales_));
  }
  levels_.clear();
  bands_.clear();
  for (std::size_t number = 0; number < scales_.size(); ++number) {
    const float scale = scales_[number];
    levels_.push_back({scale, level_size(image, scale), scale >= 2.0f ? 1 : 2});
    if (plans_.size() < levels_.size()) plans_.emplace_back();
    const detail::Level& level = levels_.back();
    int rows = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (number < ranges_[i].first || number >= ranges_[i].end) continue;
      rows = std::max(rows, searches[i].detector->row_end(level, ranges_[i].stripes));
    }
    if (rows > 0) plans_[number].set(image, level.size);
    const int band_rows = rows_of_band(level);
    for (int row = 0; row < rows; row += band_rows) {
      bands_.push_back({number, row, std::min(row + band_rows, rows)});
    }
  }
}

/// So many rows of the tables stay in the cache.
inline int FaceDetector::Workspace::rows_in_cache(int width) noexcept {
  constexpr int entries_in_cache = 1 << 16;
  return entries_in_cache / width;
}

inline int FaceDetector::Workspace::rows_of_band(const detail::Level& level) noexcept {
  constexpr int fewest_rows = 64;  // the window's height is summed up once more for each band
  const int rows = std::max(rows_in_cache(level.size.width), fewest_rows);
  return rows / level.step * level.step;
}

inline void FaceDetector::Workspace::scan(const GrayView& image, const Search* searches,
                                          const Band& band, Memory& memory) {
  const detail::Level& level = levels_[band.level];
  const auto for_each_search = [&](auto&& function) {
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
      if (band.level < ranges_[i].first || band.level >= ranges_[i].end) continue;
      const FaceDetector& detector = *searches[i].detector;
      const int end = std::min(band.row_end, detector.row_end(level, ranges_[i].stripes));
      if (end > band.first_row) function(i, detector, end);
    }
  };
  int pixel_rows = 0;
  bool tilted = false;
  for_each_search([&](std::size_t, const FaceDetector& detector, int end) {
    pixel_rows =
        std::max(pixel_rows, end - 1 - band.first_row + detector.cascade().window_height());
    tilted = tilted || detector.cascade().has_tilted_features();
  });
  const int width = level.size.width;
  if (memory.bands.empty() || !memory.tables.has_room(width, level.step, pixel_rows, tilted)) {
    finish_bands(memory);
    const int rows = std::max(rows_in_cache(width), pixel_rows + 1);
    memory.tables.start(width, level.step, rows, tilted);
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
      memory.scanners[i].start(searches[i].detector->cascade_, memory.tables);
    }
  }
  const int start = memory.tables.add(image, plans_[band.level], band.first_row, pixel_rows);
  memory.bands.push_back({band, start});
  for_each_search([&](std::size_t i, const FaceDetector&, int end) {
    memory.scanners[i].scan(start, width, end - band.first_row);
  });
}

/// Collects the candidates of the bands in a thread's tables, which are of no use from then on.
inline void FaceDetector::Workspace::finish_bands(Memory& memory) {
  for (std::size_t i = 0; i < ranges_.size() && !memory.bands.empty(); ++i) {
    memory.scanners[i].finish([&](const detail::AcceptedWindow& window) {
      const auto next =
          std::upper_bound(memory.bands.begin(), memory.bands.end(), window.row,
                           [](int row, const TabledBand& tabled) { return row < tabled.start; });
      const auto& [band, start] = *std::prev(next);
      const int y = band.first_row + window.row - start;
      memory.candidates.push_back({i, band.level, y, window.x, window.margin});
    });
  }
  memory.bands.clear();
}

/// Scans all bands and puts the candidates in order.
inline void FaceDetector::Workspace::scan_all(const GrayView& image, const Search* searches) {
  std::atomic<std::size_t> next{0};
  const auto take_bands = [&](int thread) {
    Memory& memory = memories_[static_cast<std::size_t>(thread)];
    memory.candidates.clear();
    memory.bands.clear();  // there are some if an exception ended the scan before
    memory.scanners.resize(std::max(ranges_.size(), memory.scanners.size()));
    for (std::size_t i = next++; i < bands_.size(); i = next++) {
      scan(image, searches, bands_[i], memory);
    }
    finish_bands(memory);
  };
  const int threads = static_cast<int>(memories_.size());
  if (threads == 1) {
    take_bands(0);
  } else {
    executor_(threads, std::cref(take_bands));
  }
  candidates_.clear();
  for (const Memory& memory : memories_) {
    candidates_.insert(candidates_.end(), memory.candidates.begin(), memory.candidates.end());
  }
  const auto key = [](const Candidate& c) { return std::tuple(c.search, c.level, c.y, c.x); };
  std::sort(candidates_.begin(), candidates_.end(),
            [key](const Candidate& a, const Candidate& b) { return key(a) < key(b); });
}

/// The objects of one search: its candidates, grouped, cut to the image.
inline void FaceDetector::Workspace::collect(const Size& image, const Search& search,
                                             std::size_t number, std::vector<Detection>& found) {
  boxes_.clear();
  for (const Candidate& candidate : candidates_) {
    if (candidate.search != number) continue;
    const float scale = levels_[candidate.level].scale;
    const auto enlarged = [scale](int coordinate) {
      return round_to_int(static_cast<float>(coordinate) * scale);
    };
    const Size window = search.detector->window_size(scale);
    boxes_.push_back({{enlarged(candidate.x), enlarged(candidate.y), window.width, window.height},
                      1,
                      candidate.margin});
  }
  grouper_.group(boxes_, search.options.min_neighbors, found);
  for (Detection& detection : found) {
    Rect& box = detection.box;
    const int right = std::min(box.x + box.width, image.width);
    const int bottom = std::min(box.y + box.height, image.height);
    box.x = std::max(box.x, 0);
    box.y = std::max(box.y, 0);
    box.width = right - box.x;
    box.height = bottom - box.y;
  }
  const float min_margin = search.options.min_margin;
  found.erase(std::remove_if(found.begin(), found.end(),
                             [min_margin](const Detection& detection) {
                               return detection.box.width <= 0 || detection.box.height <= 0 ||
                                      detection.margin < min_margin;
                             }),
              found.end());
}

/// `found(i)` is where the objects of search i go. All have the same region and scale factor.
template <class Found>
void FaceDetector::search(const GrayView& image, const Search* searches, std::size_t count,
                          Workspace& workspace, const Found& found) {
  check_image(image.width, image.height);
  for (std::size_t i = 0; i < count; ++i) {
    searches[i].options.check();
    found(i).clear();
  }
  if (count == 0 || image.empty()) return;
  const Rect region = searched_region(image.width, image.height, searches[0].options.region);
  if (region.width == 0 || region.height == 0) return;
  const Size size{region.width, region.height};
  workspace.plan(size, searches, count);
  workspace.scan_all({image.row(region.y) + region.x, size.width, size.height, image.stride},
                     searches);
  for (std::size_t i = 0; i < count; ++i) {
    workspace.collect(size, searches[i], i, found(i));
    for (Detection& detection : found(i)) {
      detection.box.x += region.x;
      detection.box.y += region.y;
    }
  }
}

inline void FaceDetector::detect(const GrayView& image, const DetectionOptions& options,
                                 Workspace& workspace, std::vector<Detection>& found) const {
  const Search alone{this, options};
  search(image, &alone, 1, workspace,
         [&found](std::size_t) -> std::vector<Detection>& { return found; });
}
inline void FaceDetector::detect(const RgbView& image, const DetectionOptions& options,
                                 Workspace& workspace, std::vector<Detection>& found) const {
  detect(workspace.to_gray(image), options, workspace, found);
}

inline std::vector<Detection> FaceDetector::detect(const GrayView& image,
                                                   const DetectionOptions& options,
                                                   Workspace& workspace) const {
  std::vector<Detection> found;
  detect(image, options, workspace, found);
  return found;
}
inline std::vector<Detection> FaceDetector::detect(const RgbView& image,
                                                   const DetectionOptions& options,
                                                   Workspace& workspace) const {
  std::vector<Detection> found;
  detect(image, options, workspace, found);
  return found;
}

inline std::vector<Detection> FaceDetector::detect(const GrayView& image,
                                                   const DetectionOptions& options) const {
  Workspace workspace;
  return detect(image, options, workspace);
}
inline std::vector<Detection> FaceDetector::detect(const RgbView& image,
                                                   const DetectionOptions& options) const {
  Workspace workspace;
  return detect(image, options, workspace);
}

inline void FaceDetector::detect_all(const GrayView& image, const std::vector<Search>& searches,
                                     Workspace& workspace,
                                     std::vector<std::vector<Detection>>& found) {
  for (const Search& search : searches) {
    const DetectionOptions& options = search.options;
    const DetectionOptions& first = searches.front().options;
    if (options.scale_factor != first.scale_factor || options.region != first.region) {
      throw Error(
          "searches: expected the same scale_factor and region in all, found others in "
          "search " +
          std::to_string(&search - searches.data()));
    }
  }
  found.resize(searches.size());
  search(image, searches.data(), searches.size(), workspace,
         [&found](std::size_t i) -> std::vector<Detection>& { return found[i]; });
}
inline void FaceDetector::detect_all(const RgbView& image, const std::vector<Search>& searches,
                                     Workspace& workspace,
                                     std::vector<std::vector<Detection>>& found) {
  detect_all(workspace.to_gray(image), searches, workspace, found);
}

}  // namespace mien
