// The weight file: what is read from good ones, and that no bad one passes or crashes.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <mien/weights.hpp>

#include "sealed_bytes.hpp"
#include "tiny.hpp"

namespace {

using namespace mien;

const std::string tiny_path = MIEN_TEST_DATA "/tiny.mien";

void load(const Bytes& bytes) {
  const Tiny network(WeightFile::from_memory(bytes.data(), bytes.size(), "test.mien"));
  network.verify();
}

/// The message of the Error that loading must throw.
std::string load_error(const Bytes& bytes) {
  try {
    load(bytes);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::size_t find(const Bytes& bytes, const std::string& text) {
  const std::string all(bytes.begin(), bytes.end());
  const std::size_t position = all.find(text);
  REQUIRE(position != std::string::npos);
  return position;
}

bool contains(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("crc32 gives the published check value") {
  // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
  const std::string text = "123456789";
  CHECK(crc32(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()) == 0xCBF43926u);
  CHECK(crc32(nullptr, 0) == 0u);
}

TEST_CASE("half_to_float is exact") {
  // From IEEE 754-2019's definition of binary16.
  CHECK(detail::half_to_float(0x0000) == 0.0f);
  CHECK(std::signbit(detail::half_to_float(0x8000)));
  CHECK(detail::half_to_float(0x0001) == std::ldexp(1.0f, -24));
  CHECK(detail::half_to_float(0x83FF) == -1023.0f * std::ldexp(1.0f, -24));
  CHECK(detail::half_to_float(0x0400) == std::ldexp(1.0f, -14));
  CHECK(detail::half_to_float(0x3555) == 1365.0f / 4096.0f);
  CHECK(detail::half_to_float(0x3C00) == 1.0f);
  CHECK(detail::half_to_float(0xC000) == -2.0f);
  CHECK(detail::half_to_float(0x7BFF) == 65504.0f);
  CHECK(detail::half_to_float(0x7C00) == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(detail::half_to_float(0x7E00)));
}

TEST_CASE("a weight file tells what it holds") {
  const WeightFile file = WeightFile::load(tiny_path);
  CHECK(file.architecture() == "tiny");
  CHECK(file.labels() == std::vector<std::string>{"angry", "disgust", "fear", "happy", "sad",
                                                  "surprise", "neutral"});
  const Preprocessing& preprocessing = file.preprocessing();
  CHECK(preprocessing.input_channels == 1);
  CHECK(preprocessing.input_height == 8);
  CHECK(preprocessing.input_width == 8);
  CHECK(preprocessing.face_size == 10);
  CHECK(preprocessing.mean == 0.5f);
  CHECK(preprocessing.standard_deviation == 0.25f);
  CHECK(preprocessing.temperature == 1.5f);
  CHECK_FALSE(preprocessing.equalize_histogram);
  REQUIRE(file.tensors().size() == 19);
  CHECK(file.tensors()[0].name == "0.weight");
  CHECK(file.tensors()[0].dimensions == std::vector<std::uint32_t>{4, 1, 3, 3});
  CHECK(file.verification_vectors().size() == 4);
}

TEST_CASE("weights come from a path or from memory, in fp32 or fp16") {
  const Bytes bytes = read_file(tiny_path);
  CHECK_NOTHROW(load(bytes));
  CHECK(Tiny::load(tiny_path).verify() < 1e-5);
  // The exporter computes the vectors from the weights as stored, so halves agree as well.
  CHECK(Tiny::load(MIEN_TEST_DATA "/tiny_half.mien").verify() < 1e-5);
}

TEST_CASE("a missing file and a folder are errors that name the path") {
  CHECK_THROWS_WITH_AS(WeightFile::load("no/such.mien"),
                       "no/such.mien: cannot open the file: No such file or directory", Error);
  CHECK_THROWS_AS(WeightFile::load(MIEN_TEST_DATA), Error);
}

TEST_CASE("a file cut off anywhere is an error") {
  const Bytes bytes = read_file(tiny_path);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK_THROWS_AS(load(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))),
                    Error);
  }
  CHECK(load_error({}) == "test.mien: the file is empty");
  CHECK(load_error(Bytes(bytes.begin(), bytes.begin() + 20)) ==
        "test.mien: truncated: expected at least 24 bytes, found 20");
}

TEST_CASE("every flipped bit is noticed") {
  Bytes bytes = read_file(tiny_path);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      CAPTURE(i);
      CAPTURE(bit);
      bytes[i] = static_cast<std::uint8_t>(bytes[i] ^ (1 << bit));
      CHECK_THROWS_AS(load(bytes), Error);
      bytes[i] = static_cast<std::uint8_t>(bytes[i] ^ (1 << bit));
    }
  }
}

