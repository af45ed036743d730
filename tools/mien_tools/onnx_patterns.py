"""Several nodes that are one layer: found in ONNX's graph, or in Mien's after the import."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from mien_tools.graph import Graph, Node, Output
from mien_tools.onnx_functions import OnnxGraph


@dataclass
class Gelus:
    """GELUs written with Erf: their last outputs and what goes in, and the values inside."""

    results: dict[str, str] = field(default_factory=dict)
    inner: set[str] = field(default_factory=set)


def find_gelus(graph, known: OnnxGraph) -> Gelus:
    """Where ONNX computes x / 2 (1 + erf(x / sqrt 2)), in whatever order it multiplies."""
    number = known.number

    def is_scaled(node, by: float) -> str | None:
        """The other operand of a product or quotient with this factor."""
        if node is None or node.op_type not in ("Mul", "Div"):
            return None
        for own, other in ((0, 1), (1, 0)):
            factor = number(node.input[other])
            if factor is None or (node.op_type == "Div" and other == 0):
                continue
            factor = factor if node.op_type == "Mul" else 1 / factor
            if math.isclose(factor, by, rel_tol=1e-4):
                return node.input[own]
        return None

    found = Gelus()
    for erf in graph.node:
        if erf.op_type != "Erf":
            continue
        source = is_scaled(known.producer(erf.input[0]), math.sqrt(0.5))
        plus = known.only_taker(erf.output[0])
        if source is None or plus is None or plus.op_type != "Add":
            continue
        if 1.0 not in (number(plus.input[0]), number(plus.input[1])):
            continue
        inner = {erf.input[0], erf.output[0], plus.output[0]}
        # Two products follow, with x and with a half, or one with a half of x made before.
        last = known.only_taker(plus.output[0])
        if last is None or last.op_type != "Mul":
            continue
        other = next((name for name in last.input if name != plus.output[0]), "")
        if is_scaled(known.producer(other), 0.5) == source:
            inner.add(other)
        elif other == source:
            half = known.only_taker(last.output[0])
            if is_scaled(half, 0.5) != last.output[0]:
                continue
            inner.add(last.output[0])
            last = half
        elif number(other) == 0.5:
            product = known.only_taker(last.output[0])
            if product is None or product.op_type != "Mul" or source not in product.input:
                continue
            inner.add(last.output[0])
            last = product
        else:
            continue
        if inner & known.outputs:
            continue
        found.results[last.output[0]] = source
        found.inner |= inner
    return found


def simplified(
    graph: Graph, tensors: Mapping[str, np.ndarray]
) -> tuple[Graph, dict[str, np.ndarray]]:
    """The graph with fewer layers that compute the same, and the tensors that it takes."""
    rewriting = _Rewriting(graph, tensors)
    for node in range(len(graph.nodes)):
        for pattern in (_gate, _hard_swish, _affine_norm, _bias):
            pattern(rewriting, node)
    return rewriting.result()


class _Rewriting:
    """A graph of which nodes are replaced; a replaced one may stand for others that go."""

    def __init__(self, graph: Graph, tensors: Mapping[str, np.ndarray]) -> None:
        self.graph = graph
        self.tensors = dict(tensors)
        self.nodes: list[Node | None] = list(graph.nodes)
        self._users = graph.uses()

    def producer(self, value: int) -> tuple[int, Node | None]:
        """The number and node that put a value out; no node for an input."""
        number = value - len(self.graph.inputs)
        return number, self.nodes[number] if number >= 0 else None

    def used_once(self, value: int) -> bool:
        return self._users[value] == 1

    def replace(self, number: int, node: Node, *gone: int) -> None:
        """Put a node in the place of one, and let others that only led to it go."""
        self.nodes[number] = node
        for other in gone:
            self.nodes[other] = None

    def result(self) -> tuple[Graph, dict[str, np.ndarray]]:
        inputs = len(self.graph.inputs)
        numbers = {value: value for value in range(inputs)}
        kept = []
        for index, node in enumerate(self.nodes):
            if node is not None:
                numbers[inputs + index] = inputs + len(kept)
                kept.append(replace(node, inputs=tuple(numbers[value] for value in node.inputs)))
        outputs = tuple(Output(numbers[output.value], output.name) for output in self.graph.outputs)
        taken = {name for node in kept for name in node.tensors}
        tensors = {name: values for name, values in self.tensors.items() if name in taken}
        return Graph(self.graph.inputs, tuple(kept), outputs), tensors


# x times a function of x, by the function's layer.
_GATES: dict[str, str] = {"Sigmoid": "SiLU", "HardSigmoid": "HardSwish"}


def _gate(graph: _Rewriting, number: int) -> None:
    """x sigmoid(x) is SiLU, x hard_sigmoid(x) HardSwish, x tanh(softplus(x)) Mish."""
    node = graph.nodes[number]
    if node is None or node.layer != "Mul" or len(node.inputs) != 2:
        return
    for x, gated in (node.inputs, node.inputs[::-1]):
        place, gate = graph.producer(gated)
        if gate is None or not graph.used_once(gated):
            continue
        source = gate.inputs[0] if gate.inputs else None
        kind, gone = _GATES.get(gate.layer), [place]
        if gate.layer == "HardSigmoid" and not _is_default(gate, alpha=1 / 6, beta=0.5):
            continue
        if gate.layer == "Tanh":
            inner, softplus = graph.producer(gate.inputs[0])
            if softplus is None or softplus.layer != "Softplus":
                continue
            if not graph.used_once(gate.inputs[0]):
                continue
            source, kind, gone = softplus.inputs[0], "Mish", [place, inner]
        if kind is None or source is None or source != x:
            continue
        graph.replace(number, Node(kind, (x,), {}, (), node.name or gate.name), *gone)
        return


def _is_default(node: Node, **wanted: float) -> bool:
    return all(
        math.isclose(node.resolved[name], value, rel_tol=1e-4) for name, value in wanted.items()
    )


def _hard_swish(graph: _Rewriting, number: int) -> None:
    """x clip(x + 3, 0, 6) / 6, in either order of the last two."""
    node = graph.nodes[number]
    if node is None or len(node.inputs) != 1 or not _is_scale(graph, node, 1 / 6):
        return
    place, product = graph.producer(node.inputs[0])
    if product is None or product.layer != "Mul" or len(product.inputs) != 2:
        return
    if not graph.used_once(node.inputs[0]):
        return
    for x, clipped in (product.inputs, product.inputs[::-1]):
        clip_place, clip = graph.producer(clipped)
        if clip is None or clip.layer != "ReLU6" or not graph.used_once(clipped):
            continue
        add_place, add = graph.producer(clip.inputs[0])
        if add is None or add.layer != "Add" or not _has_constant(graph, add, 3.0):
            continue
        if add.inputs[0] == x and graph.used_once(clip.inputs[0]):
            made = Node("HardSwish", (x,), {}, (), node.name)
            graph.replace(number, made, place, clip_place, add_place)
            return


def _has_constant(graph: _Rewriting, node: Node, wanted: float) -> bool:
    if len(node.inputs) != 1 or len(node.tensors) != 1:
        return False
    values = graph.tensors[node.tensors[0]]
    return values.size == 1 and math.isclose(float(values.ravel()[0]), wanted, rel_tol=1e-4)


def _is_scale(graph: _Rewriting, node: Node, factor: float) -> bool:
    if node.resolved.get("reversed"):
        return False
    if node.layer == "Mul":
        return _has_constant(graph, node, factor)
    return node.layer == "Div" and _has_constant(graph, node, 1 / factor)


# Constants for each channel after a layer go into its own.
_NORMS = ("InstanceNorm2d", "GroupNorm", "LayerNorm2d")


def _affine_norm(graph: _Rewriting, number: int) -> None:
    """A normalisation, then a product or a sum with a number for each channel."""
    node = graph.nodes[number]
    if node is None or node.layer not in ("Mul", "Add") or len(node.inputs) != 1:
        return
    place, norm = graph.producer(node.inputs[0])
    if norm is None or norm.layer not in _NORMS or not graph.used_once(node.inputs[0]):
        return
    constant = graph.tensors[node.tensors[0]]
    channels = int(norm.resolved["channels"])
    if constant.size not in (1, channels) or constant.shape[1:] != (1, 1):
        return
    constant = np.broadcast_to(constant.reshape(-1), (channels,))
    weight, bias = (graph.tensors[name] for name in norm.tensors)
    if node.layer == "Mul":
        weight, bias = weight * constant, bias * constant
        base = node.tensors[0].rpartition(".")[0]
    else:
        bias = bias + constant
        base = norm.tensors[0].rpartition(".")[0]
    names = (f"{base}.weight", f"{base}.bias")
    if any(name in graph.tensors and name not in norm.tensors for name in names):
        first = node.tensors[0]
        names = names if names[0] == first or names[1] == first else norm.tensors
    graph.tensors |= dict(zip(names, (weight, bias), strict=True))
    made = replace(norm, tensors=names)
    graph.replace(number, made, place)


def _bias(graph: _Rewriting, number: int) -> None:
    """A convolution or dense layer without a bias, then a number added to each channel."""
    node = graph.nodes[number]
    if node is None or node.layer != "Add" or len(node.inputs) != 1:
        return
    place, layer = graph.producer(node.inputs[0])
    if layer is None or layer.layer not in ("Conv2d", "ConvTranspose2d", "Dense"):
        return
    if layer.resolved["bias"] or not graph.used_once(node.inputs[0]):
        return
    constant = graph.tensors[node.tensors[0]]
    channels = layer.resolved["out_features" if layer.layer == "Dense" else "out_channels"]
    if constant.size not in (1, channels) or constant.shape[1:] != (1, 1):
        return
    name = node.tensors[0]
    if name.rpartition(".")[2] != "bias":
        name = f"{layer.tensors[0].rpartition('.')[0]}.bias"
    if name in graph.tensors and name != node.tensors[0]:
        return
    graph.tensors[name] = np.broadcast_to(constant.reshape(-1), (int(channels),))
    options = {key: value for key, value in layer.options.items() if key != "bias"}
    made = replace(layer, options=options, tensors=(layer.tensors[0], name))
    graph.replace(number, made, place)
