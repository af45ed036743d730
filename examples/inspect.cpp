// Shows a network layer by layer, and what every layer puts out.
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>

#include <mien/mien.hpp>

#include "common/image_file.hpp"
#include "common/npy_file.hpp"
#include "common/output_file.hpp"
#include "common/program.hpp"

namespace {

using namespace mien::examples;

constexpr const char* program_name = "inspect";

struct Options {
  std::string model;
  std::string dump;
  bool replay = false;
  std::string image;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("--model", options.model,
                 "weight file (.mien) of any network; default: MiniFER's, which "
                 "comes with Mien")
      ->type_name("FILE");
  auto* dump = app.add_option("--dump", options.dump,
                              "write the input and what every layer puts out into this new folder, "
                              "as .npy files (float32, channels x height x width)");
  dump->type_name("DIR");
  app.add_flag("--replay", options.replay, "compute the file's test vectors again and compare");
  app.add_option("IMAGE", options.image,
                 "a picture of a face, JPEG, PNG, BMP, PGM or PPM, whose centre is the input of "
                 "--dump; default: the file's first verification vector")
      ->needs(dump);
}

/// A layer, or several that run as one: the name of the first one in PyTorch (its kind if it has no
/// weights), then the kinds of the others.
std::string name_of(const mien::ForwardStep& step) {
  std::string name = step.tensors > 0 && !step.name.empty() ? step.name : step.layers.front();
  for (std::size_t i = 1; i < step.layers.size(); ++i) name += "+" + step.layers[i];
  return name;
}

/// "1 x 40 x 40", "3 x any x any".
std::string size_text(const mien::GraphInput& input) {
  if (input.has_free_size()) return std::to_string(input.shape.channels) + " x any x any";
  return mien::shape_text(input.shape);
}

/// A number for each channel; in brackets if they differ.
std::string numbers_text(const std::vector<float>& numbers) {
  std::ostringstream text;
  const bool are_equal = std::equal(numbers.begin() + 1, numbers.end(), numbers.begin());
  if (are_equal) {
    text << numbers.front();
    return text.str();
  }
  for (const float number : numbers) text << (text.tellp() == 0 ? "(" : ", ") << number;
  return text.str() + ")";
}

std::string head_text(const mien::Model& network) {
  const mien::Preprocessing& how = network.preprocessing();
  std::ostringstream text;
  text << "network: " << network.name() << "\n";
  const bool has_names = network.inputs().size() > 1;
  for (std::size_t i = 0; i < network.inputs().size(); ++i) {
    const mien::GraphInput& input = network.inputs()[i];
    text << "input" << (has_names ? " " + input.name : "") << ": " << size_text(input);
    if (i == 0 && how.face_size > 0) {
      text << ", crops of faces of " << how.face_size << " x " << how.face_size
           << (how.equalize_histogram ? " with equalised histogram" : "");
    }
    if (i == 0) {
      text << "; value = (pixel / 255 - " << numbers_text(how.mean) << ") / "
           << numbers_text(how.standard_deviation);
    }
    text << "\n";
  }
  text << "output:";
  if (network.labels().empty()) {
    for (std::size_t i = 0; i < network.outputs().size(); ++i) {
      text << (i == 0 ? " " : ", ") << network.outputs()[i].name;
    }
  } else {
    for (const std::string& label : network.labels()) text << " " << label;
    text << "; probabilities = softmax(output / " << how.temperature << ")";
  }
  return text.str();
}

void print_description(const mien::Model& network, const mien::Program& program) {
  std::ostringstream text;
  text << head_text(network) << "\n\n";
  std::size_t widest = 0;
  for (const mien::ForwardStep& step : program.steps()) {
    widest = std::max(widest, name_of(step).size());
  }
  const auto row = [&](const std::string& name, const std::string& shape,
                       const std::string& parameters, const std::string& multiply_adds) {
    std::ostringstream line;
    line << std::left << std::setw(static_cast<int>(widest)) << name << std::right << std::setw(18)
         << shape << std::setw(14) << parameters << std::setw(16) << multiply_adds;
    text << line.str().substr(0, line.str().find_last_not_of(' ') + 1) << "\n";
  };
  const auto count = [](std::size_t number) {
    return number == 0 ? std::string() : std::to_string(number);
  };
  row("layer", "output C x H x W", "parameters", "multiply-adds");
  for (const mien::ForwardStep& step : program.steps()) {
    row(name_of(step), mien::shape_text(step.shape), count(step.parameters),
        count(step.multiply_adds));
  }
  row("sum", "", count(network.parameter_count()), count(program.multiply_adds()));
  std::string lines = text.str();
  lines.pop_back();
  print_line(lines);
}

/// An input of the network, channels first.
struct InputValues {
  mien::TensorShape shape;
  std::vector<float> values;
};

/// The face that the user named, as the network sees it.
InputValues face_values(const std::string& path, const mien::Model& network) {
  const mien::GrayImage picture = load_image(path).gray();
  const mien::ExpressionClassifier classifier(network);
  const mien::Rect whole = {0, 0, picture.width(), picture.height()};
  const mien::GrayImage face = classifier.face(picture.view(), whole);
  const mien::FaceCrops& crops = classifier.face_crops();
  mien::GrayImage equalized;
  // Gray: with one channel both orders of memory are the same.
  InputValues input{network.inputs().front().shape, {}};
  input.values.resize(input.shape.size());
  crops.write(crops.prepare(face.view(), equalized), crops.of(mien::Crops::center).front(),
              input.values.data());
  return input;
}

/// What the user wants to see the layers of, for every input of the network.
std::vector<InputValues> choose_inputs(const Options& options, const mien::WeightFile& file,
                                       const mien::Model& network) {
  if (!options.image.empty()) return {face_values(options.image, network)};
  if (file.test_vectors().empty()) {
    throw mien::Error(file.name() +
                      ": expected a verification vector to compute, found none; name an IMAGE");
  }
  const mien::TestVector& vector = file.test_vectors().front();
  std::vector<InputValues> inputs;
  for (std::size_t i = 0; i < vector.inputs.size(); ++i) {
    inputs.push_back(
        {vector.inputs[i].shape, mien::test_input_values(vector, i, network.preprocessing())});
  }
  return inputs;
}

/// The size that a network of any size is shown for: that of its first test vector.
mien::InputSize shown_size(const mien::WeightFile& file) {
  for (std::size_t i = 0; i < file.graph().inputs.size() && file.graph().has_free_size(); ++i) {
    if (!file.graph().inputs[i].has_free_size()) continue;
    if (file.test_vectors().empty()) break;
    const mien::TensorShape& shape = file.test_vectors().front().inputs[i].shape;
    return {shape.height, shape.width};
  }
  constexpr mien::InputSize otherwise = {224, 224};
  return otherwise;
}

/// "layer1.0+ReLU.npy"
std::string file_name(const std::string& name) {
  return harmless_name(name) + ".npy";
}

/// Files that appear together, in a folder that was not there before or was empty.
class NewFolder {
 public:
  /// Throws mien::Error.
  explicit NewFolder(const std::string& path) : path_(std::filesystem::path(path) / "") {
    path_ = path_.parent_path();
    temporary_ = path_;
    temporary_ += "." + std::to_string(std::random_device()()) + ".part";
    std::error_code error;
    if (!std::filesystem::create_directory(temporary_, error)) {
      throw mien::Error(path_.string() + ": cannot create the folder: " + error.message());
    }
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  ~NewFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(temporary_, ignored);
  }

