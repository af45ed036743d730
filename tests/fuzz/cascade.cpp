// Cascades (.haar), with their size and checksum mended; what is accepted searches a small picture,
// and finds what the reference finds.
#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/faces/haar/cascade.hpp>
#include <mien/faces/haar/haar_detector.hpp>

#include "reference_detector.hpp"
#include "sealed_bytes.hpp"
#include "target.hpp"
#include "vision_data.hpp"

namespace {

bool same(const mien::Detection& a, const mien::Detection& b) {
  return a.box == b.box && a.neighbors == b.neighbors && a.score == b.score;
}

void search(const mien::Cascade& cascade, bool groups) {
  static const mien::GrayImage picture = noise_image(33, 29, 7);
  static mien::HaarDetector::Workspace workspace;
  mien::HaarOptions options;
  options.scale_factor = 1.5;
  options.min_neighbors = groups ? 1 : 0;
  std::vector<mien::Detection> found;
  mien::HaarDetector(cascade).detect(picture.view(), options, workspace, found);
  const std::vector<mien::Detection> expected = reference::detect(cascade, picture.view(), options);
  fuzz::require(found.size() == expected.size(), "another number of faces than the reference's");
  for (std::size_t i = 0; i < found.size(); ++i) {
    fuzz::require(same(found[i], expected[i]), "another face than the reference's");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, data + size);
  if (size >= mien::BinaryReader::header_size) reseal(bytes);
  try {
    const mien::Cascade cascade = mien::Cascade::from_memory(bytes.data(), bytes.size());
    search(cascade, bytes.back() % 2 == 0);
  } catch (const mien::Error&) {
  }
  return 0;
}
