// Times the face detectors. The cascade's on pictures of growing size and with growing smallest
// faces, and the steps of one detection, at all levels of its pyramid and at each; YuNet's on
// pictures of growing size, and its steps.
//
//   detector [--image=FILE] [--cascade=FILE.haar] [--yunet=FILE.mien] [Google Benchmark's options]
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <mien/faces/haar/cascade_program.hpp>
#include <mien/faces/haar/cascade_scanner.hpp>
#include <mien/faces/haar/grouping.hpp>
#include <mien/faces/haar/haar_detector.hpp>
#include <mien/faces/haar/level_sums.hpp>
#include <mien/faces/haar/pyramid.hpp>
#include <mien/faces/yunet/candidates.hpp>
#include <mien/faces/yunet/picture.hpp>
#include <mien/faces/yunet/suppression.hpp>
#include <mien/faces/yunet/yunet_detector.hpp>
#include <mien/faces/yunet/yunet_network.hpp>
#include <mien/image/resize.hpp>
#include <mien/image/resize_plan.hpp>

#include "common/image_file.hpp"
#include "program.hpp"

namespace {

using namespace mien;
using namespace mien::bench;

/// The photo at the picture's height, repeated side by side as far as the width goes.
GrayImage fill(const GrayView& photo, const Size& size) {
  const int photo_width = std::max(photo.width * size.height / photo.height, 1);
  const GrayImage scaled = resize_linear_exact(photo, photo_width, size.height);
  GrayImage picture(size.width, size.height);
  for (int y = 0; y < size.height; ++y) {
    const std::uint8_t* from = scaled.view().row(y);
    std::uint8_t* to = picture.row(y);
    for (int x = 0; x < size.width; ++x) to[x] = from[x % photo_width];
  }
  return picture;
}

void time_detection(benchmark::State& state, const HaarDetector& detector, const GrayImage& picture,
                    int smallest_face) {
  HaarOptions options;
  options.min_size = {smallest_face, smallest_face};
  HaarDetector::Workspace workspace;
  std::vector<Detection> faces;
  for (auto _ : state) detector.detect(picture.view(), options, workspace, faces);
  state.counters["faces"] = static_cast<double>(faces.size());
}

/// The levels at which a window fits into a picture, as the detector has them.
std::vector<detail::Level> levels_of(const GrayImage& picture, const Cascade& cascade) {
  const Size window{cascade.window_width(), cascade.window_height()};
  std::vector<detail::Level> levels;
  detail::Pyramid pyramid({picture.width(), picture.height()}, HaarOptions{}.scale_factor);
  for (; pyramid.has_room(window); pyramid.advance()) levels.push_back(pyramid.level());
  return levels;
}

void time_resize(benchmark::State& state, const GrayImage& picture,
                 const std::vector<detail::Level>& levels) {
  detail::ResizePlan plan;
  std::vector<std::uint8_t> memory(static_cast<std::size_t>(picture.width()));
  for (auto _ : state) {
    for (const detail::Level& level : levels) {
      plan.set({picture.width(), picture.height()}, level.size);
      for (int y = 0; y < level.size.height; ++y) {
        benchmark::DoNotOptimize(detail::resized_row(picture.view(), plan, y, memory.data()));
      }
    }
  }
}

void time_tables(benchmark::State& state, const GrayImage& picture,
                 const std::vector<detail::Level>& levels, bool tilted) {
  detail::LevelSums tables;
  detail::ResizePlan plan;
  for (auto _ : state) {
    for (const detail::Level& level : levels) {
      plan.set({picture.width(), picture.height()}, level.size);
      tables.start(level.size.width, level.step, level.size.height + 1, tilted);
      tables.add(picture.view(), plan, 0, level.size.height);
      benchmark::DoNotOptimize(tables.sums());
    }
  }
}

void time_scan(benchmark::State& state, const GrayImage& picture,
               const std::vector<detail::Level>& levels, const Cascade& cascade) {
  const detail::CascadeProgram program(cascade);
  std::vector<detail::LevelSums> tables(levels.size());
  detail::ResizePlan plan;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    plan.set({picture.width(), picture.height()}, levels[i].size);
    tables[i].start(levels[i].size.width, levels[i].step, levels[i].size.height + 1,
                    cascade.has_tilted_features());
    tables[i].add(picture.view(), plan, 0, levels[i].size.height);
  }
  detail::CascadeScanner scanner;
  std::size_t windows = 0;
  for (auto _ : state) {
    windows = 0;
    for (std::size_t i = 0; i < levels.size(); ++i) {
      const Size& size = levels[i].size;
      scanner.start(program, tables[i]);
      scanner.scan(0, size.width, size.height + 1 - cascade.window_height());
      windows += scanner.finish().size();
    }
  }
  state.counters["windows"] = static_cast<double>(windows);
}

void time_grouping(benchmark::State& state, const HaarDetector& detector,
                   const GrayImage& picture) {
  HaarOptions options;
  const int min_neighbors = options.min_neighbors;
  options.min_neighbors = 0;
  const std::vector<Detection> candidates = detector.detect(picture.view(), options);
  detail::Grouper grouper;
  std::vector<Detection> groups;
  for (auto _ : state) grouper.group(candidates, min_neighbors, groups);
  state.counters["windows"] = static_cast<double>(candidates.size());
}

std::string to_string(const Size& size) {
  return std::to_string(size.width) + "x" + std::to_string(size.height);
}

