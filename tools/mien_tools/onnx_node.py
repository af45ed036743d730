"""A node of an ONNX graph as the records of layers see it when they turn it into layers."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mien_tools.layer import Layer, LayerError, OnnxConverter, Options
from mien_tools.numbers import simplest
from mien_tools.onnx_view import (
    CHANNELS,
    WIDTH,
    View,
    axis_dimension,
    image_view,
    merged,
    reshaped,
)
from mien_tools.shapes import Shape

if TYPE_CHECKING:
    from mien_tools.onnx_pass import Importer


# What a node puts out, by its place.
Outputs = Sequence["Value | Constant | None"]


class OnnxError(ValueError):
    """A file or node of ONNX that cannot become Mien's layers; says what, where and why."""


@dataclass(frozen=True)
class Value:
    """A value of Mien's graph, and how ONNX sees it."""

    number: int
    shape: Shape
    view: View


@dataclass(frozen=True, eq=False)
class Constant:
    """Numbers that the file knows, and the name that they have there."""

    name: str
    array: np.ndarray


class OnnxNode:
    """What a record asks of the node that it turns into layers."""

    def __init__(self, importer: "Importer", proto, inputs: Sequence[Value | Constant | None]):
        import onnx

        self._importer = importer
        self._inputs = inputs
        self.proto = proto
        # Whether its layers have its name; one that only brings values into order has none.
        self.is_named = True
        self.operator: str = proto.op_type
        self.opset: int = importer.opset
        self._attributes = {
            attribute.name: onnx.helper.get_attribute_value(attribute)
            for attribute in proto.attribute
        }

    def on(self, value: Value) -> "OnnxNode":
        """The same node with another first input."""
        changed = copy.copy(self)
        changed._inputs = [value, *self._inputs[1:]]
        return changed

    def unnamed(self) -> "OnnxNode":
        """The same node, whose layers have no name."""
        changed = copy.copy(self)
        changed.is_named = False
        return changed

    @property
    def where(self) -> str:
        """The node for messages, with the line of the source where PyTorch knows it."""
        return self._importer.where(self.proto)

    @property
    def input_count(self) -> int:
        return len(self._inputs)

    def attribute(self, name: str, default: object = None) -> object:
        """An attribute's value; refuses the node if it has none and no default is given."""
        if name not in self._attributes:
            if default is None:
                raise self.fail(f"an attribute {name}", "none")
            return default
        value = self._attributes[name]
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, float):
            return simplest(value)
        if hasattr(value, "dims"):
            import onnx

            return onnx.numpy_helper.to_array(value)
        return list(value) if isinstance(value, (list, tuple)) else value

    def has(self, index: int) -> bool:
        """Whether an input is given."""
        return index < len(self._inputs) and self._inputs[index] is not None

    def has_attribute(self, name: str) -> bool:
        return name in self._attributes

    def is_constant(self, index: int) -> bool:
        return self.has(index) and isinstance(self._inputs[index], Constant)

    def input(self, index: int) -> Value | Constant:
        if not self.has(index):
            raise self.fail(f"input {index}", "none")
        return self._inputs[index]

    def viewed(self, index: int) -> Value:
        """An input that is computed, as ONNX sees it: what moves no value may have come before."""
        found = self.input(index)
        if not isinstance(found, Value):
            raise self.fail(f"input {index} computed from the network's inputs", "a constant")
        return found

    def value(self, index: int) -> Value:
        """An input that is computed, as a whole image: its shape is channels, height, width."""
        return self.image(self.viewed(index))

    def image(self, value: Value) -> Value:
        """A value with channels, height and width each whole, moved there if a layer does."""
        return self._importer.as_image(self, value)

    def depends(self, value: Value, on: Value) -> bool:
        """Whether a value was computed from another."""
        return self._importer.depends(value.number, on.number)

    def constant(self, index: int, default: object = None) -> np.ndarray:
        """An input that the file knows."""
        if not self.has(index) and default is not None:
            return np.asarray(default)
        found = self.input(index)
        if not isinstance(found, Constant):
            raise self.fail(f"input {index} a constant", "a value that is computed")
        return found.array

    def tensor(self, index: int) -> Constant:
        """A constant input as a tensor of a layer, under its name."""
        array = self.constant(index)
        return Constant(self._inputs[index].name, array)

    def new_tensor(self, role: str, array: np.ndarray) -> Constant:
        """Numbers that a converter computed, as a tensor named after what the node takes."""
        return Constant(f"{self.base_name}.{role}", np.asarray(array))

    @property
    def base_name(self) -> str:
        """What tensors without a name of their own are named after: the module or the node."""
        for entry in self._inputs:
            if isinstance(entry, Constant) and "." in entry.name and not is_generated(entry.name):
                return entry.name.rpartition(".")[0]
        return self._importer.node_name(self.proto) or self.proto.output[0]

    def fail(self, expected: str, found: str) -> OnnxError:
        return OnnxError(f"{self.where}: expected {expected}, found {found}")

    def make(
        self,
        record: Layer,
        options: Options,
        inputs: Sequence[Value] | None = None,
        tensors: Sequence[Constant] = (),
        view: View | None = None,
    ) -> Value:
        """A node of Mien; `view` is how ONNX sees its output, default: as its first input."""
        if inputs is None:
            inputs = [self.value(0)]
        try:
            return self._importer.make(self, record, options, inputs, tensors, view)
        except LayerError as error:
            raise OnnxError(f"{self.where}: {record.kind}: {error}") from None


def is_generated(name: str) -> bool:
    """Whether a constant's name is one that PyTorch's exporter made up."""
    return name.startswith(("/", "onnx::")) or name.isdigit()


def as_held(value: Value) -> Value:
    """The value as Mien holds it, whatever order ONNX sees it in."""
    return Value(value.number, value.shape, image_view(value.shape))


def with_channels(node: OnnxNode, value: Value, first: int, count: int = 1) -> Value:
    """The value as an image of one row whose channels are some dimensions of the view."""
    chosen = [factor for dimension in value.view[first : first + count] for factor in dimension]
    others = [*value.view[:first], *value.view[first + count :]]
    places = [factor for dimension in others for factor in dimension]
    return node.image(Value(value.number, value.shape, (merged(chosen), (), merged(places))))


def with_sizes_of(made: Value, sizes: Sequence[int], first: int, count: int = 1) -> Value:
    """A layer's output on what `with_channels` gave, seen as dimensions of these sizes."""
    channels = reshaped((axis_dimension(made.shape, CHANNELS),), sizes[first : first + count])
    others = (*sizes[:first], *sizes[first + count :])
    places = reshaped((axis_dimension(made.shape, WIDTH),), others)
    return Value(made.number, made.shape, (*places[:first], *channels, *places[first:]))


def in_any_order(node: OnnxNode, convert: OnnxConverter) -> Value:
    """A layer that keeps its first input's shape, in whatever order ONNX sees that."""
    source = node.viewed(0)
    made = convert(node.on(as_held(source)))
    return Value(made.number, made.shape, source.view)


def scope_name(name: str) -> str:
    """The module in names of nodes as PyTorch's exporter writes them: "/layer1/layer1.0/conv/Conv".

    A scope is a module's name in its parent or, in a list of modules, that behind the list's.
    """
    module, outer = "", ""
    for scope in name.split("/")[1:-1]:
        inner = scope.removeprefix(outer + ".") if outer else scope
        module = f"{module}.{inner}" if module else inner
        outer = scope
    return module
