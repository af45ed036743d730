// The weight file: what is read from good ones, and that no bad one passes or crashes.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <mien/faces/face_finder.hpp>
#include <mien/faces/haar/cascade.hpp>
#include <mien/model.hpp>
#include <mien/weights.hpp>

#include "allocation_counter.hpp"
#include "random_weights.hpp"
#include "sealed_bytes.hpp"
#include "tiny.hpp"
#include "vision_data.hpp"

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
  CHECK(file.graph().name == "tiny");
  CHECK(file.labels() == std::vector<std::string>{"angry", "disgust", "fear", "happy", "sad",
                                                  "surprise", "neutral"});
  const Preprocessing& preprocessing = file.preprocessing();
  CHECK(preprocessing.input_channels == 1);
  CHECK(preprocessing.input_height == 8);
  CHECK(preprocessing.input_width == 8);
  CHECK(preprocessing.face_size == 10);
  CHECK(preprocessing.mean == std::vector<float>{0.5f});
  CHECK(preprocessing.standard_deviation == std::vector<float>{0.25f});
  CHECK(preprocessing.temperature == 1.5f);
  CHECK_FALSE(preprocessing.equalize_histogram);
  REQUIRE(file.tensors().size() == 19);
  CHECK(file.tensors()[0].name == "0.weight");
  CHECK(file.tensors()[0].dimensions == std::vector<std::uint32_t>{4, 1, 3, 3});
  CHECK(file.test_vectors().size() == 4);
  CHECK(file.replayed_at_load() == 1);
  CHECK(file.tolerance() == double{1e-3f});
  const Graph& graph = file.graph();
  REQUIRE(graph.inputs.size() == 1);
  CHECK(graph.inputs[0].name == "input");
  CHECK(graph.inputs[0].shape == TensorShape{1, 8, 8});
  REQUIRE(graph.nodes.size() == 14);
  CHECK(graph.nodes[0].layer->name == "Conv2d");
  CHECK(graph.node_names[0] == "0");
  REQUIRE(graph.outputs.size() == 1);
  CHECK(graph.outputs[0].name == "output");
  CHECK(graph.outputs[0].value == 14);
}

TEST_CASE("weights come from a path or from memory, in fp32 or fp16") {
  const Bytes bytes = read_file(tiny_path);
  CHECK_NOTHROW(load(bytes));
  CHECK(Tiny::load(tiny_path).verify() < 1e-5);
  // The exporter computes the vectors from the weights as stored, so halves agree as well.
  CHECK(Tiny::load(MIEN_TEST_DATA "/tiny_half.mien").verify() < 1e-5);
}

TEST_CASE("networks of 8 bits compute what the exporter did") {
  const std::string path = MIEN_TEST_DATA "/tiny_int8.mien";
  const WeightFile file = WeightFile::load(path);
  const auto tensor = [&file](const std::string& name) {
    const auto& all = file.tensors();
    return *std::find_if(all.begin(), all.end(),
                         [&name](const WeightFile::Tensor& one) { return one.name == name; });
  };
  // A first convolution, whose inputs have both signs, and a depthwise one that is widened.
  CHECK(tensor("0.weight").type == NumberType::int8);
  CHECK(tensor("0.weight").input_scale > 0.0f);
  CHECK(tensor("0.weight").input_zero_point > 0);
  CHECK(tensor("4.conv.3.weight").type == NumberType::int8);
  CHECK(tensor("4.conv.3.weight").input_scale == 0.0f);
  const QuantizedTensor quantized = file.quantized(tensor("0.weight"));
  const std::vector<float> values = file.values(tensor("0.weight"));
  REQUIRE(quantized.scale.size() == 4);
  REQUIRE(values.size() == 36);
  CHECK(values[35] == static_cast<float>(quantized.bytes[35]) * quantized.scale[3]);
  CHECK(file.tolerance() == double{5e-2f});
  CHECK(Model(file).verify() < 1e-2);
  CHECK(Tiny::load(path).verify() < 1e-2);
}

