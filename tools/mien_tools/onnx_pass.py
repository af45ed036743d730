"""One pass over a model of ONNX, with inputs of known sizes: constants folded, nodes to layers."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from mien_tools.container import FormatError
from mien_tools.graph import Graph, Input, Node, Output
from mien_tools.layer import Layer, Options
from mien_tools.layers import LAYERS
from mien_tools.onnx_arithmetic import ARITHMETIC, CONVERTERS
from mien_tools.onnx_functions import OnnxGraph, find_functions
from mien_tools.onnx_node import (
    Constant,
    OnnxError,
    OnnxNode,
    Outputs,
    Value,
    in_any_order,
    is_generated,
    scope_name,
)
from mien_tools.onnx_patterns import find_gelus, simplified
from mien_tools.onnx_structure import STRUCTURE, flattened
from mien_tools.onnx_view import (
    CHANNELS,
    HEIGHT,
    WIDTH,
    Factor,
    View,
    axis_dimension,
    flat_view,
    image_view,
    is_list_of_cells,
    length,
    lengths,
    like,
    merged,
    row_view,
)
from mien_tools.shapes import Shape, shape_text

# Of nodes that are layers of Mien under their own names: attributes are options, inputs behind the
# first are tensors.
DOMAIN = "mien"

OLDEST_OPSET = 11


@dataclass(frozen=True)
class Imported:
    """A graph, the values of its tensors by name, and how ONNX sees its inputs and outputs."""

    graph: Graph
    tensors: Mapping[str, np.ndarray]
    # Names of the model's tensors on which the outputs depend.
    used: frozenset[str]
    # Without the batch, for each input: 1 for a vector, 2 for a row, 3 for an image.
    input_ranks: tuple[int, ...]
    # Names of the outputs that ONNX has as lists of cells, each with all its channels.
    lists_of_cells: frozenset[str] = frozenset()


# Of quantised models, with those that ONNX Runtime adds to ONNX's.
_QUANTISED = re.compile(r"(Dynamic)?(Quantize|Dequantize)\w*|QLinear\w+|QGemm|\w+Integer(ToFloat)?")


def is_quantised(operator: str) -> bool:
    """Whether an operator is one of whole numbers in place of floats."""
    return _QUANTISED.fullmatch(operator) is not None


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def refused_if_malformed(place: str) -> Iterator[None]:
    """Make an OnnxError of what goes wrong with nodes and tensors that ONNX does not allow.

    Attributes of another kind or number, tensors without all their values, numbers beyond all
    sizes: ONNX has too many rules to check each before it matters.
    """
    try:
        yield
    except (OnnxError, FormatError):
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise OnnxError(
            f"{place}: expected what ONNX allows, found {type(error).__name__}: {first_line(error)}"
        ) from error


class Importer:
    """What nodes need of the import of the whole model."""

    def __init__(self, where: str, opset: int, module_names: frozenset[str] | None) -> None:
        self._where = where
        self._module_names = module_names
        self.opset = opset
        self.nodes: list[Node] = []
        self.tensors: dict[str, np.ndarray] = {}
        self.shapes: list[Shape] = []
        self.input_count = 0
        # What was moved to be held as an image, by value and view.
        self._held: dict[tuple[int, View], Value | None] = {}

    def where(self, proto) -> str:
        """A node for messages: the file, the module or node, and the line of the source."""
        name = self.node_name(proto) or proto.name or (proto.output[0] if proto.output else "")
        line = _user_line(proto.doc_string)
        return f"{self._where}: node '{name}' ({proto.op_type}){line}"

    def node_name(self, proto) -> str:
        """The module that a node of PyTorch's is, or the name that it has in another's file."""
        if self._module_names is None:
            return proto.name
        module = scope_name(proto.name)
        if module not in self._module_names:
            module = re.sub(r"_\d+$", "", module)  # of a module that is called again
        return module if module in self._module_names else ""

    def add_input(self, shape: Shape) -> int:
        self.shapes.append(shape)
        self.input_count += 1
        return len(self.shapes) - 1

    def make(
        self,
        node: OnnxNode,
        record: Layer,
        options: Options,
        inputs: Sequence[Value],
        tensors: Sequence[Constant],
        view: View | None,
    ) -> Value:
        resolved = record.resolve(options)
        shapes = record.tensor_shapes(resolved)
        names = []
        for tensor, (role, shape) in zip(tensors, shapes.items(), strict=True):
            if tensor.array.size != math.prod(shape):
                raise node.fail(
                    f"{role} {shape_text(shape)}",
                    f"'{tensor.name}' {shape_text(tensor.array.shape)}",
                )
            if is_generated(tensor.name):
                tensor = node.new_tensor(role, tensor.array)
            names.append(self._add_tensor(tensor, role, tensor.array.reshape(shape)))
        shape = record.output_shape(resolved, [value.shape for value in inputs])
        name = self.node_name(node.proto) if node.is_named else ""
        if names and self._module_names is not None:
            base = names[0].rpartition(".")[0]
            name = base if base in self._module_names else name
        self.nodes.append(
            Node(
                record.kind,
                tuple(value.number for value in inputs),
                record.without_defaults(resolved),
                tuple(names),
                name,
            )
        )
        self.shapes.append(shape)
        if view is None:
            view = like(inputs[0].view, shape)
        return Value(len(self.shapes) - 1, shape, view)

    def _add_tensor(self, tensor: Constant, role: str, array: np.ndarray) -> str:
        """The name of a tensor, whose last part is its role; the same values share one."""
        base, _, last = tensor.name.rpartition(".")
        name = tensor.name if last == role else f"{base if last in _ROLES else tensor.name}.{role}"
        if name.startswith("."):
            name = f"tensor{name}"
        unique, number = name, 1
        while unique in self.tensors and not (
            self.tensors[unique].shape == array.shape
            and np.array_equal(self.tensors[unique], array)
        ):
            number += 1
            unique = f"{name.rpartition('.')[0]}_{number}.{role}"
        self.tensors[unique] = array
        return unique

    def depends(self, value: int, on: int) -> bool:
        """Whether a value was computed from another."""
        reached = {value}
        for number in range(value, max(on, self.input_count - 1), -1):
            if number in reached:
                reached.update(self.nodes[number - self.input_count].inputs)
        return on in reached

    def as_image(self, node: OnnxNode, value: Value) -> Value:
        """The value with channels, height and width each whole, moved there if a layer does."""
        view = value.view
        if view in (image_view(value.shape), flat_view(value.shape)):
            return value
        if len(view) == 2 and value.shape[1] == 1 and view == row_view(value.shape):
            return value
        key = value.number, view
        if key not in self._held:
            self._held[key] = self._moved(node, value)
        moved = self._held[key]
        if moved is None:
            raise node.fail(
                "channels before height and width, or a vector of all of them",
                f"values of an image {shape_text(value.shape)} seen as "
                f"{shape_text(lengths(view))} in another order",
            )
        return moved

    def _moved(self, node: OnnxNode, value: Value) -> Value | None:
        """The same after Flatten, Unflatten, ChannelShuffle or PixelShuffle, if one does it."""
        node = node.unnamed()
        view, (channels, height, width) = value.view, value.shape
        factors = [factor for dimension in view for factor in dimension]
        in_order = merged(factors) == merged(
            [factor for dimension in image_view(value.shape) for factor in dimension]
        )
        if in_order and len(view) == 1:
            return flattened(node, value)
        if in_order and len(view) in (2, 3):
            flat = value if (height, width) == (1, 1) else flattened(node, value)
            sizes = lengths(view) if len(view) == 3 else (length(view[0]), 1, length(view[1]))
            options = dict(zip(("channels", "height", "width"), sizes, strict=True))
            seen = image_view(sizes) if len(view) == 3 else row_view(sizes)
            return node.make(LAYERS["Unflatten"], options, [flat], view=seen)
        if len(view) == 3 and view[1:] == image_view(value.shape)[1:] and len(view[0]) == 2:
            first, second = view[0]
            if first.axis == second.axis == CHANNELS and second.stride == first.length:
                groups = second.length
                options = {"groups": groups}
                return node.make(
                    LAYERS["ChannelShuffle"], options, [value], view=image_view(value.shape)
                )
        factor = _pixel_shuffle_factor(value)
        if factor is not None:
            shape = (channels // factor**2, value.shape[1] * factor, value.shape[2] * factor)
            return node.make(
                LAYERS["PixelShuffle"], {"factor": factor}, [value], view=image_view(shape)
            )
        return _permuted(node, value)


_ROLES = ("weight", "bias", "running_mean", "running_var", "value")


def _permuted(node: OnnxNode, value: Value) -> Value | None:
    """The image that the view shows, brought into order by transposing vectors.

    As a vector an image is its factors, one inside the other. ChannelShuffle exchanges two
    neighbouring runs of them, before others if those are the places of a row.
    """
    sizes = lengths(value.view)
    if not 1 <= len(sizes) <= 3:
        return None
    wanted = [factor for dimension in value.view for factor in dimension]
    order = sorted(wanted, key=lambda factor: (factor.axis, -factor.stride))
    seen = [merged([factor for factor in order if factor.axis == axis]) for axis in range(3)]
    if tuple(seen) != image_view(value.shape):
        return None
    flat = value if value.shape[1:] == (1, 1) else flattened(node, value)
    for last in range(len(wanted) - 1, 0, -1):
        place = order.index(wanted[last])
        if place == last:
            continue
        first, second, rest = order[: place + 1], order[place + 1 : last + 1], order[last + 1 :]
        groups = length(tuple(first))
        members, places = groups * length(tuple(second)), length(tuple(rest))
        if places > 1:
            flat = _unflattened(node, flat, (members, 1, places))
        shape = (members, 1, places)
        flat = node.make(
            LAYERS["ChannelShuffle"], {"groups": groups}, [flat], view=image_view(shape)
        )
        if places > 1:
            flat = flattened(node, flat)
        order = [*second, *first, *rest]
    if len(sizes) == 1:
        return Value(flat.number, flat.shape, flat_view(flat.shape))
    if len(sizes) == 2:
        made = _unflattened(node, flat, (sizes[0], 1, sizes[1]))
        return Value(made.number, made.shape, row_view(made.shape))
    return _unflattened(node, flat, sizes)


def _unflattened(node: OnnxNode, vector: Value, sizes: Shape) -> Value:
    """A vector as an image, by a layer if it needs one."""
    if sizes == vector.shape:
        return Value(vector.number, sizes, image_view(sizes))
    options = dict(zip(("channels", "height", "width"), sizes, strict=True))
    return node.make(LAYERS["Unflatten"], options, [vector], view=image_view(sizes))


def _pixel_shuffle_factor(value: Value) -> int | None:
    """The factor of nn.PixelShuffle if the view is what it computes; else None."""
    view, channels = value.view, value.shape[0]
    if len(view) != 3 or not view[1] or view[1][-1].axis != CHANNELS:
        return None
    factor = view[1][-1].length
    if factor < 2 or channels % factor**2:
        return None
    expected = (
        merged((Factor(CHANNELS, factor**2, channels // factor**2),)),
        (*axis_dimension(value.shape, HEIGHT), Factor(CHANNELS, factor, factor)),
        (*axis_dimension(value.shape, WIDTH), Factor(CHANNELS, 1, factor)),
    )
    if channels == factor**2:
        expected = ((), *expected[1:])
    return factor if view == expected else None


def _user_line(doc_string: str) -> str:
    """ ", file:line" of the user's source that PyTorch wrote into a node, if it did."""
    for line in (doc_string or "").splitlines():
        found = re.match(r"(.+?)\((\d+)\): ", line.strip())
        if found and not any(part in found[1] for part in ("/torch/", "/mien_tools/")):
            return f", {found[1]}:{found[2]}"
    return ""


