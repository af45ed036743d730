// Reads FER2013's CSV file: emotion,pixels,Usage.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>  // libfccp/csv.h needs it
#include <string>
#include <string_view>
#include <vector>

// The parser would otherwise read ahead in a thread of its own.
#define CSV_IO_NO_THREAD
// GCC warns of a file name that the parser cuts in its messages.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstringop-truncation"
#endif
#include <libfccp/csv.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include <mien/error.hpp>
#include <mien/image/image.hpp>

namespace mien::examples {

/// A face with its true expression.
struct LabelledFace {
  std::size_t label = 0;
  std::string usage;  ///< the split: Training, PublicTest or PrivateTest; empty if there is none
  GrayImage face;     ///< of fer_face_size square
};

/// Width and height of FER2013's faces in pixels.
inline constexpr int fer_face_size = 48;

namespace detail {

[[noreturn]] inline void fail_at_line(const std::string& path, unsigned line,
                                      const std::string& message) {
  throw Error(path + ", line " + std::to_string(line) + ": " + message);
}

/// Long texts would bury the message.
inline std::string quoted(std::string_view text) {
  constexpr std::size_t most = 40;
  return "'" + std::string(text.substr(0, most)) + (text.size() > most ? "...'" : "'");
}

/// The next whole number in `text` from `position`, up to `largest`; false if there is none.
inline bool next_number(std::string_view text, std::size_t& position, unsigned largest,
                        unsigned& number) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + position, end, number);
  if (error != std::errc() || number > largest || (stop != end && *stop != ' ')) return false;
  position = static_cast<std::size_t>(stop - text.data());
  while (position < text.size() && text[position] == ' ') ++position;
  return true;
}

inline GrayImage parse_pixels(std::string_view text, const std::string& path, unsigned line) {
  constexpr std::size_t expected = fer_face_size * fer_face_size;
  GrayImage face(fer_face_size, fer_face_size);
  std::uint8_t* pixels = face.row(0);
  std::size_t count = 0;
  for (std::size_t position = 0; position < text.size(); ++count) {
    unsigned value = 0;
    if (!next_number(text, position, 255, value)) {
      fail_at_line(path, line,
                   "pixel " + std::to_string(count + 1) +
                       ": expected a number from 0 to 255, found " +
                       quoted(text.substr(position, text.find(' ', position) - position)));
    }
    if (count < expected) pixels[count] = static_cast<std::uint8_t>(value);
  }
  if (count != expected) {
    fail_at_line(
        path, line,
        "pixels: expected " + std::to_string(expected) + ", found " + std::to_string(count));
  }
  return face;
}

}  // namespace detail

/// All rows of a file with the columns emotion (0 to `classes` - 1), pixels (48 x 48 numbers from 0
/// to 255, row by row) and, if there, Usage, in any order. Throws Error naming the line.
inline std::vector<LabelledFace> load_fer_csv(const std::string& path, std::size_t classes) try {
  io::CSVReader<3, io::trim_chars<' ', '\t'>, io::double_quote_escape<',', '"'>> reader(path);
  reader.read_header(io::ignore_extra_column | io::ignore_missing_column, "emotion", "pixels",
                     "Usage");
  for (const char* column : {"emotion", "pixels"}) {
    if (!reader.has_column(column)) {
      detail::fail_at_line(path, 1, std::string("expected a column ") + column + ", found none");
    }
  }
  std::vector<LabelledFace> faces;
  const char* emotion = "";
  const char* pixels = "";
  const char* usage = "";
  while (reader.read_row(emotion, pixels, usage)) {
    const unsigned line = reader.get_file_line();
    LabelledFace face;
    unsigned label = 0;
    std::size_t position = 0;
    const std::string_view text(emotion);
    const auto largest = static_cast<unsigned>(classes - 1);
    if (!detail::next_number(text, position, largest, label) || position != text.size()) {
      detail::fail_at_line(path, line,
                           "emotion: expected a number from 0 to " + std::to_string(largest) +
                               ", found " + detail::quoted(text));
    }
    face.label = label;
    face.usage = usage;
    face.face = detail::parse_pixels(pixels, path, line);
    faces.push_back(std::move(face));
  }
  return faces;
} catch (const io::error::base& error) {
  throw Error(path + ": " + error.what());
}

}  // namespace mien::examples
