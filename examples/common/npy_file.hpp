// NumPy's file format for arrays (numpy.lib.format): written in version 1.0, read in all.
#pragma once

#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <mien/binary.hpp>
#include <mien/error.hpp>

namespace mien::examples {

/// The bytes of a .npy file: float32 in C's order. As many values as the shape says.
inline std::string npy_bytes(const std::vector<float>& values, const std::vector<int>& shape) {
  constexpr std::size_t alignment = 64;
  constexpr std::size_t before_header = 10;  // magic, version, length of the header
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (const int size : shape) header += std::to_string(size) + ",";
  header += "), }";
  const std::size_t unpadded = before_header + header.size() + 1;
  header += std::string((alignment - unpadded % alignment) % alignment, ' ') + "\n";

  std::string bytes = "\x93NUMPY\x01";
  const auto append = [&bytes](std::uint32_t value, int count) {
    for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  };
  append(0, 1);  // minor version
  append(static_cast<std::uint32_t>(header.size()), 2);
  bytes += header;
  bytes.reserve(bytes.size() + 4 * values.size());
  for (const float value : values) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    append(bits, 4);
  }
  return bytes;
}

/// An array of any type that was read, as floats in C's order.
struct NpyArray {
  std::vector<int> shape;
  std::vector<float> values;
};

/// "2 x 3 x 48 x 48"
inline std::string npy_shape_text(const std::vector<int>& shape) {
  std::string text;
  for (const int size : shape) text += (text.empty() ? "" : " x ") + std::to_string(size);
  return text.empty() ? "a single number" : text;
}

namespace detail {

/// Reads the header's dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
class NpyHeader {
 public:
  /// Throws mien::Error that begins with `where`.
  NpyHeader(std::string_view text, const std::string& where) : text_(text), where_(where) {
    type = std::string(quoted(value_of("descr")));
    const std::string_view order = value_of("fortran_order");
    is_fortran_order = begins(order, "True");
    if (!is_fortran_order && !begins(order, "False")) fail("fortran_order of True or False", order);
    read_shape(value_of("shape"));
  }

  std::string type;
  bool is_fortran_order = false;
  std::vector<int> shape;

 private:
  static bool begins(std::string_view text, std::string_view with) {
    return text.substr(0, with.size()) == with;
  }

  [[noreturn]] void fail(const std::string& expected, std::string_view found) const {
    throw Error(where_ + ": header: expected " + expected + ", found " +
                std::string(found.substr(0, 20)));
  }

  /// What stands behind a key.
  std::string_view value_of(const std::string& key) const {
    const std::size_t at = text_.find("'" + key + "'");
    const std::size_t colon = at == text_.npos ? at : text_.find(':', at);
    const std::size_t begin = colon == text_.npos ? colon : text_.find_first_not_of(' ', colon + 1);
    if (begin == text_.npos) fail("an entry '" + key + "'", text_);
    return text_.substr(begin);
  }

  std::string_view quoted(std::string_view value) const {
    const std::size_t end = value.empty() || value[0] != '\'' ? 0 : value.find('\'', 1);
    if (end == 0 || end == value.npos) fail("a plain type", value);
    return value.substr(1, end - 1);
  }

  void read_shape(std::string_view value) {
    constexpr int largest = 1 << 30;
    if (!begins(value, "(")) fail("a shape", value);
    int size = -1;  // none read
    for (const char letter : value.substr(1)) {
      if (std::isdigit(static_cast<unsigned char>(letter)) != 0) {
        size = (size < 0 ? 0 : size) * 10 + (letter - '0');
        if (size > largest / 10) fail("a shape of sensible sizes", value);
      } else if (letter == ',' || letter == ')') {
        if (size >= 0) shape.push_back(size);
        size = -1;
        if (letter == ')') return;
      } else if (letter != ' ' && letter != 'L') {
        break;
      }
    }
    fail("a shape", value);
  }

  std::string_view text_;
  std::string where_;
};

template <class Number>
float npy_number(const char* bytes) {
  Number number;
  std::memcpy(&number, bytes, sizeof number);
  return static_cast<float>(number);
}

/// From the order in which the first index runs fastest to that in which the last one does.
inline std::vector<float> to_c_order(const std::vector<float>& values,
                                     const std::vector<int>& shape) {
  std::vector<float> result(values.size());
  std::vector<int> index(shape.size());
  for (const float value : values) {
    std::size_t at = 0;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      at = at * static_cast<std::size_t>(shape[axis]) + static_cast<std::size_t>(index[axis]);
    }
    result[at] = value;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
  return result;
}

}  // namespace detail

/// Reads an array of float32, float64 or uint8 in either order. Throws mien::Error.
inline NpyArray read_npy(const std::string& path) {
  const std::string magic = "\x93NUMPY";
  const std::vector<std::uint8_t> file =
      read_file_if(path, [&magic](const std::uint8_t* first, std::size_t size) {
        return size >= magic.size() && std::memcmp(first, magic.data(), magic.size()) == 0;
      });
  const std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
  const auto byte = [&bytes](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
  if (bytes.compare(0, magic.size(), magic) != 0 || bytes.size() < 12) {
    throw Error(path + ": expected an array in NumPy's format (.npy), found something else");
  }
  const bool is_first = byte(6) == 1;  // its headers are at most 64 KiB
  std::size_t header_size = byte(8) + (std::size_t{byte(9)} << 8);
  if (!is_first) header_size += (std::size_t{byte(10)} << 16) + (std::size_t{byte(11)} << 24);
  const std::size_t header_begin = is_first ? 10 : 12;
  if (byte(6) < 1 || byte(6) > 3 || header_size > bytes.size() - header_begin) {
    throw Error(path + ": expected a whole header of version 1 to 3, found version " +
                std::to_string(byte(6)) + " in " + std::to_string(bytes.size()) + " bytes");
  }
  const detail::NpyHeader header(bytes.substr(header_begin, header_size), path);

  using Reader = float (*)(const char*);
  Reader read = nullptr;
  std::size_t width = 0;
  if (header.type == "<f4") {
    read = &detail::npy_number<float>;
    width = sizeof(float);
  } else if (header.type == "<f8") {
    read = &detail::npy_number<double>;
    width = sizeof(double);
  } else if (header.type == "|u1") {
    read = &detail::npy_number<std::uint8_t>;
    width = 1;
  } else {
    throw Error(path + ": type: expected float32, float64 or uint8 ('<f4', '<f8', '|u1'), found '" +
                header.type + "'");
  }
  const std::size_t begin = header_begin + header_size;
  const std::size_t stored = (bytes.size() - begin) / width;
  std::size_t count = 1;
  bool fits = (bytes.size() - begin) % width == 0;
  for (const int size : header.shape) {
    // Sizes are multiplied only while there can be so many numbers.
    fits = fits && (size == 0 || count <= stored / static_cast<std::size_t>(size));
    if (fits) count *= static_cast<std::size_t>(size);
  }
  if (!fits || count != stored) {
    throw Error(path + ": expected the numbers of an array of " + npy_shape_text(header.shape) +
                ", found " + std::to_string(bytes.size() - begin) + " bytes of them");
  }
  NpyArray array{header.shape, std::vector<float>(count)};
  for (std::size_t i = 0; i < count; ++i) array.values[i] = read(bytes.data() + begin + i * width);
  if (header.is_fortran_order) array.values = detail::to_c_order(array.values, array.shape);
  return array;
}

}  // namespace mien::examples
