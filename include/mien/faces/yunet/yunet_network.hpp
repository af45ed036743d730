// YuNet's network as it runs here, made from the file's: the same numbers in less time.
//
// - A gray picture has one channel instead of three alike: the first convolution's weights of B, G
//   and R are added up, once.
// - The picture comes with its padding, so that the first convolution need not copy it.
// - The four heads of a grid, which see the same features, are one: two convolutions of 16 channels
//   instead of eight of 1 to 10, which leave most of a vector's lanes empty.
// - Scores stay logits: candidates.hpp takes the sigmoid where it matters.
//
// Together a detection takes 0.85 of the time at 640x480 pixels of gray (AVX2, Zen 3; both builds
// in turns beside other programs).
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <mien/config.hpp>
#include <mien/faces/yunet/candidates.hpp>
#include <mien/graph/graph.hpp>
#include <mien/graph/program.hpp>
#include <mien/image/image.hpp>
#include <mien/weights.hpp>

namespace mien::detail {

/// Immutable but for the programs that it keeps; for any number of threads at once.
class YuNetNetwork {
 public:
  /// What the picture's pixels are.
  enum Colors { gray, bgr };

  /// From a file whose outputs are YuNet's. Throws Error for a network of another kind.
  MIEN_COLD explicit YuNetNetwork(const WeightFile& file);

  /// What runs for pictures of a size, whose sides are multiples of 32, without the row and column
  /// of padding before them. Its outputs are the grids', as YuNetGrid says. Throws Error for sides
  /// of more than 2^16.
  std::shared_ptr<const Program> program(const Size& padded, Colors colors) const;

 private:
  class Builder;

  /// A graph with the values of its tensors.
  struct Weighted final : NodeTensors {
    Graph graph;
    std::vector<std::vector<float>> tensors_of_nodes;
    std::vector<std::optional<QuantizedTensor>> quantized_of_nodes;

    std::vector<float> values(const Node& node, int tensor) const override {
      return tensors_of_nodes[static_cast<std::size_t>(node.first_tensor + tensor)];
    }
    std::optional<QuantizedTensor> quantized(const Node& node, int tensor) const override {
      return quantized_of_nodes[static_cast<std::size_t>(node.first_tensor + tensor)];
    }
    std::string where(const Node&) const override { return graph.name; }
  };

  struct SizedProgram {
    Size size;
    Colors colors;
    std::shared_ptr<const Program> program;
  };
  static constexpr std::size_t most_programs = 16;

  std::string file_name_;
  std::array<Weighted, 2> networks_;  // by Colors
  mutable std::mutex mutex_;
  mutable std::vector<SizedProgram> programs_;
};

/// A head of the network: its output's name in OpenCV Zoo's model, and its numbers for a cell.
struct YuNetOutput {
  std::string_view name;
  int channels;
};

/// For each of yunet_strides, in the order of a YuNetGrid's cells.
inline constexpr std::array<std::array<YuNetOutput, 4>, 3> yunet_outputs = {{
    {{{"cls_8", 1}, {"obj_8", 1}, {"bbox_8", 4}, {"kps_8", 10}}},
    {{{"cls_16", 1}, {"obj_16", 1}, {"bbox_16", 4}, {"kps_16", 10}}},
    {{{"cls_32", 1}, {"obj_32", 1}, {"bbox_32", 4}, {"kps_32", 10}}},
}};

}  // namespace mien::detail

#if MIEN_HAS_DEFINITIONS

#include <algorithm>
#include <utility>

#include <mien/error.hpp>
#include <mien/layers/activations.hpp>
#include <mien/layers/conv2d.hpp>

namespace mien::detail {

class YuNetNetwork::Builder {
 public:
  MIEN_COLD explicit Builder(const WeightFile& file)
      : file_(file), from_(file.graph()), tensors_(file) {}

  /// The network with gray pixels or coloured ones.
  MIEN_COLD void build(Colors colors, Weighted& to) {
    to.graph.name = from_.name;
    to.graph.inputs = {{"picture", {colors == gray ? 1 : 3, 0, 0}}};
    std::array<std::array<Head, 4>, 3> heads{};
    std::vector<bool> is_head(from_.nodes.size());
    for (std::size_t grid = 0; grid < heads.size(); ++grid) {
      for (std::size_t i = 0; i < heads[grid].size(); ++i) {
        heads[grid][i] = find_head(yunet_outputs[grid][i]);
        for (const int node : heads[grid][i].nodes) {
          if (node >= 0) is_head[static_cast<std::size_t>(node)] = true;
        }
      }
    }
    std::vector<int> values(static_cast<std::size_t>(from_.value_count()), -1);
    values[0] = 0;
    for (std::size_t n = 0; n < from_.nodes.size(); ++n) {
      if (!is_head[n]) {
        values[1 + n] = append_copy(static_cast<int>(n), colors, values, to);
      }
    }
    for (const auto& of_grid : heads) append_heads(of_grid, values, to);
  }

