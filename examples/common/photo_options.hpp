// What the programs detect and photo share: their options and the form of their output.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <mien/error.hpp>
#include <mien/vision/face_detector.hpp>

#include "image_file.hpp"
#include "output_file.hpp"
#include "program.hpp"

namespace mien::examples {

struct PhotoOptions {
  std::vector<std::string> images;
  std::string cascade;
  double scale_factor = DetectionOptions{}.scale_factor;
  int min_neighbors = DetectionOptions{}.min_neighbors;
  int min_size = 0;
  int max_size = 0;
  std::string output;
  bool json = false;

  DetectionOptions detection() const {
    DetectionOptions options;
    options.scale_factor = scale_factor;
    options.min_neighbors = min_neighbors;
    options.min_size = {min_size, min_size};
    options.max_size = {max_size, max_size};
    return options;
  }

  /// The cascade that the user named, or the one that comes with Mien. Throws mien::Error.
  Cascade load_cascade() const {
    return Cascade::load(cascade.empty()
                             ? model_path("haarcascade_frontalface_default.haar", "--cascade")
                             : cascade);
  }
};

inline void add_photo_options(CLI::App& app, PhotoOptions& options) {
  app.add_option("IMAGE", options.images, "JPEG, PNG, BMP, PGM or PPM files")->required();
  app.add_option("--cascade", options.cascade,
                 "cascade file (.haar); default: the one for frontal faces that comes with Mien")
      ->type_name("FILE");
  app.add_option("--scale-factor", options.scale_factor,
                 "how much larger each searched size is than the one before; default: 1.1")
      ->type_name("X");
  app.add_option("--min-neighbors", options.min_neighbors,
                 "a face needs more than N candidates; 0: print the candidates; default: 4")
      ->type_name("N");
  app.add_option("--min-size", options.min_size, "smallest face in pixels; default: 0, any")
      ->type_name("N");
  app.add_option("--max-size", options.max_size, "largest face in pixels; default: 0, any")
      ->type_name("N");
  app.add_option("--output", options.output,
                 "draw the faces into this PNG file; for several images into OUT-1.png, OUT-2.png "
                 "... in the order of the command line")
      ->type_name("OUT.png");
  app.add_flag("--json", options.json, "print one JSON object a line for each image");
  app.callback([&options] {
    try {
      options.detection().check();
    } catch (const Error& error) {
      throw CLI::ValidationError(error.what(), CLI::ExitCodes::ValidationError);
    }
    if (!options.output.empty() && !is_png_path(options.output)) {
      throw CLI::ValidationError("--output",
                                 "expected a name that ends in .png, found " + options.output);
    }
  });
}

/// {"image", "width", "height", "faces": []}
inline nlohmann::ordered_json image_json(const std::string& path, const ImageFile& image) {
  nlohmann::ordered_json json;
  json["image"] = path;
  json["width"] = image.width;
  json["height"] = image.height;
  json["faces"] = nlohmann::ordered_json::array();
  return json;
}

/// {"x", "y", "width", "height", "neighbors"}
inline nlohmann::ordered_json face_json(const Detection& face) {
  return {{"x", face.box.x},
          {"y", face.box.y},
          {"width", face.box.width},
          {"height", face.box.height},
          {"neighbors", face.neighbors}};
}

/// JSON on one line. A file's name need not be UTF-8, JSON must be.
inline std::string json_line(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

/// "PATH: face at x X, y Y, W x H pixels, N neighbors"
inline std::string face_text(const std::string& path, const Detection& face) {
  return path + ": face at x " + std::to_string(face.box.x) + ", y " + std::to_string(face.box.y) +
         ", " + std::to_string(face.box.width) + " x " + std::to_string(face.box.height) +
         " pixels, " + std::to_string(face.neighbors) + " neighbors";
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
