"""Writes and reads .mien weight files; prints one, or turns one back into a checkpoint.

    python -m mien_tools.weights FILE.mien
    python -m mien_tools.weights FILE.mien --to-checkpoint OUT.pt

The layout stands at the top of include/mien/weights.hpp. The reader here is strict: what it
accepts, written again, gives the same bytes.
"""

import argparse
import math
import os
import struct
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mien_tools import container
from mien_tools.commands import exit_status
from mien_tools.container import FormatError
from mien_tools.graph import LARGEST_SIDE, Graph, Input, Node, Output, require_distinct
from mien_tools.shapes import Shape, shape_text

KIND = "MIEN"
VERSION = 2
MOST_ENDS = 64  # inputs, and outputs

# Blocks of data start at multiples of this many bytes.
ALIGNMENT = 64
LARGEST_RANK = 4
LARGEST_DIMENSION = (1 << 31) - 1

# Of the vectors' largest output; float32 sums of many terms stay well below.
TOLERANCE = 1e-3

# The bytes of int8 weights, and of those whose products are of 8 bits: pairs of the latter's fit
# into 16 bits.
LARGEST_BYTE = 127
LARGEST_PRODUCT_BYTE = 64
LARGEST_ZERO_POINT = 255
_LARGEST_SUM = (1 << 31) - 1

_TYPES = (np.dtype("<f4"), np.dtype("<f2"), np.dtype("i1"))
_TYPE_NAMES = ("fp32", "fp16", "int8")
_INT8 = 2
_STORED, _PATTERN = 0, 1


@dataclass(frozen=True)
class Preprocessing:
    """How a face becomes a network's input, and its outputs probabilities.

    A face is brought to `face_size` pixels square (0: the input is no face), its histogram is
    equalised if `equalize_histogram` says so, crops of the input's size are taken from it, and
    input value = (pixel / 255 - mean) / standard_deviation, with a mean and a deviation for each
    channel. Probabilities are softmax(outputs / temperature).
    """

    face_size: int = 0
    mean: tuple[float, ...] = (0.0,)
    standard_deviation: tuple[float, ...] = (1.0,)
    temperature: float = 1.0
    equalize_histogram: bool = False

    def check(self, name: str, entry: Input) -> None:
        """Raise FormatError, beginning with `name`, if a value does not fit the network's input."""
        if not 0 <= self.face_size <= LARGEST_SIDE:
            raise FormatError(
                f"{name}: face size: expected 0 to {LARGEST_SIDE}, found {self.face_size}"
            )
        sides = (entry.height or 0, entry.width or 0)
        if self.face_size and not max(sides) <= self.face_size <= 4 * max(sides):
            raise FormatError(
                f"{name}: face size: expected 0 or at least the input's height and width, and at "
                f"most four times as much, found {self.face_size} for {sides[0]} x {sides[1]}"
            )
        for label, values in (("mean", self.mean), ("standard deviation", self.standard_deviation)):
            if len(values) != entry.channels:
                raise FormatError(
                    f"{name}: {label}: expected {entry.channels}, one for each channel, "
                    f"found {len(values)}"
                )
        for value in self.mean:
            if not math.isfinite(_as_stored(value)):
                raise FormatError(f"{name}: mean: expected a finite number, found {value}")
        for value in self.standard_deviation:
            _require_positive(name, "standard deviation", value)
        _require_positive(name, "temperature", self.temperature)


def gray(face_size: int, mean: float = 0.0, standard_deviation: float = 1.0, **others):
    """The preprocessing of a network that takes one channel."""
    return Preprocessing(face_size, (mean,), (standard_deviation,), **others)


@dataclass(frozen=True, eq=False)
class Int8Values:
    """A tensor in 8 bits: element = byte * scale of its index in the first dimension.

    `data` are int8 of two dimensions or more, `scales` float32, one for each index of the first.
    With an `input_scale` of 0 only the stored weights are in 8 bits. With another one the layer
    rounds its input as well, to (q - `input_zero_point`) * `input_scale` with q from 0 to 255, and
    adds products of whole numbers.
    """

    data: np.ndarray
    scales: np.ndarray
    input_scale: float = 0.0
    input_zero_point: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def has_products(self) -> bool:
        """Whether the layer multiplies whole numbers."""
        return self.input_scale > 0

    def widened(self) -> np.ndarray:
        """The elements in float32."""
        scales = self.scales.astype(np.float32).reshape(-1, *(1,) * (self.data.ndim - 1))
        return self.data.astype(np.float32) * scales


