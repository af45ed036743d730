// For which faces a picture has an answer.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include <CLI/CLI.hpp>

#include <mien/expression.hpp>

#include "face_labels.hpp"
#include "face_output.hpp"

namespace mien::examples {

/// docs/pictures.md has the measurements that chose these.
struct AnswerOptions {
  float min_confidence = 0.4f;
  int min_read_size = 24;

  bool answers(const Face& face) const noexcept {
    return face.probabilities[face.expression] >= min_confidence &&
           std::max(face.box.width, face.box.height) >= min_read_size;
  }
};

inline void add_answer_options(CLI::App& app, AnswerOptions& options) {
  app.add_option("--min-confidence", options.min_confidence,
                 "draw a face without its expression if the network gives that a lower "
                 "probability; 0 draws all; default: " +
                     short_text(options.min_confidence))
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("P");
  app.add_option("--min-read-size", options.min_read_size,
                 "draw a face without its expression if its box's longer side has fewer pixels; "
                 "0 draws all; default: " +
                     std::to_string(options.min_read_size))
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
}

inline std::string percent(float probability) {
  return std::to_string(std::lround(100.0f * probability)) + " %";
}

/// A face with its expression's name and probability, if the first is below `sure` also those of
/// the second. `reader`, an ExpressionReader or VideoReader, names them.
template <class Reader>
FaceLabel face_label(const Reader& reader, const Face& face, const AnswerOptions& options) {
  constexpr float sure = 0.6f;
  if (!options.answers(face)) return {face.box, unanswered_color, "", "", ""};
  const auto text = [&](std::size_t label) {
    return reader.label(label) + " " + percent(face.probabilities[label]);
  };
  FaceLabel result{face.box, expression_color(reader.label(face.expression), face.expression),
                   text(face.expression), "", reader.label(face.expression)};
  if (face.probabilities[face.expression] < sure && face.probabilities.size() > 1) {
    std::size_t second = face.expression == 0 ? 1 : 0;
    for (std::size_t i = 0; i < face.probabilities.size(); ++i) {
      if (i != face.expression && face.probabilities[i] > face.probabilities[second]) second = i;
    }
    result.second_line = "or " + text(second);
  }
  return result;
}

}  // namespace mien::examples