TEST_CASE("what 8 bits cannot be is named") {
  const Bytes good = read_file(MIEN_TEST_DATA "/tiny_int8.mien");
  const auto message = [&good](const auto& change) {
    Bytes bytes = good;
    change(bytes);
    reseal(bytes);
    return load_error(bytes);
  };
  const auto put_f32 = [](Bytes& bytes, std::size_t at, float value) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    put_u32(bytes, at, bits);
  };
  // Behind a name stand the type, the rank, four dimensions, the input's scale and zero point and
  // the place of scales and elements.
  const std::size_t first = find(good, "0.weight") + std::strlen("0.weight") + 2 + 16;
  const auto data = static_cast<std::size_t>(good[first + 5]) | std::size_t{good[first + 6]} << 8;
  CHECK(message([&](Bytes& bytes) { put_f32(bytes, first, -1.0f); }) ==
        "test.mien: tensor '0.weight': input scale: expected 0 or a positive number, found "
        "-1.000000");
  CHECK(message([&](Bytes& bytes) { put_f32(bytes, first, 0.0f); })
            .find("test.mien: tensor '0.weight': input zero point: expected 0 without an input "
                  "scale, found ") == 0);
  CHECK(message([&](Bytes& bytes) { put_f32(bytes, data, 0.0f); }) ==
        "test.mien: tensor '0.weight', scale 0: expected a positive number, found 0.000000");
  CHECK(message([&](Bytes& bytes) { bytes[data + 16 + 7] = 65; }) ==
        "test.mien: tensor '0.weight', element 7: expected -64 to 64, found 65");
  CHECK(message([&](Bytes& bytes) { bytes[find(good, "0.bias") + 6] = 2; }) ==
        "test.mien: tensor '0.bias': expected 2 to 4 dimensions of int8, found 1");
}

TEST_CASE("a missing file and a folder are errors that name the path") {
  CHECK_THROWS_WITH_AS(WeightFile::load("no/such.mien"),
                       "no/such.mien: cannot open the file: No such file or directory", Error);
  CHECK_THROWS_AS(WeightFile::load(MIEN_TEST_DATA), Error);
}

