// Weight files in memory, with random numbers, for layers and networks that have no trained ones.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <mien/binary.hpp>
#include <mien/layers/layers.hpp>
#include <mien/weights.hpp>

namespace mien::bench {

/// A tensor that a layer takes from its file: role ("weight", "running_var", ...) and shape.
struct TensorShape {
  std::string role;
  std::vector<std::uint32_t> dimensions;

  std::size_t size() const {
    std::size_t product = 1;
    for (const std::uint32_t dimension : dimensions) product *= dimension;
    return product;
  }
};

/// Appends the tensors that a layer takes, in order. Layers that are not named take none.
template <class Layer>
struct TensorsOf {
  static void append(std::vector<TensorShape>&) {}
};

template <int In, int Out, class... Options>
struct TensorsOf<Conv2d<In, Out, Options...>> {
  static void append(std::vector<TensorShape>& tensors) {
    using Layer = Conv2d<In, Out, Options...>;
    tensors.push_back(
        {"weight", {Out, In / Layer::groups, Layer::kernel::height, Layer::kernel::width}});
    if (Layer::has_bias) tensors.push_back({"bias", {Out}});
  }
};

template <int Channels>
struct TensorsOf<BatchNorm2d<Channels>> {
  static void append(std::vector<TensorShape>& tensors) {
    for (const char* role : {"weight", "bias", "running_mean", "running_var"}) {
      tensors.push_back({role, {Channels}});
    }
  }
};

template <int In, int Out, class... Options>
struct TensorsOf<Dense<In, Out, Options...>> {
  static void append(std::vector<TensorShape>& tensors) {
    tensors.push_back({"weight", {Out, In}});
    if (Dense<In, Out, Options...>::has_bias) tensors.push_back({"bias", {Out}});
  }
};

template <class... Layers>
struct TensorsOf<Sequential<Layers...>> {
  static void append(std::vector<TensorShape>& tensors) {
    (TensorsOf<Layers>::append(tensors), ...);
  }
};

template <class Body, class Shortcut>
struct TensorsOf<Residual<Body, Shortcut>> {
  static void append(std::vector<TensorShape>& tensors) {
    TensorsOf<Body>::append(tensors);
    TensorsOf<Shortcut>::append(tensors);
  }
};

template <class... Branches>
struct TensorsOf<Concatenate<Branches...>> : TensorsOf<Sequential<Branches...>> {};

/// Appends integers, floats and strings as binary.hpp describes them.
class BinaryWriter {
 public:
  template <class Integer>
  void integer(Integer value) {
    for (std::size_t i = 0; i < sizeof(Integer); ++i) {
      bytes_.push_back(static_cast<std::uint8_t>(std::uint64_t{value} >> (8 * i)));
    }
  }

  void f32(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    integer(bits);
  }