  void add(const std::string& name, const std::string& bytes) const {
    write_file((temporary_ / name).string(), bytes);
  }

  /// Gives the folder its name. Throws mien::Error if there are files in one of that name.
  void finish() const {
    std::error_code error;
    std::filesystem::rename(temporary_, path_, error);
    if (error) {
      throw mien::Error(path_.string() +
                        ": expected no folder or an empty one: " + error.message());
    }
  }

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
};

/// From channels last, as in memory, to channels first, as in PyTorch, or back.
std::vector<float> reordered(const float* values, std::size_t rows, std::size_t columns) {
  std::vector<float> result(rows * columns);
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < columns; ++column) {
      result[column * rows + row] = values[row * columns + column];
    }
  }
  return result;
}

std::string npy_bytes(const std::vector<float>& values, const mien::TensorShape& shape) {
  return mien::examples::npy_bytes(values, {shape.channels, shape.height, shape.width});
}

void dump_layers(const Options& options, const mien::WeightFile& file, const mien::Model& network,
                 const mien::InputSize& size) {
  const NewFolder folder(options.dump);
  const std::vector<InputValues> chosen = choose_inputs(options, file, network);
  std::vector<std::vector<float>> values;
  std::vector<mien::NamedInput> inputs;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const InputValues& input = chosen[i];
    const std::string& name = network.inputs()[i].name;
    folder.add(chosen.size() == 1 ? "input.npy" : file_name("input_" + name),
               npy_bytes(input.values, input.shape));
    values.push_back(reordered(input.values.data(), static_cast<std::size_t>(input.shape.channels),
                               input.shape.pixels()));
    inputs.push_back({name, values.back().data()});
  }
  std::size_t number = 0;
  mien::Model::Workspace workspace;
  network.forward(
      size, inputs.data(), inputs.size(), nullptr, 0, workspace,
      [&](const mien::ForwardStep& step, const float* output) {
        const std::vector<float> ordered =
            reordered(output, step.shape.pixels(), static_cast<std::size_t>(step.shape.channels));
        std::ostringstream prefix;
        prefix << std::setw(3) << std::setfill('0') << number++ << "_";
        folder.add(file_name(prefix.str() + name_of(step)), npy_bytes(ordered, step.shape));
      });
  folder.finish();
  print_line(options.dump + ": input and output of " + std::to_string(number) + " layers");
}

void run(const Options& options) {
  const mien::WeightFile file = mien::WeightFile::load(
      options.model.empty() ? model_path("mini_fer.mien", "--model") : options.model);
  const mien::Model network(file);
  const mien::InputSize size = shown_size(file);
  print_description(network, *network.program(size));
  if (options.replay) {
    std::ostringstream text;
    text << "test vectors: " << file.test_vectors().size()
         << ", largest difference: " << network.verify();
    print_line(text.str());
  }
  if (!options.dump.empty()) dump_layers(options, file, network, size);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Shows a network's layers, and writes what each of them puts out.", program_name);
  Options options;
  add_options(app, options);
  int status = success;
  if (!parse_command_line(app, argc, argv, status)) return status;
  return report_errors(program_name, [&] { run(options); });
}