@dataclass(frozen=True, eq=False)
class NamedTensor:
    """A tensor under its state_dict name; float32, float16 or int8 values say how it is stored."""

    name: str
    values: np.ndarray | Int8Values

    def widened(self) -> np.ndarray:
        """The elements, those in 8 bits in float32."""
        return self.values.widened() if isinstance(self.values, Int8Values) else self.values


@dataclass(frozen=True)
class Pattern:
    """A test image by rule: patches of pseudo-random bytes, `patch` pixels square."""

    height: int
    width: int
    seed: int
    patch: int

    def pixels(self, channels: int) -> np.ndarray:
        """Bytes [channels, height, width]."""
        rows, columns = -(-self.height // self.patch), -(-self.width // self.patch)
        index = np.arange(channels * rows * columns, dtype=np.uint32) + np.uint32(self.seed)
        index ^= index >> np.uint32(16)
        index *= np.uint32(0x85EBCA6B)
        index ^= index >> np.uint32(13)
        index *= np.uint32(0xC2B2AE35)
        index ^= index >> np.uint32(16)
        patches = (index >> np.uint32(24)).astype(np.uint8).reshape(channels, rows, columns)
        enlarged = patches.repeat(self.patch, axis=1).repeat(self.patch, axis=2)
        return enlarged[:, : self.height, : self.width]


@dataclass(frozen=True, eq=False)
class OutputSample:
    """Values 0, stride, 2 stride, ... of an output in C, H, W order, float32."""

    values: np.ndarray
    stride: int = 1


@dataclass(frozen=True, eq=False)
class TestVector:
    """What goes into each input, float32 [channels, height, width] or a pattern, and comes out."""

    __test__ = False  # no class of tests

    inputs: tuple[np.ndarray | Pattern, ...]
    outputs: tuple[OutputSample, ...]

    def sizes(self, graph: Graph) -> list[Shape]:
        """The shapes of the inputs."""
        return [
            (entry.channels, source.height, source.width)
            if isinstance(source, Pattern)
            else source.shape
            for entry, source in zip(graph.inputs, self.inputs, strict=True)
        ]

    def input_values(self, graph: Graph, preprocessing: Preprocessing) -> list[np.ndarray]:
        """The inputs, float32 [channels, height, width]."""
        values = []
        for index, (entry, source) in enumerate(zip(graph.inputs, self.inputs, strict=True)):
            if isinstance(source, Pattern):
                # Preprocessing is that of the first input.
                how = preprocessing if index == 0 else Preprocessing(0, (0.0,), (1.0,))
                mean, deviation = (
                    np.array(numbers, np.float32).reshape(-1, 1, 1)
                    for numbers in (how.mean, how.standard_deviation)
                )
                pixels = source.pixels(entry.channels).astype(np.float32)
                source = (pixels / np.float32(255) - mean) / deviation
            values.append(source)
        return values


def sampled(values: np.ndarray, stride: int) -> np.ndarray:
    """Every `stride`-th value of an output."""
    return values.reshape(-1)[::stride]


@dataclass(frozen=True, eq=False)
class WeightFile:
    """The contents of a .mien file."""

    network: str
    graph: Graph
    tensors: tuple[NamedTensor, ...]
    labels: tuple[str, ...] = ()
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    vectors: tuple[TestVector, ...] = ()
    # How many vectors, the first, are replayed when the file is loaded.
    replayed: int = 0
    tolerance: float = TOLERANCE

    def encode(self) -> bytes:
        """The file's bytes. Raises FormatError if the contents break the format's rules."""
        self.check(self.network or "weight file")
        # The header's size does not depend on the offsets in it, so a first pass measures it.
        blocks = self._blocks()
        header_size = container.HEADER_SIZE + len(self._header([0] * len(blocks)))
        offsets = _block_offsets(header_size, [len(block) for block in blocks])
        data = bytearray(self._header(offsets))
        for offset, block in zip(offsets, blocks, strict=True):
            data += bytes(offset - container.HEADER_SIZE - len(data))
            data += block
        return container.seal(KIND, VERSION, bytes(data))

    def write(self, path: str | os.PathLike) -> None:
        """Write the file atomically."""
        container.write_atomically(path, self.encode())

    def stored(self) -> dict[str, np.ndarray | Int8Values]:
        """The tensors by name, as they are stored."""
        return {tensor.name: tensor.values for tensor in self.tensors}

    def values(self) -> dict[str, np.ndarray]:
        """The tensors by name, those in 8 bits as float32."""
        return {tensor.name: tensor.widened() for tensor in self.tensors}

    def check(self, name: str) -> None:
        """Raise FormatError, beginning with `name`, if the contents break the format's rules."""
        if not self.network:
            raise FormatError(f"{name}: network: expected a name, found none")
        require_distinct(name, "tensor name", [tensor.name for tensor in self.tensors])
        for tensor in self.tensors:
            _check_tensor(f"{name}: tensor '{tensor.name}'", tensor.values)
        self.graph.check(name, {tensor.name: tensor.values.shape for tensor in self.tensors})
        self._check_products(name)
        self._check_labels(name)
        self.preprocessing.check(name, self.graph.inputs[0])
        _require_positive(name, "tolerance of the test vectors", self.tolerance)
        if not 0 <= self.replayed <= len(self.vectors):
            raise FormatError(
                f"{name}: replayed vectors: expected at most {len(self.vectors)}, "
                f"found {self.replayed}"
            )
        for index, vector in enumerate(self.vectors):
            self._check_vector(f"{name}: test vector {index}", vector)

    def _check_products(self, name: str) -> None:
        """Only some layers have products in 8 bits."""
        products = {
            tensor.name: tensor.values.shape
            for tensor in self.tensors
            if isinstance(tensor.values, Int8Values) and tensor.values.has_products
        }
        for index, node in enumerate(self.graph.nodes):
            for tensor in node.tensors:
                misfit = products_misfit(node, products[tensor]) if tensor in products else None
                if misfit is not None:
                    raise FormatError(f"{name}: {self.graph.describe(index)}: {tensor}: {misfit}")

    def _check_labels(self, name: str) -> None:
        require_distinct(name, "label", self.labels)
        for index, label in enumerate(self.labels):
            if any(unicodedata.category(letter) == "Cc" for letter in label):
                raise FormatError(
                    f"{name}: label {index}: expected a text without control characters, "
                    f"found {label!r}"
                )
        shape = self.graph.output_shapes()[0]
        if self.labels and (None in shape or len(self.labels) != math.prod(shape)):
            raise FormatError(
                f"{name}: labels: expected none, or one for each value of the first output "
                f"({shape_text(shape)}), found {len(self.labels)}"
            )
        if not self.labels and self.preprocessing.temperature != 1:
            raise FormatError(
                f"{name}: temperature: expected 1 for a network without labels, "
                f"found {self.preprocessing.temperature:g}"
            )

    def _check_vector(self, where: str, vector: TestVector) -> None:
        graph = self.graph
        for what, expected, found in (
            ("inputs", graph.inputs, vector.inputs),
            ("outputs", graph.outputs, vector.outputs),
        ):
            if len(expected) != len(found):
                raise FormatError(f"{where}: {what}: expected {len(expected)}, found {len(found)}")
        sizes = vector.sizes(graph)
        for entry, source, size in zip(graph.inputs, vector.inputs, sizes, strict=True):
            _check_vector_input(f"{where}, input '{entry.name}'", entry, source, size)
        shapes = graph.shapes(sizes, where)
        for output, sample in zip(graph.outputs, vector.outputs, strict=True):
            _check_sample(f"{where}, output '{output.name}'", sample, shapes[output.value])

    def _blocks(self) -> list[bytes]:
        """What lies in the data part, in its order."""
        blocks = [_tensor_bytes(tensor.values) for tensor in self.tensors]
        for vector in self.vectors:
            arrays = [source for source in vector.inputs if not isinstance(source, Pattern)]
            arrays += [sample.values for sample in vector.outputs]
            blocks += map(_array_bytes, arrays)
        return blocks

    def _header(self, offsets: list[int]) -> bytes:
        """Everything between the seal and the data."""
        remaining = iter(offsets)
        header = container.string(self.network) + _graph_bytes(self.graph, self.tensors)
        header += struct.pack("<I", len(self.tensors))
        for tensor in self.tensors:
            shape = tensor.values.shape
            header += container.string(tensor.name)
            header += struct.pack("<BB", _type_code(tensor.values), len(shape))
            header += struct.pack(f"<{len(shape)}I", *shape)
            if isinstance(tensor.values, Int8Values):
                values = tensor.values
                header += struct.pack("<fB", values.input_scale, values.input_zero_point)
            header += struct.pack("<Q", next(remaining))
        header += struct.pack("<I", len(self.labels))
        header += b"".join(container.string(label) for label in self.labels)
        how = self.preprocessing
        header += struct.pack("<fIB", how.temperature, how.face_size, how.equalize_histogram)
        numbers = (*how.mean, *how.standard_deviation)
        header += struct.pack(f"<{len(numbers)}f", *numbers)
        header += struct.pack("<fII", self.tolerance, len(self.vectors), self.replayed)
        for vector in self.vectors:
            for source, (_, height, width) in zip(
                vector.inputs, vector.sizes(self.graph), strict=True
            ):
                header += struct.pack("<II", height, width)
                if isinstance(source, Pattern):
                    header += struct.pack("<BII", _PATTERN, source.seed, source.patch)
                else:
                    header += struct.pack("<BQ", _STORED, next(remaining))
            for sample in vector.outputs:
                header += struct.pack("<IIQ", sample.stride, sample.values.size, next(remaining))
        return header


def _array_bytes(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def _tensor_bytes(values: np.ndarray | Int8Values) -> bytes:
    """A tensor's block of data: before bytes their scales."""
    if isinstance(values, Int8Values):
        return _array_bytes(values.scales) + _array_bytes(values.data)
    return _array_bytes(values)


def _graph_bytes(graph: Graph, tensors: tuple[NamedTensor, ...]) -> bytes:
    """Inputs, nodes and outputs."""
    indices = {tensor.name: index for index, tensor in enumerate(tensors)}
    data = struct.pack("<I", len(graph.inputs))
    for entry in graph.inputs:
        data += container.string(entry.name)
        data += struct.pack("<III", entry.channels, entry.height or 0, entry.width or 0)
    data += struct.pack("<I", len(graph.nodes))
    for node in graph.nodes:
        data += container.string(node.layer) + container.string(node.name)
        data += struct.pack("<B", len(node.options))
        for name, value in node.options.items():
            data += container.string(name) + struct.pack("<d", value)
        data += struct.pack(f"<H{len(node.inputs)}I", len(node.inputs), *node.inputs)
        own = [indices[name] for name in node.tensors]
        data += struct.pack(f"<H{len(own)}I", len(own), *own)
    data += struct.pack("<I", len(graph.outputs))
    for output in graph.outputs:
        data += container.string(output.name) + struct.pack("<I", output.value)
    return data


def decode(data: bytes, name: str = "weights in memory") -> WeightFile:
    """Parse a file's bytes; raises FormatError, beginning with `name`, at the first flaw."""
    container.unseal(data, KIND, VERSION, name)
    fields = _Fields(data, name)
    network = fields.string("network")
    inputs = tuple(_read_input(fields) for _ in range(fields.count("number of inputs", MOST_ENDS)))
    nodes = [_read_node(fields, index) for index in range(fields.u32("number of nodes"))]
    outputs = []
    for _ in range(fields.count("number of outputs", MOST_ENDS)):
        output = fields.string("output's name")
        outputs.append(Output(fields.u32(f"output '{output}', value"), output))

    blocks = _Blocks(fields)
    names, in_bytes = [], []
    for _ in range(fields.u32("number of tensors")):
        names.append(fields.string("tensor name"))
        in_bytes.append(_read_tensor_description(fields, names[-1], blocks))
    labels = tuple(fields.string("label") for _ in range(fields.u32("number of labels")))
    preprocessing = _read_preprocessing(fields, inputs[0].channels if inputs else 0)
    tolerance = fields.f32("tolerance of the test vectors")
    vector_count = fields.u32("number of test vectors")
    replayed = fields.u32("number of replayed vectors")
    vectors = [
        _read_vector(fields, f"test vector {index}", inputs, outputs, blocks)
        for index in range(vector_count)
    ]

    arrays = blocks.read()
    file = WeightFile(
        network,
        Graph(
            inputs,
            tuple(_with_tensor_names(fields, *node, names) for node in enumerate(nodes)),
            tuple(outputs),
        ),
        tuple(
            NamedTensor(name, block if how is None else how.values(block))
            for name, how, block in zip(names, in_bytes, arrays, strict=False)
        ),
        labels,
        preprocessing,
        tuple(
            TestVector(
                tuple(arrays[s] if isinstance(s, int) else s for s in sources),
                tuple(OutputSample(arrays[block], stride) for stride, block in samples),
            )
            for sources, samples in vectors
        ),
        replayed,
        tolerance,
    )
    file.check(name)
    return file


def read(path: str | os.PathLike) -> WeightFile:
    """Read a .mien file; raises OSError or FormatError."""
    return decode(Path(path).read_bytes(), str(path))


class _Fields:
    """Takes fields from a file in order; what is missing is a FormatError that names the field."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        self.position = container.HEADER_SIZE

    def fail(self, message: str) -> FormatError:
        return FormatError(f"{self.name}: {message}")

    def take(self, count: int, field: str) -> bytes:
        found = len(self.data) - self.position
        if count > found:
            raise self.fail(
                f"{field}: expected {count} more bytes at offset {self.position}, found {found}"
            )
        self.position += count
        return self.data[self.position - count : self.position]

    def _number(self, code: str, field: str) -> int | float:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code), field))[0]

    def u8(self, field: str) -> int:
        return self._number("B", field)

    def u16(self, field: str) -> int:
        return self._number("H", field)

    def u32(self, field: str) -> int:
        return self._number("I", field)

    def u64(self, field: str) -> int:
        return self._number("Q", field)

    def count(self, field: str, most: int) -> int:
        count = self.u32(field)
        if not 1 <= count <= most:
            raise self.fail(f"{field}: expected 1 to {most}, found {count}")
        return count

    def f32(self, field: str) -> float:
        return self._number("f", field)

    def f64(self, field: str) -> float:
        return self._number("d", field)

    def string(self, field: str) -> str:
        text = self.take(self.u16(field), field)
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fail(f"{field}: expected UTF-8, found {text!r}") from error


class _Blocks:
    """The data part: what the header says of its blocks, and then what is in them."""

    def __init__(self, fields: _Fields) -> None:
        self.fields = fields
        self.described: list[tuple[str, np.dtype, tuple[int, ...], int]] = []

    def describe(self, where: str, dtype: np.dtype, shape: tuple[int, ...], offset: int) -> int:
        """Note the next block; its number."""
        self.described.append((where, dtype, shape, offset))
        return len(self.described) - 1

    def read(self) -> list[np.ndarray]:
        """Every block where it must be, zeros between, nothing after the last."""
        fields = self.fields
        sizes = [math.prod(shape) * dtype.itemsize for _, dtype, shape, _ in self.described]
        expected_offsets = _block_offsets(fields.position, sizes)
        arrays = []
        for (where, dtype, shape, offset), size, expected in zip(
            self.described, sizes, expected_offsets, strict=True
        ):
            if offset != expected:
                raise fields.fail(f"{where}, offset: expected {expected}, found {offset}")
            before = f"{where}, zero bytes before it"
            gap = fields.take(offset - fields.position, before).lstrip(b"\0")
            if gap:
                raise fields.fail(
                    f"{where}: expected zero bytes before it, found {gap[0]:#04x} at offset "
                    f"{offset - len(gap)}"
                )
            arrays.append(np.frombuffer(fields.take(size, where), dtype).reshape(shape))
        trailing = len(fields.data) - fields.position
        if trailing:
            raise fields.fail(
                f"expected the end at offset {fields.position}, found {trailing} more bytes"
            )
        return arrays


def _read_input(fields: _Fields) -> Input:
    name = fields.string("input's name")
    channels, height, width = (
        fields.u32(f"input '{name}', {size}") for size in ("channels", "height", "width")
    )
    # As many means and deviations follow.
    if not 1 <= channels <= LARGEST_SIDE:
        raise fields.fail(
            f"input '{name}', channels: expected 1 to {LARGEST_SIDE}, found {channels}"
        )
    return Input(channels, height or None, width or None, name)


def _read_node(fields: _Fields, index: int) -> tuple[Node, list[int]]:
    """A node without the names of its tensors, and their indices."""
    layer = fields.string(f"node {index}, layer")
    name = fields.string(f"node {index}, name")
    where = f"node {index}{f' {name!r}' if name else ''} ({layer})"
    options: dict[str, float] = {}
    for _ in range(fields.u8(f"{where}, number of options")):
        option = fields.string(f"{where}, name of an option")
        if option in options:
            raise fields.fail(f"{where}: option {option}: expected it once, found it twice")
        options[option] = fields.f64(f"{where}, option {option}")
    inputs = _read_indices(fields, f"{where}, input")
    tensors = _read_indices(fields, f"{where}, tensor")
    return Node(layer, tuple(inputs), options, name=name), tensors


def _read_indices(fields: _Fields, what: str) -> list[int]:
    return [fields.u32(what) for _ in range(fields.u16(f"{what}s"))]


def _with_tensor_names(
    fields: _Fields, index: int, read: tuple[Node, list[int]], names: list[str]
) -> Node:
    node, tensors = read
    for tensor in tensors:
        if tensor >= len(names):
            raise fields.fail(
                f"node {index} ({node.layer}), tensor: expected an index below {len(names)}, "
                f"found {tensor}"
            )
    own = tuple(names[tensor] for tensor in tensors)
    return Node(node.layer, node.inputs, node.options, own, node.name)


@dataclass(frozen=True)
class _Int8Description:
    """What stands in the header of a tensor in 8 bits."""

    shape: tuple[int, ...]
    input_scale: float
    input_zero_point: int

    @property
    def scale_bytes(self) -> int:
        return self.shape[0] * _TYPES[0].itemsize

    @property
    def size(self) -> int:
        """Of its block of data, in bytes."""
        return self.scale_bytes + math.prod(self.shape)

    def values(self, block: np.ndarray) -> Int8Values:
        return Int8Values(
            block[self.scale_bytes :].reshape(self.shape),
            block[: self.scale_bytes].view(_TYPES[0]),
            self.input_scale,
            self.input_zero_point,
        )


def _read_tensor_description(
    fields: _Fields, tensor: str, blocks: _Blocks
) -> _Int8Description | None:
    """Type, shape and offset of a tensor, and what else there is to one in 8 bits."""
    where = f"tensor '{tensor}'"
    code = fields.u8(f"{where}, type")
    if code >= len(_TYPES):
        raise fields.fail(f"{where}, type: expected 0 (fp32), 1 (fp16) or 2 (int8), found {code}")
    rank = fields.u8(f"{where}, rank")
    if not 1 <= rank <= LARGEST_RANK:
        raise fields.fail(f"{where}, rank: expected 1 to {LARGEST_RANK}, found {rank}")
    shape = tuple(fields.u32(f"{where}, shape") for _ in range(rank))
    how = None
    if code == _INT8:
        scale, zero = fields.f32(f"{where}, input scale"), fields.u8(f"{where}, input zero point")
        how = _Int8Description(shape, scale, zero)
    stored = shape if how is None else (how.size,)
    blocks.describe(where, _TYPES[code], stored, fields.u64(f"{where}, offset"))
    return how


def _read_preprocessing(fields: _Fields, channels: int) -> Preprocessing:
    temperature = fields.f32("temperature")
    face_size = fields.u32("face size")
    equalize = fields.u8("histogram equalisation")
    if equalize > 1:
        raise fields.fail(f"histogram equalisation: expected 0 or 1, found {equalize}")
    mean = tuple(fields.f32("mean") for _ in range(channels))
    deviation = tuple(fields.f32("standard deviation") for _ in range(channels))
    return Preprocessing(face_size, mean, deviation, temperature, bool(equalize))


def _read_vector(
    fields: _Fields,
    where: str,
    inputs: Sequence[Input],
    outputs: Sequence[Output],
    blocks: _Blocks,
) -> tuple[list[Pattern | int], list[tuple[int, int]]]:
    """Inputs: a pattern or the number of a block; outputs: stride and number of a block."""
    sources: list[Pattern | int] = []
    for entry in inputs:
        place = f"{where}, input '{entry.name}'"
        height, width = fields.u32(f"{place}, height"), fields.u32(f"{place}, width")
        how = fields.u8(f"{place}, how")
        if how == _PATTERN:
            seed, patch = fields.u32(f"{place}, seed"), fields.u32(f"{place}, patch")
            sources.append(Pattern(height, width, seed, patch))
        elif how == _STORED:
            shape = (entry.channels, height, width)
            offset = fields.u64(f"{place}, offset")
            sources.append(blocks.describe(place, _TYPES[0], shape, offset))
        else:
            raise fields.fail(f"{place}, how: expected 0 (stored) or 1 (pattern), found {how}")
    samples = []
    for output in outputs:
        place = f"{where}, output '{output.name}'"
        stride, count = fields.u32(f"{place}, stride"), fields.u32(f"{place}, number of values")
        offset = fields.u64(f"{place}, offset")
        samples.append((stride, blocks.describe(place, _TYPES[0], (count,), offset)))
    return sources, samples


def _block_offsets(header_end: int, sizes: list[int]) -> list[int]:
    """Where blocks of these sizes start in a file whose header ends at `header_end`."""
    offsets = []
    end = header_end
    for size in sizes:
        offsets.append(-(-end // ALIGNMENT) * ALIGNMENT)
        end = offsets[-1] + size
    return offsets


def _as_stored(number: float) -> float:
    """A number as float32 holds it."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.float32(number))


def _require_positive(name: str, label: str, value: float) -> None:
    if not (math.isfinite(_as_stored(value)) and _as_stored(value) > 0):
        raise FormatError(f"{name}: {label}: expected a positive number, found {value}")


def _type_code(values: np.ndarray | Int8Values) -> int:
    if isinstance(values, Int8Values):
        return _INT8
    return _TYPES.index(values.dtype.newbyteorder("<"))


def _check_tensor(where: str, values: np.ndarray | Int8Values) -> None:
    in_bytes = isinstance(values, Int8Values)
    if not in_bytes and values.dtype.newbyteorder("<") not in _TYPES[:_INT8]:
        raise FormatError(f"{where}: type: expected float32 or float16, found {values.dtype}")
    least = 2 if in_bytes else 1
    rank = len(values.shape)
    if not least <= rank <= LARGEST_RANK:
        what = " of a tensor in 8 bits" if in_bytes else ""
        raise FormatError(f"{where}: rank{what}: expected {least} to {LARGEST_RANK}, found {rank}")
    if not all(1 <= size <= LARGEST_DIMENSION for size in values.shape):
        found = shape_text(values.shape)
        raise FormatError(f"{where}: shape: expected sizes from 1, found {found}")
    if in_bytes:
        _check_int8(where, values)
    else:
        _require_finite(where, values)


def _check_int8(where: str, values: Int8Values) -> None:
    """All but the shape of a tensor in 8 bits."""
    scale, zero_point = _as_stored(values.input_scale), values.input_zero_point
    if not (math.isfinite(scale) and scale >= 0) or (scale == 0) != (values.input_scale == 0):
        raise FormatError(
            f"{where}: input scale: expected 0 or a positive number, found {values.input_scale:g}"
        )
    most = LARGEST_ZERO_POINT if values.has_products else 0
    if not 0 <= zero_point <= most:
        expected = f"0 to {most}" if most else "0 without an input scale"
        raise FormatError(f"{where}: input zero point: expected {expected}, found {zero_point}")
    if values.data.dtype != _TYPES[_INT8]:
        raise FormatError(f"{where}: type: expected int8, found {values.data.dtype}")
    if values.scales.dtype.newbyteorder("<") != _TYPES[0]:
        raise FormatError(f"{where}: scales: expected float32, found {values.scales.dtype}")
    if values.scales.shape != values.shape[:1]:
        raise FormatError(
            f"{where}: scales: expected {values.shape[0]}, one for each index of the first "
            f"dimension, found {shape_text(values.scales.shape)}"
        )
    flawed = np.flatnonzero(~(np.isfinite(values.scales) & (values.scales > 0)))
    if flawed.size:
        raise FormatError(
            f"{where}: scale {flawed[0]}: expected a positive number, found "
            f"{values.scales[flawed[0]]:g} ({flawed.size} such in all)"
        )
    limit = LARGEST_PRODUCT_BYTE if values.has_products else LARGEST_BYTE
    # -128 has no absolute value in 8 bits.
    flawed = np.flatnonzero((values.data > limit) | (values.data < -limit))
    if flawed.size:
        raise FormatError(
            f"{where}: element {flawed[0]}: expected {-limit} to {limit}, found "
            f"{values.data.flat[flawed[0]]} ({flawed.size} such in all)"
        )


def products_misfit(node: Node, shape: Sequence[int]) -> str | None:
    """Why products with a weight of such a shape cannot be of 8 bits: "expected ..., found ..."."""
    if node.layer not in ("Conv2d", "Dense"):
        return f"expected Conv2d or Dense for products in 8 bits, found {node.layer}"
    inputs = math.prod(shape[1:])
    most = _LARGEST_SUM // (LARGEST_ZERO_POINT * LARGEST_PRODUCT_BYTE)
    if inputs > most:
        return f"expected at most {most} inputs for each output in 8 bits, found {inputs}"
    return None


def _check_vector_input(
    where: str, entry: Input, source: np.ndarray | Pattern, size: Shape
) -> None:
    fits = len(size) == 3 and all(
        found == (wanted or found) and 1 <= found <= LARGEST_SIDE
        for found, wanted in zip(size, entry.shape, strict=True)
    )
    if not fits:
        raise FormatError(f"{where}: expected {shape_text(entry.shape)}, found {shape_text(size)}")
    if isinstance(source, Pattern):
        if source.patch < 1:
            raise FormatError(f"{where}: patch: expected 1 or more, found {source.patch}")
    else:
        _check_floats(where, source)


def _check_sample(where: str, sample: OutputSample, shape: Shape) -> None:
    if sample.stride < 1:
        raise FormatError(f"{where}: stride: expected 1 or more, found {sample.stride}")
    expected = -(-math.prod(shape) // sample.stride)
    if sample.values.shape != (expected,):
        raise FormatError(
            f"{where}: expected {expected} values, those at stride {sample.stride} of "
            f"{shape_text(shape)}, found {shape_text(sample.values.shape)}"
        )
    _check_floats(where, sample.values)


def _check_floats(where: str, values: np.ndarray) -> None:
    if values.dtype.newbyteorder("<") != _TYPES[0]:
        raise FormatError(f"{where}: type: expected float32, found {values.dtype}")
    _require_finite(where, values)


def _require_finite(where: str, values: np.ndarray) -> None:
    flawed = np.flatnonzero(~np.isfinite(values))
    if flawed.size:
        found = values.flat[flawed[0]]
        raise FormatError(
            f"{where}: element {flawed[0]}: expected a finite number, found {found} "
            f"({flawed.size} such in all)"
        )


def describe(file: WeightFile, size: int) -> str:
    """Header, nodes and tensors of a file of `size` bytes, for people."""
    how, graph = file.preprocessing, file.graph
    values = sum(tensor.values.size for tensor in file.tensors)
    inputs = [f"{entry.name} {shape_text(entry.shape)}" for entry in graph.inputs]
    outputs = [
        f"{output.name} {shape_text(shape)}"
        for output, shape in zip(graph.outputs, graph.output_shapes(), strict=True)
    ]
    vectors = f"{len(file.vectors)} vectors, {file.replayed} of them replayed when the file loads"
    lines = [
        f"network             {file.network}",
        f"inputs              {', '.join(inputs)} (channels, height, width)",
        f"outputs             {', '.join(outputs)}",
        f"labels              {', '.join(file.labels) or 'none'}",
        f"temperature         {how.temperature:.9g}",
        f"face size           {how.face_size or 'none: the input is no face'}",
        f"histogram           {'equalised' if how.equalize_histogram else 'as it is'}",
        f"mean                {_numbers(how.mean)}",
        f"standard deviation  {_numbers(how.standard_deviation)}",
        f"test vectors        {vectors}, tolerance {file.tolerance:.3g}",
        f"layers              {len(graph.nodes)} with {graph.parameter_count} parameters",
        *_columns(_node_rows(graph)),
        f"tensors             {len(file.tensors)} with {values} values in {size} bytes",
    ]
    rows = [("name", "type", "shape", "smallest", "largest", "input of 8 bits")]
    for tensor in file.tensors:
        type_name = _TYPE_NAMES[_type_code(tensor.values)]
        elements = tensor.widened()
        extremes = (f"{elements.min():.5g}", f"{elements.max():.5g}")
        shape = shape_text(tensor.values.shape)
        rows.append((tensor.name, type_name, shape, *extremes, _input_text(tensor.values)))
    if not any(row[-1] for row in rows[1:]):
        rows = [row[:-1] for row in rows]
    return "\n".join([*lines, *_columns(rows)])


def _input_text(values: np.ndarray | Int8Values) -> str:
    """How a layer rounds its input, if it does."""
    if not isinstance(values, Int8Values) or not values.has_products:
        return ""
    zero = f"(q - {values.input_zero_point})" if values.input_zero_point else "q"
    return f"{values.input_scale:.5g} {zero}"


def _numbers(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:.9g}" for number in numbers)


def _node_rows(graph: Graph) -> list[tuple[str, ...]]:
    shapes = graph.shapes()
    rows = [("value", "layer", "of values", "shape", "name")]
    for index, node in enumerate(graph.nodes):
        value = graph.value_of(index)
        taken = ", ".join(map(str, node.inputs))
        rows.append((str(value), node.layer, taken, shape_text(shapes[value]), node.name))
    return rows


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="mien_tools.weights",
        description="Check a .mien weight file, and print what it holds or make it a checkpoint.",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--to-checkpoint",
        type=Path,
        metavar="OUT.pt",
        help="write the weights as a checkpoint that mien_tools.train --start-from takes",
    )
    options = parser.parse_args(arguments)
    if options.to_checkpoint is not None:
        # PyTorch takes seconds to import; printing a file does not need it.
        from mien_tools.checkpoints import CheckpointError, write_checkpoint_of

        return exit_status(
            parser.prog,
            lambda: write_checkpoint_of(read(options.file), options.to_checkpoint),
            (FormatError, CheckpointError),
        )

    def show() -> None:
        try:
            print(describe(read(options.file), options.file.stat().st_size), flush=True)
        except BrokenPipeError:
            # The reader of our output, such as head, has seen enough; nothing is left to flush.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return exit_status(parser.prog, show, (FormatError,))


if __name__ == "__main__":
    sys.exit(main())
