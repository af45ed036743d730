// Finds the windows of a level that a cascade accepts.
//
// The first stages reject most windows and are evaluated for whole rows. The windows that are left
// lie far apart; a block at a time, their sums are brought together, so that the other stages read
// them like neighbours.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <mien/kernels/vision_kernels.hpp>
#include <mien/vision/cascade.hpp>
#include <mien/vision/haar_program.hpp>
#include <mien/vision/level_tables.hpp>

namespace mien::detail {

/// The pixels of a window that its contrast is measured on: all but a border of one pixel.
inline Rect normalisation_rect(int window_width, int window_height) noexcept {
  return {1, 1, window_width - 2, window_height - 2};
}

/// 1 / (area * standard deviation), where `spread` = area * sum of squares - (sum)^2.
inline float normalisation_factor(std::int64_t spread) noexcept {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(spread)));
}

/// The smallest spread that is not flat. OpenCV demands area * normalisation_factor < 0.1, a
/// standard deviation above 10; that is monotonic, so one integer comparison decides the same.
inline std::int64_t smallest_spread(int area) noexcept {
  const auto is_flat = [area](std::int64_t spread) {
    return static_cast<double>(area) * static_cast<double>(normalisation_factor(spread)) >= 0.1;
  };
  std::int64_t flat = 1;
  std::int64_t contrasted = std::int64_t{area} * area * 255 * 255 + 1;
  while (contrasted - flat > 1) {
    const std::int64_t middle = flat + (contrasted - flat) / 2;
    (is_flat(middle) ? flat : contrasted) = middle;
  }
  return contrasted;
}

/// A cascade and what is worked out from it once.
class ScannableCascade {
 public:
  explicit ScannableCascade(Cascade cascade)
      : cascade_(std::move(cascade)),
        program_(cascade_),
        inside_(normalisation_rect(cascade_.window_width(), cascade_.window_height())),
        smallest_spread_(detail::smallest_spread(inside_.width * inside_.height)) {
    int nodes = 0;
    const int enough = cascade_.has_only_stumps() ? enough_stumps : enough_branches;
    while (row_stages_ < program_.stage_count() && nodes < enough) {
      nodes += program_.node_count(row_stages_++);
    }
    const TableLayout gathered{1, gathered_width(), gathered_width(), gathered_size()};
    program_.place_nodes(program_.stage_count(), gathered, kernels::haar_block, gathered_nodes_);
  }

  const Cascade& cascade() const noexcept { return cascade_; }
  const HaarProgram& program() const noexcept { return program_; }
  /// Where a window's contrast is measured, and the smallest spread that is not flat.
  const Rect& inside() const noexcept { return inside_; }
  std::int64_t smallest_spread() const noexcept { return smallest_spread_; }
  /// How many stages are evaluated for whole rows.
  std::size_t row_stages() const noexcept { return row_stages_; }
  /// All nodes with their corners in gathered windows.
  const PlacedNodes& gathered_nodes() const noexcept { return gathered_nodes_; }
  int gathered_width() const noexcept { return cascade_.window_width() + 1; }
  int gathered_height() const noexcept { return cascade_.window_height() + 1; }
  /// Entries of one window's table.
  int gathered_size() const noexcept { return gathered_width() * gathered_height(); }

 private:
  // By measurement: fewer leave too many windows to gather, more evaluate too many dead ones. Nodes
  // of trees take longer.
  static constexpr int enough_stumps = 64;
  static constexpr int enough_branches = 32;

