// Finds faces by YuNet as another program asks it to, so that compare_yunet.py can take turns with
// it.
//
//   serve_yunet MODEL.mien MIN_SCORE
//
// The program reads commands, one a line, and answers each with one line:
//
//   about                    instruction set and compiler
//   image WIDTH HEIGHT FILE  loads 8-bit gray pixels, row after row; answers with their number
//   boxes                    x y width height of each face in the image
//   run N                    nanoseconds of CPU time of each of N detections, in the whole picture
//   network N                the same of the file's network on the picture, B, G and R alike
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <mien/binary.hpp>
#include <mien/error.hpp>
#include <mien/faces/yunet/yunet_detector.hpp>
#include <mien/kernels/instruction_sets.hpp>

#include "compiler.hpp"
#include "cpu_time.hpp"

namespace {

using namespace mien;

class Server {
 public:
  Server(const std::string& model, float min_score) : detector_(YuNetDetector::load(model)) {
    options_.min_score = min_score;
    options_.max_side = 0;
    options_.check();
  }

  /// Throws Error for a command that it does not know.
  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::ostringstream text;
    std::string command;
    int count = 0;
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
    } else if (command == "run" && words >> count) {
      for (; count > 0; --count) text << time([this] { detect(); }) << ' ';
    } else if (command == "network" && words >> count) {
      for (; count > 0; --count) text << time([this] { run_network(); }) << ' ';
    } else {
      throw Error(
          "command: expected 'about', 'image WIDTH HEIGHT FILE', 'boxes', 'run N' or 'network N', "
          "found '" +
          line + "'");
    }
    return text.str();
  }

 private:
  template <class Task>
  static long long time(const Task& task) {
    const long long start = bench::cpu_nanoseconds();
    task();
    return bench::cpu_nanoseconds() - start;
  }

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
    prepare_network();
    return pixels_.size();
  }

  /// The network's own input, zeros at the right and at the bottom.
  void prepare_network() {
    const InputSize size{detail::yunet_side(height_), detail::yunet_side(width_)};
    program_ = detector_.network().program(size);
    input_.assign(program_->input_shapes().front().size(), 0.0f);
    for (int y = 0; y < height_; ++y) {
      for (int x = 0; x < width_; ++x) {
        const auto at = static_cast<std::size_t>(y) * static_cast<std::size_t>(size.width) +
                        static_cast<std::size_t>(x);
        const std::uint8_t pixel = pixels_[static_cast<std::size_t>(y * width_ + x)];
        for (std::size_t c = 0; c < 3; ++c) input_[3 * at + c] = static_cast<float>(pixel);
      }
    }
    outputs_.clear();
    output_places_.clear();
    for (const TensorShape& shape : program_->output_shapes()) outputs_.emplace_back(shape.size());
    for (std::vector<float>& output : outputs_) output_places_.push_back(output.data());
    arena_ = detail::AlignedBuffer(program_->arena_size());
  }

  void run_network() {
    const float* const input = input_.data();
    program_->run(1, &input, output_places_.data(), arena_.data());
  }

  void detect() {
    detector_.detect(GrayView(pixels_.data(), width_, height_), options_, workspace_, found_);
  }

  YuNetDetector detector_;
  YuNetOptions options_;
  YuNetDetector::Workspace workspace_;
  std::vector<std::uint8_t> pixels_;
  int width_ = 0;
  int height_ = 0;
  std::vector<Detection> found_;
  std::shared_ptr<const Program> program_;
  std::vector<float> input_;
  std::vector<std::vector<float>> outputs_;
  std::vector<float*> output_places_;
  detail::AlignedBuffer arena_;
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fprintf(stderr, "usage: serve_yunet MODEL.mien MIN_SCORE\n");
    return 2;
  }
  Server server(argv[1], std::stof(argv[2]));
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << server.answer(line) << std::endl;
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "serve_yunet: %s\n", error.what());
  return 1;
}
