// The options of programs that look for faces.
#pragma once

#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include <mien/error.hpp>
#include <mien/faces/face_finder.hpp>

#include "face_output.hpp"
#include "program.hpp"

namespace mien::examples {

struct DetectorOptions {
  std::string detector;
  int min_size = 0;
  int max_size = 0;
  // Of YuNet.
  std::optional<float> min_score;
  std::optional<int> max_side;
  // Of cascades.
  std::optional<double> scale_factor;
  std::optional<int> min_neighbors;
  std::optional<int> min_confirmations;

  FinderOptions finder() const {
    FinderOptions options;
    options.min_size = {min_size, min_size};
    options.max_size = {max_size, max_size};
    if (min_score) options.yunet.min_score = *min_score;
    if (max_side) options.yunet.max_side = *max_side;
    if (scale_factor) options.haar.scale_factor = *scale_factor;
    if (min_neighbors) {
      options.haar.min_neighbors = *min_neighbors;
      options.haar.min_confirmations = 0;
    }
    if (min_confirmations) options.haar.min_confirmations = *min_confirmations;
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

  /// The detector that the user named, or the one that comes with Mien. Throws mien::Error, also
  /// for options of the other kind of detector.
  FaceFinder load_finder() const {
    const std::string path = detector.empty() ? model_path("yunet.mien", "--detector") : detector;
    FaceFinder result = FaceFinder::load(path);
    const auto refuse_if = [&path](bool given, const char* option, const char* kind) {
      if (given) throw Error(path + ": " + option + " is for " + kind + " (--detector)");
    };
    if (result.yunet() != nullptr) {
      constexpr const char* kind = "a cascade, a .haar file";
      refuse_if(scale_factor.has_value(), "--scale-factor", kind);
      refuse_if(min_neighbors.has_value(), "--min-neighbors", kind);
      refuse_if(min_confirmations.has_value(), "--min-confirmations", kind);
    } else {
      constexpr const char* kind = "YuNet, a .mien file";
      refuse_if(min_score.has_value(), "--min-score", kind);
      refuse_if(max_side.has_value(), "--max-side", kind);
    }
    return result;
  }
};

/// The caller's callback calls options.check().
inline void add_detector_options(CLI::App& app, DetectorOptions& options) {
  app.add_option("--detector,--cascade", options.detector,
                 "face detector: YuNet's file (.mien) or a cascade's (.haar); default: YuNet's, "
                 "which comes with Mien")
      ->type_name("FILE");
  app.add_option("--min-size", options.min_size, "smallest face in pixels; default: 0, any")
      ->type_name("N");
  app.add_option("--max-size", options.max_size, "largest face in pixels; default: 0, any")
      ->type_name("N");
  const YuNetRule yunet;
  app.add_option(
         "--min-score", options.min_score,
         "YuNet: leave out faces of a lower score, 0 to 1; default: " + short_text(yunet.min_score))
      ->type_name("X");
  app.add_option("--max-side", options.max_side,
                 "YuNet: reduce pictures with a longer side to it first; 0: none; default: " +
                     std::to_string(yunet.max_side))
      ->type_name("N");
  app.add_option("--scale-factor", options.scale_factor,
                 "cascades: how much larger each searched size is than the one before; default: "
                 "1.1")
      ->type_name("X");
  app.add_option("--min-neighbors", options.min_neighbors,
                 "cascades: a face needs more than N candidates; 0: the candidates themselves; "
                 "default: 4. Given, it alone decides, as in OpenCV, unless --min-confirmations is "
                 "given too")
      ->type_name("N");
  app.add_option("--min-confirmations", options.min_confirmations,
                 "cascades: a face must be found N times more in two tilted views of it; 0: as "
                 "OpenCV, which has more false faces; default: 8")
      ->type_name("N");
}

}  // namespace mien::examples
