// Reads the .mien weight file.
//
// The file, version 1 (kind "MIEN" of binary.hpp, which describes bytes 0 to 23 and strings):
//
//   string  architecture: the network's name, e.g. "mini_fer"
//   u32     input channels
//   u32     input height
//   u32     input width
//   u32     face size: a face is brought to so many pixels square, from which views of the input's
//           size are cropped
//   f32     mean
//   f32     standard deviation: input value = (pixel / 255 - mean) / standard deviation
//   f32     temperature: probabilities = softmax(logits / temperature)
//   u32     flags: bit 0 if faces' histograms are equalised (vision/equalize_histogram.hpp), after
//           faces are brought to their size and before views are cropped; the others are 0
//   u32     number of labels, in the order of the outputs; then so many
//     string  label
//   u32     number of tensors; then so many
//     string  name, as in PyTorch's state_dict
//     u8      type: 0 = fp32, 1 = fp16
//     u8      rank: 1 to 4
//     u32     size of each dimension, in PyTorch's order (convolutions: O, I, H, W)
//     u64     offset of its first element from the start of the file
//   u32     number of verification vectors; then so many
//     u64     offset of an input: fp32, channels x height x width
//     u64     offset of the output the exporter computed for it: fp32, one value a label
//   data    every block starts at a multiple of 64; blocks lie in the order they are named above,
//           with zero bytes between them; the file ends with the last block
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <mien/binary.hpp>
#include <mien/error.hpp>

namespace mien {

/// How a face becomes a network's input, and its outputs probabilities.
struct Preprocessing {
  int input_channels = 1;
  int input_height = 0;
  int input_width = 0;
  int face_size = 0;
  float mean = 0.0f;
  float standard_deviation = 1.0f;
  float temperature = 1.0f;
  bool equalize_histogram = false;
};

namespace detail {

/// IEEE 754 binary16 to binary32, exact.
inline float half_to_float(std::uint16_t half) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1Fu;
  const std::uint32_t mantissa = half & 0x3FFu;
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t bits = exponent == 31 ? sign | 0x7F800000u | (mantissa << 13)
                                            : sign | ((exponent + 112) << 23) | (mantissa << 13);
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline std::string shape_text(const std::vector<std::uint32_t>& dimensions) {
  std::string text;
  for (const std::uint32_t dimension : dimensions) {
    text += (text.empty() ? "" : "x") + std::to_string(dimension);
  }
  return text;
}

}  // namespace detail

/// A parsed weight file. Copies share the bytes.
class WeightFile {
 public:
  struct Tensor {
    std::string name;
    bool half = false;
    std::vector<std::uint32_t> dimensions;
    std::size_t offset = 0;
    std::size_t size = 0;
  };
  struct VerificationVector {
    std::vector<float> input;   ///< channels x height x width
    std::vector<float> output;  ///< one value a label
  };

  /// Reads and checks a file. Throws Error.
  static WeightFile load(const std::string& path) { return WeightFile(read_file(path), path); }

  /// The same from memory; the bytes are copied. `name` stands for the file in messages.
  static WeightFile from_memory(const std::uint8_t* bytes, std::size_t size,
                                const std::string& name = "weights in memory") {
    return WeightFile(std::vector<std::uint8_t>(bytes, bytes + size), name);
  }

  const std::string& name() const noexcept { return name_; }
  const std::string& architecture() const noexcept { return architecture_; }
  const Preprocessing& preprocessing() const noexcept { return preprocessing_; }
  const std::vector<std::string>& labels() const noexcept { return labels_; }
  const std::vector<Tensor>& tensors() const noexcept { return tensors_; }
  const std::vector<VerificationVector>& verification_vectors() const noexcept {
    return verification_vectors_;
  }

  /// A tensor's elements in the order of its dimensions. Throws Error if one is not finite.
  std::vector<float> values(const Tensor& tensor) const {
    std::vector<float> result(tensor.size);
    const std::uint8_t* from = bytes_->data() + tensor.offset;
    for (std::size_t i = 0; i < tensor.size; ++i) {
      result[i] = tensor.half ? half_at(from + 2 * i) : float_at(from + 4 * i);
      if (!std::isfinite(result[i])) {
        throw Error(name_ + ": tensor '" + tensor.name + "', element " + std::to_string(i) +
                    ": expected a finite number, found " + std::to_string(result[i]));
      }
    }
    return result;
  }

