// The options of programs that look for faces.
#pragma once

#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include <mien/error.hpp>
#include <mien/faces/face_finder.hpp>
#include <mien/faces/haar/cascade.hpp>

#include "program.hpp"

namespace mien::examples {

struct DetectorOptions {
  std::string cascade;
  double scale_factor = DetectionOptions{}.scale_factor;
  std::optional<int> min_neighbors;
  std::optional<int> min_confirmations;
  int min_size = 0;
  int max_size = 0;

  FinderOptions finder() const {
    FinderOptions options;
    options.detection.scale_factor = scale_factor;
    options.detection.min_size = {min_size, min_size};
    options.detection.max_size = {max_size, max_size};
    if (min_neighbors) {
      options.detection.min_neighbors = *min_neighbors;
      options.min_confirmations = 0;
    }
    if (min_confirmations) options.min_confirmations = *min_confirmations;
    return options;
  }

  /// Throws CLI::ValidationError if a value is out of its range.
  void check() const {
    try {
      finder().check();
    } catch (const Error& error) {
      throw CLI::ValidationError(error.what(), CLI::ExitCodes::ValidationError);
    }
  }

  /// With the cascade that the user named, or the one that comes with Mien. Throws mien::Error.
  FaceFinder load_finder() const {
    return FaceFinder(FaceDetector(Cascade::load(
        cascade.empty() ? model_path("haarcascade_frontalface_default.haar", "--cascade")
                        : cascade)));
  }
};

/// The caller's callback calls options.check().
inline void add_detector_options(CLI::App& app, DetectorOptions& options) {
  app.add_option("--cascade", options.cascade,
                 "cascade file (.haar); default: the one for frontal faces that comes with Mien")
      ->type_name("FILE");
  app.add_option("--scale-factor", options.scale_factor,
                 "how much larger each searched size is than the one before; default: 1.1")
      ->type_name("X");
  app.add_option("--min-neighbors", options.min_neighbors,
                 "a face needs more than N candidates; 0: the candidates themselves; default: 4. "
                 "Given, it alone decides, as in OpenCV, unless --min-confirmations is given too")
      ->type_name("N");
  app.add_option("--min-confirmations", options.min_confirmations,
                 "a face must be found N times more in two tilted views of it; 0: as OpenCV, "
                 "which has more false faces; default: 8")
      ->type_name("N");
  app.add_option("--min-size", options.min_size, "smallest face in pixels; default: 0, any")
      ->type_name("N");
  app.add_option("--max-size", options.max_size, "largest face in pixels; default: 0, any")
      ->type_name("N");
}

}  // namespace mien::examples