 private:
  /// The nodes of a head; negative where there is none.
  struct Head {
    std::array<int, 3> nodes{-1, -1, -1};  ///< pointwise, depthwise, sigmoid
    int features = -1;                     ///< the value that it takes
  };

  [[noreturn]] MIEN_COLD void refuse(int node, const char* expected) const {
    fail({file_.name(), ": ", node_text(from_, node), ": expected YuNet's ", expected});
  }

  const Node& node(int n) const { return from_.nodes[static_cast<std::size_t>(n)]; }

  /// The node whose output is a node's input, of a layer.
  MIEN_COLD int before(int of, const LayerType& layer, const char* expected) const {
    return produced(from_.operands[static_cast<std::size_t>(node(of).first_input)], layer, expected,
                    of);
  }
  MIEN_COLD int produced(int value, const LayerType& layer, const char* expected, int asked) const {
    const int n = value - from_.input_count();
    if (n < 0 || node(n).layer != &layer) refuse(n < 0 ? asked : n, expected);
    return n;
  }

  MIEN_COLD Head find_head(const YuNetOutput& output) const {
    Head head;
    const auto known =
        std::find_if(from_.outputs.begin(), from_.outputs.end(),
                     [&](const GraphOutput& one) { return one.name == output.name; });
    int value = known->value;
    const int last = value - from_.input_count();
    if (output.channels == 1) {
      head.nodes[2] = produced(value, sigmoid_type, "sigmoid of a score", std::max(last, 0));
      value = from_.operands[static_cast<std::size_t>(node(head.nodes[2]).first_input)];
    }
    constexpr const char* expected = "head, a 1x1 convolution and a depthwise 3x3 convolution";
    const int depthwise = produced(value, conv2d::type, expected, std::max(last, 0));
    const int pointwise = before(depthwise, conv2d::type, expected);
    // One channel by itself is not called depthwise.
    Node several = node(depthwise);
    for (const int option : {conv2d::in_channels, conv2d::out_channels, conv2d::groups}) {
      if (several.option(option) != output.channels) refuse(depthwise, expected);
      several.options[static_cast<std::size_t>(option)] = 2.0;
    }
    if (!conv2d::can_follow_pointwise(several)) refuse(depthwise, expected);
    if (!conv2d::is_pointwise(node(pointwise))) refuse(pointwise, expected);
    head.nodes[0] = pointwise;
    head.nodes[1] = depthwise;
    head.features = from_.operands[static_cast<std::size_t>(node(pointwise).first_input)];
    return head;
  }

  MIEN_COLD static int append(const Node& node, const std::vector<int>& inputs,
                              std::vector<std::vector<float>> tensors, Weighted& to) {
    Node added = node;
    added.first_input = static_cast<int>(to.graph.operands.size());
    added.input_count = static_cast<int>(inputs.size());
    added.first_tensor = static_cast<int>(to.tensors_of_nodes.size());
    added.tensor_count = static_cast<int>(tensors.size());
    to.graph.operands.insert(to.graph.operands.end(), inputs.begin(), inputs.end());
    for (auto& tensor : tensors) to.tensors_of_nodes.push_back(std::move(tensor));
    to.quantized_of_nodes.resize(to.tensors_of_nodes.size());
    to.graph.nodes.push_back(added);
    return to.graph.value_count() - 1;
  }

  MIEN_COLD int append_copy(int n, Colors colors, const std::vector<int>& values,
                            Weighted& to) const {
    Node copied = node(n);
    std::vector<int> inputs;
    for (int i = 0; i < copied.input_count; ++i) {
      const int value = from_.operands[static_cast<std::size_t>(copied.first_input + i)];
      inputs.push_back(values[static_cast<std::size_t>(value)]);
      // A head's values are not there.
      if (inputs.back() < 0) refuse(n, "heads, whose values nothing takes");
    }
    std::vector<std::vector<float>> tensors;
    for (int i = 0; i < copied.tensor_count; ++i) tensors.push_back(tensors_.values(copied, i));
    const bool is_as_stored = std::find(inputs.begin(), inputs.end(), 0) == inputs.end();
    if (!is_as_stored) to_padded_picture(n, colors, copied, tensors);
    const int value = append(copied, inputs, std::move(tensors), to);
    if (is_as_stored && copied.tensor_count > 0) {
      to.quantized_of_nodes[static_cast<std::size_t>(to.graph.nodes.back().first_tensor)] =
          tensors_.quantized(copied, 0);
    }
    return value;
  }