TEST_CASE("a file cut off anywhere is an error" * doctest::test_suite("damaged files")) {
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

TEST_CASE("every flipped bit is noticed" * doctest::test_suite("damaged files")) {
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
  put_u32(bytes, 8, 1);
  CHECK(contains(load_error(bytes), "format version: expected 2, found 1"));
}

TEST_CASE("another network's weights are named") {
  Bytes bytes = read_file(tiny_path);
  bytes[find(bytes, "tiny")] = 'T';
  reseal(bytes);
  CHECK(load_error(bytes) == "test.mien: network: expected 'tiny', found 'Tiny'");
}

TEST_CASE("a misshapen, misplaced or misnamed tensor is named") {
  Bytes bytes = read_file(tiny_path);
  // The first tensor's dimensions follow its name, type and rank.
  const std::size_t dimensions = find(bytes, "0.weight") + 8 + 2;
  put_u32(bytes, dimensions, 3);
  reseal(bytes);
  CHECK(load_error(bytes) ==
        "test.mien: tensor '0.weight': node 0, '0' (Conv2d) expects its weight 4 x 1 x 3 x 3, "
        "found weight 3 x 1 x 3 x 3");

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
  CHECK(contains(load_error(bytes), "tensor '0.Bias': node 0, '0' (Conv2d) expects its bias 4"));
}

namespace {

/// The message of the Error that reading a graph must give. `change` spoils a small one.
template <class Change>
std::string graph_error(Change&& change) {
  Graph graph = Tiny::graph();
  change(graph);
  const Bytes bytes = bench::weight_file_bytes(graph, {}, {}, bench::RandomValues());
  try {
    WeightFile::from_memory(bytes.data(), bytes.size(), "test.mien");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a graph that makes no sense is refused by node") {
  CHECK(graph_error([](Graph&) {}) == "no error");
  CHECK(graph_error([](Graph& graph) { graph.nodes[0].options[2] = 2.5; }) ==
        "test.mien: node 0 (Conv2d): kernel_height: expected a whole number from 1 to "
        "1.67772e+07, found 2.5");
  CHECK(contains(graph_error([](Graph& graph) {
                   graph.nodes[0].options[4] = std::numeric_limits<double>::quiet_NaN();
                 }),
                 "node 0 (Conv2d): stride_y: expected a whole number"));
  CHECK(graph_error([](Graph& graph) { graph.nodes[0].options[8] = 3; }) ==
        "test.mien: node 0 (Conv2d): its groups must divide its input and output channels");
  CHECK(graph_error([](Graph& graph) { graph.operands[2] = 5; }) ==
        "test.mien: node 2 (ReLU): expected an input that was computed before, a value less than "
        "3, found 5");
  CHECK(graph_error([](Graph& graph) { graph.nodes[2].input_count = 2; }) ==
        "test.mien: node 2 (ReLU): number of inputs: expected 1 to 1, found 2");
  CHECK(graph_error([](Graph& graph) { graph.outputs[0].value = 99; }) ==
        "test.mien: output 'output': expected a value less than 15, found 99");
  CHECK(graph_error([](Graph& graph) { graph.outputs.push_back(graph.outputs[0]); }) ==
        "test.mien: two outputs are called 'output'");
  CHECK(graph_error([](Graph& graph) { graph.nodes[2].tensor_count = 1; }) ==
        "test.mien: node 2 (ReLU): number of tensors: expected 0, found 1");
  CHECK(contains(graph_error([](Graph& graph) { graph.inputs[0].shape.height = 0; }),
                 "expected a height and a width, or neither"));
}

TEST_CASE("an unknown layer and an unknown option are named") {
  Bytes bytes = read_file(tiny_path);
  bytes[find(bytes, "BatchNorm2d") + 10] = 'D';
  reseal(bytes);
  CHECK(contains(load_error(bytes), "node 1, '1': layer: expected one of Add, AdaptiveAvgPool2d"));
  CHECK(contains(load_error(bytes), "found 'BatchNorm2D'"));
  bytes = read_file(tiny_path);
  bytes[find(bytes, "stride_y")] = 'S';
  reseal(bytes);
  CHECK(contains(load_error(bytes), "node 3, '3' (MaxPool2d): it has no option 'Stride_y'"));
  bytes = read_file(tiny_path);
  bytes[find(bytes, "out_channels")] = 'O';
  reseal(bytes);
  CHECK(contains(load_error(bytes), "node 0, '0' (Conv2d): it has no option 'Out_channels'"));
}

TEST_CASE("labels are those that Python takes") {
  const Bytes original = read_file(tiny_path);
  const WeightFile tiny = WeightFile::load(tiny_path);
  std::string before;  // the labels as they stand in the file
  for (const std::string& label : tiny.labels()) {
    before += std::string{static_cast<char>(label.size()), '\0'} + label;
  }
  const std::size_t place = find(original, before);
  int accepted = 0;
  int refused = 0;
  for (auto& line : golden_lines("labels.txt")) {
    CAPTURE(line.str());
    const bool is_accepted = next<std::string>(line) == "accepted";
    next<std::string>(line);
    std::uint32_t count = 0;
    std::string labels;
    for (std::string digits; line >> digits; ++count) {
      std::string label;
      for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
        label += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
      }
      labels += std::string{static_cast<char>(label.size()), '\0'} + label;
    }
    REQUIRE(labels.size() == before.size());
    Bytes bytes = original;
    put_u32(bytes, place - 4, count);
    std::copy(labels.begin(), labels.end(), bytes.begin() + static_cast<std::ptrdiff_t>(place));
    reseal(bytes);
    const std::string error = load_error(bytes);
    if (is_accepted) {
      CHECK(error == "no error");
      ++accepted;
    } else {
      CHECK(contains(error, "label"));
      ++refused;
    }
  }
  CHECK(accepted == 11);
  CHECK(refused == 21);
}

TEST_CASE("a face is at most four times as large as the input") {
  const Bytes original = read_file(tiny_path);
  const WeightFile tiny = WeightFile::load(tiny_path);
  const std::size_t place = find(original, "neutral") + 7 + 4;  // behind the temperature
  Bytes bytes = original;
  for (const std::uint32_t size : {8u, 32u}) {
    put_u32(bytes, place, size);
    reseal(bytes);
    CHECK(load_error(bytes) == "no error");
  }
  for (const std::uint32_t size : {7u, 33u, 65536u}) {
    put_u32(bytes, place, size);
    reseal(bytes);
    CHECK(load_error(bytes) ==
          "test.mien: face size: expected 0 or at least the input's height and width, and at most "
          "four times as much, found " +
              std::to_string(size) + " for 8 x 8");
  }
}

TEST_CASE("of files of another kind the first bytes alone are read") {
  const std::string path = "of_another_kind.tmp";
  for (const std::string& start :
       {std::string(100, '\0'), "\x89HAAR\r\n\x1a" + std::string(92, '\1'),
        std::string(100, 'a')}) {
    {
      std::ofstream file(path, std::ios::binary);
      file << start;
      file.seekp((std::streamoff{1} << 33) - 1);  // a hole
      file << 'x';
    }
    const std::size_t before = allocated_bytes();
    CHECK_THROWS_WITH_AS(
        WeightFile::load(path),
        "of_another_kind.tmp: not a Mien file of kind MIEN: its first 8 bytes differ", Error);
    if (start[1] != 'H') CHECK_THROWS_AS(FaceFinder::load(path), Error);
    if (start[1] != 'H') CHECK_THROWS_AS(Cascade::load(path), Error);
    CHECK(allocated_bytes() - before < 100000);
    std::remove(path.c_str());
  }
}

TEST_CASE("a number type that is not known yet is refused by number") {
  Bytes bytes = read_file(tiny_path);
  bytes[find(bytes, "0.weight") + 8] = 7;
  reseal(bytes);
  CHECK(
      contains(load_error(bytes),
               "tensor '0.weight': number type: expected 0 (fp32), 1 (fp16) or 2 (int8), found 7"));
}

TEST_CASE("the rule that makes test pictures is MurmurHash3's finaliser") {
  // fmix32 of the reference implementation: 0 stays 0, 1 becomes 0x514e28b7.
  CHECK(pattern_byte(0, 0) == 0x00);
  CHECK(pattern_byte(0, 1) == 0x51);
  CHECK(pattern_byte(1, 0) == 0x51);
  CHECK(pattern_byte(0xFFFFFFFFu, 2) == 0x51);
  TestVector vector;
  vector.inputs.push_back({{1, 2, 3}, {}, 1, 2});
  Preprocessing preprocessing;
  preprocessing.mean = {0.5f};
  preprocessing.standard_deviation = {0.25f};
  // Patches of two: the pixels of both rows are those of one.
  const std::vector<float> values = test_input_values(vector, 0, preprocessing);
  REQUIRE(values.size() == 6);
  CHECK(values[0] == (static_cast<float>(0x51) / 255.0f - 0.5f) / 0.25f);
  CHECK(values[1] == values[0]);
  CHECK(values[2] != values[0]);
  CHECK(values[5] == values[2]);
}

TEST_CASE("a file says by itself how large it is, not its vectors") {
  // A network of few parameters on a large picture, as a file with vectors by rule has it.
  const WeightFile file = WeightFile::load(tiny_path);
  for (const TestVector& vector : file.test_vectors()) {
    CHECK(vector.inputs[0].stored.empty());
    CHECK(vector.outputs[0].values.size() <= 4096);
  }
}

TEST_CASE("a number that is none is named") {
  Bytes bytes = read_file(tiny_path);
  const WeightFile file = WeightFile::load(tiny_path);
  put_u32(bytes, file.tensors()[0].offset + 4 * 5, 0x7FC00000u);
  reseal(bytes);
  CHECK(contains(load_error(bytes), "tensor '0.weight', element 5: expected a finite number"));
}

TEST_CASE("a wrong weight is found when the file is loaded") {
  Bytes bytes = read_file(tiny_path);
  const WeightFile file = WeightFile::load(tiny_path);
  put_u32(bytes, file.tensors()[0].offset, 0x40000000u);  // 2.0
  reseal(bytes);
  CHECK(contains(load_error(bytes), "test vector 0, output 'output'"));
  CHECK_THROWS_AS(Model(WeightFile::from_memory(bytes.data(), bytes.size(), "test.mien")), Error);
}

TEST_CASE("random damage with a right checksum is an error or a network, never a crash" *
          doctest::test_suite("damaged files")) {
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
