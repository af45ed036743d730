// Arrays in NumPy's format, as the program `run` reads them.
#include "../../examples/common/npy_file.hpp"
#include "target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::InputFile file;
  file.write(data, size);
  try {
    const mien::examples::NpyArray array = mien::examples::read_npy(file.path());
    std::size_t count = 1;
    for (const int side : array.shape) count *= static_cast<std::size_t>(side);
    fuzz::require(array.values.size() == count, "as many numbers as the shape says");
  } catch (const mien::Error&) {
  }
  return 0;
}
