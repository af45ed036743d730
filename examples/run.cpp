// Runs any network on arrays in NumPy's format.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <mien/model.hpp>

#include "common/npy_file.hpp"
#include "common/output_file.hpp"
#include "common/program.hpp"

namespace {

using namespace mien::examples;

constexpr const char* program_name = "run";

struct Options {
  std::string model;
  std::vector<std::string> inputs;
  std::string output;
  int repeat = 1;
  bool json = false;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("--model", options.model, "weight file (.mien) of any network")
      ->required()
      ->type_name("FILE");
  app.add_option("--input", options.inputs,
                 "an array of float32, float64 or uint8, N x C x H x W, C x H x W or, of flat "
                 "vectors, N x C, whose numbers go into the network as they are. For each of the "
                 "network's inputs, in their order or by name: --input left=x.npy")
      ->required()
      ->allow_extra_args(false)
      ->type_name("[NAME=]FILE");
  app.add_option("--output", options.output,
                 "write each output into this folder, as NAME.npy (float32, N x C x H x W or, of "
                 "flat vectors, N x C)")
      ->required()
      ->type_name("DIR");
  app.add_option("--repeat", options.repeat,
                 "time so many runs after one to warm up, and say their median")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_flag("--json", options.json, "print one JSON object");
}

/// The shape of an array of so many images, or flat vectors.
std::vector<int> array_shape(int count, const mien::TensorShape& image) {
  if (image.is_flat()) return {count, image.channels};
  return {count, image.channels, image.height, image.width};
}

/// What goes into an input of the network.
struct InputArray {
  std::string path;
  int count = 0;
  mien::TensorShape shape;
  std::vector<float> values;  ///< channels last, one image after the other
};

/// What comes out.
struct OutputArray {
  std::string name;
  std::string file;
  std::vector<int> shape;
  mien::TensorShape image;
  std::vector<float> values;
};

std::string expected_text(const mien::GraphInput& input) {
  const std::string channels = std::to_string(input.shape.channels);
  if (input.has_free_size()) return "N x " + channels + " x any x any";
  return "N x " + mien::shape_text(input.shape) +
         (input.shape.is_flat() ? " or N x " + channels : "");
}

/// An array as batch of images that an input takes. Throws mien::Error.
InputArray read_input(const std::string& path, const mien::GraphInput& input) {
  const NpyArray array = read_npy(path);
  const std::vector<int>& shape = array.shape;
  InputArray result;
  result.path = path;
  if (shape.size() == 4) {
    result.count = shape[0];
    result.shape = {shape[1], shape[2], shape[3]};
  } else if (shape.size() == 3) {
    result.count = 1;
    result.shape = {shape[0], shape[1], shape[2]};
  } else if (shape.size() == 2) {
    result.count = shape[0];
    result.shape = {shape[1], 1, 1};
  }
  mien::TensorShape wanted = input.shape;
  if (input.has_free_size()) {
    wanted.height = result.shape.height;
    wanted.width = result.shape.width;
  }
  if (result.count < 1 || result.shape.size() == 0 || result.shape != wanted) {
    throw mien::Error(path + ": expected an array of " + expected_text(input) + " for the input '" +
                      input.name + "', found " + npy_shape_text(shape));
  }
  const std::size_t size = result.shape.size();
  result.values.resize(array.values.size());
  for (std::size_t i = 0; i < array.values.size(); i += size) {
    mien::detail::to_channels_last(array.values.data() + i, result.values.data() + i,
                                   static_cast<std::size_t>(result.shape.channels),
                                   result.shape.pixels());
  }
  return result;
}

/// The file for each of the network's inputs: those that are named, then the others in order.
/// Throws mien::Error.
std::vector<std::string> assign_files(const Options& options, const mien::Model& network) {
  const std::vector<mien::GraphInput>& inputs = network.inputs();
  std::vector<std::string> files(inputs.size());
  std::string names;
  for (const mien::GraphInput& input : inputs) {
    names += (names.empty() ? "'" : ", '") + input.name + "'";
  }
  std::vector<std::string> in_order;
  for (const std::string& given : options.inputs) {
    const std::string name = given.substr(0, given.find('='));
    const auto found =
        std::find_if(inputs.begin(), inputs.end(),
                     [&name](const mien::GraphInput& input) { return input.name == name; });
    std::error_code ignored;
    if (name.size() == given.size()) {
      in_order.push_back(given);
    } else if (found != inputs.end()) {
      std::string& file = files[static_cast<std::size_t>(found - inputs.begin())];
      if (!file.empty()) throw mien::Error("--input: expected one '" + name + "', found two");
      file = given.substr(name.size() + 1);
    } else if (std::filesystem::exists(given, ignored)) {
      in_order.push_back(given);
    } else {
      throw mien::Error("--input: expected one of the network's inputs " + names + ", found '" +
                        name + "'");
    }
  }
  const auto missing = std::count(files.begin(), files.end(), std::string());
  if (static_cast<std::size_t>(missing) != in_order.size()) {
    throw mien::Error("--input: expected " + std::to_string(inputs.size()) + " arrays, for " +
                      names + ", found " + std::to_string(options.inputs.size()));
  }
  auto next = in_order.begin();
  for (std::string& file : files) {
    if (file.empty()) file = *next++;
  }
  return files;
}

/// Arrays for all inputs, as many images in each. Throws mien::Error.
std::vector<InputArray> read_inputs(const Options& options, const mien::Model& network) {
  const std::vector<std::string> files = assign_files(options, network);
  std::vector<InputArray> arrays;
  std::size_t sized = files.size();  // the first input whose size is the caller's
  for (std::size_t i = 0; i < files.size(); ++i) {
    arrays.push_back(read_input(files[i], network.inputs()[i]));
    const InputArray& array = arrays.back();
    if (array.count != arrays.front().count) {
      throw mien::Error(array.path + ": expected " + std::to_string(arrays.front().count) +
                        " images, as in " + arrays.front().path + ", found " +
                        std::to_string(array.count));
    }
    if (!network.inputs()[i].has_free_size()) continue;
    sized = std::min(sized, i);
    const InputArray& first = arrays[sized];
    if (array.shape.height != first.shape.height || array.shape.width != first.shape.width) {
      throw mien::Error(array.path + ": expected images of " + std::to_string(first.shape.height) +
                        " x " + std::to_string(first.shape.width) + ", as in " + first.path +
                        ", found " + std::to_string(array.shape.height) + " x " +
                        std::to_string(array.shape.width));
    }
  }
  return arrays;
}

/// The size of the inputs whose size is the caller's.
mien::InputSize size_of(const std::vector<InputArray>& arrays, const mien::Model& network) {
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (network.inputs()[i].has_free_size()) {
      return {arrays[i].shape.height, arrays[i].shape.width};
    }
  }
  return {};
}

