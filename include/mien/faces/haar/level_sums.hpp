// The integral images of the pyramid's levels, in bands of rows that stay in the cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/config.hpp>
#include <mien/faces/haar/table_layout.hpp>
#include <mien/image/image.hpp>
#include <mien/image/resize_plan.hpp>
#include <mien/kernels/vision/pyramid.hpp>

namespace mien::detail {

/// Sums, squared sums and tilted sums (see IntegralImage) of bands of rows of levels. A band's sums
/// begin at its first row, which leaves differences between its entries as they are. Bands lie one
/// below the other with the same distance between rows, so that windows of different bands can be
/// evaluated together.
class LevelSums {
 public:
  /// Empties the tables and makes room for `row_count` rows of entries, for bands of levels up to
  /// `width` pixels wide, in which windows are `step` apart.
  void start(int width, int step, int row_count, bool with_tilted_sums);

  /// Whether a band with `pixel_rows` rows of pixels can be added.
  bool has_room(int width, int step, int pixel_rows, bool with_tilted_sums) const noexcept;

  /// Resizes the image by `plan` and sums up the rows from `first_row` on. Returns the band's first
  /// row in the tables of sums. The table of squared sums has the newest band only, from row 0 on.
  int add(const GrayView& image, const ResizePlan& plan, int first_row, int pixel_rows);

  const TableLayout& layout() const noexcept { return layout_; }
  const std::uint32_t* sums() const noexcept { return sums_.data(); }
  const std::uint32_t* squared_sums() const noexcept { return squared_sums_.data(); }
  /// The sums modulo 2^16.
  const std::uint16_t* low_sums() const noexcept { return low_sums_.data(); }

 private:
  bool has_tilted_sums() const noexcept { return layout_.tilted > 0; }
  /// Whether rows are first summed up in the order of columns, then split into planes.
  bool is_split() const noexcept { return layout_.step > 1; }

  std::uint32_t* line(std::size_t i) noexcept;
  kernels::SumRows line_of_sums(int i) noexcept;
  kernels::SumRows table_row(int start, int row) noexcept;
  void split(const std::uint32_t* from, std::uint32_t* to, std::uint16_t* low_to) const noexcept;
  void split(const kernels::SumRows& from, int start, int row) noexcept;
  void split_tilted(const std::uint32_t* from, int start, int row) noexcept;

  int row_count_ = 0;
  int end_ = 0;    // of the rows in use
  int width_ = 0;  // of the newest band's level
  TableLayout layout_;
  std::vector<std::uint32_t> sums_;  // the upright table, then the tilted one
  std::vector<std::uint16_t> low_sums_;
  std::vector<std::uint32_t> squared_sums_;
  std::vector<std::uint32_t> lines_;
  std::vector<std::uint8_t> pixels_;
};

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <array>
#include <utility>

#include <mien/kernels/vision.hpp>

namespace mien::detail {

MIEN_INLINE void LevelSums::start(int width, int step, int row_count, bool with_tilted_sums) {
  constexpr std::int32_t slack = 2 * kernels::haar_word;  // kernels read whole blocks of windows
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

MIEN_INLINE bool LevelSums::has_room(int width, int step, int pixel_rows,
                                     bool with_tilted_sums) const noexcept {
  return step == layout_.step && (width + step) / step <= layout_.plane &&
         with_tilted_sums == has_tilted_sums() && end_ + pixel_rows + 1 <= row_count_;
}

MIEN_INLINE int LevelSums::add(const GrayView& image, const ResizePlan& plan, int first_row,
                               int pixel_rows) {
  // Two rows of sums, two of squared sums, three of tilted sums, in the order of columns.
  constexpr std::size_t line_count = 7;
  const int start = end_;
  end_ += pixel_rows + 1;
  width_ = plan.target().width;
  lines_.assign(line_count * (static_cast<std::size_t>(width_) + 1), 0);
  pixels_.assign(2 * static_cast<std::size_t>(width_), 0);
  const kernels::VisionKernelTable& kernel = kernels::chosen_vision_table();
  kernels::SumRows above = is_split() ? line_of_sums(0) : table_row(start, 0);
  std::array<std::uint32_t*, 3> tilted{line(4), line(5), line(6)};  // the newest row last
  if (is_split()) {
    split(above, start, 0);
  } else {
    std::fill_n(above.sums, width_ + 1, 0u);
    std::fill_n(above.squared_sums, width_ + 1, 0u);
    std::fill_n(above.low_sums, width_ + 1, std::uint16_t{0});
  }
  if (has_tilted_sums()) split_tilted(tilted[2], start, 0);
  std::array<std::uint8_t*, 2> memory{pixels_.data(), pixels_.data() + width_};
  const std::uint8_t* pixels_above = memory[0];
  for (int y = 0; y < pixel_rows; ++y) {
    std::swap(memory[0], memory[1]);
    const std::uint8_t* pixels = resized_row(image, plan, first_row + y, memory[0]);
    const kernels::SumRows newest =
        is_split() ? line_of_sums((y + 1) % 2) : table_row(start, y + 1);
    kernel.sum_row(pixels, width_, above, newest);
    if (is_split()) split(newest, start, y + 1);
    above = newest;
    if (has_tilted_sums()) {
      std::rotate(tilted.begin(), tilted.begin() + 1, tilted.end());
      kernel.tilted_sum_row(pixels, pixels_above, width_, tilted[1], tilted[0], tilted[2]);
      split_tilted(tilted[2], start, y + 1);
      pixels_above = pixels;
    }
  }
  return start;
}

MIEN_INLINE std::uint32_t* LevelSums::line(std::size_t i) noexcept {
  return lines_.data() + i * (static_cast<std::size_t>(width_) + 1);
}

MIEN_INLINE kernels::SumRows LevelSums::line_of_sums(int i) noexcept {
  const auto number = static_cast<std::size_t>(i);
  return {line(number), line(number + 2)};
}

/// Row `row` of the band that starts at row `start`.
inline kernels::SumRows LevelSums::table_row(int start, int row) noexcept {
  const std::int32_t offset = (start + row) * layout_.row;
  return {sums_.data() + offset, squared_sums_.data() + row * layout_.row,
          low_sums_.data() + offset};
}

MIEN_INLINE void LevelSums::split(const std::uint32_t* from, std::uint32_t* to,
                                  std::uint16_t* low_to) const noexcept {
  kernels::chosen_vision_table().split_row(from, width_ + 1,
                                           {to, low_to, layout_.plane, layout_.step});
}

MIEN_INLINE void LevelSums::split(const kernels::SumRows& from, int start, int row) noexcept {
  const kernels::SumRows to = table_row(start, row);
  split(from.sums, to.sums, to.low_sums);
  split(from.squared_sums, to.squared_sums, nullptr);
}

MIEN_INLINE void LevelSums::split_tilted(const std::uint32_t* from, int start, int row) noexcept {
  const kernels::SumRows to = table_row(start, row);
  split(from, to.sums + layout_.tilted, to.low_sums + layout_.tilted);
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