/// What a detection does at some levels.
void register_level_steps(const std::string& name, const Cascade& cascade, const GrayImage& picture,
                          const std::vector<detail::Level>& levels) {
  const bool tilted = cascade.has_tilted_features();
  benchmark::RegisterBenchmark((name + "/resize").c_str(), time_resize, picture, levels)
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark((name + "/resize_and_sums").c_str(), time_tables, picture, levels,
                               tilted)
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark((name + "/evaluation").c_str(), time_scan, picture, levels, cascade)
      ->Unit(benchmark::kMillisecond);
}

/// The steps of a detection, at all levels together and at each.
void register_steps(const HaarDetector& detector, const GrayImage& picture) {
  const std::vector<detail::Level> levels = levels_of(picture, detector.cascade());
  const std::string size = to_string({picture.width(), picture.height()});
  register_level_steps(size, detector.cascade(), picture, levels);
  benchmark::RegisterBenchmark((size + "/grouping").c_str(), time_grouping, detector, picture)
      ->Unit(benchmark::kMillisecond);
  for (const detail::Level& level : levels) {
    register_level_steps(size + "/level:" + to_string(level.size), detector.cascade(), picture,
                         {level});
  }
}

void time_yunet(benchmark::State& state, const YuNetDetector& detector, const GrayImage& picture) {
  YuNetOptions options;
  options.max_side = 0;
  YuNetDetector::Workspace workspace;
  std::vector<Detection> faces;
  for (auto _ : state) detector.detect(picture.view(), options, workspace, faces);
  state.counters["faces"] = static_cast<double>(faces.size());
}

/// A detection's parts, one after the other.
class YuNetSteps {
 public:
  YuNetSteps(const YuNetDetector& detector, const GrayImage& picture)
      : picture_(picture.view()),
        padded_{detail::yunet_side(picture.width()), detail::yunet_side(picture.height())},
        program_(detail::YuNetNetwork(detector.network().file())
                     .program(padded_, detail::YuNetNetwork::gray)),
        arena_(program_->arena_size()) {
    for (const TensorShape& shape : program_->output_shapes()) {
      outputs_.emplace_back(shape.size());
    }
    for (std::vector<float>& output : outputs_) output_places_.push_back(output.data());
    fill();
    run_network();
  }

  void fill() { input_.set(picture_, {picture_.width, picture_.height}, padded_); }
  void run_network() {
    const float* const input = input_.values();
    program_->run(1, &input, output_places_.data(), arena_.data());
  }
  void decode() {
    const YuNetOptions options;
    candidates_.clear();
    for (std::size_t grid = 0; grid < outputs_.size(); ++grid) {
      const TensorShape& shape = program_->output_shapes()[grid];
      detail::append_candidates(
          {detail::yunet_strides[grid], shape.height, shape.width, output_places_[grid]},
          options.min_score, candidates_);
    }
    benchmark::DoNotOptimize(suppression_.run(candidates_, options.max_overlap).data());
  }

 private:
  GrayView picture_;
  Size padded_;
  std::shared_ptr<const Program> program_;
  detail::YuNetPicture input_;
  std::vector<std::vector<float>> outputs_;
  std::vector<float*> output_places_;
  mien::detail::AlignedBuffer arena_;
  std::vector<detail::YuNetCandidate> candidates_;
  detail::Suppression suppression_;
};

template <auto step>
void time_yunet_step(benchmark::State& state, const YuNetDetector& detector,
                     const GrayImage& picture) {
  YuNetSteps steps(detector, picture);
  for (auto _ : state) (steps.*step)();
}

void register_yunet(const YuNetDetector& detector, const GrayImage& picture) {
  const std::string name = "yunet/" + to_string({picture.width(), picture.height()});
  const auto add = [&](const char* step, auto* function) {
    benchmark::RegisterBenchmark((name + step).c_str(), function, detector, picture)
        ->Unit(benchmark::kMillisecond);
  };
  add("", &time_yunet);
  add("/picture", &time_yunet_step<&YuNetSteps::fill>);
  add("/network", &time_yunet_step<&YuNetSteps::run_network>);
  add("/decoding_and_suppression", &time_yunet_step<&YuNetSteps::decode>);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string image =
      take_option(argc, argv, "--image=", MIEN_EXAMPLES_DIR "/images/astronaut.png");
  const std::string cascade = take_option(
      argc, argv, "--cascade=", MIEN_EXAMPLES_DIR "/models/haarcascade_frontalface_default.haar");
  const std::string yunet =
      take_option(argc, argv, "--yunet=", MIEN_EXAMPLES_DIR "/models/yunet.mien");
  return run_benchmarks(argc, argv, [&] {
    const YuNetDetector yunet_detector = YuNetDetector::load(yunet);
    const HaarDetector detector(Cascade::load(cascade));
    const GrayImage photo = examples::load_image(image).gray();
    register_steps(detector, fill(photo.view(), {640, 480}));
    for (const Size size :
         {Size{160, 128}, Size{320, 256}, Size{640, 480}, Size{1280, 960}, Size{1920, 1080}}) {
      register_yunet(yunet_detector, fill(photo.view(), size));
    }
    for (const Size size : {Size{320, 240}, Size{640, 480}, Size{1280, 720}, Size{1920, 1080}}) {
      const GrayImage picture = fill(photo.view(), size);
      for (const int smallest_face : {0, 30, 60, 80, 120}) {
        const std::string name = to_string(size) + "/min_size:" + std::to_string(smallest_face);
        benchmark::RegisterBenchmark(name.c_str(), time_detection, detector, picture, smallest_face)
            ->Unit(benchmark::kMillisecond);
      }
    }
  });
}
