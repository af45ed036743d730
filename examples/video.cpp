// Reads raw video frames from standard input and prints the faces and expressions of each.
//
//   ffmpeg -i clip.mp4 -f rawvideo -pix_fmt gray - | video --width 640 --height 480
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <mien/mien.hpp>

#include "common/crops_option.hpp"
#include "common/detector_options.hpp"
#include "common/face_output.hpp"
#include "common/frames.hpp"
#include "common/model_option.hpp"
#include "common/program.hpp"

namespace {

using namespace mien::examples;

constexpr const char* program_name = "video";

// What --fast stands for.
constexpr int fast_refresh_interval = 30;
constexpr int fast_classify_interval = 3;
constexpr double fast_smoothing = 5.0;

struct Options : DetectorOptions {
  int width = 0;
  int height = 0;
  PixelFormat format = PixelFormat::gray;
  int every = 1;
  bool fast = false;
  std::optional<int> refresh_interval;
  std::optional<int> classify_interval;
  std::optional<double> smoothing;
  std::vector<std::string> models;
  mien::Crops crops = mien::Crops::center;

  mien::VideoOptions video() const {
    mien::VideoOptions result;
    result.tracker.finder = finder();
    result.crops = crops;
    if (fast) {
      result.tracker.refresh_interval = fast_refresh_interval;
      result.classify_interval = fast_classify_interval;
      result.smoothing = fast_smoothing;
    }
    if (refresh_interval) result.tracker.refresh_interval = *refresh_interval;
    if (classify_interval) result.classify_interval = *classify_interval;
    if (smoothing) result.smoothing = *smoothing;
    return result;
  }
};

void add_options(CLI::App& app, Options& options) {
  constexpr int largest_side = 1 << 14;
  app.add_option("--width", options.width, "of every frame, in pixels")
      ->required()
      ->check(CLI::Range(1, largest_side))
      ->type_name("N");
  app.add_option("--height", options.height, "of every frame, in pixels")
      ->required()
      ->check(CLI::Range(1, largest_side))
      ->type_name("N");
  app.add_option_function<std::string>(
         "--format",
         [&options](const std::string& name) {
           options.format = name == "rgb24" ? PixelFormat::rgb24 : PixelFormat::gray;
         },
         "of the pixels, as ffmpeg's -pix_fmt; default: gray, which is faster")
      ->check(CLI::IsMember({"gray", "rgb24"}))
      ->type_name("FORMAT");
  app.add_option("--every", options.every,
                 "look at every N-th frame only and pass over the others; default: 1")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  app.add_flag("--fast", options.fast,
               "for streams: short for --refresh " + std::to_string(fast_refresh_interval) +
                   " --classify " + std::to_string(fast_classify_interval) + " --smooth " +
                   std::to_string(static_cast<int>(fast_smoothing)) +
                   "; each can be given besides");
  app.add_option("--refresh", options.refresh_interval,
                 "search the whole frame every N frames at least, in between only near the faces "
                 "known; a new face is found up to N - 1 frames later; default: 1")
      ->type_name("N");
  app.add_option("--classify", options.classify_interval,
                 "classify a face in every N-th frame, in between it keeps its probabilities and "
                 "\"classified\" is false; default: 1")
      ->type_name("N");
  app.add_option("--smooth", options.smoothing,
                 "smooth each face's probabilities exponentially, with this time constant in "
                 "frames; default: 0, not at all")
      ->type_name("FRAMES");
  add_model_option(app, options.models, "the mean of the networks' probabilities");
  add_crops_option(app, options.crops);
  add_detector_options(app, options);
  app.callback([&options] {
    try {
      options.video().check();
    } catch (const mien::Error& error) {
      throw CLI::ValidationError(error.what(), CLI::ExitCodes::ValidationError);
    }
  });
}

void print(const mien::VideoReader& reader, std::size_t frame,
           const std::vector<mien::VideoFace>& faces, double milliseconds) {
  nlohmann::ordered_json json;
  json["frame"] = frame;
  json["faces"] = nlohmann::ordered_json::array();
  for (const auto& face : faces) {
    nlohmann::ordered_json& entry = json["faces"].emplace_back();
    entry["identity"] = face.identity;
    entry.update(face_json(reader, face));
    entry["classified"] = face.classified;
  }
  json["milliseconds"] = milliseconds;
  print_line(json_line(json));
}

void run(const Options& options) {
  const mien::ExpressionReader networks(load_models(options.models), options.load_finder());
  mien::VideoReader reader(networks, options.video());
  FrameReader frames(options.width, options.height, options.format);
  for (std::size_t frame = 0; frames.next(); ++frame) {
    if (frame % static_cast<std::size_t>(options.every) != 0) continue;
    const std::vector<mien::VideoFace>* faces = nullptr;
    const double milliseconds = milliseconds_of([&] {
      faces = options.format == PixelFormat::gray
                  ? &reader.read(mien::GrayView(frames.pixels(), options.width, options.height))
                  : &reader.read(mien::RgbView(frames.pixels(), options.width, options.height));
    });
    print(reader, frame, *faces, milliseconds);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Reads raw video frames from standard input and prints one JSON object a line for each: its "
      "faces, their identities and expressions.\n"
      "ffmpeg -i clip.mp4 -f rawvideo -pix_fmt gray - | video --width 640 --height 480",
      program_name);
  Options options;
  add_options(app, options);
  int status = success;
  if (!parse_command_line(app, argc, argv, status)) return status;
  return report_errors(program_name, [&] { run(options); });
}
