"""Random graphs of ONNX with forks, joins and values taken several times, against ONNX Runtime."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

from mien_tools.onnx_import import import_model
from mien_tools.weights import NamedTensor, Preprocessing, WeightFile

onnxruntime = pytest.importorskip("onnxruntime")

OPSET = 20
TOLERANCE = 1e-4  # of an output's largest value
MOST_VALUES = 6000  # of one value, so that a graph runs at once
SEEDS = range(40)

Shape = tuple[int, int, int]


class RandomGraph:
    """Nodes that take any of the values there are."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants = [], []
        shape = tuple(int(size) for size in self.random.integers((1, 3, 3), (9, 14, 14)))
        self.shapes: dict[str, Shape] = {"input": shape}
        self.used: set[str] = set()
        while len(self.nodes) < 12:
            kind = OPERATORS[self.pick(len(OPERATORS))]
            kind(self, self.value())

    def pick(self, count: int) -> int:
        return int(self.random.integers(count))

    def flip(self) -> bool:
        return self.pick(2) == 1

    def value(self) -> str:
        """Rather a new one than an old one."""
        names = list(self.shapes)
        return names[-1 - min(int(self.random.geometric(0.4)) - 1, len(names) - 1)]

    def constant(self, array: np.ndarray) -> str:
        kind = np.int64 if array.dtype.kind == "i" else np.float32
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array.astype(kind), name))
        return name

    def numbers(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant(self.random.normal(size=shape) * scale)

    def node(self, operator: str, *inputs: str, **attributes: object) -> str | None:
        """The output of one more node; none where ONNX or the limit of values says no."""
        name = f"v{len(self.shapes)}"
        node = helper.make_node(operator, inputs, [name], name=name, **attributes)
        entries = [
            helper.make_tensor_value_info(i, TensorProto.FLOAT, (1, *self.shapes[i]))
            for i in inputs
            if i in self.shapes
        ]
        known = [entry for entry in self.constants if entry.name in inputs]
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        graph = helper.make_graph([node], "one", entries, [output], known)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        found = inferred.graph.output[0].type.tensor_type.shape.dim
        shape = tuple(dimension.dim_value for dimension in found)[1:]
        if min(shape) < 1 or np.prod(shape) > MOST_VALUES:
            return None
        self.nodes.append(node)
        self.shapes[name] = shape
        self.used.update(inputs)
        return name

    def model(self) -> onnx.ModelProto:
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ("N", *self.shapes[name]))
            for name in self.shapes
            if name not in self.used
        ]
        entry = helper.make_tensor_value_info(
            "input", TensorProto.FLOAT, ("N", *self.shapes["input"])
        )
        graph = helper.make_graph(self.nodes, "random", [entry], outputs, self.constants)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def activation(graph: RandomGraph, x: str) -> None:
    plain = ("Relu", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "Elu", "Selu", "LeakyRelu")
    names = (*plain, "Softplus", "Mish", "Gelu")
    graph.node(names[graph.pick(len(names))], x)


def clip(graph: RandomGraph, x: str) -> None:
    graph.node("Clip", x, graph.constant(np.array(-0.7)), graph.constant(np.array(1.2)))


def prelu(graph: RandomGraph, x: str) -> None:
    graph.node("PRelu", x, graph.numbers(*broadcasting(graph, x)))


def broadcasting(graph: RandomGraph, x: str) -> list[int]:
    """A shape that broadcasts to a value's."""
    return [size if graph.flip() else 1 for size in graph.shapes[x]]


def window(graph: RandomGraph, x: str, has_dilation: bool = True) -> dict:
    """A window that fits, with padding below its size."""
    height, width = graph.shapes[x][1:]
    kernel = [1 + graph.pick(min(4, height)), 1 + graph.pick(min(4, width))]
    dilations = [1, 1]
    if has_dilation and graph.flip():
        dilations = [1 + int(2 * k - 1 <= s) for k, s in zip(kernel, (height, width), strict=True)]
    return {
        "kernel_shape": kernel,
        "strides": [1 + graph.pick(2), 1 + graph.pick(3)],
        "pads": [graph.pick(k) for k in kernel * 2],
        "dilations": dilations,
    }


