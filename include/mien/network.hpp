// A network as a C++ type: layers on an input, with a name, loaded from a weight file.
//
// The type is lowered to a graph (graph/node.hpp) in the compiler, which checks every shape, counts
// parameters and plans memory. Loading compares that graph with the file's and runs it on the same
// engine as any Model.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <mien/config.hpp>
#include <mien/graph/fusion.hpp>
#include <mien/graph/memory_plan.hpp>
#include <mien/graph/node.hpp>
#include <mien/graph/shapes.hpp>
#include <mien/layers/layers.hpp>
#include <mien/model.hpp>
#include <mien/parallel.hpp>
#include <mien/weights.hpp>

namespace mien {

/// A tensor's shape as a type, in PyTorch's order.
template <int Channels, int Height, int Width>
struct Shape {
  static_assert(Channels > 0 && Height > 0 && Width > 0,
                "a tensor needs at least one channel, row and column");
  static constexpr int channels = Channels;
  static constexpr int height = Height;
  static constexpr int width = Width;
  static constexpr std::size_t size =
      static_cast<std::size_t>(Channels) * static_cast<std::size_t>(Height) * Width;
  static constexpr TensorShape value = {Channels, Height, Width};
};

/// A network's input.
template <int Channels, int Height, int Width>
using Input = Shape<Channels, Height, Width>;

namespace detail {

// Shapes that do not fit are a compiler's message that reads as a sentence.

template <int Channels>
struct ExpectedChannels {};

template <class Layer, class Expected, class Found>
struct layer_takes_channels;
template <class Layer, int Channels, class Found>
struct layer_takes_channels<Layer, ExpectedChannels<Channels>, Found> {
  static_assert(Channels == Found::channels,
                "a layer's input channels differ from what the layer before it puts out: see "
                "layer_takes_channels<Layer, ExpectedChannels<...>, Shape<C, H, W> found> in this "
                "message");
  static constexpr bool value = true;
};

template <class First, class Second>
struct shapes_broadcast {
  static constexpr TensorShape shape = arithmetic::broadcast(First::value, Second::value);
  static_assert(shape.size() > 0,
                "Add, Mul and the like can only join values whose channels, heights and widths are "
                "equal or 1: see shapes_broadcast<Shape<C, H, W> of the first, Shape<C, H, W> of "
                "the second> in this message");
  using type = std::conditional_t<
      (shape.size() > 0),
      Shape<(shape.channels > 0 ? shape.channels : 1), (shape.height > 0 ? shape.height : 1),
            (shape.width > 0 ? shape.width : 1)>,
      First>;
};

template <class First, class... Others>
struct concatenate_joins_equal_sizes {
  static_assert(((First::height == Others::height && First::width == Others::width) && ...),
                "Concatenate can only join images of equal height and width: see "
                "concatenate_joins_equal_sizes<Shape<C, H, W> of each branch> in this message");
  using type = Shape<(First::channels + ... + Others::channels), First::height, First::width>;
};

template <int Number, class ValueShape>
struct Marked {};

/// What is known at a place in a network: the current value's shape, and those of marked ones.
template <class Current, class... Marks>
struct ShapeState {
  using current = Current;
};

template <int Number, class... Marks>
struct FindMark {
  static_assert(sizeof...(Marks) < 0, "From<N> stands behind the Mark<N> that it names");
};
template <int Number, class ValueShape, class... Rest>
struct FindMark<Number, Marked<Number, ValueShape>, Rest...> {
  using type = ValueShape;
};
template <int Number, class First, class... Rest>
struct FindMark<Number, First, Rest...> : FindMark<Number, Rest...> {};

/// A state with another current shape.
template <class State, class Current>
struct WithCurrent;
template <class Old, class... Marks, class Current>
struct WithCurrent<ShapeState<Old, Marks...>, Current> {
  using type = ShapeState<Current, Marks...>;
};

/// The state behind a layer.
template <class Layer, class State>
struct After {
  using Current = typename State::current;
  static constexpr Node node = Layer::node();
  static constexpr TensorShape input = Current::value;
  static constexpr ShapeResult result = node.layer->output_shape(node, &input, 1);
  static_assert(layer_takes_channels<
                Layer,
                ExpectedChannels<result.problem == ShapeProblem::channels ? result.expected
                                                                          : Current::channels>,
                Current>::value);
  static_assert(result.problem != ShapeProblem::kernel,
                "the kernel is larger than its padded input");
  static_assert(result.problem != ShapeProblem::flat,
                "Dense and Unflatten take a flat vector: put Flatten before them");
  static_assert(result.problem != ShapeProblem::overflow, "a layer's output is too large");
  static_assert(result.problem != ShapeProblem::broadcast,
                "a constant's channels, height and width are those of the value or 1: see "
                "After<...OfConstant<..., C, H, W, ...>, ShapeState<Shape<C, H, W> found>> in this "
                "message");
  static_assert(result.problem != ShapeProblem::empty, "a layer's output has no pixel");
  static_assert(result.problem != ShapeProblem::few_channels,
                "Slice takes channels that its input does not have");
  static_assert(result.problem != ShapeProblem::multiple,
                "a shuffle's groups, or its squared factor, divide its input's channels");
  static_assert(result.problem != ShapeProblem::reflection,
                "padding by reflection is smaller than its input");
  static constexpr TensorShape shape =
      result.problem == ShapeProblem::none ? result.shape : TensorShape{1, 1, 1};
  using type = typename WithCurrent<State, Shape<shape.channels, shape.height, shape.width>>::type;
};

template <class State>
struct After<Identity, State> {
  using type = State;
};

template <int Number, class Current, class... Marks>
struct After<Mark<Number>, ShapeState<Current, Marks...>> {
  using type = ShapeState<Current, Marked<Number, Current>, Marks...>;
};

template <int Number, class Current, class... Marks>
struct After<From<Number>, ShapeState<Current, Marks...>> {
  using type = ShapeState<typename FindMark<Number, Marks...>::type, Marks...>;
};

template <class State>
struct After<Sequential<>, State> {
  using type = State;
};
template <class First, class... Rest, class State>
struct After<Sequential<First, Rest...>, State>
    : After<Sequential<Rest...>, typename After<First, State>::type> {};

template <const LayerType& layer, class First, class Second, class State>
struct After<arithmetic::OfTwo<layer, First, Second>, State> {
  using AfterFirst = typename After<First, State>::type;
  using BeforeSecond = typename WithCurrent<AfterFirst, typename State::current>::type;
  using AfterSecond = typename After<Second, BeforeSecond>::type;
  using type =
      typename WithCurrent<AfterSecond,
                           typename shapes_broadcast<typename AfterFirst::current,
                                                     typename AfterSecond::current>::type>::type;
};

template <class State, class Input, class BranchList, class... Outputs>
struct AfterBranches;
template <class State, class Input, class... Outputs>
struct AfterBranches<State, Input, Sequential<>, Outputs...> {
  using type =
      typename WithCurrent<State, typename concatenate_joins_equal_sizes<Outputs...>::type>::type;
};
template <class State, class Input, class First, class... Rest, class... Outputs>
struct AfterBranches<State, Input, Sequential<First, Rest...>, Outputs...> {
  using Behind = typename After<First, typename WithCurrent<State, Input>::type>::type;
  using type = typename AfterBranches<Behind, Input, Sequential<Rest...>, Outputs...,
                                      typename Behind::current>::type;
};

template <class... Branches, class State>
struct After<Concatenate<Branches...>, State>
    : AfterBranches<State, typename State::current, Sequential<Branches...>> {};

/// How many nodes a layer is, and how many values they take.
struct GraphSize {
  int nodes = 0;
  int operands = 0;

