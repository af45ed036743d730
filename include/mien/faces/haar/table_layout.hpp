// Where the entries of a table of sums lie, for whoever writes it and whoever reads it.
#pragma once

#include <cstdint>

namespace mien::detail {

/// Column x is entry x / step of the plane x % step of its row, so that the entries of windows that
/// are `step` apart are neighbours. The tilted table follows the upright one.
struct TableLayout {
  std::int32_t step = 1;    // 1 or 2
  std::int32_t plane = 0;   // entries from one plane of a row to the next
  std::int32_t row = 0;     // entries from one row to the next
  std::int32_t tilted = 0;  // entries from the upright table to the tilted one

  std::int32_t operator()(int x, int y, bool is_tilted) const noexcept {
    const std::int32_t mask = step - 1;
    return y * row + (x & mask) * plane + (x >> mask) + (is_tilted ? tilted : 0);
  }
};

}  // namespace mien::detail
