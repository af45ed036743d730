// Any network that a weight file holds, run without compiling anything.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <mien/config.hpp>
#include <mien/error.hpp>
#include <mien/graph/graph.hpp>
#include <mien/graph/program.hpp>
#include <mien/parallel.hpp>
#include <mien/tensor.hpp>
#include <mien/weights.hpp>

namespace mien {

/// Height and width of a picture, in pixels.
struct InputSize {
  int height = 0;
  int width = 0;
};

/// A tensor of the caller's, by the name of the network's input or output that it is.
struct NamedInput {
  std::string_view name;
  const float* values;
};
struct NamedOutput {
  std::string_view name;
  float* values;
};

/// A network as its file describes it:
///
///   const Model model = Model::load("any.mien");
///   Model::Workspace workspace;
///   std::vector<float> outputs(model.output_shape(0).size());
///   model.forward(1, inputs, outputs.data(), workspace);
///
/// Tensors are channels last, [height][width][channels], one image after the other. Cheap to copy:
/// copies share the weights, which never change. All calls may run in any number of threads at
/// once, given a Workspace for each.
class Model {
 public:
  /// Memory for forward passes, of which one uses it at a time. It grows when a pass needs more,
  /// and serves any network.
  class Workspace {
   public:
    /// For `threads` threads to work at once, each on `batch` inputs. Throws Error for numbers
    /// below 1.
    explicit Workspace(int batch = 1, int threads = 1);

    int batch() const noexcept { return batch_; }
    int threads() const noexcept { return static_cast<int>(arenas_.size()); }

    /// Makes room, so that passes of a program whose arena_size() is this allocate nothing.
    void reserve(std::size_t arena_size) { reserve(arena_size, batch_, threads()); }

   private:
    friend class Model;

    void reserve(std::size_t arena_size, int batch, int threads);

    int batch_;
    std::vector<detail::AlignedBuffer> arenas_;  // one for each thread
  };

  /// Reads a .mien file of whatever network and replays the test vectors that it says should be.
  /// Throws Error.
  static Model load(const std::string& path);
  /// The same from a file that has been read already.
  MIEN_COLD explicit Model(const WeightFile& file);

  /// The network's, as in the file.
  const std::string& name() const noexcept;
  /// What it was made from; a network of a fixed input size keeps no tensors there.
  const WeightFile& file() const noexcept;
  /// The file that the weights came from, or what stood for it.
  const std::string& file_name() const noexcept;
  const Preprocessing& preprocessing() const noexcept;
  /// Names of the first output's values, in order; empty if the network is no classifier.
  const std::vector<std::string>& labels() const noexcept;
  const Graph& graph() const noexcept;
  const std::vector<GraphInput>& inputs() const noexcept { return graph().inputs; }
  const std::vector<GraphOutput>& outputs() const noexcept { return graph().outputs; }
  /// Learned numbers, as PyTorch counts them: running statistics are not among them.
  std::size_t parameter_count() const noexcept;

  /// What runs for inputs of a size, made once and kept. Inputs whose size the network fixes have
  /// that one; without a size all must. Throws Error that names the first layer that does not take
  /// it.
  std::shared_ptr<const Program> program() const;
  std::shared_ptr<const Program> program(const InputSize& size) const;

  /// Multiply-adds of convolutions, dense layers and unfused batch normalisations for one input of
  /// the network's own size. Throws Error if it has none.
  std::size_t multiply_adds() const { return program()->multiply_adds(); }
  /// An output's shape for that size. Throws Error.
  TensorShape output_shape(std::size_t output) const {
    detail::require_index("output", output, outputs().size());
    return program()->output_shapes()[output];
  }

  /// Forward passes of a network with one input and one output for `count` inputs of the network's
  /// own size; on the workspace's threads if there is an executor. A layer's weights are read once
  /// for as many inputs as the workspace's batch() holds. Each output is what it would be alone.
  /// Allocates nothing if the workspace has room. Throws Error for other networks, and what the
  /// executor throws.
  void forward(int count, const float* inputs, float* outputs, Workspace& workspace,
               const Executor& executor = nullptr) const;

  /// One forward pass of any network for inputs of a size, in any order and by name. Outputs that
  /// are not named are not handed out. Throws Error for names that the network does not have, and
  /// for inputs that are missing.
  void forward(const InputSize& size, std::initializer_list<NamedInput> inputs,
               std::initializer_list<NamedOutput> outputs, Workspace& workspace) const;
  /// An observer, if there is one, sees every step as it is done; what it throws is thrown.
  void forward(const InputSize& size, const NamedInput* inputs, std::size_t input_count,
               const NamedOutput* outputs, std::size_t output_count, Workspace& workspace,
               const StepObserver& observer = nullptr) const;