  friend constexpr GraphSize operator+(const GraphSize& a, const GraphSize& b) {
    return {a.nodes + b.nodes, a.operands + b.operands};
  }
};

/// A graph that is being written in the compiler.
template <int MostNodes, int MostOperands>
struct GraphBuilder {
  static constexpr int most_marks = 64;

  std::array<Node, static_cast<std::size_t>(MostNodes)> nodes{};
  std::array<int, static_cast<std::size_t>(MostOperands)> operands{};
  std::array<int, most_marks> mark_numbers{};
  std::array<int, most_marks> mark_values{};
  int node_count = 0;
  int operand_count = 0;
  int mark_count = 0;
  int tensor_count = 0;

  /// Appends a node and returns the value that it puts out; the network has one input.
  constexpr int append(Node node, const int* inputs, int count) {
    node.first_input = operand_count;
    node.input_count = count;
    for (int i = 0; i < count; ++i) {
      operands[static_cast<std::size_t>(operand_count++)] = inputs[i];
    }
    node.first_tensor = tensor_count;
    node.tensor_count = node.layer->tensors(node).count;
    tensor_count += node.tensor_count;
    nodes[static_cast<std::size_t>(node_count++)] = node;
    return node_count;
  }
  constexpr void mark(int number, int value) {
    mark_numbers[static_cast<std::size_t>(mark_count)] = number;
    mark_values[static_cast<std::size_t>(mark_count++)] = value;
  }
  constexpr int marked(int number) const {
    int i = mark_count - 1;
    while (mark_numbers[static_cast<std::size_t>(i)] != number) --i;
    return mark_values[static_cast<std::size_t>(i)];
  }
};

/// How a layer's nodes are written: append() takes the current value and returns the next one.
template <class Layer>
struct Lowering {
  static constexpr GraphSize size = {1, 1};
  template <class Builder>
  static constexpr int append(Builder& builder, int value) {
    return builder.append(Layer::node(), &value, 1);
  }
};

template <>
struct Lowering<Identity> {
  static constexpr GraphSize size = {};
  template <class Builder>
  static constexpr int append(Builder&, int value) {
    return value;
  }
};

template <int Number>
struct Lowering<Mark<Number>> {
  static constexpr GraphSize size = {};
  template <class Builder>
  static constexpr int append(Builder& builder, int value) {
    builder.mark(Number, value);
    return value;
  }
};

template <int Number>
struct Lowering<From<Number>> {
  static constexpr GraphSize size = {};
  template <class Builder>
  static constexpr int append(Builder& builder, int) {
    return builder.marked(Number);
  }
};

template <class... Layers>
struct Lowering<Sequential<Layers...>> {
  static constexpr GraphSize size = (GraphSize{} + ... + Lowering<Layers>::size);
  template <class Builder>
  static constexpr int append(Builder& builder, int value) {
    ((value = Lowering<Layers>::append(builder, value)), ...);
    return value;
  }
};

template <const LayerType& layer, class First, class Second>
struct Lowering<arithmetic::OfTwo<layer, First, Second>> {
  static constexpr GraphSize size =
      Lowering<First>::size + Lowering<Second>::size + GraphSize{1, 2};
  template <class Builder>
  static constexpr int append(Builder& builder, int value) {
    const int first = Lowering<First>::append(builder, value);
    const int second = Lowering<Second>::append(builder, value);
    const int inputs[] = {first, second};
    return builder.append(arithmetic::OfTwo<layer, First, Second>::node(), inputs, 2);
  }
};

template <class... Branches>
struct Lowering<Concatenate<Branches...>> {
  static constexpr GraphSize size =
      (GraphSize{1, static_cast<int>(sizeof...(Branches))} + ... + Lowering<Branches>::size);
  template <class Builder>
  static constexpr int append(Builder& builder, int value) {
    const int inputs[] = {Lowering<Branches>::append(builder, value)...};
    return builder.append(Concatenate<Branches...>::node(), inputs,
                          static_cast<int>(sizeof...(Branches)));
  }
};

/// The graph of layers on an input, and what follows from it.
template <class Layers, class InputShape>
struct StaticGraph {
  static constexpr GraphSize size = Lowering<Layers>::size;
  using Builder = GraphBuilder<size.nodes, size.operands>;

