// What the programs detect and photo share: their options and the form of their output.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <mien/image/image.hpp>

#include "detector_options.hpp"
#include "face_output.hpp"
#include "image_file.hpp"
#include "output_file.hpp"

namespace mien::examples {

struct PhotoOptions : DetectorOptions {
  std::vector<std::string> images;
  std::string output;
  long long most_pixels = default_most_pixels;
  bool json = false;
};

/// Throws mien::Error if a picture would be written over one that is read, or over another.
/// `more` are the other outputs, one for each image.
inline void require_distinct_pictures(const PhotoOptions& options, const std::string& more = "") {
  std::vector<std::string> outputs;
  append_numbered_paths(options.output, options.images.size(), outputs);
  append_numbered_paths(more, options.images.size(), outputs);
  require_distinct(outputs, options.images);
}

inline void add_photo_options(CLI::App& app, PhotoOptions& options) {
  app.add_option("IMAGE", options.images, "JPEG, PNG, BMP, PGM or PPM files")->required();
  add_detector_options(app, options);
  app.add_option("--output", options.output,
                 "draw the faces into this PNG file; for several images into OUT-1.png, OUT-2.png "
                 "... in the order of the command line")
      ->type_name("OUT.png");
  app.add_option("--max-pixels", options.most_pixels,
                 "refuse larger images before they are decoded; default: 100000000")
      ->type_name("N")
      ->check(CLI::Range(1LL, 1LL << 30));
  app.add_flag("--json", options.json, "print one JSON object a line for each image");
  app.callback([&options] {
    options.check();
    if (!options.output.empty()) require_png_path("--output", options.output);
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

/// "PATH: face at x X, y Y, W x H pixels, score S"
inline std::string face_text(const std::string& path, const Detection& face) {
  const Rect& box = face.box;
  return path + ": face at x " + std::to_string(box.x) + ", y " + std::to_string(box.y) + ", " +
         std::to_string(box.width) + " x " + std::to_string(box.height) + " pixels, " +
         confidence_text(face);
}

}  // namespace mien::examples