 private:
  static constexpr std::uint32_t version = 1;
  static constexpr std::size_t block_alignment = 64;
  static constexpr std::uint32_t largest_side = 1u << 16;
  static constexpr std::uint32_t largest_dimension = 0x7FFFFFFFu;
  static constexpr std::uint32_t equalize_histogram_flag = 1;

  WeightFile(std::vector<std::uint8_t> bytes, const std::string& name)
      : name_(name), bytes_(std::make_shared<const std::vector<std::uint8_t>>(std::move(bytes))) {
    BinaryReader reader(bytes_->data(), bytes_->size(), "MIEN", version, name);
    read_preprocessing(reader);
    const std::uint32_t labels = reader.u32("number of labels");
    for (std::uint32_t i = 0; i < labels; ++i) labels_.push_back(reader.string("label"));
    read_tensors(reader);
    read_verification_vectors(reader);
  }

  void read_preprocessing(BinaryReader& reader) {
    architecture_ = reader.string("architecture");
    preprocessing_.input_channels = side(reader, "input channels");
    preprocessing_.input_height = side(reader, "input height");
    preprocessing_.input_width = side(reader, "input width");
    preprocessing_.face_size = side(reader, "face size");
    preprocessing_.mean = reader.f32("mean");
    preprocessing_.standard_deviation = reader.f32("standard deviation");
    preprocessing_.temperature = reader.f32("temperature");
    if (!std::isfinite(preprocessing_.mean)) reader.fail("mean: expected a finite number");
    require_positive(reader, preprocessing_.standard_deviation, "standard deviation");
    require_positive(reader, preprocessing_.temperature, "temperature");
    if (preprocessing_.face_size < preprocessing_.input_height ||
        preprocessing_.face_size < preprocessing_.input_width) {
      reader.fail("face size: expected at least the input's height and width, found " +
                  std::to_string(preprocessing_.face_size));
    }
    const std::uint32_t flags = reader.u32("flags");
    if ((flags & ~equalize_histogram_flag) != 0) {
      reader.fail("flags: expected 0 or " + std::to_string(equalize_histogram_flag) + ", found " +
                  std::to_string(flags));
    }
    preprocessing_.equalize_histogram = (flags & equalize_histogram_flag) != 0;
  }

  void read_tensors(BinaryReader& reader) {
    const std::uint32_t count = reader.u32("number of tensors");
    for (std::uint32_t i = 0; i < count; ++i) {
      Tensor tensor;
      tensor.name = reader.string("tensor name");
      const std::string where = "tensor '" + tensor.name + "'";
      const std::uint8_t type = reader.u8("tensor type");
      if (type > 1) reader.fail(where + ": type: expected 0 or 1, found " + std::to_string(type));
      tensor.half = type == 1;
      const std::uint8_t rank = reader.u8("tensor rank");
      if (rank < 1 || rank > 4) {
        reader.fail(where + ": rank: expected 1 to 4, found " + std::to_string(rank));
      }
      tensor.size = 1;
      for (std::uint8_t d = 0; d < rank; ++d) {
        tensor.dimensions.push_back(in_range(reader, "tensor dimension", largest_dimension));
        tensor.size *= tensor.dimensions.back();
        if (tensor.size > reader.size()) {
          reader.fail(where + ": its " + detail::shape_text(tensor.dimensions) +
                      " elements do not fit into the file's " + std::to_string(reader.size()) +
                      " bytes");
        }
      }
      tensor.offset = block(reader, tensor.size * (tensor.half ? 2 : 4), where);
      tensors_.push_back(std::move(tensor));
    }
  }

  void read_verification_vectors(BinaryReader& reader) {
    const std::size_t input_size = static_cast<std::size_t>(preprocessing_.input_channels) *
                                   static_cast<std::size_t>(preprocessing_.input_height) *
                                   static_cast<std::size_t>(preprocessing_.input_width);
    const std::uint32_t count = reader.u32("number of verification vectors");
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string where = "verification vector " + std::to_string(i);
      VerificationVector vector;
      vector.input = floats(reader, input_size, where + ", input");
      vector.output = floats(reader, labels_.size(), where + ", output");
      verification_vectors_.push_back(std::move(vector));
    }
    // The seal has vouched for the size; what it cannot know is whether blocks account for it.
    if (std::max(data_end_, reader.position()) != reader.size()) {
      reader.fail("the last block ends at byte " + std::to_string(data_end_) +
                  ", but the file has " + std::to_string(reader.size()));
    }
    if (first_block_ < reader.position()) {
      reader.fail("the first block starts at byte " + std::to_string(first_block_) +
                  ", inside the header of " + std::to_string(reader.position()) + " bytes");
    }
  }

