// The form in which the programs print faces.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>

#include <nlohmann/json.hpp>

#include <mien/expression.hpp>

namespace mien::examples {

/// A number with two decimals at most: 0.6, 0.93.
inline std::string short_text(float value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", static_cast<double>(value));
  return text;
}

/// {"x", "y", "width", "height", "neighbors", "score"}, and {"landmarks": {name: [x, y]}} of a face
/// that has some.
inline nlohmann::ordered_json face_json(const Detection& face) {
  nlohmann::ordered_json json = {{"x", face.box.x},
                                 {"y", face.box.y},
                                 {"width", face.box.width},
                                 {"height", face.box.height},
                                 {"neighbors", face.neighbors},
                                 {"score", face.score}};
  if (face.landmarks) {
    const auto pair = [](const Point& point) {
      return nlohmann::ordered_json::array({point.x, point.y});
    };
    json["landmarks"] = {{"right_eye", pair(face.landmarks->right_eye)},
                         {"left_eye", pair(face.landmarks->left_eye)},
                         {"nose_tip", pair(face.landmarks->nose_tip)},
                         {"right_mouth_corner", pair(face.landmarks->right_mouth_corner)},
                         {"left_mouth_corner", pair(face.landmarks->left_mouth_corner)}};
  }
  return json;
}

/// How sure the detector is: "score 0.93" of YuNet's faces, "12 neighbors" of a cascade's.
inline std::string confidence_text(const Detection& face) {
  return face.landmarks ? "score " + short_text(face.score)
                        : std::to_string(face.neighbors) + " neighbors";
}

/// The same with {"expression", "probabilities": {label: probability}}; `reader`, an
/// ExpressionReader or VideoReader, names the labels.
template <class Reader>
nlohmann::ordered_json face_json(const Reader& reader, const Face& face) {
  nlohmann::ordered_json json = face_json(static_cast<const Detection&>(face));
  json["expression"] = reader.label(face.expression);
  for (std::size_t i = 0; i < face.probabilities.size(); ++i) {
    json["probabilities"][reader.label(i)] = face.probabilities[i];
  }
  return json;
}

/// JSON on one line. A file's name need not be UTF-8, JSON must be.
inline std::string json_line(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

/// Runs `task` and returns how many milliseconds it took.
template <class Task>
double milliseconds_of(Task&& task) {
  const auto start = std::chrono::steady_clock::now();
  task();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace mien::examples
