"""Writes and reads .mien weight files; prints one: `python -m mien_tools.weights FILE`.

The layout stands at the top of include/mien/weights.hpp. The reader here is strict: what it
accepts, written again, gives the same bytes.
"""

import argparse
import math
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien_tools import container
from mien_tools.commands import exit_status
from mien_tools.container import FormatError
from mien_tools.shapes import shape_text

KIND = "MIEN"
VERSION = 1

# Blocks of data start at multiples of this many bytes.
ALIGNMENT = 64
LARGEST_RANK = 4
# The largest input side and face size.
LARGEST_SIDE = 1 << 16
LARGEST_DIMENSION = (1 << 31) - 1

# The one flag; the other bits are for later use.
_EQUALIZE_HISTOGRAM = 1
_TYPES = (np.dtype("<f4"), np.dtype("<f2"))
_TYPE_NAMES = ("fp32", "fp16")


@dataclass(frozen=True)
class Preprocessing:
    """How a face becomes a network's input, and its outputs probabilities.

    A face is brought to `face_size` pixels square, its histogram is equalised if
    `equalize_histogram` says so, crops of the input's size are taken from it, and input value =
    (pixel / 255 - mean) / standard_deviation. Probabilities are softmax(outputs / temperature).
    """

    input_channels: int
    input_height: int
    input_width: int
    face_size: int
    mean: float = 0.0
    standard_deviation: float = 1.0
    temperature: float = 1.0
    equalize_histogram: bool = False

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.input_channels, self.input_height, self.input_width

    def check(self, name: str) -> None:
        """Raise FormatError, beginning with `name`, if a value is out of its range."""
        for field in ("input_channels", "input_height", "input_width", "face_size"):
            size = getattr(self, field)
            if not 1 <= size <= LARGEST_SIDE:
                label = field.replace("_", " ")
                raise FormatError(f"{name}: {label}: expected 1 to {LARGEST_SIDE}, found {size}")
        if self.face_size < max(self.input_height, self.input_width):
            raise FormatError(
                f"{name}: face size: expected at least the input's height and width "
                f"({self.input_height} x {self.input_width}), found {self.face_size}"
            )
        if not math.isfinite(_as_stored(self.mean)):
            raise FormatError(f"{name}: mean: expected a finite number, found {self.mean}")
        for field in ("standard_deviation", "temperature"):
            value = getattr(self, field)
            if not (math.isfinite(_as_stored(value)) and _as_stored(value) > 0):
                label = field.replace("_", " ")
                raise FormatError(f"{name}: {label}: expected a positive number, found {value}")


@dataclass(frozen=True, eq=False)
class NamedTensor:
    """A tensor under its state_dict name; float32 or float16 values say how it is stored."""

    name: str
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class VerificationVector:
    """An input [channels, height, width] and its outputs [labels], both float32."""

    inputs: np.ndarray
    outputs: np.ndarray


@dataclass(frozen=True, eq=False)
class WeightFile:
    """The contents of a .mien file."""

    architecture: str
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    tensors: tuple[NamedTensor, ...]
    verification: tuple[VerificationVector, ...]

    def encode(self) -> bytes:
        """The file's bytes. Raises FormatError if the contents break the format's rules."""
        self.check(self.architecture or "weight file")
        # The header's size does not depend on the offsets in it, so a first pass measures it.
        header_size = container.HEADER_SIZE + len(self._header([0] * len(self._blocks())))
        offsets = _block_offsets(header_size, [block.nbytes for block in self._blocks()])
        data = bytearray(self._header(offsets))
        for offset, block in zip(offsets, self._blocks(), strict=True):
            data += bytes(offset - container.HEADER_SIZE - len(data))
            data += block.tobytes()
        return container.seal(KIND, VERSION, bytes(data))

    def write(self, path: str | os.PathLike) -> None:
        """Write the file atomically."""
        container.write_atomically(path, self.encode())

    def check(self, name: str) -> None:
        """Raise FormatError, beginning with `name`, if the contents break the format's rules."""
        if not self.architecture:
            raise FormatError(f"{name}: architecture: expected a name, found none")
        self.preprocessing.check(name)
        if not self.labels:
            raise FormatError(f"{name}: labels: expected at least one, found none")
        _require_distinct(name, "label", self.labels)
        _require_distinct(name, "tensor name", [tensor.name for tensor in self.tensors])
        for tensor in self.tensors:
            _check_tensor(f"{name}: tensor '{tensor.name}'", tensor.values)
        for index, vector in enumerate(self.verification):
            where = f"{name}: verification vector {index}"
            _check_vector(f"{where}, input", vector.inputs, self.preprocessing.input_shape)
            _check_vector(f"{where}, output", vector.outputs, (len(self.labels),))

    def _blocks(self) -> list[np.ndarray]:
        """What lies in the data part, in its order."""
        blocks = [tensor.values for tensor in self.tensors]
        for vector in self.verification:
            blocks += [vector.inputs, vector.outputs]
        return [block.astype(block.dtype.newbyteorder("<"), order="C") for block in blocks]

    def _header(self, offsets: list[int]) -> bytes:
        """Everything between the seal and the data."""
        preprocessing = self.preprocessing
        header = container.string(self.architecture)
        header += struct.pack("<III", *preprocessing.input_shape)
        header += struct.pack(
            "<IfffI",
            preprocessing.face_size,
            preprocessing.mean,
            preprocessing.standard_deviation,
            preprocessing.temperature,
            _EQUALIZE_HISTOGRAM if preprocessing.equalize_histogram else 0,
        )
        header += struct.pack("<I", len(self.labels))
        header += b"".join(container.string(label) for label in self.labels)
        remaining = iter(offsets)
        header += struct.pack("<I", len(self.tensors))
        for tensor in self.tensors:
            shape = tensor.values.shape
            header += container.string(tensor.name)
            header += struct.pack("<BB", _type_code(tensor.values), len(shape))
            header += struct.pack(f"<{len(shape)}IQ", *shape, next(remaining))
        header += struct.pack("<I", len(self.verification))
        for _ in self.verification:
            header += struct.pack("<QQ", next(remaining), next(remaining))
        return header


