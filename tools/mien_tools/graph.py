"""A network as data: layers, and what each of them takes.

Values have numbers: the network's inputs are values 0, 1, ...; node n's output is value (number of
inputs + n). A node takes only values that come before its own, so nodes can run in their order.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mien_tools.container import FormatError
from mien_tools.layer import Layer, LayerError
from mien_tools.layers import LAYERS
from mien_tools.shapes import Shape, shape_text

if TYPE_CHECKING:
    from torch import Tensor

# The largest number of channels, input side and face size.
LARGEST_SIDE = 1 << 16


@dataclass(frozen=True)
class Input:
    """An input; height and width None: any."""

    channels: int
    height: int | None = None
    width: int | None = None
    name: str = "input"

    @property
    def shape(self) -> Shape:
        return self.channels, self.height, self.width


@dataclass(frozen=True)
class Output:
    """A value that the network puts out."""

    value: int
    name: str = "output"


@dataclass(frozen=True)
class Node:
    """A layer of a network: its kind, the values and, by name, the tensors it takes.

    `name` is that of what it was in PyTorch, if it was a module. Options with a default may be left
    out.
    """

    layer: str
    inputs: tuple[int, ...]
    options: Mapping[str, float] = field(default_factory=dict)
    tensors: tuple[str, ...] = ()
    name: str = ""

    @property
    def record(self) -> Layer:
        return LAYERS[self.layer]

    @property
    def resolved(self) -> dict[str, float]:
        """All options, with those that are left out."""
        return self.record.resolve(self.options)

    @property
    def label(self) -> str:
        """For people: its name, or its kind where it has none."""
        return self.name or self.layer

    @property
    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Role and shape of the tensors, in order."""
        return self.record.tensor_shapes(self.resolved)

    def run(
        self, inputs: Sequence["Tensor"], tensors: Mapping[str, "Tensor | OwnProducts"]
    ) -> "Tensor":
        """What PyTorch computes for batches of images."""
        own = [tensors[name] for name in self.tensors]
        if own and isinstance(own[0], OwnProducts):
            return own[0].output(self, inputs[0], own[1:])
        return self.record.reference(self.resolved, inputs, own)


class OwnProducts(ABC):
    """A weight that computes its layer by itself, as one in 8 bits does."""

    @abstractmethod
    def output(self, node: Node, inputs: "Tensor", bias: Sequence["Tensor"]) -> "Tensor":
        """What the node puts out; `bias` holds one or none."""