  static constexpr Builder build() {
    Builder builder;
    Lowering<Layers>::append(builder, 0);
    return builder;
  }
  static constexpr Builder built = build();
  static constexpr TensorShape input = InputShape::value;
  static constexpr int output = size.nodes;
  static constexpr GraphView view = {
      &input, 1, built.nodes.data(), size.nodes, built.operands.data(), &output, 1};

  using Shapes = std::array<TensorShape, static_cast<std::size_t>(size.nodes) + 1>;
  static constexpr Shapes infer() {
    Shapes inferred{};
    infer_shapes(view, inferred.data());
    return inferred;
  }
  static constexpr Shapes shapes = infer();

  /// As Program::multiply_adds(): a batch normalisation that is folded away multiplies nothing.
  static constexpr std::size_t count_multiply_adds() {
    constexpr auto nodes = static_cast<std::size_t>(size.nodes);
    std::array<ValueUses, nodes + 1> uses{};
    std::array<bool, nodes> is_fused{};
    std::array<PlannedStep, nodes> steps{};
    const int step_count =
        plan_steps(view, shapes.data(), uses.data(), is_fused.data(), steps.data());
    std::size_t sum = 0;
    for (int s = 0; s < step_count; ++s) {
      const PlannedStep& step = steps[static_cast<std::size_t>(s)];
      sum += mien::multiply_adds(view, step.node, shapes.data());
      if (step.depthwise >= 0) sum += mien::multiply_adds(view, step.depthwise, shapes.data());
    }
    return sum;
  }

