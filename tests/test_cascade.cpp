// Reading .haar files: what is in them, and that damaged ones are errors, never crashes.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <mien/binary.hpp>
#include <mien/error.hpp>
#include <mien/faces/haar/cascade.hpp>
#include <mien/faces/haar/haar_detector.hpp>

#include "haar_file.hpp"
#include "sanitized.hpp"
#include "sealed_bytes.hpp"
#include "vision_data.hpp"

using namespace mien;

namespace {

const std::string stumps_path = MIEN_TEST_DATA "/tiny_stumps.haar";
const std::string trees_path = MIEN_TEST_DATA "/tiny_trees.haar";

Cascade load(const Bytes& bytes) {
  return Cascade::from_memory(bytes.data(), bytes.size(), "test.haar");
}

std::string load_error(const Bytes& bytes) {
  try {
    load(bytes);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

HaarFile header(int width = 20, int height = 10) {
  return HaarFile().string("name").string("notice").u8(width).u8(height);
}

/// A file with one upright or tilted rectangle in a window of 20 x 10.
Bytes one_rect(bool tilted, int x, int y, int width, int height, int weight = 1) {
  HaarFile file = header();
  file.u32(1).u8(tilted ? 1 : 0).u8(1).rect(x, y, width, height, weight);
  file.u32(1).f32(0).u32(1).u8(1).node(0, -1, 0, 0).f32(-1).f32(1);
  return file.sealed();
}

/// A file with one tree of these children over one feature.
Bytes one_tree(const std::vector<std::pair<int, int>>& children) {
  HaarFile file = header();
  file.u32(1).u8(0).u8(1).rect(0, 0, 2, 2, 1);
  file.u32(1).f32(0).u32(1).u8(static_cast<int>(children.size()));
  for (const auto& [left, right] : children) file.node(left, right, 0, 0.5f);
  for (std::size_t i = 0; i <= children.size(); ++i) file.f32(1);
  return file.sealed();
}

/// Small files with everything that the format knows.
std::vector<Bytes> small_files() {
  HaarFile stump = header();
  stump.u32(2);
  stump.u8(0).u8(3).rect(0, 0, 12, 9, -1).rect(4, 0, 4, 9, 3).rect(1, 1, 2, 2, 2);
  stump.u8(1).u8(2).rect(8, 0, 6, 4, -1).rect(8, 0, 3, 4, 2);
  stump.u32(2);
  stump.f32(0.25f).u32(1).u8(1).node(0, -1, 0, 0.01f).f32(-1).f32(1);
  stump.f32(-0.5f).u32(2).u8(1).node(0, -1, 1, 0.02f).f32(0.5f).f32(-0.5f);
  stump.u8(1).node(-1, 0, 0, 0.03f).f32(0.75f).f32(-0.25f);
  return {stump.sealed(), one_tree({{1, 2}, {-1, 0}, {-2, -3}})};
}

}  // namespace

TEST_CASE("the default cascade is what OpenCV ships") {
  const Cascade cascade =
      Cascade::load(MIEN_SOURCE_DIR "/examples/models/haarcascade_frontalface_default.haar");
  CHECK(cascade.name() == "haarcascade_frontalface_default");
  CHECK(cascade.notice().find("Copyright (C) 2000, Intel Corporation") != std::string::npos);
  CHECK(cascade.window_width() == 24);
  CHECK(cascade.window_height() == 24);
  CHECK(cascade.stages().size() == 25);
  CHECK(cascade.classifiers().size() == 2913);
  CHECK(cascade.features().size() == 2913);
  CHECK(cascade.has_only_stumps());
  CHECK_FALSE(cascade.has_tilted_features());
  // The first numbers of the XML file; the stage's threshold is -5.0425500869750977 in it.
  CHECK(cascade.stages()[0].classifier_count == 9);
  CHECK(cascade.stages()[0].threshold == -5.0425500869750977e+00f - 1e-5f);
  CHECK(cascade.nodes()[0].threshold == -3.1511999666690826e-02f);
  CHECK(cascade.leaves()[0] == 2.0875380039215088e+00f);
  CHECK(cascade.leaves()[1] == -2.2172100543975830e+00f);
  const HaarFeature& feature = cascade.features()[0];
  REQUIRE(feature.rect_count == 2);
  CHECK(feature.rects[0].box == Rect{6, 4, 12, 9});
  CHECK(feature.rects[0].weight == -1);
  CHECK(feature.rects[1].box == Rect{6, 7, 12, 3});
  CHECK(feature.rects[1].weight == 3);
}

TEST_CASE("a cascade comes from a path or from memory") {
  const Bytes bytes = read_file(trees_path);
  for (const Cascade& cascade : {Cascade::load(trees_path), load(bytes)}) {
    CHECK(cascade.name() == "tiny_trees");
    CHECK_FALSE(cascade.has_only_stumps());
    CHECK(cascade.has_tilted_features());
    CHECK(cascade.stages().size() == 6);
  }
  CHECK_THROWS_WITH_AS(Cascade::load("no/such.haar"),
                       "no/such.haar: cannot open the file: No such file or directory", Error);
}

TEST_CASE("a cascade cut off anywhere is an error" * doctest::test_suite("damaged files")) {
  for (const std::string& path : {stumps_path, trees_path}) {
    const Bytes bytes = read_file(path);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(path);
      CAPTURE(size);
      Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      CHECK_THROWS_AS(load(part), Error);
      if (size < BinaryReader::header_size) continue;
      reseal(part);
      CHECK_THROWS_AS(load(part), Error);
    }
  }
}

TEST_CASE("every flipped bit of a cascade is noticed" * doctest::test_suite("damaged files")) {
  for (const std::string& path : {stumps_path, trees_path}) {
    Bytes bytes = read_file(path);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        CAPTURE(path);
        CAPTURE(i);
        CAPTURE(bit);
        bytes[i] = static_cast<std::uint8_t>(bytes[i] ^ (1 << bit));
        CHECK_THROWS_AS(load(bytes), Error);
        bytes[i] = static_cast<std::uint8_t>(bytes[i] ^ (1 << bit));
      }
    }
  }
}

