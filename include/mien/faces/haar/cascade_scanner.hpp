// Finds the windows of a level that a cascade accepts.
//
// The first stages reject most windows and are evaluated for whole rows, one bit a window. The
// windows that are left lie far apart: they are compacted into a queue for each stage, and the sums
// of a block of them are gathered, so that the other stages read them like neighbours.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/config.hpp>
#include <mien/faces/haar/cascade_program.hpp>
#include <mien/faces/haar/level_sums.hpp>
#include <mien/kernels/vision/haar.hpp>

namespace mien::detail {

/// A window that passed all stages: its column in its level, its row in the tables, and by how much
/// its last sum exceeded the threshold.
struct AcceptedWindow {
  int x = 0;
  int row = 0;
  float margin = 0;
};

/// The memory for scanning levels by any cascade; one for each thread.
class CascadeScanner {
 public:
  /// Begins with tables that have been started, for bands that will be added to them.
  void start(const CascadeProgram& program, const LevelSums& tables);

  /// Evaluates `window_rows` rows of windows of the newest band of the tables, which starts at row
  /// `start` there and has at least `window_rows` - 1 + window height rows of pixels. Windows that
  /// are too few for a block stay in their queues, for later bands to add to them.
  void scan(int start, int level_width, int window_rows);

  /// Evaluates the windows that are still queued and returns all accepted ones since the start, in
  /// no particular order.
  const std::vector<AcceptedWindow>& finish();

 private:
  /// A window's first entry in the tables, and 1 / (area * standard deviation) of its pixels, by
  /// which values are multiplied (OpenCV: varianceNormFactor).
  struct Window {
    std::int32_t origin;
    float factor;
  };

  static constexpr std::size_t block = kernels::haar_block;

  /// One entry of a block of windows, in one line of the cache.
  struct alignas(sizeof(std::uint16_t) * block) GatheredEntry {
    std::uint16_t lanes[block];
  };

  const TableLayout& layout() const noexcept { return tables_->layout(); }
  std::int32_t row_stride() const noexcept;

  // Whole rows.
  void measure_contrast(int start, int y, int i);
  void evaluate_rows();
  void recheck_borderline(std::size_t stage);
  void apply_skip_rule() noexcept;
  template <class Chosen>
  void compact_windows(std::size_t stage, Chosen&& chosen);
  template <class Function>
  void for_each_word(Function&& function) const;
  Window window(std::size_t word, std::int32_t first, int bit) const noexcept;

  // Blocks of compacted windows.
  void evaluate_queues(std::size_t least);
  void evaluate_block(const Window* windows, std::size_t count, std::size_t stage);
  bool pays_to_go_on(std::uint32_t alive, std::size_t count, std::size_t stage) const noexcept;
  void gather(const Window* windows, std::size_t count);

  // Exact sums.
  double threshold(std::size_t stage) const noexcept;
  bool passes(std::size_t stage, const Window& window) const noexcept;
  double exact_sum(std::size_t stage, const Window& window) const noexcept;
  void add_exact_sums(std::size_t stage, const Window* windows, std::size_t count, double* sums);
  double leaf(const WeakClassifier& tree, int child) const noexcept;
  float exact_value(const HaarFeature& feature, const Window& window) const noexcept;

