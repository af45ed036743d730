// A program that is compiled with neither exceptions nor RTTI. It computes what PyTorch did, reads
// a face, and gets the message of a damaged file in its own handler, from where it ends.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <mien/expression.hpp>
#include <mien/models/mini_fer.hpp>

#if MIEN_HAS_EXCEPTIONS || defined(__GXX_RTTI)
#error "compile with -fno-exceptions -fno-rtti"
#endif

namespace {

std::string expected_error;  // none as long as it is empty

int failures = 0;

void check(bool holds, const char* what) {
  if (holds) return;
  std::printf("failed: %s\n", what);
  ++failures;
}

std::vector<std::uint8_t> read_file(const char* path) {
  std::vector<std::uint8_t> bytes;
  if (std::FILE* const file = std::fopen(path, "rb")) {
    for (int byte = std::fgetc(file); byte != EOF; byte = std::fgetc(file)) {
      bytes.push_back(static_cast<std::uint8_t>(byte));
    }
    std::fclose(file);
  }
  return bytes;
}

}  // namespace

void mien::handle_error(const char* message) {
  check(message == expected_error, message);
  std::puts(failures == 0 ? "passed" : "failed");
  std::exit(failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int main(int argc, char** argv) {
  if (argc != 4) return EXIT_FAILURE;
  const char* const model_path = argv[1];
  const char* const detector_path = argv[2];
  const char* const photo_path = argv[3];

  std::vector<std::uint8_t> bytes = read_file(model_path);
  const auto from_memory = [&bytes] {
    return mien::Model(mien::WeightFile::from_memory(bytes.data(), bytes.size(), "bytes"));
  };
  const mien::Model model = from_memory();
  check(model.verify() <= model.file().tolerance(),
        "a model from memory computes PyTorch's answers");
  const mien::MiniFer typed = mien::MiniFer::load(model_path);
  check(typed.verify() <= model.file().tolerance(), "a type's network computes PyTorch's answers");

  const int width = 192;
  const int height = 192;
  const std::vector<std::uint8_t> photo = read_file(photo_path);
  const std::size_t pixels = std::size_t{width} * height;
  check(photo.size() > pixels, "the photo is there");
  const mien::ExpressionReader reader(typed, mien::FaceFinder::load(detector_path));
  const auto faces =
      reader.read(mien::GrayView(photo.data() + (photo.size() - pixels), width, height));
  check(faces.size() == 1, "the photo has one face");
  check(faces.size() == 1 && reader.label(faces[0].expression) == "happy", "the face is happy");

  mien::ThreadPool pool(2);
  mien::Model::Workspace workspace(1, pool.threads());
  const std::vector<float> inputs(2 * 48 * 48, 0.5f);
  std::vector<float> outputs(2 * 7);
  model.forward(2, inputs.data(), outputs.data(), workspace, std::ref(pool));
  check(outputs[0] == outputs[7] && std::isfinite(outputs[0]), "threads compute alike");

  bytes[bytes.size() / 2] ^= 1;
  expected_error = "bytes: the checksum does not match: the file is corrupted";
  from_memory();
  std::puts("failed: the damaged file was taken");
  return EXIT_FAILURE;
}
