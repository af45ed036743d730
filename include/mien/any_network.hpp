// A network whose type is chosen when the program runs, by the name in its weight file.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <mien/error.hpp>
#include <mien/expression.hpp>
#include <mien/models/models.hpp>
#include <mien/parallel.hpp>
#include <mien/weights.hpp>

namespace mien {

/// Any network: what takes the place of a model's type where that is not known before a file has
/// been opened.
///
///   const ExpressionReader<AnyNetwork> reader("some_network.mien", "faces.haar");
///
/// It has the calls of Network, and ExpressionClassifier, ExpressionReader and VideoReader take it;
/// scores are vectors instead of arrays. A call costs one virtual call more than the network's own.
/// Cheap to copy: copies share the weights, which never change.
///
/// load() compiles every network of its list into the source file that calls it: a second or two
/// for each. A program of several source files does so in one of them, with
///
///   template mien::AnyNetwork mien::AnyNetwork::load<mien::AllModels>(const std::string&);
///
/// where all others that call it say the same with `extern` in front.
class AnyNetwork {
 public:
  class Workspace;

  /// From a network of a known type, such as MiniFer.
  template <class Network, class = std::enable_if_t<detail::has_static_shapes<Network>>>
  AnyNetwork(Network network)
      : network_(std::make_shared<const Model<Network>>(std::move(network))) {}

  /// Reads a .mien file of whichever network in `Models`, a ModelList. Throws Error, which for an
  /// unknown one names the file, the name found and those known.
  template <class Models = AllModels>
  static AnyNetwork load(const std::string& path);
  /// The same from a file that has been read already.
  template <class Models = AllModels>
  static AnyNetwork from_file(const WeightFile& file);

  /// The architecture, as in the weight file.
  std::string_view name() const noexcept { return network_->name(); }
  /// See Network::parameter_count.
  std::size_t parameter_count() const noexcept { return network_->parameter_count(); }
  /// See Network::multiply_adds.
  std::size_t multiply_adds() const noexcept { return network_->multiply_adds(); }
  const Preprocessing& preprocessing() const noexcept { return network_->preprocessing(); }
  /// Names of the outputs, in order.
  const std::vector<std::string>& labels() const noexcept { return network_->labels(); }
  /// The file that the weights came from, or what stood for it.
  const std::string& file_name() const noexcept { return network_->file_name(); }

  /// Replays the file's verification vectors: see Network::verify. Throws Error.
  double verify() const { return network_->verify(); }

  /// Forward passes for `count` inputs, each [height][width][channels], one after the other in
  /// memory as their outputs, of labels().size() values, will be; on the workspace's threads if
  /// there is an executor. Each output is what it would be alone. Throws what the executor throws.
  void forward(int count, const float* inputs, float* outputs, Workspace& workspace,
               const Executor& executor = nullptr) const;

  /// The outputs for one input.
  std::vector<float> forward(const float* input, Workspace& workspace) const;

 private:
  /// A network's own workspace.
  struct Memory {
    virtual ~Memory() = default;
  };

  struct Interface {
    virtual ~Interface() = default;
    virtual std::string_view name() const noexcept = 0;
    virtual std::size_t parameter_count() const noexcept = 0;
    virtual std::size_t multiply_adds() const noexcept = 0;
    virtual const Preprocessing& preprocessing() const noexcept = 0;
    virtual const std::vector<std::string>& labels() const noexcept = 0;
    virtual const std::string& file_name() const noexcept = 0;
    virtual double verify() const = 0;
    virtual std::unique_ptr<Memory> make_memory(int batch, int threads) const = 0;
    /// `memory` is what make_memory made.
    virtual void forward(int count, const float* inputs, float* outputs, Memory& memory,
                         const Executor& executor) const = 0;
  };

  template <class Network>
  class Model;

  std::shared_ptr<const Interface> network_;
};

/// Memory for forward passes, of which one uses it at a time. It is allocated by the first pass,
/// and again when it is another network's turn.
class AnyNetwork::Workspace {
 public:
  /// With room for `threads` threads to work at once, each on `batch` inputs. For numbers below 1
  /// the first pass throws Error.
  explicit Workspace(int batch = 1, int threads = 1) : batch_(batch), threads_(threads) {}

 private:
  friend class AnyNetwork;

  Memory& memory_for(const std::shared_ptr<const Interface>& network) {
    if (owner_ != network) {
      memory_ = network->make_memory(batch_, threads_);
      owner_ = network;
    }
    return *memory_;
  }

  int batch_;
  int threads_;
  std::shared_ptr<const Interface> owner_;  // whose memory it is
  std::unique_ptr<Memory> memory_;
};

template <class Network>
class AnyNetwork::Model final : public Interface {
 public:
  explicit Model(Network network) : network_(std::move(network)) {}

  std::string_view name() const noexcept override { return Network::name; }
  std::size_t parameter_count() const noexcept override { return Network::parameter_count; }
  std::size_t multiply_adds() const noexcept override { return Network::multiply_adds; }
  const Preprocessing& preprocessing() const noexcept override { return network_.preprocessing(); }
  const std::vector<std::string>& labels() const noexcept override { return network_.labels(); }
  const std::string& file_name() const noexcept override { return network_.file_name(); }
  double verify() const override { return network_.verify(); }

  std::unique_ptr<Memory> make_memory(int batch, int threads) const override {
    return std::make_unique<TypedMemory>(batch, threads);
  }

  void forward(int count, const float* inputs, float* outputs, Memory& memory,
               const Executor& executor) const override {
    typename Network::Workspace& workspace = static_cast<TypedMemory&>(memory).workspace;
    if (executor) {
      network_.forward(count, inputs, outputs, workspace, executor);
    } else {
      network_.forward(count, inputs, outputs, workspace);
    }
  }

 private:
  struct TypedMemory final : Memory {
    TypedMemory(int batch, int threads) : workspace(batch, threads) {}
    typename Network::Workspace workspace;
  };

  Network network_;
};

// Not inline, so that `extern template` can keep the networks out of a source file.
template <class Models>
AnyNetwork AnyNetwork::load(const std::string& path) {
  return from_file<Models>(WeightFile::load(path));
}

template <class Models>
AnyNetwork AnyNetwork::from_file(const WeightFile& file) {
  return Models::visit(file.architecture(), file.name(), [&file](auto tag) {
    return AnyNetwork(typename decltype(tag)::type(file));
  });
}

inline void AnyNetwork::forward(int count, const float* inputs, float* outputs,
                                Workspace& workspace, const Executor& executor) const {
  network_->forward(count, inputs, outputs, workspace.memory_for(network_), executor);
}

inline std::vector<float> AnyNetwork::forward(const float* input, Workspace& workspace) const {
  std::vector<float> outputs(labels().size());
  forward(1, input, outputs.data(), workspace);
  return outputs;
}

}  // namespace mien
