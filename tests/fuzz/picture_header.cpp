// What is read of pictures before they are decoded: a JPEG's markers, a PNG's chunks and the header
// of a PGM or PPM file.
#include "../../examples/common/jpeg_markers.hpp"
#include "../../examples/common/png_chunks.hpp"
#include "../../examples/common/pnm_header.hpp"
#include "png_checksums.hpp"
#include "target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mien::examples;
  static const std::string path = "picture";
  std::vector<std::uint8_t> bytes(data, data + size);
  try {
    if (JpegMarkers::is_jpeg(bytes)) {
      const int orientation = JpegMarkers(path, bytes).orientation();
      fuzz::require(orientation >= 1 && orientation <= 8, "an orientation of 1 to 8");
    }
    if (is_pnm(bytes)) check_pnm(path, bytes);
    if (is_png(bytes)) {
      fuzz::mend_png_checksums(bytes);
      check_png(path, bytes);
    }
  } catch (const mien::Error&) {
  }
  return 0;
}