  /// One forward pass of a network with one input of its own size that shows every step as it is
  /// done. Throws what the observer throws.
  void forward_observed(const float* input, Workspace& workspace,
                        const StepObserver& observer) const;

  /// Replays the file's test vectors: the proof that this machine computes what the exporter did.
  /// Returns the largest difference; throws Error if it exceeds the file's tolerance, far above
  /// rounding and far below any mistake, or if an output is not finite.
  double verify() const;

 private:
  struct State;

  static void run(const Program& program, int count, const float* inputs, float* outputs,
                  Workspace& workspace, const Executor& executor);
  const Program& simple_program() const;
  MIEN_COLD double replay(std::size_t count) const;
  MIEN_COLD double replay(std::size_t number, const TestVector& vector) const;

  template <class, class, class...>
  friend class Network;

  std::shared_ptr<const State> state_;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <utility>

namespace mien {

struct Model::State {
  /// Without its bytes, if the network has a size of its own.
  WeightFile file;
  std::size_t parameter_count = 0;
  /// Of the network's own size, if it has one.
  std::shared_ptr<const Program> program;

  // For networks that take any size: the programs of sizes seen lately.
  struct SizedProgram {
    InputSize size;
    std::shared_ptr<const Program> program;
  };
  static constexpr std::size_t most_programs = 16;
  mutable std::mutex mutex;
  mutable std::vector<SizedProgram> programs;

  MIEN_COLD explicit State(const WeightFile& parsed) : file(parsed) {
    for (const Node& node : file.graph().nodes) parameter_count += mien::parameter_count(node);
    if (file.graph().has_free_size()) return;
    program = make_program({});
    file.drop_bytes();
  }

