// Detects as another program asks it to, so that compare_detector.py can take turns with it.
//
//   serve_detections CASCADE.haar SCALE_FACTOR MIN_NEIGHBORS MIN_SIZE
//
// The program reads commands, one a line, and answers each with one line:
//
//   about                    instruction set and compiler
//   image WIDTH HEIGHT FILE  loads 8-bit gray pixels, row after row; answers with their number
//   boxes                    x y width height of each object in the image
//   run N                    nanoseconds of CPU time of each of N detections
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <mien/binary.hpp>
#include <mien/error.hpp>
#include <mien/faces/haar/haar_detector.hpp>
#include <mien/kernels/instruction_sets.hpp>

#include "compiler.hpp"
#include "cpu_time.hpp"

namespace {

using namespace mien;

class Server {
 public:
  Server(const std::string& cascade, const HaarOptions& options)
      : detector_(Cascade::load(cascade)), options_(options) {
    options_.check();
  }

  /// Throws Error for a command that it does not know.
  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::ostringstream text;
    std::string command;
    words >> command;
    if (command == "about") {
      text << name(choose_instruction_set()) << ", " << bench::compiler;
    } else if (command == "image") {
      text << load_image(words);
    } else if (command == "boxes") {
      detect();
      for (const Detection& found : found_) {
        const Rect& box = found.box;
        text << box.x << ' ' << box.y << ' ' << box.width << ' ' << box.height << ' ';
      }
    } else if (int count = 0; command == "run" && words >> count) {
      for (; count > 0; --count) {
        const long long start = bench::cpu_nanoseconds();
        detect();
        text << bench::cpu_nanoseconds() - start << ' ';
      }
    } else {
      throw Error(
          "command: expected 'about', 'image WIDTH HEIGHT FILE', 'boxes' or 'run N', "
          "found '" +
          line + "'");
    }
    return text.str();
  }

 private:
  std::size_t load_image(std::istringstream& words) {
    std::string path;
    if (!(words >> width_ >> height_ >> std::ws) || !std::getline(words, path)) {
      throw Error("image: expected width, height and a file");
    }
    pixels_ = read_file(path);
    if (width_ < 1 || height_ < 1 ||
        pixels_.size() != static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_)) {
      throw Error(path + ": expected " + std::to_string(width_) + " x " + std::to_string(height_) +
                  " pixels, found " + std::to_string(pixels_.size()) + " bytes");
    }
    return pixels_.size();
  }

  void detect() {
    detector_.detect(GrayView(pixels_.data(), width_, height_), options_, workspace_, found_);
  }

  HaarDetector detector_;
  HaarOptions options_;
  HaarDetector::Workspace workspace_;
  std::vector<std::uint8_t> pixels_;
  int width_ = 0;
  int height_ = 0;
  std::vector<Detection> found_;
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 5) {
    std::fprintf(stderr,
                 "usage: serve_detections CASCADE.haar SCALE_FACTOR MIN_NEIGHBORS MIN_SIZE\n");
    return 2;
  }
  HaarOptions options;
  options.scale_factor = std::stod(argv[2]);
  options.min_neighbors = std::stoi(argv[3]);
  const int min_size = std::stoi(argv[4]);
  options.min_size = {min_size, min_size};
  Server server(argv[1], options);
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << server.answer(line) << std::endl;
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "serve_detections: %s\n", error.what());
  return 1;
}
