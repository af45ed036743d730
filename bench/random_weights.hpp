// Weight files in memory, with random numbers, for layers that are measured by themselves.
#pragma once

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

  const std::vector<std::uint8_t>& bytes() const noexcept { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

/// What follows the 24 bytes of the seal: a .mien file of these tensors without labels or
/// verification vectors. weights.hpp describes it.
inline std::vector<std::uint8_t> random_weight_file_body(const std::vector<TensorShape>& tensors) {
  constexpr std::size_t block_alignment = 64;
  constexpr std::size_t seal_size = BinaryReader::header_size;
  const auto aligned = [](std::size_t position) {
    return (position + block_alignment - 1) / block_alignment * block_alignment;
  };
  const auto header = [&](std::size_t first_block) {
    BinaryWriter writer;
    writer.string("random");
    for (int side = 0; side < 4; ++side) writer.integer(std::uint32_t{1});  // input, face size
    writer.f32(0.0f);                                                       // mean
    writer.f32(1.0f);                                                       // standard deviation
    writer.f32(1.0f);                                                       // temperature
    writer.integer(std::uint32_t{0});                                       // flags
    writer.integer(std::uint32_t{0});                                       // labels
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

  const std::size_t header_size = seal_size + header(0).bytes().size();
  BinaryWriter writer = header(aligned(header_size));
  std::mt19937 generator;
  std::uniform_real_distribution<float> distribution(-0.1f, 0.1f);
  for (const TensorShape& tensor : tensors) {
    writer.zeros_up_to(aligned(seal_size + writer.bytes().size()) - seal_size);
    const float centre = tensor.role == "running_var" ? 1.0f : 0.0f;  // variances are positive
    for (std::size_t i = 0; i < tensor.size(); ++i) writer.f32(centre + distribution(generator));
  }
  return writer.bytes();
}

/// A weight file with random numbers for a layer.
template <class Layer>
WeightFile random_weight_file() {
  constexpr std::uint32_t version = 1;
  std::vector<TensorShape> tensors;
  TensorsOf<Layer>::append(tensors);
  const std::vector<std::uint8_t> body = random_weight_file_body(tensors);

  BinaryWriter size;
  size.integer(std::uint64_t{BinaryReader::header_size + body.size()});
  std::vector<std::uint8_t> checked = size.bytes();
  checked.insert(checked.end(), body.begin(), body.end());

  BinaryWriter seal;
  for (const char letter : std::string("\x89MIEN\r\n\x1a")) {
    seal.integer(static_cast<std::uint8_t>(letter));
  }
  seal.integer(version);
  seal.integer(crc32(checked.data(), checked.size()));
  std::vector<std::uint8_t> file = seal.bytes();
  file.insert(file.end(), checked.begin(), checked.end());
  return WeightFile::from_memory(file.data(), file.size(), "random weights");
}

}  // namespace mien::bench
