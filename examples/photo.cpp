// Finds the faces in photos, reads their expressions, prints or draws them.
#include <cmath>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <mien/mien.hpp>

#include "common/answer_options.hpp"
#include "common/crops_option.hpp"
#include "common/drawing.hpp"
#include "common/face_labels.hpp"
#include "common/image_file.hpp"
#include "common/model_option.hpp"
#include "common/output_file.hpp"
#include "common/photo_options.hpp"
#include "common/program.hpp"
#include "common/saliency_picture.hpp"

namespace {

using namespace mien::examples;

constexpr const char* program_name = "photo";
using mien::ExpressionReader;
using mien::Face;

struct Options : PhotoOptions {
  std::vector<std::string> models;
  mien::Crops crops = mien::Crops::center;
  std::string saliency;
  AnswerOptions answer;
};

struct Milliseconds {
  double detect = 0.0;
  double classify = 0.0;
};

void print(const Options& options, const ExpressionReader& reader, const std::string& path,
           const ImageFile& image, const std::vector<Face>& faces, const Milliseconds& time) {
  if (options.json) {
    nlohmann::ordered_json json = image_json(path, image);
    for (const Face& face : faces) json["faces"].push_back(face_json(reader, face));
    for (const mien::ExpressionClassifier& member : reader.networks().members()) {
      json["models"].push_back(member.network().name());
    }
    json["milliseconds"] = {{"detect", time.detect}, {"classify", time.classify}};
    print_line(json_line(json));
    return;
  }
  if (faces.empty()) print_line(path + ": no face");
  for (const Face& face : faces) {
    std::string line = face_text(path, face) + ":";
    for (std::size_t i = 0; i < face.probabilities.size(); ++i) {
      line += (i == 0 ? " " : ", ") + reader.label(i) + " " + percent(face.probabilities[i]);
    }
    print_line(line);
  }
}

void draw(const std::string& path, const Options& options, const ExpressionReader& reader,
          Canvas canvas, const std::vector<Face>& faces) {
  std::vector<FaceLabel> labels;
  for (const Face& face : faces) labels.push_back(face_label(reader, face, options.answer));
  draw_faces(labels, canvas);
  write_png(path, canvas);
}

/// The photo in gray, with what every network read each face's expression from.
Canvas saliency_canvas(const mien::GrayImage& photo, const std::vector<Face>& faces,
                       mien::Crops crops, const std::vector<mien::FaceSaliency>& networks) {
  Canvas canvas = gray_canvas(photo);
  mien::FaceSaliency::Workspace workspace;
  for (const Face& face : faces) {
    std::vector<mien::SaliencyMap> maps;
    for (const mien::FaceSaliency& saliency : networks) {
      maps.push_back(
          saliency.map(photo.view(), mien::face_region(face), face.expression, crops, workspace));
    }
    draw_saliency(photo, maps, canvas);
  }
  return canvas;
}

int run(const Options& options) {
  require_distinct_pictures(options, options.saliency);
  std::vector<mien::WeightFile> files = load_weight_files(options.models);
  const ExpressionReader reader(make_ensemble(files), options.load_finder());
  std::vector<mien::FaceSaliency> saliency;
  if (!options.saliency.empty()) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      saliency.emplace_back(reader.networks().members()[i], mien::Saliency(files[i]));
    }
  }
  files.clear();
  mien::FaceFinder::Workspace workspace;
  std::vector<mien::Detection> detections;
  return for_each_input(
      program_name, options.images, [&](const std::string& path, std::size_t number) {
        const ImageFile image = load_image(path, options.most_pixels);
        const mien::GrayImage gray = image.gray();
        Milliseconds time;
        time.detect = milliseconds_of(
            [&] { reader.finder().find(gray.view(), options.finder(), workspace, detections); });
        std::vector<Face> faces;
        time.classify =
            milliseconds_of([&] { faces = reader.read(gray.view(), detections, options.crops); });
        print(options, reader, path, image, faces, time);
        if (!options.output.empty()) {
          draw(numbered_path(options.output, number, options.images.size()), options, reader,
               Canvas(image), faces);
        }
        if (!options.saliency.empty()) {
          draw(numbered_path(options.saliency, number, options.images.size()), options, reader,
               saliency_canvas(gray, faces, options.crops, saliency), faces);
        }
      });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Finds the faces in photos and reads their expressions.", program_name);
  Options options;
  add_photo_options(app, options);
  add_model_option(app, options.models, "the mean of the networks' probabilities");
  add_crops_option(app, options.crops);
  add_answer_options(app, options.answer);
  add_saliency_option(app, options.saliency);
  int status = success;
  if (!parse_command_line(app, argc, argv, status)) return status;
  const int error = report_errors(program_name, [&] { status = run(options); });
  return error != success ? error : status;
}