def decode(data: bytes, name: str = "weights in memory") -> WeightFile:
    """Parse a file's bytes; raises FormatError, beginning with `name`, at the first flaw."""
    container.unseal(data, KIND, VERSION, name)
    fields = _Fields(data, name)
    architecture = fields.string("architecture")
    preprocessing = _read_preprocessing(fields)
    preprocessing.check(name)
    labels = tuple(fields.string("label") for _ in range(fields.u32("number of labels")))

    described = []
    for _ in range(fields.u32("number of tensors")):
        tensor_name = fields.string("tensor name")
        described.append((tensor_name, *_read_tensor_description(fields, tensor_name)))
    offsets = [offset for *_, offset in described]
    vector_count = fields.u32("number of verification vectors")
    for index in range(vector_count):
        offsets.append(fields.u64(f"verification vector {index}, offset of the input"))
        offsets.append(fields.u64(f"verification vector {index}, offset of the output"))

    blocks = [(f"tensor '{tensor}'", dtype, shape) for tensor, dtype, shape, _ in described]
    for index in range(vector_count):
        where = f"verification vector {index}"
        blocks.append((f"{where}, input", _TYPES[0], preprocessing.input_shape))
        blocks.append((f"{where}, output", _TYPES[0], (len(labels),)))
    arrays = _read_blocks(fields, blocks, offsets)

    names = [tensor for tensor, *_ in described]
    vectors = arrays[len(names) :]
    file = WeightFile(
        architecture,
        preprocessing,
        labels,
        tuple(NamedTensor(*pair) for pair in zip(names, arrays, strict=False)),
        tuple(VerificationVector(*pair) for pair in zip(vectors[::2], vectors[1::2], strict=True)),
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

    def u32(self, field: str) -> int:
        return self._number("I", field)

    def u64(self, field: str) -> int:
        return self._number("Q", field)

    def f32(self, field: str) -> float:
        return self._number("f", field)

    def string(self, field: str) -> str:
        text = self.take(self._number("H", field), field)
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fail(f"{field}: expected UTF-8, found {text!r}") from error


def _read_preprocessing(fields: _Fields) -> Preprocessing:
    channels, height, width, face_size = (
        fields.u32(field)
        for field in ("input channels", "input height", "input width", "face size")
    )
    mean, deviation, temperature = (
        fields.f32(field) for field in ("mean", "standard deviation", "temperature")
    )
    flags = fields.u32("flags")
    if flags not in (0, _EQUALIZE_HISTOGRAM):
        raise fields.fail(f"flags: expected 0 or {_EQUALIZE_HISTOGRAM}, found {flags}")
    return Preprocessing(
        channels, height, width, face_size, mean, deviation, temperature, bool(flags)
    )


def _read_tensor_description(fields: _Fields, tensor: str) -> tuple[np.dtype, tuple[int, ...], int]:
    """Type, shape and offset of a tensor."""
    where = f"tensor '{tensor}'"
    code = fields.u8(f"{where}, type")
    if code >= len(_TYPES):
        raise fields.fail(f"{where}, type: expected 0 (fp32) or 1 (fp16), found {code}")
    rank = fields.u8(f"{where}, rank")
    if not 1 <= rank <= LARGEST_RANK:
        raise fields.fail(f"{where}, rank: expected 1 to {LARGEST_RANK}, found {rank}")
    shape = tuple(fields.u32(f"{where}, shape") for _ in range(rank))
    return _TYPES[code], shape, fields.u64(f"{where}, offset")


def _read_blocks(
    fields: _Fields, blocks: list[tuple[str, np.dtype, tuple[int, ...]]], offsets: list[int]
) -> list[np.ndarray]:
    """The data part: every block where it must be, zeros between, nothing after the last."""
    sizes = [math.prod(shape) * dtype.itemsize for _, dtype, shape in blocks]
    expected_offsets = _block_offsets(fields.position, sizes)
    arrays = []
    for (where, dtype, shape), size, offset, expected in zip(
        blocks, sizes, offsets, expected_offsets, strict=True
    ):
        if offset != expected:
            raise fields.fail(f"{where}, offset: expected {expected}, found {offset}")
        gap = fields.take(offset - fields.position, f"{where}, zero bytes before it").lstrip(b"\0")
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


def _type_code(values: np.ndarray) -> int:
    return _TYPES.index(values.dtype.newbyteorder("<"))


def _check_tensor(where: str, values: np.ndarray) -> None:
    if values.dtype.newbyteorder("<") not in _TYPES:
        raise FormatError(f"{where}: type: expected float32 or float16, found {values.dtype}")
    if not 1 <= values.ndim <= LARGEST_RANK:
        raise FormatError(f"{where}: rank: expected 1 to {LARGEST_RANK}, found {values.ndim}")
    if not all(1 <= size <= LARGEST_DIMENSION for size in values.shape):
        found = shape_text(values.shape)
        raise FormatError(f"{where}: shape: expected sizes from 1, found {found}")
    _require_finite(where, values)


def _check_vector(where: str, values: np.ndarray, shape: tuple[int, ...]) -> None:
    if values.dtype.newbyteorder("<") != _TYPES[0] or values.shape != shape:
        raise FormatError(
            f"{where}: expected float32 {shape_text(shape)}, "
            f"found {values.dtype} {shape_text(values.shape)}"
        )
    _require_finite(where, values)


def _require_finite(where: str, values: np.ndarray) -> None:
    flawed = np.flatnonzero(~np.isfinite(values))
    if flawed.size:
        found = values.flat[flawed[0]]
        raise FormatError(
            f"{where}: element {flawed[0]}: expected a finite number, found {found} "
            f"({flawed.size} such in all)"
        )


def _require_distinct(name: str, what: str, texts: tuple[str, ...] | list[str]) -> None:
    seen = set()
    for text in texts:
        if not text:
            raise FormatError(f"{name}: {what}: expected a text, found an empty one")
        if text in seen:
            raise FormatError(f"{name}: {what}: expected distinct ones, found '{text}' twice")
        seen.add(text)


def describe(file: WeightFile, size: int) -> str:
    """Header and tensor table of a file of `size` bytes, for people."""
    preprocessing = file.preprocessing
    values = sum(tensor.values.size for tensor in file.tensors)
    lines = [
        f"architecture        {file.architecture}",
        f"input               {shape_text(preprocessing.input_shape)} (channels, height, width)",
        f"face size           {preprocessing.face_size}",
        f"mean                {preprocessing.mean:.9g}",
        f"standard deviation  {preprocessing.standard_deviation:.9g}",
        f"temperature         {preprocessing.temperature:.9g}",
        f"histogram           {'equalised' if preprocessing.equalize_histogram else 'as it is'}",
        f"labels              {', '.join(file.labels)}",
        f"verification        {len(file.verification)} vectors",
        f"tensors             {len(file.tensors)} with {values} values in {size} bytes",
    ]
    rows = [("name", "type", "shape", "smallest", "largest")]
    for tensor in file.tensors:
        type_name = _TYPE_NAMES[_type_code(tensor.values)]
        extremes = (f"{tensor.values.min():.5g}", f"{tensor.values.max():.5g}")
        rows.append((tensor.name, type_name, shape_text(tensor.values.shape), *extremes))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="mien_tools.weights", description="Check a .mien weight file and print what it holds."
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)

    def show() -> None:
        try:
            print(describe(read(options.file), options.file.stat().st_size), flush=True)
        except BrokenPipeError:
            # The reader of our output, such as head, has seen enough; nothing is left to flush.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return exit_status(parser.prog, show, (FormatError,))


if __name__ == "__main__":
    sys.exit(main())