  /// The checked offset of a block of `size` bytes that must follow the block before it.
  std::size_t block(BinaryReader& reader, std::size_t size, const std::string& where) {
    const std::uint64_t offset = reader.u64("offset");
    if (offset % block_alignment != 0 || offset < data_end_ || offset > reader.size() ||
        size > reader.size() - offset) {
      reader.fail(where + ": expected " + std::to_string(size) + " bytes at a multiple of " +
                  std::to_string(block_alignment) + " between byte " + std::to_string(data_end_) +
                  " and " + std::to_string(reader.size()) + ", found offset " +
                  std::to_string(offset));
    }
    first_block_ = std::min(first_block_, static_cast<std::size_t>(offset));
    data_end_ = static_cast<std::size_t>(offset) + size;
    return static_cast<std::size_t>(offset);
  }

  std::vector<float> floats(BinaryReader& reader, std::size_t count, const std::string& where) {
    if (count > reader.size()) reader.fail(where + ": it does not fit into the file");
    Tensor tensor;
    tensor.name = where;
    tensor.size = count;
    tensor.offset = block(reader, 4 * count, where);
    return values(tensor);
  }

  static std::uint32_t in_range(BinaryReader& reader, const char* field, std::uint32_t largest) {
    const std::uint32_t value = reader.u32(field);
    if (value < 1 || value > largest) {
      reader.fail(std::string(field) + ": expected 1 to " + std::to_string(largest) + ", found " +
                  std::to_string(value));
    }
    return value;
  }

  static int side(BinaryReader& reader, const char* field) {
    return static_cast<int>(in_range(reader, field, largest_side));
  }

  static void require_positive(const BinaryReader& reader, float value, const char* field) {
    if (!(std::isfinite(value) && value > 0.0f)) {
      reader.fail(std::string(field) + ": expected a positive number, found " +
                  std::to_string(value));
    }
  }

  static float float_at(const std::uint8_t* bytes) noexcept {
    const std::uint32_t bits = std::uint32_t{bytes[0]} | std::uint32_t{bytes[1]} << 8 |
                               std::uint32_t{bytes[2]} << 16 | std::uint32_t{bytes[3]} << 24;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

  static float half_at(const std::uint8_t* bytes) noexcept {
    return detail::half_to_float(static_cast<std::uint16_t>(bytes[0] | bytes[1] << 8));
  }

  std::string name_;
  std::shared_ptr<const std::vector<std::uint8_t>> bytes_;
  std::string architecture_;
  Preprocessing preprocessing_;
  std::vector<std::string> labels_;
  std::vector<Tensor> tensors_;
  std::vector<VerificationVector> verification_vectors_;
  std::size_t first_block_ = static_cast<std::size_t>(-1);
  std::size_t data_end_ = 0;
};

/// Hands a file's tensors to the layers in order, checking role and shape.
class TensorReader {
 public:
  explicit TensorReader(const WeightFile& file) : file_(file) {}

  /// The next tensor's elements; `layer` asks for its `role` ("weight", "bias", ...), the last part
  /// of the tensor's name, in the shape `dimensions`. Throws Error.
  std::vector<float> take(const char* layer, const char* role,
                          const std::vector<std::uint32_t>& dimensions) {
    const std::string expected =
        std::string(layer) + " expects its " + role + " " + detail::shape_text(dimensions);
    if (next_ == file_.tensors().size()) {
      throw Error(file_.name() + ": tensor " + std::to_string(next_ + 1) + ": " + expected +
                  ", found only " + std::to_string(next_) + " tensors");
    }
    const WeightFile::Tensor& tensor = file_.tensors()[next_++];
    const std::string last_part = tensor.name.substr(tensor.name.rfind('.') + 1);
    if (last_part != role || tensor.dimensions != dimensions) {
      throw Error(file_.name() + ": tensor '" + tensor.name + "' (number " + std::to_string(next_) +
                  "): " + expected + ", found " + last_part + " " +
                  detail::shape_text(tensor.dimensions));
    }
    return file_.values(tensor);
  }

  /// Throws Error if tensors are left over.
  void finish() const {
    if (next_ != file_.tensors().size()) {
      throw Error(file_.name() + ": tensor '" + file_.tensors()[next_].name +
                  "': the network has taken its " + std::to_string(next_) +
                  " tensors, found one more");
    }
  }

  const std::string& file_name() const noexcept { return file_.name(); }

 private:
  const WeightFile& file_;
  std::size_t next_ = 0;
};

}  // namespace mien
