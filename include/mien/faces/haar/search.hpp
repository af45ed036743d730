// A search of an image by one or several cascades: takes the pyramid through the steps of the
// pipeline, band by band and on threads, and puts what they find together.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

#include <mien/config.hpp>
#include <mien/faces/detection.hpp>
#include <mien/faces/haar/cascade_program.hpp>
#include <mien/faces/haar/cascade_scanner.hpp>
#include <mien/faces/haar/grouping.hpp>
#include <mien/faces/haar/haar_options.hpp>
#include <mien/faces/haar/level_sums.hpp>
#include <mien/faces/haar/pyramid.hpp>
#include <mien/image/image.hpp>
#include <mien/image/resize_plan.hpp>
#include <mien/parallel.hpp>

namespace mien::detail {

/// One cascade's part in a search, and where its objects go.
struct CascadeSearch {
  const CascadeProgram* program = nullptr;
  HaarOptions options;
  std::vector<Detection>* found = nullptr;
  LevelRange levels;
};

/// The memory of searches, reused from image to image.
class HaarSearch {
 public:
  /// Throws Error for less than one thread.
  HaarSearch(Executor executor, int threads);

  /// The cascades that take part in the next run; all have the same scale factor and region.
  void clear() noexcept { searches_.clear(); }
  void add(const CascadeProgram& program, const HaarOptions& options,
           std::vector<Detection>& found) {
    searches_.push_back({&program, options, &found, {}});
  }

  /// Throws Error for options out of their ranges and for images that are too large.
  void run(const GrayView& image);
  void run(const RgbView& image);

 private:
  /// Rows of windows of one level: what a thread takes at a time.
  struct Band {
    std::size_t number = 0;  // of the level
    Level level;
    int first_row = 0;
    int row_end = 0;
  };

  /// Where the next band begins, and what all threads have found; for one image.
  struct Bands {
    std::mutex mutex;
    Pyramid pyramid;
    int next_row = 0;
    std::atomic<std::size_t> candidates{0};
  };

  /// A band and the row of a thread's tables at which it starts.
  struct StoredBand {
    Band band;
    int start = 0;
  };

  /// A window that a cascade accepted.
  struct Candidate {
    std::size_t search = 0;
    std::size_t level = 0;
    int y = 0;
    int x = 0;
    float scale = 1;  // of the level
    float margin = 0;
  };

  /// What one thread works with.
  struct ThreadMemory {
    LevelSums tables;
    ResizePlan resize_plan;                // of a level whose plan is not shared
    std::vector<StoredBand> bands;         // in the tables
    std::vector<CascadeScanner> scanners;  // one for each search
    std::vector<Candidate> candidates;
  };

  void plan(const Size& image);
  Pyramid first_level(const Size& image) const noexcept;
  int rows_of(std::size_t number, const Level& level) const noexcept;
  bool next_band(const Size& image, Bands& bands, Band& band);
  const ResizePlan& resize_plan(const Size& image, const Band& band, ThreadMemory& memory);
  void scan_bands(const GrayView& image);
  void take_bands(const GrayView& image, Bands& bands, ThreadMemory& memory);
  void scan(const GrayView& image, const Band& band, Bands& bands, ThreadMemory& memory);
  void finish_bands(Bands& bands, ThreadMemory& memory);
  void gather_candidates();
  void group(const Size& image, std::size_t number);
  template <class Function>
  void for_each_search_of(const Band& band, Function&& function) const;

