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
    waiting_.resize(std::max(waiting_.size(), program().stage_count() + 1));
    for (auto& windows : waiting_) windows.clear();
  }

  /// Looks at the windows of `window_rows` rows of the newest band of the tables, which starts at
  /// row `start` there and has at least `window_rows` - 1 + window height rows of pixels. Windows
  /// of which there are too few for a block wait for those of other bands.
  void scan(int start, int level_width, int window_rows) {
    const int positions = level_width + 1 - cascade_->cascade().window_width();
    if (positions <= 0) return;
    window_count_ = (positions + layout().step - 1) / layout().step;
    const auto words =
        static_cast<std::size_t>((window_count_ + kernels::haar_word - 1) / kernels::haar_word);
    factors_.resize(words * kernels::haar_word);
    contrasted_.resize(words);
    alive_.resize(words);
    uncertain_.resize(words);
    for (int y = 0; y < window_rows; y += layout().step) {
      measure_contrast(start, y);
      scan_row((start + y) * layout().row);
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
    totals_.resize(accepted.size());
    if (!accepted.empty()) exact_sums(last, accepted.data(), accepted.size(), totals_.data());
    for (std::size_t i = 0; i < accepted.size(); ++i) {
      const int row = accepted[i].origin / layout().row;
      const int x = accepted[i].origin % layout().row * layout().step;
      accept(AcceptedWindow{x, row, static_cast<float>(totals_[i] - threshold(last))});
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

  /// The stages that whole rows go through, for the row whose first window is at `origin`.
  void scan_row(std::int32_t origin) {
    const kernels::HaarRow row{tables_->low_sums() + origin, tables_->sums() + origin,
                               factors_.data(), window_count_};
    alive_ = contrasted_;
    for (std::size_t number = 0; number < cascade_->row_stages(); ++number) {
      if (number > 1) leave_to_wait(number, origin, has_few);
      const kernels::HaarStage stage = program().stage(number, nodes_, wide_nodes_);
      kernels::chosen_vision_table().scan_row(stage, row, alive_.data(), uncertain_.data());
      settle_row(number, origin);
      if (number == 0) leave_out_skipped();
    }
    leave_to_wait(cascade_->row_stages(), origin, [](std::uint32_t) { return true; });
  }

  /// Whether a word of windows has one or two left, too few to go on with: 0.98 of the time.
  static bool has_few(std::uint32_t alive) noexcept {
    const std::uint32_t all_but_one = alive & (alive - 1);
    return (all_but_one & (all_but_one - 1)) == 0;
  }

  /// Lets the windows of those words wait for a stage of which chosen(bits) is true.
  template <class Chosen>
  void leave_to_wait(std::size_t stage, std::int32_t origin, Chosen&& chosen) {
    for (std::size_t i = 0; i < alive_.size(); ++i) {
      if (alive_[i] == 0 || !chosen(alive_[i])) continue;
      const auto first = static_cast<std::int32_t>(i) * kernels::haar_word;
      for_each_bit(alive_[i], [&](int bit) {
        const std::int32_t window = first + bit;
        waiting_[stage].push_back({origin + window, factors_[static_cast<std::size_t>(window)]});
      });
      alive_[i] = 0;
    }
  }

  /// Of the windows of a band's row y; the band starts at row `start` of the tables of sums.
  void measure_contrast(int start, int y) {
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
        inside.width * inside.height, cascade_->smallest_spread(), window_count_, factors_.data(),
        contrasted_.data());
  }

  /// Decides exactly where single precision could not.
  void settle_row(std::size_t stage, std::int32_t origin) {
    for (std::size_t i = 0; i < uncertain_.size(); ++i) {
      for_each_bit(uncertain_[i], [&](int bit) {
        const std::int32_t window = static_cast<std::int32_t>(i) * kernels::haar_word + bit;
        const float factor = factors_[static_cast<std::size_t>(window)];
        if (!passes(stage, {origin + window, factor})) alive_[i] &= ~(1u << bit);
      });
    }
  }

  /// After a looked-at window that fails the first stage, the next one of the row is not looked at.
  /// In a run of such windows these are every second one, starting with the first.
  void leave_out_skipped() noexcept {
    constexpr std::uint32_t even = 0x55555555u;
    std::uint32_t skipped_first = 0;  // whether the word before skips this word's first window
    for (std::size_t i = 0; i < alive_.size(); ++i) {
      const std::uint32_t failed = contrasted_[i] & ~alive_[i] & ~skipped_first;
      const std::uint32_t starts = failed & ~(failed << 1);
      // Adding a run's first bit clears the run.
      const std::uint32_t even_runs = failed & ~(failed + (starts & even));
      const std::uint32_t looked_at = (even_runs & even) | (failed & ~even_runs & ~even);
      alive_[i] &= ~(looked_at << 1 | skipped_first);
      skipped_first = looked_at >> 31;
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
    std::array<std::int32_t, block> origins;
    std::array<float, block> factors;
    for (std::size_t i = 0; i < block; ++i) {
      const Window& window = windows[i < count ? i : 0];
      origins[i] = window.origin;
      factors[i] = window.factor;
    }
    gather(origins.data(), count);
    std::uint32_t alive = (1u << count) - 1;
    do {
      std::uint32_t uncertain = 0;
      const std::uint32_t passed = kernels::chosen_vision_table().judge_gathered(
          program().stage(stage, cascade_->gathered_nodes(), wide_nodes_), gathered_.data()->lanes,
          tables_->sums(), origins.data(), factors.data(), uncertain);
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

  void gather(const std::int32_t* origins, std::size_t window_count) {
    const auto count = static_cast<std::int32_t>(window_count);
    const auto table = static_cast<std::size_t>(cascade_->gathered_size());
    const bool tilted = cascade_->cascade().has_tilted_features();
    gathered_.resize(tilted ? 2 * table : table);
    const kernels::HaarWindows windows{cascade_->gathered_width(), cascade_->gathered_height(),
                                       layout().step, layout().plane, layout().row};
    const auto gather_windows = kernels::chosen_vision_table().gather_windows;
    gather_windows(windows, tables_->low_sums(), origins, count, gathered_.data()->lanes);
    if (tilted) {
      gather_windows(windows, tables_->low_sums() + layout().tilted, origins, count,
                     gathered_[table].lanes);
    }
  }

  double threshold(std::size_t stage) const noexcept {
    return static_cast<double>(cascade_->cascade().stages()[stage].threshold);
  }

  bool passes(std::size_t stage, const Window& window) const noexcept {
    double total;
    exact_sums(stage, &window, 1, &total);
    return total >= threshold(stage);
  }

  /// A stage's sums in double precision and in the file's order.
  void exact_sums(std::size_t stage_number, const Window* windows, std::size_t count,
                  double* totals) const noexcept {
    const Cascade& cascade = cascade_->cascade();
    const CascadeStage& stage = cascade.stages()[stage_number];
    std::fill_n(totals, count, 0.0);
    for (std::size_t i = 0; i < stage.classifier_count; ++i) {
      const WeakClassifier& tree = cascade.classifiers()[stage.first_classifier + i];
      const auto go_on = [&](int child, const PlacedCorners& corners, const Window& window) {
        const CascadeNode& node =
            cascade.nodes()[tree.first_node + static_cast<std::size_t>(child)];
        return exact_value(corners, window) * window.factor < node.threshold ? node.left
                                                                             : node.right;
      };
      const PlacedCorners root = placed_corners(tree, 0);
      for (std::size_t w = 0; w < count; ++w) {
        int child = go_on(0, root, windows[w]);
        while (child > 0) child = go_on(child, placed_corners(tree, child), windows[w]);
        totals[w] += static_cast<double>(
            cascade.leaves()[tree.first_leaf + static_cast<std::size_t>(-child)]);
      }
    }
  }

  /// The corners of a feature's rectangles in the tables.
  struct PlacedCorners {
    std::array<std::int32_t, kernels::haar_wide_corners> entries;
    std::array<std::uint32_t, kernels::haar_wide_corners> weights;
    std::size_t count = 0;
  };

  PlacedCorners placed_corners(const WeakClassifier& tree, int node) const noexcept {
    const Cascade& cascade = cascade_->cascade();
    const CascadeNode& placed = cascade.nodes()[tree.first_node + static_cast<std::size_t>(node)];
    const HaarFeature& feature = cascade.features()[placed.feature];
    PlacedCorners corners;
    for (int i = 0; i < feature.rect_count; ++i) {
      for_each_corner(
          feature.rects[static_cast<std::size_t>(i)], feature.tilted, [&](const Corner& corner) {
            corners.entries[corners.count] = layout()(corner.x, corner.y, feature.tilted);
            corners.weights[corners.count++] = static_cast<std::uint32_t>(corner.weight);
          });
    }
    return corners;
  }

  float exact_value(const PlacedCorners& corners, const Window& window) const noexcept {
    const std::uint32_t* sums = tables_->sums() + window.origin;
    std::uint32_t value = 0;
    for (std::size_t k = 0; k < corners.count; ++k) {
      value += corners.weights[k] * sums[corners.entries[k]];
    }
    return static_cast<float>(static_cast<std::int32_t>(value));
  }

  static constexpr std::size_t block = kernels::haar_block;
  static constexpr std::size_t nodes_per_window = 12;  // by measurement

  const ScannableCascade* cascade_ = nullptr;
  const LevelTables* tables_ = nullptr;
  std::int32_t window_count_ = 0;  // of a row
  PlacedNodes nodes_;              // of the row stages, in the tables
  std::vector<kernels::HaarWideNode> wide_nodes_;
  std::vector<float> factors_;
  // Bits of a row's windows.
  std::vector<std::uint32_t> contrasted_;
  std::vector<std::uint32_t> alive_;
  std::vector<std::uint32_t> uncertain_;
  std::vector<std::vector<Window>> waiting_;  // for each stage, those accepted last
  std::vector<GatheredEntry> gathered_;
  std::vector<double> totals_;  // of accepted windows
};

}  // namespace mien::detail