def convolution(graph: RandomGraph, x: str) -> None:
    channels = graph.shapes[x][0]
    groups = (1, channels, 2 if channels % 2 == 0 else 1)[graph.pick(3)]
    members, outputs = channels // groups, groups * (1 + graph.pick(max(1, 12 // groups)))
    options = window(graph, x)
    kernel = options["kernel_shape"]
    scale = 1 / np.sqrt(members * np.prod(kernel))
    weight = graph.numbers(outputs, members, *kernel, scale=scale)
    bias = [graph.numbers(outputs, scale=0.1)] if graph.flip() else []
    graph.node("Conv", x, weight, *bias, group=groups, **options)


def transposed_convolution(graph: RandomGraph, x: str) -> None:
    channels = graph.shapes[x][0]
    groups = 2 if channels % 2 == 0 and graph.flip() else 1
    members = 1 + graph.pick(5)
    options = window(graph, x)
    options["pads"] = [min(pad, 1) for pad in options["pads"]]
    weight = graph.numbers(channels, members, *options["kernel_shape"], scale=0.3)
    graph.node("ConvTranspose", x, weight, group=groups, **options)


def pooling(graph: RandomGraph, x: str) -> None:
    options = window(graph, x, has_dilation=False)
    if graph.flip():
        # ONNX's versions differ over windows that begin behind the image; here none does.
        strides = [
            min(pair) for pair in zip(options["strides"], options["kernel_shape"], strict=True)
        ]
        options |= {"ceil_mode": 1, "strides": strides, "pads": [0, 0, 0, 0]}
    if graph.flip():
        graph.node("AveragePool", x, count_include_pad=graph.pick(2), **options)
    else:
        graph.node("MaxPool", x, **options)


def dilated_max(graph: RandomGraph, x: str) -> None:
    graph.node("MaxPool", x, **window(graph, x))


def global_pooling(graph: RandomGraph, x: str) -> None:
    """A gate for each channel."""
    gate = graph.node(("GlobalAveragePool", "GlobalMaxPool")[graph.pick(2)], x)
    graph.node("Mul", x, graph.node("Sigmoid", gate))


def norm(graph: RandomGraph, x: str) -> None:
    channels, height, width = graph.shapes[x]
    kind = graph.pick(4)
    weight, bias = graph.numbers(channels), graph.numbers(channels)
    if kind == 0:
        variance = graph.constant(graph.random.uniform(0.5, 2, channels))
        graph.node(
            "BatchNormalization", x, weight, bias, graph.numbers(channels, scale=0.2), variance
        )
    elif kind == 1:
        graph.node("LRN", x, size=1 + 2 * graph.pick(3), alpha=0.1)
    elif kind == 2 and height * width > 3:
        graph.node("InstanceNormalization", x, weight, bias, epsilon=0.01)
    elif width > 2:
        graph.node("LayerNormalization", x, graph.numbers(width), axis=-1, epsilon=0.01)


def arithmetic(graph: RandomGraph, x: str) -> None:
    """With a constant that broadcasts, in either order."""
    operator = ("Add", "Sub", "Mul", "Div", "Min", "Max")[graph.pick(6)]
    signs = graph.random.choice([-1, 1], broadcasting(graph, x))
    constant = graph.constant(signs * graph.random.uniform(0.5, 2, signs.shape))
    swapped = operator != "Div" and graph.flip()
    graph.node(operator, *((constant, x) if swapped else (x, constant)))


def join(graph: RandomGraph, x: str) -> None:
    """With another value that broadcasts, or this one in another form."""
    fits = [
        name
        for name, shape in graph.shapes.items()
        if all(a == b or 1 in (a, b) for a, b in zip(shape, graph.shapes[x], strict=True))
    ]
    other = fits[graph.pick(len(fits))]
    graph.node(("Add", "Sub", "Mul", "Min", "Max")[graph.pick(5)], x, other)


def concatenation(graph: RandomGraph, x: str) -> None:
    axis = graph.pick(3)
    fits = [
        name
        for name, shape in graph.shapes.items()
        if all(
            a == b or i == axis for i, (a, b) in enumerate(zip(shape, graph.shapes[x], strict=True))
        )
    ]
    others = [fits[graph.pick(len(fits))] for _ in range(1 + graph.pick(2))]
    graph.node("Concat", x, *others, axis=axis + 1)