  Executor executor_;
  std::vector<ThreadMemory> memories_;  // one for each thread
  GrayImage gray_;
  std::vector<CascadeSearch> searches_;
  LevelRange levels_;                     // of all searches
  std::vector<ResizePlan> resize_plans_;  // of the first of them
  std::size_t shared_plans_ = 0;          // of the image that is searched
  std::vector<Candidate> candidates_;
  std::vector<Detection> boxes_;
  Grouper grouper_;
};

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <string>
#include <tuple>
#include <utility>

#include <mien/error.hpp>

namespace mien::detail {

MIEN_INLINE HaarSearch::HaarSearch(Executor executor, int threads)
    : executor_(std::move(executor)) {
  if (threads < 1) detail::fail({"threads: expected 1 or more, found ", detail::Digits(threads)});
  if (threads > 1 && !executor_) {
    detail::fail({"executor: expected one for ", detail::Digits(threads), " threads, found none"});
  }
  memories_.resize(static_cast<std::size_t>(threads));
}

/// Distances in tables have to fit in 32 bits.
inline void check_image_size(int width, int height) {
  constexpr int largest_side = 1 << 21;
  if (width <= largest_side && height <= largest_side) return;
  detail::fail({"image: expected at most ", detail::Digits(largest_side), " pixels a side, found ",
                detail::Digits(width), " x ", detail::Digits(height)});
}

MIEN_INLINE void HaarSearch::run(const RgbView& image) {
  check_image_size(image.width, image.height);
  if (image.empty()) return run(GrayView());
  to_gray(image, gray_);
  run(gray_.view());
}

MIEN_INLINE void HaarSearch::run(const GrayView& image) {
  check_image_size(image.width, image.height);
  for (const CascadeSearch& search : searches_) {
    search.options.check();
    search.found->clear();
  }
  if (searches_.empty() || image.empty()) return;
  const Rect region =
      searched_region({image.width, image.height}, searches_.front().options.region);
  if (region.width == 0 || region.height == 0) return;
  const Size size{region.width, region.height};
  plan(size);
  scan_bands({image.row(region.y) + region.x, size.width, size.height, image.stride});
  for (std::size_t i = 0; i < searches_.size(); ++i) {
    group(size, i);
    for (Detection& detection : *searches_[i].found) {
      detection.box.x += region.x;
      detection.box.y += region.y;
    }
  }
}

/// How many rows of a table of sums stay in the cache.
inline int rows_in_cache(int width) noexcept {
  constexpr int entries_in_cache = 1 << 16;
  return entries_in_cache / width;
}

/// Rows of windows in a band of a level.
inline int band_height(const Level& level) noexcept {
  // Neighbouring bands both need the sums of the rows that their windows share.
  constexpr int fewest_rows = 64;
  const int rows = std::max(rows_in_cache(level.size.width), fewest_rows);
  return rows / level.step * level.step;
}

/// Finds the levels that some cascade searches.
MIEN_INLINE void HaarSearch::plan(const Size& image) {
  levels_ = {};
  for (CascadeSearch& search : searches_) {
    search.levels = searched_levels(search.program->window(), image, search.options);
    if (search.levels.first == search.levels.end) continue;
    const bool is_first = levels_.first == levels_.end;
    levels_.first = is_first ? search.levels.first : std::min(levels_.first, search.levels.first);
    levels_.end = std::max(levels_.end, search.levels.end);
  }
  // How far the levels' widths and heights add up to what memory should be kept for.
  constexpr std::int64_t most_kept = 1 << 18;
  std::int64_t kept = 0;
  shared_plans_ = 0;
  for (Pyramid pyramid = first_level(image); pyramid.number() < levels_.end; pyramid.advance()) {
    const Size size = pyramid.level().size;
    kept += std::int64_t{size.width} + size.height;
    if (kept > most_kept) break;
    ++shared_plans_;
  }
  resize_plans_.resize(std::max(resize_plans_.size(), shared_plans_));
}

/// The first level that some cascade searches.
MIEN_INLINE Pyramid HaarSearch::first_level(const Size& image) const noexcept {
  Pyramid pyramid(image, searches_.front().options.scale_factor);
  while (pyramid.number() < levels_.first) pyramid.advance();
  return pyramid;
}

/// How many rows of a level's windows some cascade searches.
MIEN_INLINE int HaarSearch::rows_of(std::size_t number, const Level& level) const noexcept {
  int rows = 0;
  for (const CascadeSearch& search : searches_) {
    if (number < search.levels.first || number >= search.levels.end) continue;
    rows = std::max(rows, row_end(search.program->window(), level, search.levels.stripes));
  }
  return rows;
}

/// Takes the next band of the pyramid, for any thread. False if there is none.
MIEN_INLINE bool HaarSearch::next_band(const Size& image, Bands& bands, Band& band) {
  const std::lock_guard<std::mutex> lock(bands.mutex);
  for (; bands.pyramid.number() < levels_.end; bands.pyramid.advance(), bands.next_row = 0) {
    const std::size_t number = bands.pyramid.number();
    const Level level = bands.pyramid.level();
    const int rows = rows_of(number, level);
    if (bands.next_row >= rows) continue;
    const std::size_t place = number - levels_.first;
    if (bands.next_row == 0 && place < shared_plans_) resize_plans_[place].set(image, level.size);
    const int end = std::min(bands.next_row + band_height(level), rows);
    band = {number, level, bands.next_row, end};
    bands.next_row = end;
    return true;
  }
  return false;
}

/// The plan of a band's level: shared by all threads, or made by each where keeping all would take
/// much memory.
MIEN_INLINE const ResizePlan& HaarSearch::resize_plan(const Size& image, const Band& band,
                                                      ThreadMemory& memory) {
  const std::size_t place = band.number - levels_.first;
  if (place < shared_plans_) return resize_plans_[place];
  memory.resize_plan.set(image, band.level.size);
  return memory.resize_plan;
}

/// Scans all bands on all threads.
MIEN_INLINE void HaarSearch::scan_bands(const GrayView& image) {
  Bands bands{{}, first_level({image.width, image.height})};
  const auto work = [&](int thread) {
    take_bands(image, bands, memories_[static_cast<std::size_t>(thread)]);
  };
  const int threads = static_cast<int>(memories_.size());
  if (threads == 1) {
    work(0);
  } else {
    executor_(threads, std::cref(work));
  }
  gather_candidates();
}

/// Scans bands until none is left.
MIEN_INLINE void HaarSearch::take_bands(const GrayView& image, Bands& bands, ThreadMemory& memory) {
  memory.candidates.clear();
  memory.bands.clear();  // there are some if an exception ended the search before
  memory.scanners.resize(std::max(searches_.size(), memory.scanners.size()));
  Band band;
  while (next_band({image.width, image.height}, bands, band)) scan(image, band, bands, memory);
  finish_bands(bands, memory);
}

/// Calls function(search's number, program, end of its rows) for the cascades that search a band.
template <class Function>
void HaarSearch::for_each_search_of(const Band& band, Function&& function) const {
  for (std::size_t i = 0; i < searches_.size(); ++i) {
    const CascadeSearch& search = searches_[i];
    if (band.number < search.levels.first || band.number >= search.levels.end) continue;
    const int end = std::min(band.row_end,
                             row_end(search.program->window(), band.level, search.levels.stripes));
    if (end > band.first_row) function(i, *search.program, end);
  }
}

MIEN_INLINE void HaarSearch::scan(const GrayView& image, const Band& band, Bands& bands,
                                  ThreadMemory& memory) {
  int pixel_rows = 0;
  bool tilted = false;
  for_each_search_of(band, [&](std::size_t, const CascadeProgram& program, int end) {
    pixel_rows = std::max(pixel_rows, end - 1 - band.first_row + program.window().height);
    tilted = tilted || program.cascade().has_tilted_features();
  });
  const Level& level = band.level;
  const int width = level.size.width;
  if (memory.bands.empty() || !memory.tables.has_room(width, level.step, pixel_rows, tilted)) {
    finish_bands(bands, memory);
    const int rows = std::max(rows_in_cache(width), pixel_rows + 1);
    memory.tables.start(width, level.step, rows, tilted);
    for (std::size_t i = 0; i < searches_.size(); ++i) {
      memory.scanners[i].start(*searches_[i].program, memory.tables);
    }
  }
  const ResizePlan& plan = resize_plan({image.width, image.height}, band, memory);
  const int start = memory.tables.add(image, plan, band.first_row, pixel_rows);
  memory.bands.push_back({band, start});
  for_each_search_of(band, [&](std::size_t i, const CascadeProgram&, int end) {
    memory.scanners[i].scan(start, width, end - band.first_row);
  });
}

/// Throws Error for more candidates than a cascade has that tells objects from what is none.
inline void check_candidate_count(std::size_t count) {
  constexpr std::size_t most = std::size_t{1} << 20;
  if (count <= most) return;
  detail::fail({"cascade: expected one that accepts at most ", detail::Digits(most),
                " windows of an image, found more"});
}

/// Collects the candidates of the bands in a thread's tables, which are free afterwards.
MIEN_INLINE void HaarSearch::finish_bands(Bands& bands, ThreadMemory& memory) {
  for (std::size_t i = 0; i < searches_.size() && !memory.bands.empty(); ++i) {
    const std::vector<AcceptedWindow>& accepted = memory.scanners[i].finish();
    // Of several searches, one may take what others leave; each is checked by itself in the end.
    check_candidate_count((bands.candidates += accepted.size()) / searches_.size());
    for (const AcceptedWindow& window : accepted) {
      const auto next =
          std::upper_bound(memory.bands.begin(), memory.bands.end(), window.row,
                           [](int row, const StoredBand& stored) { return row < stored.start; });
      const auto& [band, start] = *std::prev(next);
      const int y = band.first_row + window.row - start;
      memory.candidates.push_back({i, band.number, y, window.x, band.level.scale, window.margin});
    }
  }
  memory.bands.clear();
}

/// Puts the candidates of all threads in OpenCV's order.
MIEN_INLINE void HaarSearch::gather_candidates() {
  candidates_.clear();
  for (const ThreadMemory& memory : memories_) {
    candidates_.insert(candidates_.end(), memory.candidates.begin(), memory.candidates.end());
  }
  const auto key = [](const Candidate& c) { return std::tuple(c.search, c.level, c.y, c.x); };
  std::sort(candidates_.begin(), candidates_.end(),
            [key](const Candidate& a, const Candidate& b) { return key(a) < key(b); });
}

/// Groups the candidates of one search and cuts the boxes to the image.
MIEN_INLINE void HaarSearch::group(const Size& image, std::size_t number) {
  const CascadeSearch& search = searches_[number];
  boxes_.clear();
  for (const Candidate& candidate : candidates_) {
    if (candidate.search != number) continue;
    boxes_.push_back(
        {box_in_image(candidate.x, candidate.y, search.program->window(), candidate.scale), 1,
         candidate.margin});
  }
  check_candidate_count(boxes_.size());
  std::vector<Detection>& found = *search.found;
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
  const float min_score = search.options.min_score;
  found.erase(std::remove_if(found.begin(), found.end(),
                             [min_score](const Detection& detection) {
                               return detection.box.width <= 0 || detection.box.height <= 0 ||
                                      detection.score < min_score;
                             }),
              found.end());
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