TEST_CASE("a cascade changed behind its checksum is valid or an error" *
          doctest::test_suite("damaged files")) {
  const GrayImage image = noise_image(40, 30, 5);
  HaarOptions options;
  options.min_neighbors = 0;
  int valid = 0;
  int errors = 0;
  const auto try_out = [&](Bytes& bytes) {
    reseal(bytes);
    try {
      // What loads must be usable: every offset it leads to lies in the tables.
      HaarDetector(load(bytes)).detect(image.view(), options);
      ++valid;
    } catch (const Error&) {
      ++errors;
    }
  };
  for (const Bytes& file : small_files()) {
    REQUIRE_NOTHROW(load(file));
    for (std::size_t i = BinaryReader::header_size; i < file.size(); ++i) {
      for (int value = 0; value < 256; value += sanitized ? 17 : 1) {
        Bytes bytes = file;
        bytes[i] = static_cast<std::uint8_t>(value);
        try_out(bytes);
      }
    }
  }
  std::mt19937 generator(1);
  for (const std::string& path : {stumps_path, trees_path}) {
    const Bytes file = read_file(path);
    for (int i = 0; i < rounds(3000); ++i) {
      Bytes bytes = file;
      for (unsigned change = 0; change <= generator() % 3; ++change) {
        const std::size_t place =
            BinaryReader::header_size + generator() % (bytes.size() - BinaryReader::header_size);
        bytes[place] = static_cast<std::uint8_t>(generator());
      }
      try_out(bytes);
    }
  }
  CHECK(valid > 1000);
  CHECK(errors > 1000);
}

TEST_CASE("another kind, another version and other sizes are named") {
  CHECK(load_error({}) == "test.haar: the file is empty");
  CHECK(load_error(read_file(MIEN_TEST_DATA "/tiny.mien")) ==
        "test.haar: not a Mien file of kind HAAR: its first 8 bytes differ");
  Bytes bytes = read_file(stumps_path);
  put_u32(bytes, 8, 2);
  CHECK(load_error(bytes) == "test.haar: format version: expected 1, found 2");
  bytes = read_file(stumps_path);
  const std::string size = std::to_string(bytes.size());
  bytes.resize(bytes.size() + 3);
  CHECK(load_error(bytes) ==
        "test.haar: oversized: expected " + size + " bytes, found " + std::to_string(bytes.size()));
  reseal(bytes);
  CHECK(load_error(bytes) ==
        "test.haar: end of the cascade: expected at offset " + size + ", found 3 bytes after it");
}

TEST_CASE("windows below 3 x 3 are errors") {
  CHECK(load_error(header(2, 10).sealed()) ==
        "test.haar: window width: expected at least 3, found 2");
  CHECK(load_error(header(10, 0).sealed()) ==
        "test.haar: window height: expected at least 3, found 0");
}

TEST_CASE("counts that the file cannot hold are errors before memory is asked for") {
  CHECK(load_error(header().u32(0xFFFFFFFF).sealed()) ==
        "test.haar: number of features: expected at most 0 (what the rest of the file can hold), "
        "found 4294967295");
  CHECK(load_error(header().u32(0).sealed()) ==
        "test.haar: number of features: expected at least 1, found 0");
  HaarFile file = header().u32(1).u8(0).u8(1).rect(0, 0, 2, 2, 1);
  CHECK(load_error(HaarFile(file).u32(0x80000000).sealed()).find("number of stages") !=
        std::string::npos);
  file.u32(1).f32(0);
  Bytes bytes = HaarFile(file).u32(1000).u8(1).node(0, -1, 0, 0).f32(-1).f32(1).sealed();
  CHECK(load_error(bytes) ==
        "test.haar: stage 0, number of weak classifiers: expected at most 1 (what the rest of the "
        "file can hold), found 1000");
  bytes = HaarFile(file).u32(1).u8(200).node(0, -1, 0, 0).f32(-1).f32(1).sealed();
  CHECK_THROWS_AS(load(bytes), Error);
}

