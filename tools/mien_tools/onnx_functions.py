"""Operators of ONNX written as the nodes that define them, which stand for one node again.

ONNX defines Softmax, LeakyRelu and others as functions of simpler operators; exporters of other
libraries write these out.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mien_tools.onnx_node import Constant

# What leaves a constant its value.
_KEEPING = ("Cast", "CastLike", "Identity")


class OnnxGraph:
    """Which node makes a value, which ones take it, and the numbers that are known of it."""

    def __init__(self, graph, constants: "Mapping[str, Constant]") -> None:
        """`constants` are those that the file has besides its Constant nodes."""
        import onnx

        self.outputs = {entry.name for entry in graph.output}
        self._producers, self._takers = {}, {}
        self._arrays = {name: entry.array for name, entry in constants.items()}
        for node in graph.node:
            for name in node.output:
                self._producers[name] = node
            for name in node.input:
                self._takers.setdefault(name, []).append(node)
            if node.op_type == "Constant" and len(node.attribute) == 1:
                value = onnx.helper.get_attribute_value(node.attribute[0])
                if hasattr(value, "dims"):
                    self._arrays[node.output[0]] = onnx.numpy_helper.to_array(value)
                elif isinstance(value, (int, float)):
                    self._arrays[node.output[0]] = np.array(value)

    def array(self, name: str) -> np.ndarray | None:
        """The numbers of a constant; None for what is computed."""
        while name not in self._arrays:
            node = self._producers.get(name)
            if node is None or node.op_type not in _KEEPING:
                return None
            name = node.input[0]
        return self._arrays[name]

    def number(self, name: str) -> float | None:
        """A constant that is one number."""
        array = self.array(name)
        return float(array.ravel()[0]) if array is not None and array.size == 1 else None

    def producer(self, name: str, *operators: str):
        """The node that makes a value, if it is one of these operators; none given: any."""
        node = self._producers.get(name)
        if node is None or (operators and node.op_type not in operators):
            return None
        return node

    def only_taker(self, name: str):
        takers = self._takers.get(name, [])
        return takers[0] if len(takers) == 1 else None


def find_functions(graph, known: OnnxGraph, opset: int) -> dict:
    """Nodes that compute what others do with more nodes, by the name of their output."""
    found = {}
    for node in graph.node:
        match = _MATCHES.get(node.op_type)
        made = match(known, node, opset) if match else None
        if made is not None:
            made.name, made.doc_string = node.name, node.doc_string
            found[node.output[0]] = made
    return found


def _made(operator: str, node, inputs: list[str], **attributes: object):
    import onnx

    return onnx.helper.make_node(operator, inputs, list(node.output[:1]), **attributes)


def _relu(graph: OnnxGraph, node, opset: int):
    """max(x, 0)"""
    if len(node.input) != 2:
        return None
    for x, limit in (node.input, node.input[::-1]):
        if _scalar(graph, limit) == 0 and graph.array(x) is None:
            return _made("Relu", node, [x])
    return None


def _scalar(graph: OnnxGraph, name: str) -> float | None:
    """A number that broadcasting gives no dimension of its own."""
    array = graph.array(name)
    return graph.number(name) if array is not None and array.ndim <= 1 else None


def _choice(graph: OnnxGraph, node, opset: int):
    """Clip, LeakyRelu, PRelu and Elu as a choice between x and something else."""
    condition = graph.producer(node.input[0], "Less", "Greater")
    if condition is None:
        return None
    smaller, larger = condition.input if condition.op_type == "Less" else condition.input[::-1]
    if_smaller, otherwise = node.input[1:3]
    if otherwise == smaller and _is_same(graph, if_smaller, larger):
        return _made("Clip", node, [smaller, larger])
    if otherwise == larger and _is_same(graph, if_smaller, smaller):
        return _made("Clip", node, [larger, "", smaller])
    if _scalar(graph, larger) == 0 and otherwise == smaller:
        return _below_zero(graph, node, smaller, if_smaller)
    if _scalar(graph, smaller) == 0 and if_smaller == larger:
        return _below_zero(graph, node, larger, otherwise)
    return None


def _is_same(graph: OnnxGraph, name: str, bound: str) -> bool:
    number = _scalar(graph, bound)
    return number is not None and number == _scalar(graph, name)


def _below_zero(graph: OnnxGraph, node, x: str, below: str):
    """x where it is positive, and below zero a multiple of x or of exp(x) - 1."""
    if _is_exp_minus_one(graph, x, below):
        return _made("Elu", node, [x], alpha=1.0)
    product = graph.producer(below, "Mul")
    if product is None:
        return None
    for factor, other in (product.input, product.input[::-1]):
        number = _scalar(graph, factor)
        if other == x and number is not None:
            return _made("LeakyRelu", node, [x], alpha=number)
        if other == x and graph.array(factor) is not None:
            return _made("PRelu", node, [x, factor])
        if number is not None and _is_exp_minus_one(graph, x, other):
            return _made("Elu", node, [x], alpha=number)
    return None


def _is_exp_minus_one(graph: OnnxGraph, x: str, name: str) -> bool:
    difference = graph.producer(name, "Sub")
    if difference is None or graph.number(difference.input[1]) != 1:
        return False
    power = graph.producer(difference.input[0], "Exp")
    return power is not None and power.input[0] == x


def _softmax(graph: OnnxGraph, node, opset: int):
    """exp(y) / sum(exp(y))"""
    power = graph.producer(node.input[0], "Exp")
    axis = _sum_axis(graph, node.input[1], node.input[0])
    if power is None or axis is None or opset < 13:
        return None
    return _made("Softmax", node, [_unshifted(graph, power.input[0], axis)], axis=axis)


def _log_softmax(graph: OnnxGraph, node, opset: int):
    """y - log(sum(exp(y)))"""
    logarithm = graph.producer(node.input[1], "Log")
    total = graph.producer(logarithm.input[0], "ReduceSum") if logarithm else None
    power = graph.producer(total.input[0], "Exp") if total else None
    if power is None or power.input[0] != node.input[0] or opset < 13:
        return None
    axis = _sum_axis(graph, logarithm.input[0], total.input[0])
    if axis is None:
        return None
    return _made("LogSoftmax", node, [_unshifted(graph, node.input[0], axis)], axis=axis)


def _unshifted(graph: OnnxGraph, name: str, axis: int) -> str:
    """x of x - max(x), which softmax does by itself."""
    difference = graph.producer(name, "Sub")
    if difference is not None:
        largest = graph.producer(difference.input[1], "ReduceMax")
        x = difference.input[0]
        if largest is not None and largest.input[0] == x and _only_axis(graph, largest) == axis:
            return x
    return name


def _sum_axis(graph: OnnxGraph, name: str, of: str) -> int | None:
    """The axis along which a value is the sum of another."""
    total = graph.producer(name, "ReduceSum")
    return _only_axis(graph, total) if total is not None and total.input[0] == of else None


def _only_axis(graph: OnnxGraph, reduction) -> int | None:
    """The axis of a reduction along one, which keeps it with the length 1."""
    import onnx

    attributes = {
        entry.name: onnx.helper.get_attribute_value(entry) for entry in reduction.attribute
    }
    axes = attributes.get("axes")
    if axes is None and len(reduction.input) > 1:
        axes = graph.array(reduction.input[1])
    if axes is None or len(axes) != 1 or not attributes.get("keepdims", 1):
        return None
    return int(axes[0])


_MATCHES = {"Max": _relu, "Where": _choice, "Div": _softmax, "Sub": _log_softmax}
