// Shows a network layer by layer, and what every layer puts out.
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
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
                 "weight file (.mien) of any network that Mien knows; default: MiniFER's, which "
                 "comes with Mien")
      ->type_name("FILE");
  auto* dump = app.add_option("--dump", options.dump,
                              "write the input and what every layer puts out into this new folder, "
                              "as .npy files (float32, channels x height x width)");
  dump->type_name("DIR");
  app.add_flag("--replay", options.replay,
               "compute the file's verification vectors again and compare");
  app.add_option("IMAGE", options.image,
                 "a picture of a face, JPEG, PNG, BMP, PGM or PPM, whose centre is the input of "
                 "--dump; default: the file's first verification vector")
      ->needs(dump);
}

/// A layer, or several that run as one, as PyTorch names them: the name of the first one's tensors
/// (its kind if it has none), then the kinds of the others.
std::vector<std::string> names_of(const std::vector<mien::ForwardStep>& steps,
                                  const mien::WeightFile& file) {
  std::vector<std::string> names;
  std::size_t tensor = 0;
  for (const mien::ForwardStep& step : steps) {
    std::string name(step.layers.front());
    if (step.tensors > 0) {
      const std::string& first = file.tensors()[tensor].name;
      name = first.substr(0, first.rfind('.'));
    }
    for (std::size_t i = 1; i < step.layers.size() && !step.layers[i].empty(); ++i) {
      name += "+" + std::string(step.layers[i]);
    }
    names.push_back(name);
    tensor += step.tensors;
  }
  return names;
}

std::string shape_text(int channels, int height, int width) {
  std::ostringstream text;
  text << channels << " x " << height << " x " << width;
  return text.str();
}

void print_description(const mien::WeightFile& file, const std::vector<mien::ForwardStep>& steps,
                       const std::vector<std::string>& names) {
  const mien::Preprocessing& how = file.preprocessing();
  std::ostringstream text;
  text << "network: " << file.architecture() << "\n"
       << "input: " << shape_text(how.input_channels, how.input_height, how.input_width)
       << ", views of faces of " << how.face_size << " x " << how.face_size
       << (how.equalize_histogram ? " with equalised histogram" : "") << "; value = (pixel / 255 - "
       << how.mean << ") / " << how.standard_deviation << "\n"
       << "output:";
  for (const std::string& label : file.labels()) text << " " << label;
  text << "; probabilities = softmax(output / " << how.temperature << ")\n\n";

  std::size_t widest = 0;
  for (const std::string& name : names) widest = std::max(widest, name.size());
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
  std::size_t parameters = 0;
  std::size_t multiply_adds = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    row(names[i], shape_text(steps[i].channels, steps[i].height, steps[i].width),
        count(steps[i].parameters), count(steps[i].multiply_adds));
    parameters += steps[i].parameters;
    multiply_adds += steps[i].multiply_adds;
  }
  row("sum", "", count(parameters), count(multiply_adds));
  std::string lines = text.str();
  lines.pop_back();
  print_line(lines);
}

/// What the user wants to see the layers of, channels first.
template <class Network>
std::vector<float> choose_input(const Options& options, const mien::WeightFile& file,
                                const Network& network) {
  if (!options.image.empty()) {
    const mien::GrayImage picture = load_image(options.image).gray();
    const mien::ExpressionClassifier<Network> classifier(network);
    const mien::Rect whole = {0, 0, picture.width(), picture.height()};
    const mien::GrayImage face = classifier.face(picture.view(), whole);
    const mien::FaceViews& views = classifier.face_views();
    mien::GrayImage equalized;
    std::vector<float> values(Network::Input::size);
    views.write(views.prepare(face.view(), equalized), views.of(mien::Views::centre).front(),
                values.data());
    return values;
  }
  if (file.verification_vectors().empty()) {
    throw mien::Error(file.name() +
                      ": expected a verification vector to compute, found none; name an IMAGE");
  }
  return file.verification_vectors().front().input;
}

/// "007_layer1.0+ReLU.npy", without what a file system might not take.
std::string file_name(std::size_t number, std::string name) {
  for (char& letter : name) {
    const bool harmless = std::isalnum(static_cast<unsigned char>(letter)) != 0 ||
                          std::string("._-+#").find(letter) != std::string::npos;
    if (!harmless) letter = '_';
  }
  std::ostringstream text;
  text << std::setw(3) << std::setfill('0') << number << "_" << name << ".npy";
  return text.str();
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

/// Channels last, as in memory, to channels first, as in PyTorch.
std::vector<float> channels_first(const float* values, int channels, int height, int width) {
  const auto count = static_cast<std::size_t>(channels);
  const auto pixels = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  std::vector<float> result(count * pixels);
  for (std::size_t c = 0; c < count; ++c) {
    for (std::size_t i = 0; i < pixels; ++i) result[c * pixels + i] = values[i * count + c];
  }
  return result;
}

template <class Network>
void dump_layers(const Options& options, const mien::WeightFile& file, const Network& network,
                 const std::vector<std::string>& names) {
  using Input = typename Network::Input;
  static_assert(Input::channels == 1, "with one channel both orders of memory are the same");
  const NewFolder folder(options.dump);
  const std::vector<float> input = choose_input(options, file, network);
  folder.add("input.npy", npy_bytes(input, {1, Input::height, Input::width}));
  typename Network::Workspace workspace;
  std::size_t number = 0;
  network.forward_observed(
      input.data(), workspace, [&](const mien::ForwardStep& step, const float* values) {
        const std::vector<int> shape = {step.channels, step.height, step.width};
        folder.add(
            file_name(number, names[number]),
            npy_bytes(channels_first(values, step.channels, step.height, step.width), shape));
        ++number;
      });
  folder.finish();
  print_line(options.dump + ": input and output of " + std::to_string(number) + " layers");
}

template <class Network>
void inspect(const Options& options, const mien::WeightFile& file) {
  const Network network(file);
  constexpr auto described = Network::steps();
  const std::vector<mien::ForwardStep> steps(described.begin(), described.end());
  const std::vector<std::string> names = names_of(steps, file);
  print_description(file, steps, names);
  if (options.replay) {
    std::ostringstream text;
    text << "verification vectors: " << file.verification_vectors().size()
         << ", largest difference: " << network.verify();
    print_line(text.str());
  }
  if (!options.dump.empty()) dump_layers(options, file, network, names);
}

void run(const Options& options) {
  const mien::WeightFile file = mien::WeightFile::load(
      options.model.empty() ? model_path("mini_fer.mien", "--model") : options.model);
  mien::AllModels::visit(file.architecture(), file.name(),
                         [&](auto tag) { inspect<typename decltype(tag)::type>(options, file); });
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