  Cascade cascade_;
  HaarProgram program_;
  Rect inside_;
  std::int64_t smallest_spread_;
  std::size_t row_stages_ = 0;
  PlacedNodes gathered_nodes_;
};

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
  void start(const ScannableCascade& cascade, const LevelTables& tables) {
    cascade_ = &cascade;
    tables_ = &tables;
    cascade.program().place_nodes(cascade.row_stages(), layout(), 1, nodes_);
    cascade.program().place_wide_nodes(layout(), wide_nodes_);
    row_stages_.clear();
    gathered_stages_.clear();
    for (std::size_t i = 0; i < program().stage_count(); ++i) {
      if (i < cascade.row_stages()) {
        row_stages_.push_back(program().stage(i, nodes_, wide_nodes_));
      }
      gathered_stages_.push_back(program().stage(i, cascade.gathered_nodes(), wide_nodes_));
    }
    waiting_.resize(std::max(waiting_.size(), program().stage_count() + 1));
    for (auto& windows : waiting_) windows.clear();
  }

  /// Looks at the windows of `window_rows` rows of the newest band of the tables, which starts at
  /// row `start` there and has at least `window_rows` - 1 + window height rows of pixels. Windows
  /// of which there are too few for a block wait for those of other bands.
  void scan(int start, int level_width, int window_rows) {
    const int positions = level_width + 1 - cascade_->cascade().window_width();
    if (positions <= 0) return;
    const int step = layout().step;
    window_count_ = (positions + step - 1) / step;
    word_count_ = (window_count_ + kernels::haar_word - 1) / kernels::haar_word;
    const auto words = static_cast<std::size_t>(rows_at_once * word_count_);
    factors_.resize(words * kernels::haar_word);
    contrasted_.resize(words);
    alive_.resize(words);
    uncertain_.resize(words);
    for (int y = 0; y < window_rows; y += rows_at_once * step) {
      row_count_ = std::min(rows_at_once, (window_rows - y + step - 1) / step);
      origin_ = (start + y) * layout().row;
      for (int i = 0; i < row_count_; ++i) measure_contrast(start, y + i * step, i);
      scan_rows();
      evaluate_waiting(block);
    }
  }

  /// Takes the windows that still wait through the other stages, and calls accept(AcceptedWindow)
  /// for all that are looked at and accepted, in no particular order.
  template <class Accept>
  void finish(Accept&& accept) {
    evaluate_waiting(1);
    std::vector<Window>& accepted = waiting_[program().stage_count()];
    const std::size_t last = program().stage_count() - 1;
    for (std::size_t first = 0; first < accepted.size(); first += block) {
      const Window* windows = accepted.data() + first;
      const std::size_t count = std::min(accepted.size() - first, block);
      std::array<double, block> totals{};
      exact_sums(last, windows, count, totals.data());
      for (std::size_t i = 0; i < count; ++i) {
        const int row = windows[i].origin / layout().row;
        const int x = windows[i].origin % layout().row * layout().step;
        accept(AcceptedWindow{x, row, static_cast<float>(totals[i] - threshold(last))});
      }
    }
    accepted.clear();
  }

 private:
  /// A window's first entry in the tables, and the factor that makes up for its contrast.
  struct Window {
    std::int32_t origin;
    float factor;
  };

  /// One entry of a block of windows; aligned, so that it lies in one line of the cache.
  struct alignas(sizeof(std::uint16_t) * kernels::haar_block) GatheredEntry {
    std::uint16_t lanes[kernels::haar_block];
  };

  const HaarProgram& program() const noexcept { return cascade_->program(); }
  const TableLayout& layout() const noexcept { return tables_->layout(); }

  /// From one row of windows to the next, in entries of the tables.
  std::int32_t row_stride() const noexcept { return layout().row * layout().step; }

  /// The stages that whole rows go through.
  void scan_rows() {
    const kernels::HaarRows rows{tables_->low_sums() + origin_,
                                 tables_->sums() + origin_,
                                 factors_.data(),
                                 row_count_,
                                 row_stride(),
                                 word_count_};
    alive_ = contrasted_;
    for (std::size_t number = 0; number < row_stages_.size(); ++number) {
      if (number > 1) leave_to_wait(number, has_few);
      if (kernels::chosen_vision_table().scan_rows(row_stages_[number], rows, alive_.data(),
                                                   uncertain_.data())) {
        settle(number);
      }
      if (number == 0) leave_out_skipped();
    }
    leave_to_wait(row_stages_.size(), [](std::uint32_t) { return true; });
  }

  /// Calls function(word's number, its first window's origin) for all words of the rows.
  template <class Function>
  void for_each_word(Function&& function) const {
    std::size_t word = 0;
    for (std::int32_t y = 0; y < row_count_; ++y) {
      std::int32_t first = origin_ + y * row_stride();
      for (std::int32_t i = 0; i < word_count_; ++i, first += kernels::haar_word) {
        function(word++, first);
      }
    }
  }

  Window window(std::size_t word, std::int32_t first, int bit) const noexcept {
    return {first + bit, factors_[word * kernels::haar_word + static_cast<std::size_t>(bit)]};
  }

  /// Whether a word of windows has one or two left, too few to go on with: 0.98 of the time.
  static bool has_few(std::uint32_t alive) noexcept {
    const std::uint32_t all_but_one = alive & (alive - 1);
    return (all_but_one & (all_but_one - 1)) == 0;
  }

  /// Lets the windows of those words wait for a stage of which chosen(bits) is true.
  template <class Chosen>
  void leave_to_wait(std::size_t stage, Chosen&& chosen) {
    for_each_word([&](std::size_t word, std::int32_t first) {
      if (alive_[word] == 0 || !chosen(alive_[word])) return;
      for_each_bit(alive_[word],
                   [&](int bit) { waiting_[stage].push_back(window(word, first, bit)); });
      alive_[word] = 0;
    });
  }

  /// Of the windows of a band's row y, the i-th of the rows; the band starts at row `start` of the
  /// tables of sums.
  void measure_contrast(int start, int y, int i) {
    const Rect& inside = cascade_->inside();
    const auto corners = [&](const std::uint32_t* table, int row) {
      const auto at = [&](int dx, int dy) {
        return table + layout()(inside.x + dx, row + inside.y + dy, false);
      };
      return kernels::ContrastRows{at(0, 0), at(inside.width, 0), at(0, inside.height),
                                   at(inside.width, inside.height)};
    };
    kernels::chosen_vision_table().measure_contrast(
        corners(tables_->sums(), start + y), corners(tables_->squared_sums(), y),
        inside.width * inside.height, cascade_->smallest_spread(), window_count_,
        factors_.data() + i * word_count_ * kernels::haar_word,
        contrasted_.data() + i * word_count_);
  }

  /// Decides exactly where single precision could not.
  void settle(std::size_t stage) {
    for_each_word([&](std::size_t word, std::int32_t first) {
      for_each_bit(uncertain_[word], [&](int bit) {
        if (!passes(stage, window(word, first, bit))) alive_[word] &= ~(1u << bit);
      });
    });
  }

  /// After a looked-at window that fails the first stage, the next one of the row is not looked at.
  /// In a run of such windows these are every second one, starting with the first.
  void leave_out_skipped() noexcept {
    constexpr std::uint32_t even = 0x55555555u;
    for (std::int32_t y = 0; y < row_count_; ++y) {
      std::uint32_t skipped_first = 0;  // whether the word before skips this word's first window
      for (std::int32_t i = 0; i < word_count_; ++i) {
        const auto word = static_cast<std::size_t>(y * word_count_ + i);
        const std::uint32_t failed = contrasted_[word] & ~alive_[word] & ~skipped_first;
        const std::uint32_t starts = failed & ~(failed << 1);
        // Adding a run's first bit clears the run.
        const std::uint32_t even_runs = failed & ~(failed + (starts & even));
        const std::uint32_t looked_at = (even_runs & even) | (failed & ~even_runs & ~even);
        alive_[word] &= ~(looked_at << 1 | skipped_first);
        skipped_first = looked_at >> 31;
      }
    }
  }

  /// Calls function(i) for every bit i that is set, from the lowest to the highest.
  template <class Function>
  static void for_each_bit(std::uint32_t word, Function&& function) {
    for (; word != 0; word &= word - 1) function(kernels::lowest_bit(word));
  }

  /// Takes the windows that wait for any stage further, as long as there are `least` of them. Full
  /// blocks go at once, while their sums are in the nearest cache: 0.9 of the time.
  void evaluate_waiting(std::size_t least) {
    for (std::size_t stage = 0; stage < program().stage_count(); ++stage) {
      std::vector<Window>& windows = waiting_[stage];
      std::size_t first = 0;
      while (windows.size() - first >= least) {
        const std::size_t count = std::min(windows.size() - first, block);
        evaluate(windows.data() + first, count, stage);
        first += count;
      }
      windows.erase(windows.begin(), windows.begin() + static_cast<std::ptrdiff_t>(first));
    }
  }

  /// Up to a block of windows through as many stages as pay. What is left waits for the next one.
  void evaluate(const Window* windows, std::size_t count, std::size_t stage) {
    gather(windows, count);
    std::uint32_t alive = (1u << count) - 1;
    do {
      std::uint32_t uncertain = 0;
      const std::uint32_t passed = kernels::chosen_vision_table().judge_gathered(
          gathered_stages_[stage], gathered_.data()->lanes, tables_->sums(), origins_.data(),
          block_factors_.data(), uncertain);
      for_each_bit(alive & uncertain, [&](int i) {
        if (!passes(stage, windows[i])) uncertain &= ~(1u << i);
      });
      alive &= passed | uncertain;
      ++stage;
    } while (alive != 0 && pays_to_go_on(alive, count, stage));
    for_each_bit(alive, [&](int i) { waiting_[stage].push_back(windows[i]); });
  }

  /// Whether the windows that are still alive should go through a stage as they are. Otherwise they
  /// are gathered anew, with others, which pays when few of many are left and the stage is long.
  bool pays_to_go_on(std::uint32_t alive, std::size_t count, std::size_t stage) const noexcept {
    if (stage == program().stage_count()) return false;
    std::size_t left = 0;
    for (; alive != 0; alive &= alive - 1) ++left;
    const auto nodes = static_cast<std::size_t>(program().node_count(stage));
    return 2 * left > count || left * nodes_per_window > nodes;
  }

  /// Brings the sums of up to a block of windows together.
  void gather(const Window* windows, std::size_t count) {
    for (std::size_t i = 0; i < block; ++i) {
      const Window& window = windows[i < count ? i : 0];
      origins_[i] = window.origin;
      block_factors_[i] = window.factor;
    }
    const auto table = static_cast<std::size_t>(cascade_->gathered_size());
    const bool tilted = cascade_->cascade().has_tilted_features();
    gathered_.resize(tilted ? 2 * table : table);
    const kernels::HaarWindows shape{cascade_->gathered_width(), cascade_->gathered_height(),
                                     layout().step, layout().plane, layout().row};
    const auto gather_windows = kernels::chosen_vision_table().gather_windows;
    gather_windows(shape, tables_->low_sums(), origins_.data(), gathered_.data()->lanes);
    if (tilted) {
      gather_windows(shape, tables_->low_sums() + layout().tilted, origins_.data(),
                     gathered_[table].lanes);
    }
  }

  double threshold(std::size_t stage) const noexcept {
    return static_cast<double>(cascade_->cascade().stages()[stage].threshold);
  }

  bool passes(std::size_t stage, const Window& window) const noexcept {
    return exact_sum(stage, window) >= threshold(stage);
  }

  /// A stage's sums, in double precision and in the file's order, of up to a block of windows,
  /// which are added to `totals`.
  void exact_sums(std::size_t number, const Window* windows, std::size_t count, double* totals) {
    const kernels::HaarStage& stage = gathered_stages_[number];
    if (stage.tree_count > 0) {
      for (std::size_t w = 0; w < count; ++w) totals[w] += exact_sum(number, windows[w]);
      return;
    }
    gather(windows, count);
    const Cascade& cascade = cascade_->cascade();
    const CascadeStage& described = cascade.stages()[number];
    left_.resize(described.classifier_count);
    kernels::chosen_vision_table().decide_gathered(stage, gathered_.data()->lanes, tables_->sums(),
                                                   origins_.data(), block_factors_.data(),
                                                   left_.data());
    const std::int32_t* places = program().stump_places(number);
    for (std::size_t i = 0; i < described.classifier_count; ++i) {
      const WeakClassifier& stump = cascade.classifiers()[described.first_classifier + i];
      const CascadeNode& node = cascade.nodes()[stump.first_node];
      const std::array<double, 2> leaves{leaf(stump, node.right), leaf(stump, node.left)};
      const unsigned left = left_[static_cast<std::size_t>(places[i])];
      for (std::size_t w = 0; w < count; ++w) totals[w] += leaves[left >> w & 1u];
    }
  }

  /// The same of one window, wherever it lies.
  double exact_sum(std::size_t number, const Window& window) const noexcept {
    const Cascade& cascade = cascade_->cascade();
    const CascadeStage& stage = cascade.stages()[number];
    double total = 0;
    for (std::size_t i = 0; i < stage.classifier_count; ++i) {
      const WeakClassifier& tree = cascade.classifiers()[stage.first_classifier + i];
      int child = 0;
      do {
        const CascadeNode& node =
            cascade.nodes()[tree.first_node + static_cast<std::size_t>(child)];
        const float value = exact_value(cascade.features()[node.feature], window);
        child = value * window.factor < node.threshold ? node.left : node.right;
      } while (child > 0);
      total += leaf(tree, child);
    }
    return total;
  }

  /// A child that is not above 0 is a leaf.
  double leaf(const WeakClassifier& tree, int child) const noexcept {
    const std::size_t number = tree.first_leaf + static_cast<std::size_t>(-child);
    return static_cast<double>(cascade_->cascade().leaves()[number]);
  }

  float exact_value(const HaarFeature& feature, const Window& window) const noexcept {
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

  static constexpr std::size_t block = kernels::haar_block;
  static constexpr std::size_t nodes_per_window = 12;  // by measurement
  // Most blocks then find others to be evaluated with: 0.97 of the time of single rows.
  static constexpr int rows_at_once = 16;

  const ScannableCascade* cascade_ = nullptr;
  const LevelTables* tables_ = nullptr;
  // Of the rows that are scanned together.
  std::int32_t origin_ = 0;
  std::int32_t row_count_ = 0;
  std::int32_t window_count_ = 0;  // of each row
  std::int32_t word_count_ = 0;    // of each row
  PlacedNodes nodes_;              // of the row stages, in the tables
  std::vector<kernels::HaarWideNode> wide_nodes_;
  std::vector<kernels::HaarStage> row_stages_;
  std::vector<kernels::HaarStage> gathered_stages_;
  std::vector<float> factors_;
  // Bits of the rows' windows.
  std::vector<std::uint32_t> contrasted_;
  std::vector<std::uint32_t> alive_;
  std::vector<std::uint32_t> uncertain_;
  std::vector<std::vector<Window>> waiting_;  // for each stage, those accepted last
  // A block of windows whose sums have been brought together.
  std::array<std::int32_t, block> origins_{};
  std::array<float, block> block_factors_{};
  std::vector<GatheredEntry> gathered_;
  std::vector<std::uint16_t> left_;  // at each stump: which of them go left
};

}  // namespace mien::detail
