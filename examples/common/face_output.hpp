// The form in which the programs print faces.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include <nlohmann/json.hpp>

#include <mien/expression.hpp>

namespace mien::examples {

/// {"x", "y", "width", "height", "neighbors"}
inline nlohmann::ordered_json face_json(const Detection& face) {
  return {{"x", face.box.x},
          {"y", face.box.y},
          {"width", face.box.width},
          {"height", face.box.height},
          {"neighbors", face.neighbors}};
}

/// The same with {"expression", "probabilities": {label: probability}}; `reader`, an
/// ExpressionReader or VideoReader, names the labels.
template <class Reader>
nlohmann::ordered_json face_json(const Reader& reader, const Face& face) {
  Detection detection;
  detection.box = face.box;
  detection.neighbors = face.neighbors;
  nlohmann::ordered_json json = face_json(detection);
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