  void string(const std::string& text) {
    integer(static_cast<std::uint16_t>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }

  void zeros_up_to(std::size_t size) { bytes_.resize(size); }

  /// Fills in the first BinaryReader::header_size bytes when the rest is there.
  void seal(const std::string& kind, std::uint32_t version) {
    BinaryWriter checked;
    checked.integer(std::uint64_t{bytes_.size()});
    std::copy(checked.bytes_.begin(), checked.bytes_.end(), bytes_.begin() + size_position);
    BinaryWriter seal;
    for (const char letter : "\x89" + kind + "\r\n\x1a") {
      seal.integer(static_cast<std::uint8_t>(letter));
    }
    seal.integer(version);
    seal.integer(crc32(bytes_.data() + size_position, bytes_.size() - size_position));
    std::copy(seal.bytes_.begin(), seal.bytes_.end(), bytes_.begin());
  }

  const std::vector<std::uint8_t>& bytes() const noexcept { return bytes_; }

 private:
  static constexpr std::ptrdiff_t size_position = 16;

  std::vector<std::uint8_t> bytes_;
};

/// A .mien file (weights.hpp describes it) of these tensors, without verification vectors; the
/// values of each, in order, come from values(tensor).
template <class Values>
WeightFile make_weight_file(const std::string& architecture, const Preprocessing& preprocessing,
                            std::size_t labels, const std::vector<TensorShape>& tensors,
                            Values&& values) {
  constexpr std::size_t block_alignment = 64;
  const auto aligned = [](std::size_t position) {
    return (position + block_alignment - 1) / block_alignment * block_alignment;
  };
  const auto write_header = [&](std::size_t first_block) {
    BinaryWriter writer;
    writer.zeros_up_to(BinaryReader::header_size);
    writer.string(architecture);
    for (const int number : {preprocessing.input_channels, preprocessing.input_height,
                             preprocessing.input_width, preprocessing.face_size}) {
      writer.integer(static_cast<std::uint32_t>(number));
    }
    writer.f32(preprocessing.mean);
    writer.f32(preprocessing.standard_deviation);
    writer.f32(preprocessing.temperature);
    writer.integer(std::uint32_t{preprocessing.equalize_histogram ? 1u : 0u});
    writer.integer(static_cast<std::uint32_t>(labels));
    for (std::size_t i = 0; i < labels; ++i) writer.string("class" + std::to_string(i));
    writer.integer(static_cast<std::uint32_t>(tensors.size()));
    std::size_t block = first_block;
    for (const TensorShape& tensor : tensors) {
      writer.string(tensor.role);
      writer.integer(std::uint8_t{0});  // fp32
      writer.integer(static_cast<std::uint8_t>(tensor.dimensions.size()));
      for (const std::uint32_t dimension : tensor.dimensions) writer.integer(dimension);
      writer.integer(std::uint64_t{block});
      block = aligned(block + sizeof(float) * tensor.size());
    }
    writer.integer(std::uint32_t{0});  // verification vectors
    return writer;
  };

  BinaryWriter writer = write_header(aligned(write_header(0).bytes().size()));
  for (const TensorShape& tensor : tensors) {
    writer.zeros_up_to(aligned(writer.bytes().size()));
    for (const float value : values(tensor)) writer.f32(value);
  }
  writer.seal("MIEN", 1);
  return WeightFile::from_memory(writer.bytes().data(), writer.bytes().size(), "random weights");
}

/// Numbers with which values neither vanish nor grow from layer to layer: filters as He et al.
/// (arXiv 1502.01852) begin with, batch normalisations that do little.
class RandomValues {
 public:
  std::vector<float> operator()(const TensorShape& tensor) {
    const bool is_filter = tensor.dimensions.size() > 1;
    const auto inputs = static_cast<float>(tensor.size() / tensor.dimensions.front());
    const float range = is_filter ? std::sqrt(6.0f / inputs) : 0.1f;
    const bool around_one = !is_filter && (tensor.role == "weight" || tensor.role == "running_var");
    std::uniform_real_distribution<float> distribution(-range, range);
    std::vector<float> values(tensor.size());
    for (float& value : values) value = (around_one ? 1.0f : 0.0f) + distribution(generator_);
    return values;
  }

 private:
  std::mt19937 generator_;
};

/// For a layer.
template <class Layer>
WeightFile random_layer_file() {
  std::vector<TensorShape> tensors;
  TensorsOf<Layer>::append(tensors);
  return make_weight_file("random", {1, 1, 1, 1}, 0, tensors, RandomValues());
}

/// For a network.
template <class Network>
WeightFile random_network_file() {
  using Input = typename Network::Input;
  std::vector<TensorShape> tensors;
  TensorsOf<typename Network::Layers>::append(tensors);
  return make_weight_file(
      std::string(Network::name),
      {Input::channels, Input::height, Input::width, std::max(Input::height, Input::width)},
      Network::Output::size, tensors, RandomValues());
}

}  // namespace mien::bench