  const CascadeProgram* program_ = nullptr;
  const LevelSums* tables_ = nullptr;
  PlacedStages stages_;
  // The rows that are evaluated together.
  std::int32_t origin_ = 0;  // of the first row's first window
  std::int32_t row_count_ = 0;
  std::int32_t window_count_ = 0;  // of each row
  std::int32_t word_count_ = 0;    // of each row
  std::vector<float> factors_;
  // A bit for each window.
  std::vector<std::uint32_t> not_flat_;
  std::vector<std::uint32_t> alive_;
  std::vector<std::uint32_t> borderline_;
  // Windows to be evaluated by each stage; behind the last stage's those that are accepted.
  std::vector<std::vector<Window>> queues_;
  std::vector<AcceptedWindow> accepted_;
  // A block of gathered windows.
  std::array<std::int32_t, block> origins_{};
  std::array<float, block> block_factors_{};
  std::vector<GatheredEntry> gathered_;
  std::vector<std::uint16_t> left_;  // for each stump the windows that go left
};

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <algorithm>

#include <mien/kernels/vision.hpp>

namespace mien::detail {

// With more rows at once most blocks find others to be evaluated with: 3 % faster than single rows.
inline constexpr int rows_at_once = 16;

/// Calls function(i) for every bit i that is set, from the lowest to the highest.
template <class Function>
void for_each_bit(std::uint32_t word, Function&& function) {
  for (; word != 0; word &= word - 1) function(kernels::lowest_bit(word));
}

MIEN_INLINE void CascadeScanner::start(const CascadeProgram& program, const LevelSums& tables) {
  program_ = &program;
  tables_ = &tables;
  program.place(layout(), stages_);
  queues_.resize(std::max(queues_.size(), program.stage_count() + 1));
  for (auto& queue : queues_) queue.clear();
}

/// From one row of windows to the next, in entries of the tables.
MIEN_INLINE std::int32_t CascadeScanner::row_stride() const noexcept {
  return layout().row * layout().step;
}

MIEN_INLINE void CascadeScanner::scan(int start, int level_width, int window_rows) {
  const int positions = level_width + 1 - program_->window().width;
  if (positions <= 0) return;
  const int step = layout().step;
  window_count_ = (positions + step - 1) / step;
  word_count_ = (window_count_ + kernels::haar_word - 1) / kernels::haar_word;
  const auto words = static_cast<std::size_t>(rows_at_once * word_count_);
  factors_.resize(words * kernels::haar_word);
  not_flat_.resize(words);
  alive_.resize(words);
  borderline_.resize(words);
  for (int y = 0; y < window_rows; y += rows_at_once * step) {
    row_count_ = std::min(rows_at_once, (window_rows - y + step - 1) / step);
    origin_ = (start + y) * layout().row;
    for (int i = 0; i < row_count_; ++i) measure_contrast(start, y + i * step, i);
    evaluate_rows();
    // Full blocks are evaluated while their sums are in the nearest cache: 10 % faster than later.
    evaluate_queues(block);
  }
}

/// Finds the flat windows of row y of the band that starts at row `start`; it is the i-th of the
/// rows that are evaluated together.
MIEN_INLINE void CascadeScanner::measure_contrast(int start, int y, int i) {
  const Rect& inside = program_->normalisation_rect();
  const auto corners = [&](const std::uint32_t* table, int row) {
    const auto at = [&](int dx, int dy) {
      return table + layout()(inside.x + dx, row + inside.y + dy, false);
    };
    return kernels::ContrastRows{at(0, 0), at(inside.width, 0), at(0, inside.height),
                                 at(inside.width, inside.height)};
  };
  kernels::chosen_vision_table().measure_contrast(
      corners(tables_->sums(), start + y), corners(tables_->squared_sums(), y),
      inside.width * inside.height, program_->smallest_spread(), window_count_,
      factors_.data() + i * word_count_ * kernels::haar_word, not_flat_.data() + i * word_count_);
}

MIEN_INLINE void CascadeScanner::evaluate_rows() {
  // Compacting the last one or two windows of a word early is 2 % faster than carrying them on.
  const auto has_few = [](std::uint32_t alive) {
    const std::uint32_t all_but_one = alive & (alive - 1);
    return (all_but_one & (all_but_one - 1)) == 0;
  };
  const kernels::HaarRows rows{tables_->low_sums() + origin_,
                               tables_->sums() + origin_,
                               factors_.data(),
                               row_count_,
                               row_stride(),
                               word_count_};
  alive_ = not_flat_;
  for (std::size_t stage = 0; stage < stages_.rows.size(); ++stage) {
    if (stage > 1) compact_windows(stage, has_few);
    if (kernels::chosen_vision_table().evaluate_rows(stages_.rows[stage], rows, alive_.data(),
                                                     borderline_.data())) {
      recheck_borderline(stage);
    }
    if (stage == 0) apply_skip_rule();
  }
  compact_windows(stages_.rows.size(), [](std::uint32_t) { return true; });
}

/// Calls function(word's number, its first window's origin) for all words of the rows.
template <class Function>
void CascadeScanner::for_each_word(Function&& function) const {
  std::size_t word = 0;
  for (std::int32_t y = 0; y < row_count_; ++y) {
    std::int32_t first = origin_ + y * row_stride();
    for (std::int32_t i = 0; i < word_count_; ++i, first += kernels::haar_word) {
      function(word++, first);
    }
  }
}

/// The window of a word's bit.
inline CascadeScanner::Window CascadeScanner::window(std::size_t word, std::int32_t first,
                                                     int bit) const noexcept {
  return {first + bit, factors_[word * kernels::haar_word + static_cast<std::size_t>(bit)]};
}

/// Decides in double precision where the integer sum was too near to the threshold.
MIEN_INLINE void CascadeScanner::recheck_borderline(std::size_t stage) {
  for_each_word([&](std::size_t word, std::int32_t first) {
    for_each_bit(borderline_[word], [&](int bit) {
      if (!passes(stage, window(word, first, bit))) alive_[word] &= ~(1u << bit);
    });
  });
}

/// OpenCV skips the window after one that stage 0 rejects. So of neighbouring windows that stage 0
/// would reject, it visits the first, the third and so on, and it also skips the window behind
/// them if they are odd in number.
MIEN_INLINE void CascadeScanner::apply_skip_rule() noexcept {
  constexpr std::uint32_t even = 0x55555555u;
  for (std::int32_t y = 0; y < row_count_; ++y) {
    std::uint32_t skipped_first = 0;  // whether the word before skips this word's first window
    for (std::int32_t i = 0; i < word_count_; ++i) {
      const auto word = static_cast<std::size_t>(y * word_count_ + i);
      const std::uint32_t rejected = not_flat_[word] & ~alive_[word] & ~skipped_first;
      const std::uint32_t starts = rejected & ~(rejected << 1);
      // Adding a run's first bit clears the run.
      const std::uint32_t even_runs = rejected & ~(rejected + (starts & even));
      const std::uint32_t visited = (even_runs & even) | (rejected & ~even_runs & ~even);
      alive_[word] &= ~(visited << 1 | skipped_first);
      skipped_first = visited >> 31;
    }
  }
}

/// Moves the windows of the words for which chosen(bits) is true to a stage's queue.
template <class Chosen>
void CascadeScanner::compact_windows(std::size_t stage, Chosen&& chosen) {
  for_each_word([&](std::size_t word, std::int32_t first) {
    if (alive_[word] == 0 || !chosen(alive_[word])) return;
    for_each_bit(alive_[word],
                 [&](int bit) { queues_[stage].push_back(window(word, first, bit)); });
    alive_[word] = 0;
  });
}

/// Evaluates blocks from each queue that holds at least `least` windows.
MIEN_INLINE void CascadeScanner::evaluate_queues(std::size_t least) {
  for (std::size_t stage = 0; stage < program_->stage_count(); ++stage) {
    std::vector<Window>& queue = queues_[stage];
    std::size_t first = 0;
    while (queue.size() - first >= least) {
      const std::size_t count = std::min(queue.size() - first, block);
      evaluate_block(queue.data() + first, count, stage);
      first += count;
    }
    queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(first));
  }
}

/// Evaluates a block by as many stages as pays; the windows left go to the next stage's queue.
MIEN_INLINE void CascadeScanner::evaluate_block(const Window* windows, std::size_t count,
                                                std::size_t stage) {
  gather(windows, count);
  std::uint32_t alive = (1u << count) - 1;
  do {
    std::uint32_t borderline = 0;
    const std::uint32_t passed = kernels::chosen_vision_table().evaluate_gathered(
        stages_.gathered[stage], gathered_.data()->lanes, tables_->sums(), origins_.data(),
        block_factors_.data(), borderline);
    for_each_bit(alive & borderline, [&](int i) {
      if (!passes(stage, windows[i])) borderline &= ~(1u << i);
    });
    alive &= passed | borderline;
    ++stage;
  } while (alive != 0 && pays_to_go_on(alive, count, stage));
  for_each_bit(alive, [&](int i) { queues_[stage].push_back(windows[i]); });
}

/// Whether a block should go through another stage although some of its windows are rejected. The
/// alternative is to gather those left anew, with others: that pays when few of many are left and
/// the stage is long.
MIEN_INLINE bool CascadeScanner::pays_to_go_on(std::uint32_t alive, std::size_t count,
                                               std::size_t stage) const noexcept {
  constexpr std::size_t nodes_per_window = 12;  // by measurement
  if (stage == program_->stage_count()) return false;
  std::size_t left = 0;
  for (; alive != 0; alive &= alive - 1) ++left;
  const auto nodes = static_cast<std::size_t>(program_->node_count(stage));
  return 2 * left > count || left * nodes_per_window > nodes;
}

/// Copies the sums of up to a block of windows to where their lanes lie side by side.
MIEN_INLINE void CascadeScanner::gather(const Window* windows, std::size_t count) {
  for (std::size_t i = 0; i < block; ++i) {
    const Window& window = windows[i < count ? i : 0];
    origins_[i] = window.origin;
    block_factors_[i] = window.factor;
  }
  const TableLayout& to = program_->gathered_layout();
  const auto table = static_cast<std::size_t>(to.tilted);
  const bool tilted = program_->cascade().has_tilted_features();
  gathered_.resize(tilted ? 2 * table : table);
  const kernels::HaarWindows shape{to.row, to.tilted / to.row, layout().step, layout().plane,
                                   layout().row};
  const auto gather_windows = kernels::chosen_vision_table().gather_windows;
  gather_windows(shape, tables_->low_sums(), origins_.data(), gathered_.data()->lanes);
  if (tilted) {
    gather_windows(shape, tables_->low_sums() + layout().tilted, origins_.data(),
                   gathered_[table].lanes);
  }
}

MIEN_INLINE const std::vector<AcceptedWindow>& CascadeScanner::finish() {
  evaluate_queues(1);
  std::vector<Window>& queue = queues_[program_->stage_count()];
  const std::size_t last = program_->stage_count() - 1;
  accepted_.clear();
  for (std::size_t first = 0; first < queue.size(); first += block) {
    const Window* windows = queue.data() + first;
    const std::size_t count = std::min(queue.size() - first, block);
    std::array<double, block> sums{};
    add_exact_sums(last, windows, count, sums.data());
    for (std::size_t i = 0; i < count; ++i) {
      const int row = windows[i].origin / layout().row;
      const int x = windows[i].origin % layout().row * layout().step;
      accepted_.push_back({x, row, static_cast<float>(sums[i] - threshold(last))});
    }
  }
  queue.clear();
  return accepted_;
}

MIEN_INLINE double CascadeScanner::threshold(std::size_t stage) const noexcept {
  return static_cast<double>(program_->cascade().stages()[stage].threshold);
}

MIEN_INLINE bool CascadeScanner::passes(std::size_t stage, const Window& window) const noexcept {
  return exact_sum(stage, window) >= threshold(stage);
}

/// A stage's sum for a window, in double precision and in the file's order.
MIEN_INLINE double CascadeScanner::exact_sum(std::size_t stage,
                                             const Window& window) const noexcept {
  const Cascade& cascade = program_->cascade();
  const CascadeStage& from = cascade.stages()[stage];
  double sum = 0;
  for (std::size_t i = 0; i < from.classifier_count; ++i) {
    const WeakClassifier& tree = cascade.classifiers()[from.first_classifier + i];
    int child = 0;
    do {
      const CascadeNode& node = cascade.nodes()[tree.first_node + static_cast<std::size_t>(child)];
      const float value = exact_value(cascade.features()[node.feature], window);
      child = value * window.factor < node.threshold ? node.left : node.right;
    } while (child > 0);
    sum += leaf(tree, child);
  }
  return sum;
}

/// Adds the same of up to a block of windows to `sums`; stumps' decisions are made a block at a
/// time.
MIEN_INLINE void CascadeScanner::add_exact_sums(std::size_t stage, const Window* windows,
                                                std::size_t count, double* sums) {
  if (stages_.gathered[stage].tree_count > 0) {
    for (std::size_t w = 0; w < count; ++w) sums[w] += exact_sum(stage, windows[w]);
    return;
  }
  gather(windows, count);
  const Cascade& cascade = program_->cascade();
  const CascadeStage& from = cascade.stages()[stage];
  left_.resize(from.classifier_count);
  kernels::chosen_vision_table().decide_stumps(stages_.gathered[stage], gathered_.data()->lanes,
                                               tables_->sums(), origins_.data(),
                                               block_factors_.data(), left_.data());
  const std::int32_t* places = program_->stump_places(stage);
  for (std::size_t i = 0; i < from.classifier_count; ++i) {
    const WeakClassifier& stump = cascade.classifiers()[from.first_classifier + i];
    const CascadeNode& node = cascade.nodes()[stump.first_node];
    const std::array<double, 2> leaves{leaf(stump, node.right), leaf(stump, node.left)};
    const unsigned left = left_[static_cast<std::size_t>(places[i])];
    for (std::size_t w = 0; w < count; ++w) sums[w] += leaves[left >> w & 1u];
  }
}

/// A child that is not above 0 is a leaf.
MIEN_INLINE double CascadeScanner::leaf(const WeakClassifier& tree, int child) const noexcept {
  const std::size_t number = tree.first_leaf + static_cast<std::size_t>(-child);
  return static_cast<double>(program_->cascade().leaves()[number]);
}

MIEN_INLINE float CascadeScanner::exact_value(const HaarFeature& feature,
                                              const Window& window) const noexcept {
  const std::uint32_t* sums = tables_->sums() + window.origin;
  std::uint32_t value = 0;
  for (int i = 0; i < feature.rect_count; ++i) {
    for_each_corner(feature.rects[static_cast<std::size_t>(i)], feature.tilted,
                    [&](const Corner& corner) {
                      value += static_cast<std::uint32_t>(corner.weight) *
                               sums[layout()(corner.x, corner.y, feature.tilted)];
                    });
  }
  return static_cast<float>(static_cast<std::int32_t>(value));
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