def padding(graph: RandomGraph, x: str) -> None:
    least = min(graph.shapes[x][1:])
    sides = [graph.pick(min(3, least)) for _ in range(4)]
    pads = graph.constant(np.array([0, 0, *sides[:2], 0, 0, *sides[2:]], np.int64))
    graph.node("Pad", x, pads, mode=("constant", "reflect", "edge")[graph.pick(3)])


def resizing(graph: RandomGraph, x: str) -> None:
    scales = graph.constant(np.array([1, 1, 1 + graph.pick(2), 1 + graph.pick(3)], np.float32))
    if graph.flip():
        graph.node(
            "Resize",
            x,
            "",
            scales,
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )
    else:
        graph.node("Resize", x, "", scales, mode="linear")


def some_channels(graph: RandomGraph, x: str) -> None:
    channels = graph.shapes[x][0]
    first = graph.pick(channels)
    last = first + 1 + graph.pick(channels - first)
    bounds = [graph.constant(np.array([number], np.int64)) for number in (first, last, 1)]
    graph.node("Slice", x, *bounds)


def shuffle(graph: RandomGraph, x: str) -> None:
    """Of pixels and channels, or of axes."""
    if graph.shapes[x][0] % 4 == 0 and graph.flip():
        graph.node("DepthToSpace", x, blocksize=2, mode="CRD")
        return
    orders = ((0, 1, 3, 2), (0, 2, 1, 3), (0, 3, 1, 2), (0, 3, 2, 1), (0, 2, 3, 1))
    graph.node("Transpose", x, perm=orders[graph.pick(len(orders))])


def softmax(graph: RandomGraph, x: str) -> None:
    graph.node(("Softmax", "LogSoftmax")[graph.pick(2)], x, axis=1 + graph.pick(3))


def matrix(graph: RandomGraph, x: str) -> None:
    width = graph.shapes[x][2]
    graph.node("MatMul", x, graph.numbers(width, 1 + graph.pick(8), scale=width**-0.5))


OPERATORS: tuple[Callable[[RandomGraph, str], None], ...] = (
    *(activation, clip, prelu, convolution, convolution, transposed_convolution, pooling),
    *(dilated_max, global_pooling, norm, norm, arithmetic, arithmetic, join, join, concatenation),
    *(padding, resizing, some_channels, shuffle, softmax, matrix),
)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_graphs(programs: Path, tmp_path: Path, seed: int) -> None:
    random_graph = RandomGraph(seed)
    model = random_graph.model()
    listing = "\n".join(
        f"{node.output[0]} {random_graph.shapes[node.output[0]]} = {helper.printable_node(node)}"
        for node in model.graph.node
    )
    imported = import_model(model, f"seed {seed}")
    graph = imported.graph
    tensors = tuple(
        NamedTensor(name, np.asarray(values, np.float32))
        for name, values in imported.tensors.items()
    )
    channels = graph.inputs[0].channels
    preprocessing = Preprocessing(0, (0.0,) * channels, (1.0,) * channels)
    shapes = graph.output_shapes()
    labels = ()
    if shapes[0][1:] == (1, 1):
        labels = tuple(f"class{i}" for i in range(shapes[0][0]))
    file = tmp_path / "random.mien"
    WeightFile("random", graph, tensors, labels, preprocessing).write(file)
    images = random_graph.random.normal(size=(3, *random_graph.shapes["input"]))
    np.save(tmp_path / "images.npy", images.astype(np.float32))
    command = [programs / "run", "--model", file, "--output", tmp_path]
    done = subprocess.run(
        [*command, "--input", tmp_path / "images.npy"], capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stderr}\n{listing}"

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for output, values in zip(
        session.get_outputs(), session.run(None, {"input": images.astype(np.float32)}), strict=True
    ):
        found = np.load(tmp_path / f"{output.name}.npy").reshape(values.shape)
        difference = np.abs(found - values).max() / max(1.0, np.abs(values).max())
        assert difference <= TOLERANCE, f"seed {seed}, {output.name}: {difference}\n{listing}"
