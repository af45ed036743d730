// Times the face detector on pictures of growing size and with growing smallest faces, and the
// steps of one detection, at all levels of its pyramid and at each.
//
//   detector [--image=FILE] [--cascade=FILE.haar] [Google Benchmark's options]
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <mien/faces/haar/cascade_program.hpp>
#include <mien/faces/haar/cascade_scanner.hpp>
#include <mien/faces/haar/grouping.hpp>
#include <mien/faces/haar/haar_detector.hpp>
#include <mien/faces/haar/level_sums.hpp>
#include <mien/faces/haar/pyramid.hpp>
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
  const double scale_factor = HaarOptions{}.scale_factor;
  const Size size{picture.width(), picture.height()};
  const Size window{cascade.window_width(), cascade.window_height()};
  std::vector<detail::Level> levels;
  detail::set_levels(size, scale_factor, detail::fitting_scale_count(window, size, scale_factor),
                     levels);
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

}  // namespace

int main(int argc, char** argv) {
  const std::string image =
      take_option(argc, argv, "--image=", MIEN_EXAMPLES_DIR "/images/astronaut.png");
  const std::string cascade = take_option(
      argc, argv, "--cascade=", MIEN_EXAMPLES_DIR "/models/haarcascade_frontalface_default.haar");
  return run_benchmarks(argc, argv, [&] {
    const HaarDetector detector(Cascade::load(cascade));
    const GrayImage photo = examples::load_image(image).gray();
    register_steps(detector, fill(photo.view(), {640, 480}));
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
