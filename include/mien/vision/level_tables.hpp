// The tables of sums of parts of the levels of the detector's pyramid.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <mien/kernels/vision_kernels.hpp>
#include <mien/vision/haar_program.hpp>
#include <mien/vision/image.hpp>
#include <mien/vision/resize.hpp>

namespace mien::detail {

/// One size of the image and the distance between windows in it.
struct Level {
  float scale = 1;
  Size size;
  int step = 1;
};

/// Sums, squared sums and tilted sums (see IntegralImage) of bands of rows of levels, as if nothing
/// were above each: differences between corners inside it are the same. Bands lie one below the
/// other with the same distance between rows, so that windows of all of them can be evaluated
/// together. Rows are split into planes of every `step`th column, so that the entries of
/// neighbouring windows are neighbours.
class LevelTables {
 public:
  /// Empties the tables and makes room for `row_count` rows of entries, for bands of levels up to
  /// so wide and with this step.
  void start(int width, int step, int row_count, bool with_tilted_sums) {
    layout_.step = step;
    layout_.plane = (width + step) / step;
    layout_.row = step * layout_.plane;
    const std::int32_t table = row_count * layout_.row;
    layout_.tilted = with_tilted_sums ? table : 0;
    const auto size = static_cast<std::size_t>(table + layout_.tilted + slack);
    sums_.resize(std::max(size, sums_.size()));
    low_sums_.resize(std::max(size, low_sums_.size()));
    squared_sums_.resize(std::max(static_cast<std::size_t>(table + slack), squared_sums_.size()));
    row_count_ = row_count;
    end_ = 0;
  }

  /// Whether a band with so many rows of pixels can be added.
  bool has_room(int width, int step, int pixel_rows, bool with_tilted_sums) const noexcept {
    return step == layout_.step && (width + step) / step <= layout_.plane &&
           with_tilted_sums == has_tilted_sums() && end_ + pixel_rows + 1 <= row_count_;
  }

  /// Sums up the rows from `first_row` on of a level to which `plan` brings the image. Returns the
  /// band's first row in the tables of sums; in that of squared sums, which has the newest band
  /// only, it is 0.
  int add(const GrayView& image, const ResizePlan& plan, int first_row, int pixel_rows) {
    const int start = end_;
    end_ += pixel_rows + 1;
    width_ = plan.target().width;
    lines_.resize(line_count * (static_cast<std::size_t>(width_) + 1));
    pixels_.resize(2 * static_cast<std::size_t>(width_));
    rows_.start(image, plan);
    const kernels::VisionKernelTable& kernel = kernels::chosen_vision_table();
    std::array<kernels::SumRows, 2> sums{row_of_sums(0), row_of_sums(1)};
    // The newest row of tilted sums last.
    std::array<std::uint32_t*, 3> tilted{line(4), line(5), line(6)};
    for (std::size_t i = 0; i < line_count; ++i) std::fill_n(line(i), width_ + 1, 0u);
    split(kernel, sums[0], tilted[2], start, 0);
    std::array<std::uint8_t*, 2> memory{pixels_.data(), pixels_.data() + width_};
    std::fill_n(memory[0], 2 * width_, std::uint8_t{0});
    const std::uint8_t* pixels_above = memory[0];
    for (int y = 0; y < pixel_rows; ++y) {
      std::swap(memory[0], memory[1]);
      const std::uint8_t* pixels = rows_.row(first_row + y, memory[0]);
      kernel.sum_row(pixels, width_, sums[0], sums[1]);
      std::swap(sums[0], sums[1]);
      if (has_tilted_sums()) {
        std::rotate(tilted.begin(), tilted.begin() + 1, tilted.end());
        kernel.tilted_sum_row(pixels, pixels_above, width_, tilted[1], tilted[0], tilted[2]);
        pixels_above = pixels;
      }
      split(kernel, sums[0], tilted[2], start, y + 1);
    }
    return start;
  }

  const TableLayout& layout() const noexcept { return layout_; }
  const std::uint32_t* sums() const noexcept { return sums_.data(); }
  const std::uint32_t* squared_sums() const noexcept { return squared_sums_.data(); }
  /// The sums modulo 2^16.
  const std::uint16_t* low_sums() const noexcept { return low_sums_.data(); }

 private:
  // Two rows of sums, two of squared sums, three of tilted sums, in the order of columns.
  static constexpr std::size_t line_count = 7;
  // Kernels read whole blocks of windows.
  static constexpr std::int32_t slack = 2 * kernels::haar_word;

  bool has_tilted_sums() const noexcept { return layout_.tilted > 0; }

  std::uint32_t* line(std::size_t i) noexcept {
    return lines_.data() + i * (static_cast<std::size_t>(width_) + 1);
  }
  kernels::SumRows row_of_sums(std::size_t i) noexcept { return {line(i), line(i + 2)}; }

  /// Puts sums into row `row` of the band that starts at row `start`.
  void split(const kernels::VisionKernelTable& kernel, const kernels::SumRows& sums,
             const std::uint32_t* tilted, int start, int row) noexcept {
    const auto split_to = [&](const std::uint32_t* from, std::uint32_t* table,
                              std::uint16_t* low_table) {
      kernel.split_row(from, width_ + 1, {table, low_table, layout_.plane, layout_.step});
    };
    const std::int32_t offset = (start + row) * layout_.row;
    split_to(sums.sums, sums_.data() + offset, low_sums_.data() + offset);
    split_to(sums.squared_sums, squared_sums_.data() + row * layout_.row, nullptr);
    if (has_tilted_sums()) {
      const std::int32_t tilted_offset = layout_.tilted + offset;
      split_to(tilted, sums_.data() + tilted_offset, low_sums_.data() + tilted_offset);
    }
  }

  int row_count_ = 0;
  int end_ = 0;    // of the rows in use
  int width_ = 0;  // of the newest band's level
  TableLayout layout_;
  RowResizer rows_;
  std::vector<std::uint32_t> sums_;  // the tilted ones behind
  std::vector<std::uint16_t> low_sums_;
  std::vector<std::uint32_t> squared_sums_;
  std::vector<std::uint32_t> lines_;
  std::vector<std::uint8_t> pixels_;
};

}  // namespace mien::detail
