// Times the face detector on pictures of growing size and with growing smallest faces.
//
//   detector [--image=FILE] [--cascade=FILE.haar] [Google Benchmark's options]
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include <mien/vision/face_detector.hpp>

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

void time_detection(benchmark::State& state, const FaceDetector& detector, const GrayImage& picture,
                    int smallest_face) {
  DetectionOptions options;
  options.min_size = {smallest_face, smallest_face};
  std::size_t faces = 0;
  for (auto _ : state) faces = detector.detect(picture.view(), options).size();
  state.counters["faces"] = static_cast<double>(faces);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string image =
      take_option(argc, argv, "--image=", MIEN_EXAMPLES_DIR "/images/astronaut.png");
  const std::string cascade = take_option(
      argc, argv, "--cascade=", MIEN_EXAMPLES_DIR "/models/haarcascade_frontalface_default.haar");
  return run_benchmarks(argc, argv, [&] {
    const FaceDetector detector(Cascade::load(cascade));
    const GrayImage photo = examples::load_image(image).gray();
    for (const Size size : {Size{320, 240}, Size{640, 480}, Size{1280, 720}, Size{1920, 1080}}) {
      const GrayImage picture = fill(photo.view(), size);
      for (const int smallest_face : {0, 30, 60, 80, 120}) {
        const std::string name = std::to_string(size.width) + "x" + std::to_string(size.height) +
                                 "/min_size:" + std::to_string(smallest_face);
        benchmark::RegisterBenchmark(name.c_str(), time_detection, detector, picture, smallest_face)
            ->Unit(benchmark::kMillisecond);
      }
    }
  });
}