  /// Floats of memory that a forward pass needs for one input: what Program::arena_size() says.
  static constexpr std::size_t plan() {
    constexpr auto nodes = static_cast<std::size_t>(size.nodes);
    std::array<ValueUses, nodes + 1> uses{};
    std::array<bool, nodes> is_fused{};
    std::array<PlannedStep, nodes> steps{};
    const int step_count =
        plan_steps(view, shapes.data(), uses.data(), is_fused.data(), steps.data());
    std::array<std::size_t, nodes> scratch_sizes{};
    for (int s = 0; s < step_count; ++s) {
      const auto at = static_cast<std::size_t>(s);
      scratch_sizes[at] = scratch_size(view, steps[at], shapes.data());
    }
    std::array<PlannedValue, nodes + 1> values{};
    std::array<int, nodes> step_of_node{};
    std::array<PlannedBuffer, 2 * nodes + 1> buffers{};
    std::array<int, nodes> scratch_buffers{};
    const int buffer_count = plan_values(
        view, steps.data(), step_count, uses.data(), shapes.data(), scratch_sizes.data(),
        {values.data(), step_of_node.data(), buffers.data(), scratch_buffers.data()});
    return plan_memory(buffers.data(), buffer_count, step_count);
  }
};

/// The same at run time. `name` is the network's.
Graph make_graph(const GraphView& view, std::string_view name);

/// The model of a file that must hold this graph. Throws Error that names the first difference.
Model load_typed(const WeightFile& file, const GraphView& view, std::string_view name);

}  // namespace detail

/// The shape that a layer or Sequential makes of an input: for checks.
template <class Layer, class InputShape>
using OutputShape = typename detail::After<Layer, detail::ShapeState<InputShape>>::type::current;

/// The base of every network:
///
///   struct Tiny : Network<Tiny, Input<1, 8, 8>, Conv2d<1, 4, Kernel<3>>, ReLU, Flatten,
///                         Dense<144, 7>> {
///     static constexpr std::string_view name = "tiny";
///     using Network::Network;
///   };
///
/// Objects are cheap to copy: copies share the weights, which never change. forward() may run in
/// any number of threads at once, given a Workspace for each. Wherever a Model is asked for, a
/// network may be given.
template <class Derived, class InputShape, class... LayerTypes>
class Network {
  using Lowered = detail::StaticGraph<Sequential<LayerTypes...>, InputShape>;

 public:
  using Input = InputShape;
  using Output = OutputShape<Sequential<LayerTypes...>, InputShape>;
  /// The layers as one.
  using Layers = Sequential<LayerTypes...>;
  /// Learned numbers, as PyTorch counts them: running statistics are not among them.
  static constexpr std::size_t parameter_count = mien::parameter_count(Lowered::view);
  /// Multiply-adds of convolutions, dense layers and batch normalisations that follow neither, for
  /// one input.
  static constexpr std::size_t multiply_adds = Lowered::count_multiply_adds();