  MIEN_COLD std::shared_ptr<const Program> make_program(const InputSize& size) const {
    std::vector<TensorShape> shapes;
    for (const GraphInput& input : file.graph().inputs) {
      shapes.push_back(input.has_free_size()
                           ? TensorShape{input.shape.channels, size.height, size.width}
                           : input.shape);
    }
    const ShapedGraph shaped(file.graph(), std::move(shapes), file.name());
    auto made = std::make_shared<const Program>(shaped, FileTensors(file));
    const std::size_t outputs = made->output_shapes().front().size();
    const std::size_t labels = file.labels().size();
    if (labels != 0 && labels != outputs) {
      detail::fail({file.name(), ": number of labels: expected ", detail::Digits(outputs),
                    ", one for each output, found ", detail::Digits(labels)});
    }
    return made;
  }
};

MIEN_INLINE Model::Workspace::Workspace(int batch, int threads) : batch_(batch) {
  const auto require = [](const char* what, int number) {
    if (number >= 1) return;
    detail::fail({"workspace: ", what, ": expected 1 or more, found ", detail::Digits(number)});
  };
  require("batch", batch);
  require("threads", threads);
  arenas_.resize(static_cast<std::size_t>(threads));
}

/// Makes room for a batch in each of the first `threads` arenas.
MIEN_INLINE void Model::Workspace::reserve(std::size_t arena_size, int batch, int threads) {
  const std::size_t size = static_cast<std::size_t>(batch) * arena_size;
  for (int i = 0; i < threads; ++i) {
    detail::AlignedBuffer& arena = arenas_[static_cast<std::size_t>(i)];
    if (arena.size() < size) arena = detail::AlignedBuffer(size);
  }
}

MIEN_INLINE Model Model::load(const std::string& path) {
  return Model(WeightFile::load(path));
}

MIEN_INLINE Model::Model(const WeightFile& file) : state_(std::make_shared<const State>(file)) {
  replay(file.replayed_at_load());
}

MIEN_INLINE const std::string& Model::name() const noexcept {
  return state_->file.graph().name;
}
MIEN_INLINE const WeightFile& Model::file() const noexcept {
  return state_->file;
}
MIEN_INLINE const std::string& Model::file_name() const noexcept {
  return state_->file.name();
}
MIEN_INLINE const Preprocessing& Model::preprocessing() const noexcept {
  return state_->file.preprocessing();
}
MIEN_INLINE const std::vector<std::string>& Model::labels() const noexcept {
  return state_->file.labels();
}
MIEN_INLINE const Graph& Model::graph() const noexcept {
  return state_->file.graph();
}
MIEN_INLINE std::size_t Model::parameter_count() const noexcept {
  return state_->parameter_count;
}

MIEN_INLINE std::shared_ptr<const Program> Model::program() const {
  if (!state_->program) {
    detail::fail({file_name(), ": the network takes pictures of any size: name one"});
  }
  return state_->program;
}

MIEN_INLINE std::shared_ptr<const Program> Model::program(const InputSize& size) const {
  if (state_->program) return state_->program;
  constexpr int largest_side = 1 << 16;
  if (size.height < 1 || size.width < 1 || size.height > largest_side ||
      size.width > largest_side) {
    detail::fail({file_name(), ": input size: expected a height and width of 1 to ",
                  detail::Digits(largest_side), ", found ", detail::Digits(size.height), " x ",
                  detail::Digits(size.width)});
  }
  const auto is_wanted = [&size](const State::SizedProgram& one) {
    return one.size.height == size.height && one.size.width == size.width;
  };
  const std::lock_guard<std::mutex> lock(state_->mutex);
  std::vector<State::SizedProgram>& programs = state_->programs;
  const auto found = std::find_if(programs.begin(), programs.end(), is_wanted);
  if (found != programs.end()) {
    std::rotate(found, found + 1, programs.end());  // the last one is the one used last
    return programs.back().program;
  }
  auto made = state_->make_program(size);
  if (programs.size() == State::most_programs) programs.erase(programs.begin());
  programs.push_back({size, std::move(made)});
  return programs.back().program;
}

MIEN_INLINE const Program& Model::simple_program() const {
  if (!state_->program || inputs().size() != 1 || outputs().size() != 1) {
    detail::fail({file_name(),
                  ": expected a network with one input of a fixed size and one output; name inputs "
                  "and outputs"});
  }
  return *state_->program;
}

MIEN_INLINE void Model::run(const Program& program, int count, const float* inputs, float* outputs,
                            Workspace& workspace, const Executor& executor) {
  const int tasks = executor ? std::min(workspace.threads(), count) : 1;
  workspace.reserve(program.arena_size(), std::min(workspace.batch_, count), tasks);
  const std::size_t input_size = program.input_shapes().front().size();
  const std::size_t output_size = program.output_shapes().front().size();
  const auto run_batch = [&](int first, int batch, detail::AlignedBuffer& arena) {
    const auto at = static_cast<std::size_t>(first);
    const float* const from = inputs + at * input_size;
    float* const to = outputs + at * output_size;
    program.run(batch, &from, &to, arena.data());
  };
  if (!executor) {
    for (int first = 0; first < count; first += workspace.batch_) {
      run_batch(first, std::min(workspace.batch_, count - first), workspace.arenas_.front());
    }
    return;
  }
  if (count < 1) return;
  const int share = (count + tasks - 1) / tasks;
  const int batch = std::min(workspace.batch_, share);
  std::atomic<int> next{0};
  executor(tasks, [&](int thread) {
    detail::AlignedBuffer& arena = workspace.arenas_[static_cast<std::size_t>(thread)];
    for (int first = next.fetch_add(batch); first < count; first = next.fetch_add(batch)) {
      run_batch(first, std::min(batch, count - first), arena);
    }
  });
}

MIEN_INLINE void Model::forward(int count, const float* inputs, float* outputs,
                                Workspace& workspace, const Executor& executor) const {
  run(simple_program(), count, inputs, outputs, workspace, executor);
}

namespace detail {

/// The place of a name among those that a network has. Throws Error.
template <class Named>
std::size_t place_of_name(const std::vector<Named>& known, std::string_view name,
                          const std::string& file, const char* what) {
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (known[i].name == name) return i;
  }
  std::string names;
  for (const Named& one : known) names += (names.empty() ? "'" : ", '") + one.name + "'";
  detail::fail({file, ": ", what, ": expected one of ", names, ", found '", name, "'"});
}

}  // namespace detail

MIEN_INLINE void Model::forward(const InputSize& size, std::initializer_list<NamedInput> inputs,
                                std::initializer_list<NamedOutput> outputs,
                                Workspace& workspace) const {
  forward(size, inputs.begin(), inputs.size(), outputs.begin(), outputs.size(), workspace);
}

MIEN_INLINE void Model::forward(const InputSize& size, const NamedInput* named_inputs,
                                std::size_t input_count, const NamedOutput* named_outputs,
                                std::size_t output_count, Workspace& workspace,
                                const StepObserver& observer) const {
  const std::shared_ptr<const Program> used = program(size);
  std::array<const float*, Graph::most_inputs> sources{};
  for (std::size_t i = 0; i < input_count; ++i) {
    const NamedInput& input = named_inputs[i];
    sources[detail::place_of_name(inputs(), input.name, file_name(), "input")] = input.values;
  }
  for (std::size_t i = 0; i < inputs().size(); ++i) {
    if (sources[i] == nullptr) {
      detail::fail({file_name(), ": input '", inputs()[i].name, "': expected values, found none"});
    }
  }
  std::array<float*, Graph::most_outputs> targets{};
  for (std::size_t i = 0; i < output_count; ++i) {
    const NamedOutput& output = named_outputs[i];
    targets[detail::place_of_name(outputs(), output.name, file_name(), "output")] = output.values;
  }
  // Outputs that nobody wants lie behind the arena.
  std::size_t end = used->arena_size();
  std::array<std::size_t, Graph::most_outputs> offsets{};
  for (std::size_t i = 0; i < outputs().size(); ++i) {
    if (targets[i] != nullptr) continue;
    offsets[i] = end;
    end += detail::aligned_size(used->output_shapes()[i].size());
  }
  workspace.reserve(end, 1, 1);
  float* const arena = workspace.arenas_.front().data();
  for (std::size_t i = 0; i < outputs().size(); ++i) {
    if (targets[i] == nullptr) targets[i] = arena + offsets[i];
  }
  if (observer) {
    used->run_observed(sources.data(), targets.data(), arena, observer);
  } else {
    used->run(1, sources.data(), targets.data(), arena);
  }
}

MIEN_INLINE void Model::forward_observed(const float* input, Workspace& workspace,
                                         const StepObserver& observer) const {
  const Program& used = simple_program();
  workspace.reserve(used.arena_size(), 1, 1);
  std::vector<float> output(used.output_shapes().front().size());
  float* const to = output.data();
  used.run_observed(&input, &to, workspace.arenas_.front().data(), observer);
}

MIEN_INLINE double Model::verify() const {
  return replay(state_->file.test_vectors().size());
}

MIEN_INLINE double Model::replay(std::size_t count) const {
  double largest = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    largest = std::max(largest, replay(i, state_->file.test_vectors()[i]));
  }
  return largest;
}

MIEN_INLINE double Model::replay(std::size_t number, const TestVector& vector) const {
  InputSize size;
  std::vector<std::vector<float>> input_values;
  std::vector<const float*> input_pointers;
  for (std::size_t i = 0; i < vector.inputs.size(); ++i) {
    const TensorShape& shape = vector.inputs[i].shape;
    if (inputs()[i].has_free_size()) size = {shape.height, shape.width};
    const std::vector<float> values = test_input_values(vector, i, state_->file.preprocessing());
    input_values.emplace_back(values.size());
    detail::to_channels_last(values.data(), input_values.back().data(),
                             static_cast<std::size_t>(shape.channels), shape.pixels());
  }
  for (const auto& values : input_values) input_pointers.push_back(values.data());
  const std::shared_ptr<const Program> used = program(size);
  std::vector<std::vector<float>> outputs_found;
  std::vector<float*> output_pointers;
  for (const TensorShape& shape : used->output_shapes()) outputs_found.emplace_back(shape.size());
  for (auto& values : outputs_found) output_pointers.push_back(values.data());
  Workspace workspace;
  workspace.reserve(used->arena_size(), 1, 1);
  used->run(1, input_pointers.data(), output_pointers.data(), workspace.arenas_.front().data());

  double largest = 0.0;
  for (std::size_t o = 0; o < vector.outputs.size(); ++o) {
    const TestVector::Output& expected = vector.outputs[o];
    const TensorShape& shape = used->output_shapes()[o];
    const std::string where = file_name() + ": test vector " + std::to_string(number) +
                              ", output '" + outputs()[o].name + "'";
    if ((expected.values.size() - 1) * expected.stride >= shape.size()) {
      detail::fail({where, ": expected at most ", detail::Digits(shape.size()),
                    " values, found number ",
                    detail::Digits((expected.values.size() - 1) * expected.stride)});
    }
    double scale = 0.0;
    for (const float value : expected.values) scale = std::max(scale, std::abs(double{value}));
    for (std::size_t i = 0; i < expected.values.size(); ++i) {
      const std::size_t at = i * expected.stride;
      const std::size_t in_memory =
          at % shape.pixels() * static_cast<std::size_t>(shape.channels) + at / shape.pixels();
      const float found = outputs_found[o][in_memory];
      const double difference = std::abs(double{found} - double{expected.values[i]});
      if (!(difference <= state_->file.tolerance() * scale)) {
        detail::fail({where, ", value ", detail::Digits(at), ": expected ",
                      std::to_string(expected.values[i]), ", found ", std::to_string(found)});
      }
      largest = std::max(largest, difference);
    }
  }
  return largest;
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