/// Room for what the network puts out. Names that one file system may take for the same get
/// numbers.
std::vector<OutputArray> make_outputs(const mien::Model& network, const mien::Program& program,
                                      int count) {
  std::vector<OutputArray> outputs;
  for (std::size_t i = 0; i < network.outputs().size(); ++i) {
    const mien::TensorShape& image = program.output_shapes()[i];
    OutputArray output;
    output.name = network.outputs()[i].name;
    output.file = harmless_name(output.name);
    const auto is_taken = [&output](const OutputArray& other) {
      return other.file == output.file + ".npy";
    };
    if (std::any_of(outputs.begin(), outputs.end(), is_taken))
      output.file += "#" + std::to_string(i);
    output.file += ".npy";
    output.image = image;
    output.shape = array_shape(count, image);
    output.values.resize(static_cast<std::size_t>(count) * image.size());
    outputs.push_back(std::move(output));
  }
  return outputs;
}

/// One run over all images, in batches: weights are read once for each.
class Run {
 public:
  Run(const mien::Program& program, const std::vector<InputArray>& inputs,
      std::vector<OutputArray>& outputs)
      : program_(program),
        inputs_(inputs),
        outputs_(outputs),
        count_(inputs.front().count),
        batch_(std::min(count_, most_at_once)),
        from_(inputs.size()),
        to_(outputs.size()),
        arena_(static_cast<std::size_t>(batch_) * program.arena_size()) {}

  void operator()() {
    for (int first = 0; first < count_; first += batch_) {
      const auto at = static_cast<std::size_t>(first);
      for (std::size_t i = 0; i < inputs_.size(); ++i) {
        from_[i] = inputs_[i].values.data() + at * inputs_[i].shape.size();
      }
      for (std::size_t i = 0; i < outputs_.size(); ++i) {
        to_[i] = outputs_[i].values.data() + at * outputs_[i].image.size();
      }
      program_.run(std::min(batch_, count_ - first), from_.data(), to_.data(), arena_.data());
    }
  }

 private:
  static constexpr int most_at_once = 16;

  const mien::Program& program_;
  const std::vector<InputArray>& inputs_;
  std::vector<OutputArray>& outputs_;
  int count_;
  int batch_;
  std::vector<const float*> from_;
  std::vector<float*> to_;
  mien::detail::AlignedBuffer arena_;
};

