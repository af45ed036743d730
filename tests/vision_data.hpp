// Images and golden data of the vision tests; data/make_vision.py makes the data.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <mien/binary.hpp>
#include <mien/error.hpp>
#include <mien/image/image.hpp>

/// The noise of data/make_vision.py, by the same formula.
inline mien::GrayImage noise_image(int width, int height, std::uint32_t seed) {
  mien::GrayImage image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      std::uint32_t value = static_cast<std::uint32_t>(x) * 2654435761u +
                            static_cast<std::uint32_t>(y) * 2246822519u + seed * 40503u;
      value = (value ^ (value >> 15)) * 2246822519u;
      value = (value ^ (value >> 13)) * 3266489917u;
      image.row(y)[x] = static_cast<std::uint8_t>(value >> 24);
    }
  }
  return image;
}

/// A binary PGM file of 8 bits without comments.
inline mien::GrayImage read_pgm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  int width = 0;
  int height = 0;
  int largest = 0;
  file >> magic >> width >> height >> largest;
  file.get();
  if (!file || magic != "P5" || largest != 255) throw mien::Error(path + ": not an 8-bit PGM");
  mien::GrayImage image(width, height);
  file.read(reinterpret_cast<char*>(image.row(0)), std::streamsize{width} * height);
  if (!file) throw mien::Error(path + ": truncated");
  return image;
}

/// "noise:WIDTH:HEIGHT:SEED" or the name of a PGM file in data/.
inline mien::GrayImage test_image(const std::string& name) {
  if (name.rfind("noise:", 0) != 0) return read_pgm(std::string(MIEN_TEST_DATA "/") + name);
  std::istringstream fields(name);
  std::string kind;
  std::getline(fields, kind, ':');
  int width = 0;
  int height = 0;
  std::uint32_t seed = 0;
  char colon = 0;
  fields >> width >> colon >> height >> colon >> seed;
  return noise_image(width, height, seed);
}

/// The lines of a file in data/, as streams of their words.
inline std::vector<std::istringstream> golden_lines(const std::string& name) {
  const std::string path = std::string(MIEN_TEST_DATA "/") + name;
  std::ifstream file(path);
  std::vector<std::istringstream> lines;
  for (std::string line; std::getline(file, line);) lines.emplace_back(line);
  if (lines.empty()) throw mien::Error(path + ": no golden data");
  return lines;
}

template <class Number>
Number next(std::istringstream& line) {
  Number number{};
  if (!(line >> number)) throw mien::Error("golden data: the line is too short: " + line.str());
  return number;
}

inline mien::Rect next_rect(std::istringstream& line) {
  mien::Rect rect;
  rect.x = next<int>(line);
  rect.y = next<int>(line);
  rect.width = next<int>(line);
  rect.height = next<int>(line);
  return rect;
}

/// CRC-32 of 32-bit words as little-endian bytes, on any machine.
inline std::uint32_t crc32_of_words(const std::vector<std::uint32_t>& words) {
  std::vector<std::uint8_t> bytes;
  bytes.reserve(4 * words.size());
  for (const std::uint32_t word : words) {
    for (int shift = 0; shift < 32; shift += 8) {
      bytes.push_back(static_cast<std::uint8_t>(word >> shift));
    }
  }
  return mien::crc32(bytes.data(), bytes.size());
}

/// A copy with `gap` bytes of noise after every row, to be seen through a view.
class PaddedImage {
 public:
  PaddedImage(const mien::GrayImage& image, int gap)
      : width_(image.width()),
        height_(image.height()),
        padded_(noise_image(image.width() + gap, image.height(), 77)) {
    for (int y = 0; y < height_; ++y) {
      std::copy(image.row(y), image.row(y) + width_, padded_.row(y));
    }
  }

  mien::GrayView view() const { return {padded_.row(0), width_, height_, padded_.width()}; }

 private:
  int width_;
  int height_;
  mien::GrayImage padded_;
};