  /// The network as data.
  static Graph graph() { return detail::make_graph(Lowered::view, Derived::name); }

  /// Memory for forward passes: aligned, allocated once, reused. One pass uses it at a time.
  class Workspace : public Model::Workspace {
   public:
    /// With room for `threads` threads to work at once, each on `batch` inputs. Throws Error for
    /// numbers below 1.
    explicit Workspace(int batch = 1, int threads = 1) : Model::Workspace(batch, threads) {
      constexpr std::size_t arena_size = Lowered::plan();
      reserve(arena_size);
    }
  };

  /// Takes the weights from a file. Throws Error if they are another network's, and says which
  /// layer differs.
  explicit Network(const WeightFile& file)
      : model_(detail::load_typed(file, Lowered::view, Derived::name)) {}

  /// Reads a .mien file. Throws Error.
  static Derived load(const std::string& path) { return Derived(WeightFile::load(path)); }

  operator const Model&() const noexcept { return model_; }
  const Model& model() const noexcept { return model_; }

  /// One forward pass. `input` is [height][width][channels], `output` receives Output::size values
  /// (for a classifier the logits); they must not overlap. Allocates nothing, throws nothing.
  void forward(const float* input, float* output, Workspace& workspace) const noexcept {
    forward(1, input, output, workspace);
  }

  /// The same, returning the output, where that is small.
  std::array<float, Output::size> forward(const float* input, Workspace& workspace) const noexcept {
    static_assert(Output::size <= 1 << 14,
                  "the output is too large for the stack: use forward(input, output, workspace)");
    std::array<float, Output::size> output;
    forward(input, output.data(), workspace);
    return output;
  }

  /// Forward passes for `count` inputs, one after the other in memory as their outputs will be. A
  /// layer's weights are read once for as many inputs as the workspace's batch() holds. Each output
  /// is what it would be alone.
  void forward(int count, const float* inputs, float* outputs,
               Workspace& workspace) const noexcept {
    model_.forward(count, inputs, outputs, workspace);
  }

  /// The same on as many threads as the workspace is for and the executor provides. Throws what the
  /// executor throws.
  void forward(int count, const float* inputs, float* outputs, Workspace& workspace,
               const Executor& executor) const {
    model_.forward(count, inputs, outputs, workspace, executor);
  }

  /// See Model::verify.
  double verify() const { return model_.verify(); }
  const Preprocessing& preprocessing() const noexcept { return model_.preprocessing(); }
  /// Names of the outputs, in order.
  const std::vector<std::string>& labels() const noexcept { return model_.labels(); }
  /// The file that the weights came from, or what stood for it.
  const std::string& file_name() const noexcept { return model_.file_name(); }

 private:
  Model model_;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

namespace mien::detail {

MIEN_INLINE Graph make_graph(const GraphView& view, std::string_view name) {
  Graph graph;
  graph.name = name;
  for (int i = 0; i < view.input_count; ++i) graph.inputs.push_back({"input", view.inputs[i]});
  int operand_count = 0;
  for (int n = 0; n < view.node_count; ++n) {
    const Node& node = view.nodes[n];
    graph.nodes.push_back(node);
    operand_count += node.input_count;
    for (int i = 0; i < node.tensor_count; ++i) graph.tensors.push_back(node.first_tensor + i);
  }
  graph.node_names.resize(graph.nodes.size());
  graph.operands.assign(view.operands, view.operands + operand_count);
  for (int i = 0; i < view.output_count; ++i) graph.outputs.push_back({"output", view.outputs[i]});
  return graph;
}

MIEN_INLINE Model load_typed(const WeightFile& file, const GraphView& view, std::string_view name) {
  if (file.graph().name != name) {
    detail::fail(
        {file.name(), ": network: expected '", name, "', found '", file.graph().name, "'"});
  }
  require_same_graph(make_graph(view, name), file.graph(), file.name());
  return Model(file);
}

}  // namespace mien::detail

#endif  // MIEN_HAS_DEFINITIONS
