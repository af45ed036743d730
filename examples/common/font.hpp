// Anti-aliased text: DejaVu Sans Bold (examples/fonts), which is a part of the programs, by
// stb_truetype.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mien::examples {

/// How much of each pixel a line of text covers, from 0 to 255, row by row.
struct TextMask {
  int left = 0;  ///< the first column's place, from the pen's at the start of the line
  int top = 0;   ///< the first row's, from the baseline; rows above it are negative
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> coverage;
};

/// The font has printable ASCII, every other character becomes a '?'. `size` is the em in
/// pixels: letters reach from 0.76 above the baseline to 0.24 below it.
TextMask text_mask(const std::string& line, float size);

/// How far the pen moves.
float text_width(const std::string& line, float size);

}  // namespace mien::examples