TEST_CASE("trailing bytes are noticed, with a right checksum too") {
  Bytes bytes = read_file(tiny_path);
  const std::size_t size = bytes.size();
  bytes.push_back(0);
  CHECK(contains(load_error(bytes), "oversized: expected " + std::to_string(size) + " bytes"));
  reseal(bytes);
  CHECK(contains(load_error(bytes), "the last block ends at byte " + std::to_string(size)));
}

TEST_CASE("another kind and another version are named") {
  Bytes bytes = read_file(tiny_path);
  bytes[1] = 'H';
  CHECK(contains(load_error(bytes), "not a Mien file of kind MIEN"));
  bytes = read_file(tiny_path);
  put_u32(bytes, 8, 2);
  CHECK(contains(load_error(bytes), "format version: expected 1, found 2"));
}

TEST_CASE("another network's weights are named") {
  Bytes bytes = read_file(tiny_path);
  bytes[find(bytes, "tiny")] = 'T';
  reseal(bytes);
  CHECK(load_error(bytes) == "test.mien: architecture: expected 'tiny', found 'Tiny'");
}

TEST_CASE("a misshapen, misplaced or misnamed tensor is named") {
  Bytes bytes = read_file(tiny_path);
  // The first tensor's dimensions follow its name, type and rank.
  const std::size_t dimensions = find(bytes, "0.weight") + 8 + 2;
  put_u32(bytes, dimensions, 3);
  reseal(bytes);
  CHECK(load_error(bytes) ==
        "test.mien: tensor '0.weight' (number 1): Conv2d expects its weight 4x1x3x3, found weight "
        "3x1x3x3");

  bytes = read_file(tiny_path);
  put_u32(bytes, dimensions, 0x7FFFFFFFu);
  reseal(bytes);
  CHECK(contains(load_error(bytes), "tensor '0.weight': its 2147483647 elements do not fit"));

  bytes = read_file(tiny_path);
  put_u32(bytes, dimensions + 16, 64);  // the offset, into the header
  reseal(bytes);
  CHECK(contains(load_error(bytes), "inside the header"));

  bytes = read_file(tiny_path);
  bytes[find(bytes, "0.bias") + 2] = 'B';
  reseal(bytes);
  CHECK(contains(load_error(bytes), "tensor '0.Bias' (number 2): Conv2d expects its bias 4"));
}

TEST_CASE("the first flag asks for histogram equalisation, the others are refused") {
  Bytes bytes = read_file(tiny_path);
  // After the architecture's name come four integers and three floats.
  const std::size_t flags = find(bytes, "tiny") + 4 + 4 * 4 + 3 * 4;
  const auto with_flags = [&](std::uint32_t value) {
    put_u32(bytes, flags, value);
    reseal(bytes);
    return WeightFile::from_memory(bytes.data(), bytes.size(), "test.mien").preprocessing();
  };
  CHECK(with_flags(1).equalize_histogram);
  CHECK_FALSE(with_flags(0).equalize_histogram);
  CHECK_THROWS_WITH_AS(with_flags(2), "test.mien: flags: expected 0 or 1, found 2", Error);
  CHECK_THROWS_WITH_AS(with_flags(0x80000001u),
                       "test.mien: flags: expected 0 or 1, found 2147483649", Error);
}

TEST_CASE("a number that is none is named") {
  Bytes bytes = read_file(tiny_path);
  const WeightFile file = WeightFile::load(tiny_path);
  put_u32(bytes, file.tensors()[0].offset + 4 * 5, 0x7FC00000u);
  reseal(bytes);
  CHECK(contains(load_error(bytes), "tensor '0.weight', element 5: expected a finite number"));
}

TEST_CASE("a wrong weight is found by the verification vectors") {
  Bytes bytes = read_file(tiny_path);
  const WeightFile file = WeightFile::load(tiny_path);
  put_u32(bytes, file.tensors()[0].offset, 0x40000000u);  // 2.0
  reseal(bytes);
  CHECK(contains(load_error(bytes), "verification vector 0"));
}

TEST_CASE("random damage with a right checksum is an error or a network, never a crash") {
  const Bytes original = read_file(tiny_path);
  const WeightFile file = WeightFile::load(tiny_path);
  const std::size_t header_end = file.tensors()[0].offset;
  std::mt19937 random(1);
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes = original;
    const std::size_t changes = 1 + random() % 3;
    for (std::size_t i = 0; i < changes; ++i) {
      bytes[24 + random() % (header_end - 24)] = static_cast<std::uint8_t>(random());
    }
    if (random() % 8 == 0) bytes.resize(24 + random() % bytes.size());
    reseal(bytes);
    CAPTURE(round);
    try {
      load(bytes);
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > 10000);
}
