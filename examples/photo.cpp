// Finds the faces in photos, reads their expressions, prints or draws them.
#include <cmath>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <mien/mien.hpp>

#include "common/drawing.hpp"
#include "common/image_file.hpp"
#include "common/output_file.hpp"
#include "common/photo_options.hpp"
#include "common/program.hpp"
#include "common/views_option.hpp"

namespace {

using namespace mien::examples;

constexpr const char* program_name = "photo";
using Reader = mien::ExpressionReader<mien::MiniFer>;
using Face = mien::Face<mien::MiniFer>;

struct Options : PhotoOptions {
  std::string model;
  mien::Views views = mien::Views::centre;
};

struct Milliseconds {
  double detect = 0.0;
  double classify = 0.0;
};

std::string percent(float probability) {
  return std::to_string(std::lround(100.0f * probability)) + " %";
}

void print(const Options& options, const Reader& reader, const std::string& path,
           const ImageFile& image, const std::vector<Face>& faces, const Milliseconds& time) {
  if (options.json) {
    nlohmann::ordered_json json = image_json(path, image);
    for (const Face& face : faces) json["faces"].push_back(face_json(reader, face));
    json["milliseconds"] = {{"detect", time.detect}, {"classify", time.classify}};
    print_line(json_line(json));
    return;
  }
  if (faces.empty()) print_line(path + ": no face");
  for (const Face& face : faces) {
    std::string line = face_text(path, face.box, face.neighbors) + ":";
    for (std::size_t i = 0; i < face.probabilities.size(); ++i) {
      line += (i == 0 ? " " : ", ") + reader.label(i) + " " + percent(face.probabilities[i]);
    }
    print_line(line);
  }
}

void draw(const std::string& path, const Reader& reader, const ImageFile& image,
          const std::vector<Face>& faces) {
  constexpr Color frame{80, 220, 100};
  Canvas canvas(image);
  for (const Face& face : faces) {
    canvas.draw_box(face.box, frame);
    canvas.draw_label(
        face.box,
        reader.label(face.expression) + " " + percent(face.probabilities[face.expression]), frame);
  }
  write_png(path, canvas);
}

int run(const Options& options) {
  const mien::MiniFer network = mien::MiniFer::load(
      options.model.empty() ? model_path("mini_fer.mien", "--model") : options.model);
  network.verify();
  const Reader reader(network, options.load_finder());
  return for_each_input(
      program_name, options.images, [&](const std::string& path, std::size_t number) {
        const ImageFile image = load_image(path);
        const mien::GrayImage gray = image.gray();
        Milliseconds time;
        std::vector<mien::Detection> detections;
        time.detect = milliseconds_of(
            [&] { detections = reader.finder().find(gray.view(), options.finder()); });
        std::vector<Face> faces;
        time.classify =
            milliseconds_of([&] { faces = reader.read(gray.view(), detections, options.views); });
        print(options, reader, path, image, faces, time);
        if (!options.output.empty()) {
          draw(numbered_path(options.output, number, options.images.size()), reader, image, faces);
        }
      });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Finds the faces in photos and reads their expressions.", program_name);
  Options options;
  add_photo_options(app, options);
  app.add_option("--model", options.model,
                 "weight file (.mien); default: the one that comes with Mien")
      ->type_name("FILE");
  add_views_option(app, options.views);
  int status = success;
  if (!parse_command_line(app, argc, argv, status)) return status;
  const int error = report_errors(program_name, [&] { status = run(options); });
  return error != success ? error : status;
}
