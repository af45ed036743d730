// FER2013's table, as the program `evaluate` reads it.
#include "../../examples/common/fer_csv.hpp"

#include "target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::InputFile file;
  constexpr std::size_t classes = 7;
  file.write(data, size);
  try {
    for (const auto& face : mien::examples::load_fer_csv(file.path(), classes)) {
      fuzz::require(face.label < classes, "a label in its range");
    }
  } catch (const mien::Error&) {
  }
  return 0;
}