  /// Lets the first convolution take the picture as YuNetPicture has it.
  MIEN_COLD void to_padded_picture(int n, Colors colors, Node& stem,
                                   std::vector<std::vector<float>>& tensors) const {
    constexpr const char* expected = "first convolution, 3x3 with stride 2 and padding 1";
    if (stem.layer != &conv2d::type) refuse(n, expected);
    const auto is = [&stem](int option, int value) { return stem.option(option) == value; };
    namespace w = conv2d;
    const kernels::WindowGeometry g = w::geometry(stem, {3, 32, 32});
    if (!is(w::in_channels, 3) || !is(w::groups, 1) || g.kernel_height != 3 ||
        g.kernel_width != 3 || g.stride_y != 2 || g.stride_x != 2 || g.padding_y != 1 ||
        g.padding_x != 1 || g.is_dilated() || g.out_height != 16 || g.out_width != 16) {
      refuse(n, expected);
    }
    for (const int option :
         {w::window + padding_y, w::window + padding_x, +w::padding_bottom, +w::padding_right}) {
      stem.options[static_cast<std::size_t>(option)] = 0.0;
    }
    if (colors == bgr) return;
    stem.options[w::in_channels] = 1.0;
    constexpr std::size_t taps = 9;
    std::vector<float>& weight = tensors.front();
    std::vector<float> sums;
    for (std::size_t filter = 0; filter < weight.size(); filter += 3 * taps) {
      for (std::size_t tap = filter; tap < filter + taps; ++tap) {
        sums.push_back(static_cast<float>(double{weight[tap]} + double{weight[tap + taps]} +
                                          double{weight[tap + 2 * taps]}));
      }
    }
    weight = std::move(sums);
  }

  /// The four heads of a grid as one.
  MIEN_COLD void append_heads(const std::array<Head, 4>& heads, const std::vector<int>& values,
                              Weighted& to) const {
    const int features = heads.front().features;
    int value = values[static_cast<std::size_t>(features)];
    for (std::size_t step = 0; step < 2; ++step) {
      Node joined = node(heads.front().nodes[step]);
      std::vector<float> weight;
      std::vector<float> bias;
      for (const Head& head : heads) {
        const Node& own = node(head.nodes[step]);
        if (head.features != features || value < 0 ||
            own.option(conv2d::in_channels) / own.option(conv2d::groups) !=
                joined.option(conv2d::in_channels) / joined.option(conv2d::groups)) {
          refuse(head.nodes[step], "heads, of which four see the same features");
        }
        const std::vector<float> more = tensors_.values(own, 0);
        weight.insert(weight.end(), more.begin(), more.end());
        std::vector<float> more_bias(static_cast<std::size_t>(own.option(conv2d::out_channels)));
        if (own.option(conv2d::bias) != 0) more_bias = tensors_.values(own, 1);
        bias.insert(bias.end(), more_bias.begin(), more_bias.end());
      }
      const auto channels = static_cast<double>(YuNetGrid::channels);
      joined.options[conv2d::out_channels] = channels;
      if (step == 1)
        joined.options[conv2d::in_channels] = joined.options[conv2d::groups] = channels;
      joined.options[conv2d::bias] = 1.0;
      value = append(joined, {value}, {std::move(weight), std::move(bias)}, to);
    }
    to.graph.outputs.push_back({"grid", value});
  }

  const WeightFile& file_;
  const Graph& from_;
  FileTensors tensors_;
};

MIEN_INLINE YuNetNetwork::YuNetNetwork(const WeightFile& file) : file_name_(file.name()) {
  Builder builder(file);
  for (const Colors colors : {gray, bgr}) builder.build(colors, networks_[colors]);
}

MIEN_INLINE std::shared_ptr<const Program> YuNetNetwork::program(const Size& padded,
                                                                 Colors colors) const {
  constexpr int largest_side = 1 << 16;
  if (padded.width > largest_side || padded.height > largest_side) {
    fail({file_name_, ": picture: expected a height and width of at most ", Digits(largest_side),
          ", found ", Digits(padded.height), " x ", Digits(padded.width)});
  }
  const auto is_wanted = [&](const SizedProgram& one) {
    return one.size == padded && one.colors == colors;
  };
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = std::find_if(programs_.begin(), programs_.end(), is_wanted);
  if (found != programs_.end()) {
    std::rotate(found, found + 1, programs_.end());  // the last one is the one used last
    return programs_.back().program;
  }
  const Weighted& network = networks_[colors];
  const TensorShape picture{colors == gray ? 1 : 3, padded.height + 1, padded.width + 1};
  auto made =
      std::make_shared<const Program>(ShapedGraph(network.graph, {picture}, file_name_), network);
  if (programs_.size() == most_programs) programs_.erase(programs_.begin());
  programs_.push_back({padded, colors, std::move(made)});
  return programs_.back().program;
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
