// The README's program: photo in, expressions out.
//
//   minimal MODEL.mien DETECTOR PHOTO
#include <cstdio>
#include <exception>
#include <string>

#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

#include <mien/mien.hpp>

int main(int argc, char** argv) try {
  if (argc != 4) {
    const bool asks = argc == 2 && std::string(argv[1]) == "--help";
    std::fputs("usage: minimal MODEL.mien DETECTOR PHOTO\n", asks ? stdout : stderr);
    if (std::fflush(stdout) != 0) throw mien::Error("standard output: cannot write");
    return asks ? 0 : 2;
  }
  const mien::ExpressionReader reader(argv[1], argv[2]);

  int width, height;
  unsigned char* pixels = stbi_load(argv[3], &width, &height, nullptr, 3);
  if (pixels == nullptr) throw mien::Error(std::string(argv[3]) + ": " + stbi_failure_reason());

  for (const auto& face : reader.read(mien::RgbView(pixels, width, height))) {
    std::printf("%s (%.0f %%) at x %d, y %d\n", reader.label(face.expression).c_str(),
                100.0 * face.probabilities[face.expression], face.box.x, face.box.y);
  }
  stbi_image_free(pixels);
  if (std::fflush(stdout) != 0) throw mien::Error("standard output: cannot write");
} catch (const std::exception& error) {
  std::fprintf(stderr, "minimal: %s\n", error.what());
  return 1;
}