@dataclass(frozen=True)
class Graph:
    """A network without its tensors' values."""

    inputs: tuple[Input, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]

    def value_of(self, node: int) -> int:
        """The number of a node's output."""
        return len(self.inputs) + node

    def uses(self) -> list[int]:
        """For each value, how many nodes and outputs take it."""
        counts = [0] * (len(self.inputs) + len(self.nodes))
        for node in self.nodes:
            for value in node.inputs:
                counts[value] += 1
        for output in self.outputs:
            counts[output.value] += 1
        return counts

    def shapes(self, sizes: Sequence[Shape] | None = None, where: str = "network") -> list[Shape]:
        """The shape of every value, for inputs of `sizes` (default: their own).

        Raises FormatError, beginning with `where`, at the first node whose options or inputs do not
        fit.
        """
        shapes = list(sizes or (entry.shape for entry in self.inputs))
        for index, node in enumerate(self.nodes):
            try:
                inputs = [shapes[value] for value in node.inputs]
                shapes.append(node.record.output_shape(node.resolved, inputs))
            except LayerError as error:
                raise FormatError(f"{where}: {self.describe(index)}: {error}") from None
        return shapes

    def output_shapes(self, sizes: Sequence[Shape] | None = None) -> list[Shape]:
        shapes = self.shapes(sizes)
        return [shapes[output.value] for output in self.outputs]

    @property
    def parameter_count(self) -> int:
        """Number of trainable values, as C++ types count them: those of a module used twice, twice.

        Running statistics do not count, as in PyTorch.
        """
        return sum(node_parameters(node) for node in self.nodes)

    def multiply_adds(self, sizes: Sequence[Shape] | None = None) -> int:
        """How many the network needs for one input of a given size."""
        shapes = self.shapes(sizes)
        return sum(
            node.record.multiply_adds(
                node.resolved,
                [shapes[value] for value in node.inputs],
                shapes[self.value_of(index)],
            )
            for index, node in enumerate(self.nodes)
        )

    def describe(self, node: int) -> str:
        """Where a node stands, for messages."""
        name = f" '{self.nodes[node].name}'" if self.nodes[node].name else ""
        return f"node {node}{name} ({self.nodes[node].layer})"

    def check(self, where: str, tensors: Mapping[str, tuple[int, ...]]) -> None:
        """Raise FormatError, beginning with `where`, unless the network can run on these tensors.

        `tensors` are their shapes by their names.
        """
        if not self.inputs:
            raise FormatError(f"{where}: inputs: expected at least one, found none")
        if not self.outputs:
            raise FormatError(f"{where}: outputs: expected at least one, found none")
        for entry in self.inputs:
            _check_input(f"{where}: input '{entry.name}'", entry)
        require_distinct(where, "input", [entry.name for entry in self.inputs])
        require_distinct(where, "output", [output.name for output in self.outputs])
        taken: set[str] = set()
        for index in range(len(self.nodes)):
            self._check_node(index, f"{where}: {self.describe(index)}", tensors)
            taken.update(self.nodes[index].tensors)
        values = self.value_of(len(self.nodes))
        for output in self.outputs:
            if not 0 <= output.value < values:
                raise FormatError(
                    f"{where}: output '{output.name}': expected a value below {values}, "
                    f"found {output.value}"
                )
        for name in tensors:
            if name not in taken:
                raise FormatError(
                    f"{where}: tensor '{name}': expected a node that takes it, found none"
                )
        self.shapes(where=where)

    def _check_node(self, index: int, where: str, tensors: Mapping[str, tuple[int, ...]]) -> None:
        """All but how its inputs' shapes fit."""
        node = self.nodes[index]
        if node.layer not in LAYERS:
            raise FormatError(
                f"{where}: layer: expected one of {', '.join(LAYERS)}, found '{node.layer}'"
            )
        record = node.record
        try:
            shapes = record.tensor_shapes(record.resolve(node.options))
        except LayerError as error:
            raise FormatError(f"{where}: {error}") from None
        if not record.fewest_inputs <= len(node.inputs) <= record.most_inputs:
            more = " or more" if record.most_inputs > record.fewest_inputs else ""
            raise FormatError(
                f"{where}: inputs: expected {record.fewest_inputs}{more}, found {len(node.inputs)}"
            )
        for value in node.inputs:
            if not 0 <= value < self.value_of(index):
                raise FormatError(
                    f"{where}: input: expected a value below {self.value_of(index)}, its own, "
                    f"found {value}"
                )
        if len(node.tensors) != len(shapes):
            roles = f" ({', '.join(shapes)})" if shapes else ""
            raise FormatError(
                f"{where}: tensors: expected {len(shapes)}{roles}, found {len(node.tensors)}"
            )
        for name, (role, shape) in zip(node.tensors, shapes.items(), strict=True):
            if name not in tensors:
                raise FormatError(f"{where}: {role}: expected a tensor '{name}', found none")
            if name.rpartition(".")[2] != role or tensors[name] != shape:
                raise FormatError(
                    f"{where}: expected {role} {shape_text(shape)}, found tensor '{name}' "
                    f"{shape_text(tensors[name])}"
                )

    def run(
        self, inputs: Sequence["Tensor"], tensors: Mapping[str, "Tensor | OwnProducts"]
    ) -> Iterator[tuple[Node, "Tensor"]]:
        """Every node and what PyTorch computes for it, batches of images; one after another."""
        values = list(inputs)
        for node in self.nodes:
            values.append(node.run([values[value] for value in node.inputs], tensors))
            yield node, values[-1]

    def run_outputs(
        self, inputs: Sequence["Tensor"], tensors: Mapping[str, "Tensor | OwnProducts"]
    ) -> list["Tensor"]:
        """What PyTorch computes for the outputs."""
        values = [*inputs, *(value for _, value in self.run(inputs, tensors))]
        return [values[output.value] for output in self.outputs]


def node_parameters(node: Node) -> int:
    """Number of a node's trainable values."""
    count = 0
    for role, shape in node.tensor_shapes.items():
        if not role.startswith("running_"):
            size = 1
            for length in shape:
                size *= length
            count += size
    return count


def _check_input(where: str, entry: Input) -> None:
    sizes = (entry.channels, entry.height, entry.width)
    if entry.height is None and entry.width is None:
        sizes = sizes[:1]
    if not all(size is not None and 1 <= size <= LARGEST_SIDE for size in sizes):
        raise FormatError(
            f"{where}: expected channels, height and width of 1 to {LARGEST_SIDE}, or any height "
            f"and width, found {shape_text(entry.shape)}"
        )


def require_distinct(where: str, what: str, texts: Sequence[str]) -> None:
    """Raise FormatError unless all texts differ and none is empty."""
    seen = set()
    for text in texts:
        if not text:
            raise FormatError(f"{where}: {what}: expected a text, found an empty one")
        if text in seen:
            raise FormatError(f"{where}: {what}: expected distinct ones, found '{text}' twice")
        seen.add(text)
