// Raw video as the program `video` reads it from standard input: the first bytes are the options,
// the others are frames. Faces are found by a cascade that takes many things for one.
#include <mien/faces/haar/cascade.hpp>
#include <mien/video.hpp>

#include "../../examples/common/frames.hpp"
#include "haar_file.hpp"
#include "target.hpp"

namespace {

using namespace mien;

/// Windows that are darker on one side.
Cascade simple_cascade() {
  HaarFile file;
  file.string("simple").string("").u8(8).u8(8).u32(1);
  file.u8(0).u8(2).rect(0, 0, 8, 8, -1).rect(0, 0, 4, 8, 2);
  file.u32(1).f32(0.5f).u32(1).u8(1).node(0, -1, 0, 0.25f).f32(0.0f).f32(1.0f);
  const Bytes bytes = file.sealed();
  return Cascade::from_memory(bytes.data(), bytes.size());
}

VideoOptions options_from(fuzz::Numbers& numbers) {
  VideoOptions options;
  options.crops = numbers.once_in(2) ? Crops::ten : Crops::center;
  options.classify_interval = numbers.pick(0, 3);
  options.smoothing = numbers.pick(0, 20) / 4.0;
  options.tracker.refresh_interval = numbers.pick(0, 4);
  options.tracker.patience = numbers.pick(0, 3);
  options.tracker.min_overlap = numbers.pick(0, 10) / 10.0;
  options.tracker.finder.haar.min_neighbors = numbers.pick(0, 2);
  options.tracker.finder.haar.scale_factor = 1.2 + numbers.pick(0, 10) / 10.0;
  options.tracker.finder.min_size = {numbers.pick(0, 20), numbers.pick(0, 20)};
  options.tracker.finder.region = {numbers.pick(-4, 8), numbers.pick(-4, 8), numbers.pick(0, 40),
                                   numbers.pick(0, 40)};
  return options;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::InputFile file;
  static const ExpressionReader networks(Model::load(MIEN_TEST_DATA "/tiny.mien"),
                                         HaarDetector(simple_cascade()));
  fuzz::Numbers numbers(data, size);
  const int width = numbers.pick(1, 40);
  const int height = numbers.pick(1, 40);
  const auto format =
      numbers.once_in(2) ? examples::PixelFormat::rgb24 : examples::PixelFormat::gray;
  const VideoOptions options = options_from(numbers);
  file.write(numbers.rest(), numbers.left());
  if (std::freopen(file.path().c_str(), "rb", stdin) == nullptr) return 0;
  try {
    VideoReader reader(networks, options);
    examples::FrameReader frames(width, height, format);
    for (int frame = 0; frame < 5 && frames.next(); ++frame) {
      const auto& faces = format == examples::PixelFormat::gray
                              ? reader.read(GrayView(frames.pixels(), width, height))
                              : reader.read(RgbView(frames.pixels(), width, height));
      for (const VideoFace& face : faces) {
        fuzz::require(face.expression < 7, "an expression of the seven");
        fuzz::require(face.probabilities.size() == 7, "seven probabilities");
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
