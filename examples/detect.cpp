// Finds faces in photos and prints or draws them.
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <mien/faces/face_finder.hpp>

#include "common/drawing.hpp"
#include "common/face_labels.hpp"
#include "common/image_file.hpp"
#include "common/output_file.hpp"
#include "common/photo_options.hpp"
#include "common/program.hpp"

namespace {

using namespace mien::examples;

constexpr const char* program_name = "detect";

void print(const PhotoOptions& options, const std::string& path, const ImageFile& image,
           const std::vector<mien::Detection>& faces, double milliseconds) {
  if (options.json) {
    nlohmann::ordered_json json = image_json(path, image);
    for (const mien::Detection& face : faces) json["faces"].push_back(face_json(face));
    json["milliseconds"]["detect"] = milliseconds;
    print_line(json_line(json));
  } else {
    if (faces.empty()) print_line(path + ": no face");
    for (const mien::Detection& face : faces) print_line(face_text(path, face));
  }
}

void draw(const std::string& path, const ImageFile& image,
          const std::vector<mien::Detection>& faces) {
  std::vector<FaceLabel> labels;
  for (const mien::Detection& face : faces) {
    labels.push_back({face.box, okabe_ito::sky_blue, confidence_text(face), "", ""});
  }
  Canvas canvas(image);
  draw_faces(labels, canvas);
  write_png(path, canvas);
}

int run(const PhotoOptions& options) {
  require_distinct_pictures(options);
  const mien::FaceFinder finder = options.load_finder();
  mien::FaceFinder::Workspace workspace;
  std::vector<mien::Detection> faces;
  return for_each_input(
      program_name, options.images, [&](const std::string& path, std::size_t number) {
        const ImageFile image = load_image(path, options.most_pixels);
        const mien::GrayImage gray = image.gray();
        const double milliseconds =
            milliseconds_of([&] { finder.find(gray.view(), options.finder(), workspace, faces); });
        print(options, path, image, faces, milliseconds);
        if (!options.output.empty()) {
          draw(numbered_path(options.output, number, options.images.size()), image, faces);
        }
      });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Finds faces in photos and prints them, one a line.", program_name);
  PhotoOptions options;
  add_photo_options(app, options);
  int status = success;
  if (!parse_command_line(app, argc, argv, status)) return status;
  const int error = report_errors(program_name, [&] { status = run(options); });
  return error != success ? error : status;
}
