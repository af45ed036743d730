// Picture files, read and decoded as the programs do, with a small limit of pixels. The checksums
// of PNG files are mended, but for those whose last byte is odd.
#include "../../examples/common/image_file.hpp"
#include "png_checksums.hpp"
#include "target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::InputFile file;
  constexpr long long most_pixels = 1 << 14;
  std::vector<std::uint8_t> bytes(data, data + size);
  if (mien::examples::is_png(bytes) && bytes.back() % 2 == 0) fuzz::mend_png_checksums(bytes);
  file.write(bytes.data(), bytes.size());
  try {
    const mien::examples::ImageFile image = mien::examples::load_image(file.path(), most_pixels);
    const mien::GrayImage gray = image.gray();
    fuzz::require(static_cast<long long>(gray.width()) * gray.height() <= most_pixels,
                  "at most as many pixels as the limit");
  } catch (const mien::Error&) {
  }
  return 0;
}