TEST_CASE("upright rectangles lie in the window") {
  CHECK_NOTHROW(load(one_rect(false, 0, 0, 20, 10)));
  CHECK_NOTHROW(load(one_rect(false, 19, 9, 1, 1)));
  CHECK(load_error(one_rect(false, 19, 9, 2, 1)) ==
        "test.haar: feature 0, rectangle 0: expected an upright rectangle inside the window of "
        "20 x 10, found x 19, y 9, width 2, height 1");
  CHECK_THROWS_AS(load(one_rect(false, 19, 9, 1, 2)), Error);
  CHECK_THROWS_AS(load(one_rect(false, 3, 3, 0, 1)), Error);
  CHECK_THROWS_AS(load(one_rect(false, 3, 3, 1, 0)), Error);
  CHECK_THROWS_AS(load(one_rect(false, 255, 0, 255, 1)), Error);
}

TEST_CASE("tilted rectangles lie in the window with all four corners") {
  CHECK_NOTHROW(load(one_rect(true, 4, 0, 6, 4)));
  CHECK_NOTHROW(load(one_rect(true, 15, 0, 5, 5)));
  CHECK(load_error(one_rect(true, 3, 0, 6, 4)) ==
        "test.haar: feature 0, rectangle 0: expected a tilted rectangle inside the window of "
        "20 x 10, found x 3, y 0, width 6, height 4");
  CHECK_THROWS_AS(load(one_rect(true, 4, 1, 6, 4)), Error);
  CHECK_THROWS_AS(load(one_rect(true, 16, 0, 5, 5)), Error);
}

TEST_CASE("feature values stay exact in single precision") {
  // 20 * 10 pixels * 255 * 328 is below 2^24, with 329 it is not.
  CHECK_NOTHROW(load(one_rect(false, 0, 0, 20, 10, -328)));
  CHECK(load_error(one_rect(false, 0, 0, 20, 10, -329)) ==
        "test.haar: feature 0: expected a sum of |weight| * pixels * 255 below 16777216, found "
        "16779000");
  CHECK_NOTHROW(load(one_rect(true, 5, 0, 5, 5, 1315)));
  CHECK_THROWS_AS(load(one_rect(true, 5, 0, 5, 5, 1316)), Error);
}

TEST_CASE("trees have no cycles and no children outside") {
  CHECK_NOTHROW(load(one_tree({{1, -2}, {0, -1}})));
  CHECK(load_error(one_tree({{1, 2}, {-1, 0}})) ==
        "test.haar: stage 0, weak classifier 0, node 0, child: expected a node from 1 to 1 or a "
        "leaf from 0 to -2, found 2");
  CHECK(load_error(one_tree({{0, -2}})).find("found -2") != std::string::npos);
  CHECK(load_error(one_tree({{1, 0}, {1, -1}})) ==
        "test.haar: stage 0, weak classifier 0, node 1, child: expected a leaf from 0 to -2, "
        "found 1");
  CHECK_THROWS_AS(load(one_tree({{2, 0}, {-1, -2}, {1, -3}})), Error);
}

TEST_CASE("features, flags and numbers out of range are errors") {
  const auto stump = [](std::uint32_t feature, float threshold, float leaf, float stage) {
    HaarFile file = header();
    file.u32(1).u8(0).u8(1).rect(0, 0, 2, 2, 1);
    file.u32(1).f32(stage).u32(1).u8(1).node(0, -1, feature, threshold).f32(leaf).f32(1);
    return file.sealed();
  };
  CHECK_NOTHROW(load(stump(0, 0, 0, 0)));
  CHECK(load_error(stump(1, 0, 0, 0)) ==
        "test.haar: stage 0, weak classifier 0, node 0, feature: expected 0 to 0, found 1");
  CHECK(load_error(stump(0, INFINITY, 0, 0)) ==
        "test.haar: stage 0, weak classifier 0, node 0, threshold: expected a finite number, "
        "found inf");
  CHECK_THROWS_AS(load(stump(0, 0, NAN, 0)), Error);
  CHECK_THROWS_AS(load(stump(0, 0, 0, -INFINITY)), Error);
  CHECK(load_error(header().u32(1).u8(2).u8(1).rect(0, 0, 2, 2, 1).sealed()) ==
        "test.haar: feature 0, flags: expected 0 or 1 (tilted), found 2");
  CHECK(load_error(header().u32(1).u8(0).u8(0).rect(0, 0, 2, 2, 1).sealed()) ==
        "test.haar: feature 0: expected 1 to 3 rectangles, found 0");
  CHECK_THROWS_AS(load(header().u32(1).u8(0).u8(4).rect(0, 0, 2, 2, 1).sealed()), Error);
}