/// The median time of `repeat` runs, in milliseconds, after one to warm up.
double time_runs(Run& run, int repeat) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  run();
  for (int i = 0; i < repeat; ++i) {
    const Clock::time_point start = Clock::now();
    run();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  const std::size_t middle = times.size() / 2;
  std::sort(times.begin(), times.end());
  return times.size() % 2 == 1 ? times[middle] : (times[middle - 1] + times[middle]) / 2.0;
}

/// Writes all outputs beside the folder first, so that it gets all of them or none. Throws
/// mien::Error.
void write_outputs(const std::string& folder, const std::vector<OutputArray>& outputs) {
  namespace fs = std::filesystem;
  struct Staged {
    fs::path path;
    ~Staged() {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
  };
  const fs::path target = (fs::path(folder) / "").parent_path();
  Staged staged{target};
  staged.path += "." + std::to_string(std::random_device()()) + ".part";
  std::error_code error;
  fs::create_directories(staged.path, error);
  if (error) throw mien::Error(folder + ": cannot create the folder: " + error.message());
  for (const OutputArray& output : outputs) {
    std::vector<float> values(output.values.size());
    const std::size_t size = output.image.size();
    for (std::size_t i = 0; i < values.size(); i += size) {
      mien::detail::to_channels_first(output.values.data() + i, values.data() + i,
                                      static_cast<std::size_t>(output.image.channels),
                                      output.image.pixels());
    }
    write_file((staged.path / output.file).string(), npy_bytes(values, output.shape));
  }
  fs::create_directories(target, error);
  for (const OutputArray& output : outputs) {
    if (!error) fs::rename(staged.path / output.file, target / output.file, error);
  }
  if (error) throw mien::Error(folder + ": cannot write into the folder: " + error.message());
}

std::string file_of(const Options& options, const OutputArray& output) {
  return (std::filesystem::path(options.output) / output.file).string();
}

std::string json_text(const Options& options, const mien::Model& network,
                      const std::vector<InputArray>& inputs,
                      const std::vector<OutputArray>& outputs, double milliseconds) {
  using Json = nlohmann::ordered_json;
  Json json;
  json["model"] = options.model;
  json["network"] = network.name();
  json["inputs"] = Json::array();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    json["inputs"].push_back({{"name", network.inputs()[i].name},
                              {"shape", array_shape(inputs[i].count, inputs[i].shape)}});
  }
  json["outputs"] = Json::array();
  for (const OutputArray& output : outputs) {
    json["outputs"].push_back(
        {{"name", output.name}, {"shape", output.shape}, {"file", file_of(options, output)}});
  }
  json["repeat"] = options.repeat;
  json["milliseconds"] = milliseconds;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string text_of(const Options& options, const mien::Model& network,
                    const std::vector<InputArray>& inputs, const std::vector<OutputArray>& outputs,
                    double milliseconds) {
  std::ostringstream text;
  text << "network: " << network.name() << "\n";
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    text << "input " << network.inputs()[i].name << ": "
         << npy_shape_text(array_shape(inputs[i].count, inputs[i].shape)) << ", " << inputs[i].path
         << "\n";
  }
  for (const OutputArray& output : outputs) {
    text << "output " << output.name << ": " << npy_shape_text(output.shape) << ", "
         << file_of(options, output) << "\n";
  }
  text << "time: " << std::fixed << std::setprecision(3) << milliseconds << " ms";
  if (options.repeat > 1) text << ", median of " << options.repeat;
  return text.str();
}

/// Throws mien::Error if an array would be written over one that is read, or over the network.
void require_distinct_outputs(const Options& options, const std::vector<InputArray>& inputs,
                              const std::vector<OutputArray>& outputs) {
  std::vector<std::string> written;
  std::vector<std::string> read = {options.model};
  for (const OutputArray& output : outputs) written.push_back(file_of(options, output));
  for (const InputArray& input : inputs) read.push_back(input.path);
  require_distinct(written, read);
}

void run(const Options& options) {
  const mien::Model network = mien::Model::load(options.model);
  const std::vector<InputArray> inputs = read_inputs(options, network);
  const auto program = network.program(size_of(inputs, network));
  std::vector<OutputArray> outputs = make_outputs(network, *program, inputs.front().count);
  require_distinct_outputs(options, inputs, outputs);
  Run all(*program, inputs, outputs);
  const double milliseconds = time_runs(all, options.repeat);
  write_outputs(options.output, outputs);
  const auto describe = options.json ? &json_text : &text_of;
  print_line(describe(options, network, inputs, outputs, milliseconds));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs any network on arrays in NumPy's format (.npy).", program_name);
  Options options;
  add_options(app, options);
  int status = success;
  if (!parse_command_line(app, argc, argv, status)) return status;
  return report_errors(program_name, [&] { run(options); });
}