class Pass(Importer):
    """The import of a model for inputs of one size."""

    def __init__(
        self,
        model,
        where: str,
        shapes: Sequence[tuple[str, tuple[int, ...]]],
        module_names: frozenset[str] | None,
    ) -> None:
        import onnx

        opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
        opset = opsets.get("ai.onnx", 0)
        if opset < OLDEST_OPSET:
            raise OnnxError(f"{where}: opset: expected {OLDEST_OPSET} or newer, found {opset}")
        super().__init__(where, opset, module_names)
        self._model = model
        self._input_shapes = shapes
        self.values: dict[str, Value | Constant] = {}
        for entry in model.graph.initializer:
            with refused_if_malformed(f"{where}: tensor '{entry.name}'"):
                array = onnx.numpy_helper.to_array(entry)
            self.values[entry.name] = Constant(entry.name, array)
        known = OnnxGraph(model.graph, self.values)
        self._gelus = find_gelus(model.graph, known)
        functions = find_functions(model.graph, known, opset)
        self._protos = [functions.get(proto.output[0], proto) for proto in model.graph.node]

    def run(self) -> Imported:
        inputs, input_ranks = [], []
        for name, shape in self._input_shapes:
            channels, height, width = (
                shape if len(shape) == 3 else (shape[0], 1, shape[1] if len(shape) == 2 else 1)
            )
            number = self.add_input((channels, height, width))
            view = {1: flat_view, 2: row_view, 3: image_view}[len(shape)](self.shapes[number])
            self.values[name] = Value(number, self.shapes[number], view)
            inputs.append(Input(channels, height, width, name))
            input_ranks.append(len(shape))
        needed = self._needed()
        for proto in self._protos:
            if any(name in needed for name in proto.output):
                with refused_if_malformed(self.where(proto)):
                    self._convert(proto)
        outputs, lists_of_cells = [], []
        for entry in self._model.graph.output:
            found = self.values.get(entry.name)
            if not isinstance(found, Value):
                raise OnnxError(
                    f"{self._where}: output '{entry.name}': expected a value computed from the "
                    "inputs, found a constant"
                )
            if is_list_of_cells(found):
                # The order in which Mien holds it, too, so there is nothing to move.
                lists_of_cells.append(entry.name)
                output = found
            else:
                output = self._as_output(entry.name, found)
            outputs.append(Output(output.number, entry.name))
        if not self.nodes:
            raise OnnxError(f"{self._where}: expected at least one layer, found none")
        graph, tensors = simplified(
            Graph(tuple(inputs), tuple(self.nodes), tuple(outputs)), self.tensors
        )
        return Imported(
            graph, tensors, frozenset(needed), tuple(input_ranks), frozenset(lists_of_cells)
        )

    def _as_output(self, name: str, value: Value) -> Value:
        import onnx

        proto = onnx.helper.make_node("Identity", [name], [name], name=f"output {name}")
        node = OnnxNode(self, proto, [value])
        image = self.as_image(node, value)
        if image.number >= self.input_count:
            return image
        # An input that is an output is copied.
        options = {"first": 0, "count": image.shape[0]}
        return node.unnamed().make(LAYERS["Slice"], options, [image])

    def _needed(self) -> set[str]:
        """The names of values on which the outputs depend."""
        producers = {name: proto for proto in self._protos for name in proto.output}
        needed: set[str] = set()
        pending = [entry.name for entry in self._model.graph.output]
        while pending:
            name = pending.pop()
            if name in needed:
                continue
            needed.add(name)
            if name in producers:
                pending += [name for name in producers[name].input if name]
        return needed

    def _convert(self, proto) -> None:
        if is_quantised(proto.op_type):
            raise OnnxError(
                f"{self.where(proto)}: expected a network in floats, found the quantised operator "
                f"{proto.op_type}; export the fp32 network, and let --int8 quantise it"
            )
        if proto.output[0] in self._gelus.inner:
            return
        inputs: list[Value | Constant | None] = []
        for name in proto.input:
            if name in self._gelus.inner:
                inputs.append(None)  # the pattern's last node stands for all of it
                continue
            if name and name not in self.values:
                raise OnnxError(f"{self.where(proto)}: expected an input '{name}', found none")
            inputs.append(self.values[name] if name else None)
        if proto.domain not in ("", "ai.onnx", DOMAIN):
            raise OnnxError(
                f"{self.where(proto)}: expected an operator of ONNX's own domain, found domain "
                f"'{proto.domain}'"
            )
        node = OnnxNode(self, proto, inputs)
        if proto.output[0] in self._gelus.results:
            source = self.values[self._gelus.results[proto.output[0]]]
            made = in_any_order(node.on(source), lambda held: held.make(LAYERS["GELU"], {}))
            self.values[proto.output[0]] = made
            return
        if proto.op_type == "Shape":
            first = inputs[0]
            if isinstance(first, Value):
                self.values[proto.output[0]] = self._shape_of(node, first)
                return
        if all(entry is None or isinstance(entry, Constant) for entry in inputs):
            self._fold(proto, inputs)
            return
        outputs = self._apply(node)
        for name, output in zip(proto.output, outputs, strict=False):
            if name and output is not None:
                self.values[name] = output

    def _shape_of(self, node: OnnxNode, value: Value) -> Constant:
        sizes = (1, *lengths(value.view))
        first, last = node.attribute("start", 0), node.attribute("end", len(sizes))
        return Constant(node.proto.output[0], np.array(sizes[first:last], dtype=np.int64))

    def _fold(self, proto, inputs: Sequence[Constant | None]) -> None:
        """What a node computes of constants alone, by ONNX's reference."""
        import onnx
        from onnx.reference import ReferenceEvaluator

        if proto.op_type == "Identity":
            # Names of equal tensors that PyTorch wrote once.
            self.values[proto.output[0]] = Constant(proto.output[0], inputs[0].array)
            return
        graph = onnx.helper.make_graph(
            [proto],
            "constant",
            [
                onnx.helper.make_tensor_value_info(
                    name, onnx.helper.np_dtype_to_tensor_dtype(entry.array.dtype), None
                )
                for name, entry in zip(proto.input, inputs, strict=True)
                if entry is not None
            ],
            [onnx.helper.make_empty_tensor_value_info(name) for name in proto.output if name],
        )
        opsets = [onnx.helper.make_opsetid("", self.opset)]
        try:
            model = onnx.helper.make_model(graph, opset_imports=opsets)
            feeds = {
                name: entry.array for name, entry in zip(proto.input, inputs, strict=True) if entry
            }
            results = ReferenceEvaluator(model).run(None, feeds)
        except Exception as error:
            raise OnnxError(
                f"{self.where(proto)}: expected constants that it computes with, found "
                f"{first_line(error)}"
            ) from error
        names = [name for name in proto.output if name]
        source = next((entry.name for entry in inputs if entry is not None), None)
        keeps_name = proto.op_type in ("Transpose", "Reshape", "Cast", "Unsqueeze", "Squeeze")
        for name, result in zip(names, results, strict=True):
            named = source if keeps_name and source is not None and "." in source else name
            self.values[name] = Constant(named, np.asarray(result))

    def _apply(self, node: OnnxNode) -> Outputs:
        if node.proto.domain == DOMAIN:
            # ONNX's own numbers have but the digits of float32.
            options = {a.name: float(node.attribute(a.name)) for a in node.proto.attribute}
            tensors = [node.tensor(index) for index in range(1, node.input_count)]
            return [node.make(LAYERS[node.operator], options, tensors=tensors)]
        for table in (STRUCTURE, ARITHMETIC):
            if node.operator in table:
                return table[node.operator](node)
        if node.operator not in CONVERTERS:
            raise node.fail(f"one of the operators {', '.join(known_operators())}", node.operator)
        record, convert = CONVERTERS[node.operator]
        if record.is_elementwise:
            source = node.viewed(0)
            if source.view not in (image_view(source.shape), flat_view(source.shape)):
                return [in_any_order(node, convert)]
        return [convert(node)]


def known_operators() -> list[str]:
    """The operators that can be imported, in alphabetical order."""
    return sorted({*STRUCTURE, *ARITHMETIC, *CONVERTERS, "Shape"})
