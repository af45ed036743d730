"""Writes a network as a .mien weight file and, if asked, as a C++ header.

    python -m mien_tools.export --network mini_fer --checkpoint best.pt --output mini_fer.mien
    python -m mien_tools.export --module my_cnn.py:make_network --checkpoint my_cnn.pt \\
        --input 1x40x40 --output my_cnn.mien --header my_cnn.hpp --labels cat,dog
    python -m mien_tools.export --onnx my_cnn.onnx --output my_cnn.mien
    python -m mien_tools.export --mien my_cnn.mien --int8 --calibrate DATA --output my_cnn_int8.mien

The network becomes a graph of Mien's layers and its weights are rounded to what the file stores.
The graph is replayed in double precision against what PyTorch or ONNX Runtime computes, and gives
the file's test vectors. A model of ONNX needs no PyTorch: its own outputs are then the vectors.
What goes into 8 bits (mien_tools.quantization) is chosen afterwards, of any of these.
"""

import argparse
import copy
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mien_tools import header, weights
from mien_tools.commands import exit_status
from mien_tools.container import FormatError, write_atomically
from mien_tools.graph import Graph
from mien_tools.header import HeaderError
from mien_tools.int8_options import DEFAULT_COUNT, METHOD_CHOICES, Int8Options
from mien_tools.onnx_import import free_sizes, import_model, load_model, without_sizes
from mien_tools.onnx_node import OnnxError
from mien_tools.onnx_pass import Imported, first_line
from mien_tools.onnx_run import OnnxRunner
from mien_tools.shapes import Shape, shape_text
from mien_tools.weights import (
    Int8Values,
    NamedTensor,
    OutputSample,
    Pattern,
    Preprocessing,
    TestVector,
    WeightFile,
    sampled,
)

if TYPE_CHECKING:
    from torch import nn

    from mien_tools.int8_choice import Choice
    from mien_tools.networks import NetworkInfo

# Patches of the test vectors' pixels; the last vector is plain.
_PATCHES = (1, 2, 4)
# At most so many values of an output are stored.
_MOST_SAMPLES = 4096
# A network of more multiply-adds is not replayed whenever it is loaded.
MOST_REPLAYED = 500_000_000

# Of the vectors' largest output, where products are of 8 bits: what rounding in float32 moves over
# the edge between two whole numbers changes as much as a whole step.
INT8_TOLERANCE = 5e-2

# The replay differs from the file's vectors by their rounding to float32, about 6e-8.
_REPLAY_TOLERANCE = 1e-6


class ExportError(ValueError):
    """A network cannot be exported; the message says what, where, expected and found."""


def _has_pytorch() -> bool:
    return importlib.util.find_spec("torch") is not None


class Source(Protocol):
    """Where a network comes from, with its weights."""

    # How far its outputs may be from those of the graph in double precision: relative to the
    # largest, and besides.
    tolerance: float
    absolute_tolerance: float
    # Height and width of its inputs are multiples of it where they are free.
    size_multiple: int

    def imported(self) -> Imported:
        """Its graph and tensors."""

    def run(self, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Its outputs as it shapes them, for one float32 [channels, height, width] each."""

    def unused(self, used: frozenset[str]) -> tuple[str, ...]:
        """Its tensors on which the outputs do not depend."""


class ModuleSource:
    """A torch.nn.Module; height and width of inputs may be None: any multiple of a number."""

    tolerance = 1e-9
    absolute_tolerance = 1e-12

    def __init__(
        self, module: "nn.Module", input_shapes: Sequence[Shape], size_multiple: int = 1
    ) -> None:
        self.module, self.input_shapes = module, tuple(input_shapes)
        self.size_multiple = size_multiple
        try:
            self._exact = copy.deepcopy(module).cpu().double().eval()
        except Exception as error:
            raise ExportError(
                f"{type(module).__name__}: expected a module that can be copied to the CPU in "
                f"double precision, found {type(error).__name__}: {first_line(error)}"
            ) from error

    def imported(self) -> Imported:
        from mien_tools.pytorch import import_module

        return import_module(self._exact, self.input_shapes, self.size_multiple)

    def run(self, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        from mien_tools.pytorch import run_module

        shaped = [
            values.reshape(-1) if len(shape) == 1 else values
            for values, shape in zip(inputs, self.input_shapes, strict=True)
        ]
        return run_module(self._exact, shaped)

    def unused(self, used: frozenset[str]) -> tuple[str, ...]:
        state = self.module.state_dict().items()
        return tuple(name for name, t in state if name not in used and t.is_floating_point())


class OnnxSource:
    """A model of ONNX; `sizes` are its inputs' where they are not to be its own.

    Height and width None: any multiple of `size_multiple`.
    """

    # Two engines in float32. ONNX Runtime's sigmoid is exact to one unit of 1, not of its value.
    tolerance = 1e-4
    absolute_tolerance = float(np.finfo(np.float32).eps)

    def __init__(self, path: Path, sizes: Sequence[Shape] = (), size_multiple: int = 1) -> None:
        self.model, self.size_multiple = load_model(path), size_multiple
        self._imported = import_model(self.model, str(path), sizes, size_multiple=size_multiple)
        runs_any_size = any(entry.height is None for entry in self._imported.graph.inputs)
        runnable = without_sizes(self.model) if runs_any_size else self.model
        self._runner = OnnxRunner(runnable, str(path))

    def imported(self) -> Imported:
        return self._imported

    def run(self, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        names = [entry.name for entry in self._imported.graph.inputs]
        ranks = self._imported.input_ranks
        return self._runner.run(dict(zip(names, _ranked(inputs, ranks), strict=True)))

    def unused(self, used: frozenset[str]) -> tuple[str, ...]:
        names = (entry.name for entry in self.model.graph.initializer)
        return tuple(name for name in names if name not in used)


def _ranked(inputs: Sequence[np.ndarray], ranks: Sequence[int]) -> list[np.ndarray]:
    """Images [channels, height, width] as vectors or rows where the model takes these."""
    shapes = {1: (0,), 2: (0, 2), 3: (0, 1, 2)}
    return [
        values.reshape([values.shape[axis] for axis in shapes[rank]])
        for values, rank in zip(inputs, ranks, strict=True)
    ]


@dataclass(frozen=True)
class Network:
    """A network with its weights, and what a weight file says besides them.

    A module stands for a ModuleSource with one input, whose height and width may be None: any. A
    classifier, which puts out one flat vector, without `labels` has class0, class1 and so on; other
    networks have none. A face size of None is the input's larger side for a classifier, else 0.
    """

    module: "nn.Module | Source"
    name: str
    input_shape: Shape
    preprocessing: Preprocessing
    labels: tuple[str, ...] | None = None

    def source(self) -> Source:
        if isinstance(self.module, (ModuleSource, OnnxSource)):
            return self.module
        return ModuleSource(self.module, [self.input_shape])


@dataclass(frozen=True)
class HeaderTarget:
    """Where a C++ header goes, and what its struct is called."""

    path: Path
    struct_name: str
    namespace: str = ""


@dataclass(frozen=True)
class Exported:
    """What an export made."""

    file: WeightFile
    # The largest change of an output by storing the weights, and the largest output.
    storage_error: float
    largest_output: float
    # Tensors of the module on which its outputs do not depend.
    unused: tuple[str, ...] = ()
    # What was chosen for 8 bits, if something was.
    choice: "Choice | None" = None


def export(
    network: Network | WeightFile,
    output: Path,
    half: bool = False,
    header_target: HeaderTarget | None = None,
    int8: Int8Options | None = None,
) -> Exported:
    """Write `network` to `output` and its header, or neither.

    `half` stores weights in fp16, `int8` those that it says in 8 bits. Raises ExportError,
    TraceError, StateDictError, HeaderError, FormatError or OSError; with `int8` also DataError and
    QuantizationError.
    """
    if int8 is not None:
        exported = build_int8_file(network, int8, half)
    elif isinstance(network, WeightFile):
        exported = _with_tensors(network, _all_as_stored(network, half), network.tolerance)
    else:
        exported = build_weight_file(network, half)
    contents = {output: exported.file.encode()}
    if header_target is not None:
        text = header.header_text(
            exported.file.graph,
            header_target.struct_name,
            exported.file.network,
            header_target.namespace,
        )
        contents[header_target.path] = text.encode()
    with _all_or_nothing(list(contents)):
        for path, data in contents.items():
            write_atomically(path, data)
        if _has_pytorch():
            replay(weights.read(output), str(output))
        if header_target is not None:
            written = header_target.path.read_text(encoding="utf-8")
            header.check_header(written, str(header_target.path), exported.file.network)
    return exported


def build_int8_file(
    network: Network | WeightFile, int8: Int8Options, half: bool = False
) -> Exported:
    """Make a network's weight file with what `int8` says in 8 bits; `half`: the rest in fp16.

    Raises what export() does.
    """
    if not _has_pytorch():
        raise ExportError(
            "8 bits: expected PyTorch, which computes what the rounded weights put out, found none "
            "(pip install torch)"
        )
    from mien_tools import int8_choice

    file, unused = network, ()
    if isinstance(network, Network):
        exported = build_weight_file(network)
        file, unused = exported.file, exported.unused
    exact = {name: values.astype(np.float32) for name, values in file.values().items()}
    choice = None
    if int8.calibrate is None:
        in_bytes = int8_choice.store_weights(file.graph, exact)
    else:
        from mien_tools.calibration_images import load_inputs

        entry, how = file.graph.inputs[0], file.preprocessing
        inputs = load_inputs(int8.calibrate, int8.count, entry, how)
        choice = int8_choice.choose(file.graph, exact, inputs, int8, bool(file.labels))
        in_bytes = choice.tensors
    has_products = any(values.has_products for values in in_bytes.values())
    made = _with_tensors(
        file,
        _all_as_stored(file, half) | in_bytes,
        INT8_TOLERANCE if has_products else weights.TOLERANCE,
    )
    return replace(made, unused=unused, choice=choice)


def _all_as_stored(file: WeightFile, half: bool) -> dict[str, np.ndarray]:
    return {
        name: as_stored(values.astype(np.float64), half, f"tensor '{name}'")
        for name, values in file.values().items()
    }


def _with_tensors(
    file: WeightFile, tensors: dict[str, np.ndarray | Int8Values], tolerance: float
) -> Exported:
    """A file with other values of its tensors, and the test vectors that belong to them."""
    vectors, storage_error, largest_output = [], 0.0, 0.0
    for index, vector in enumerate(file.vectors):
        inputs = vector.input_values(file.graph, file.preprocessing)
        exact = _run_graph(file.graph, file.stored(), inputs)
        found = _run_graph(file.graph, tensors, inputs)
        for one, other in zip(exact.values(), found.values(), strict=True):
            storage_error = max(storage_error, float(np.abs(other - one).max()))
            largest_output = max(largest_output, float(np.abs(one).max()))
        vectors.append(TestVector(vector.inputs, _samples(f"test vector {index}", found)))
    made = replace(
        file,
        tensors=tuple(NamedTensor(name, tensors[name]) for name in file.values()),
        vectors=tuple(vectors),
        tolerance=tolerance,
    )
    return Exported(made, storage_error, largest_output)


def read_source(path: Path) -> WeightFile:
    """A weight file to be written in another number type; ExportError if it is in 8 bits."""
    file = weights.read(path)
    for tensor in file.tensors:
        if isinstance(tensor.values, Int8Values):
            raise ExportError(
                f"{path}: tensor '{tensor.name}': expected fp32 or fp16, found int8; export from "
                "the file that it was made of"
            )
    return file


def build_weight_file(network: Network, half: bool = False) -> Exported:
    """Make a network's weight file, with test vectors, in memory."""
    source = network.source()
    imported = source.imported()
    graph = imported.graph
    labels = _labels(network.labels, graph)
    preprocessing = _with_face_size(network.preprocessing, graph, labels)
    preprocessing.check(network.name, graph.inputs[0])
    patterns = test_patterns(graph, source.size_multiple)
    inputs = [TestVector(pattern, ()).input_values(graph, preprocessing) for pattern in patterns]
    expected = [_channels_first(source.run(values), imported) for values in inputs]
    exact = {name: np.asarray(values, np.float64) for name, values in imported.tensors.items()}
    tensors = {name: as_stored(values, half, f"tensor '{name}'") for name, values in exact.items()}
    if _has_pytorch():
        found = [_run_graph(graph, exact, values) for values in inputs]
        _require_equal(network.name, expected, found, source)
        outputs = [_run_graph(graph, tensors, values) for values in inputs]
    elif half:
        raise ExportError(
            "--half: expected PyTorch, which computes what the rounded weights put out, found none "
            "(pip install torch)"
        )
    else:
        found = outputs = expected

    pairs = [
        pair
        for one, other in zip(found, outputs, strict=True)
        for pair in zip(one.values(), other.values(), strict=True)
    ]
    sizes = [
        (entry.channels, pattern.height, pattern.width)
        for entry, pattern in zip(graph.inputs, patterns[0], strict=True)
    ]
    file = WeightFile(
        network.name,
        graph,
        tuple(NamedTensor(*pair) for pair in tensors.items()),
        labels,
        preprocessing,
        tuple(
            TestVector(pattern, _samples(f"test vector {index}", found))
            for index, (pattern, found) in enumerate(zip(patterns, outputs, strict=True))
        ),
        replayed=int(graph.multiply_adds(sizes) <= MOST_REPLAYED),
    )
    return Exported(
        file,
        storage_error=max(float(np.abs(found - exact).max()) for exact, found in pairs),
        largest_output=max(float(np.abs(exact).max()) for exact, _ in pairs),
        unused=source.unused(imported.used),
    )


def _channels_first(outputs: dict[str, np.ndarray], imported: Imported) -> dict[str, np.ndarray]:
    """A network's outputs, with the channels of lists of cells before the cells."""
    channels = {
        output.name: shape[0]
        for output, shape in zip(
            imported.graph.outputs, imported.graph.output_shapes(), strict=True
        )
        if output.name in imported.lists_of_cells
    }
    return {
        name: values.reshape(-1, channels[name]).T if name in channels else values
        for name, values in outputs.items()
    }


def _run_graph(
    graph: Graph, tensors: Mapping[str, np.ndarray | Int8Values], inputs: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """What PyTorch computes of a graph, for one input each.

    In double precision, but for products in 8 bits.
    """
    import torch

    from mien_tools.quantization import to_tensors

    images = [torch.from_numpy(values.astype(np.float64)).unsqueeze(0) for values in inputs]
    with torch.no_grad():
        outputs = graph.run_outputs(images, to_tensors(tensors))
    return {
        output.name: values.squeeze(0).numpy()
        for output, values in zip(graph.outputs, outputs, strict=True)
    }


def _require_equal(
    name: str,
    expected: Sequence[dict[str, np.ndarray]],
    found: Sequence[dict[str, np.ndarray]],
    source: Source,
) -> None:
    """Raise ExportError unless a graph computes what the network does."""
    for index, (one, other) in enumerate(zip(expected, found, strict=True)):
        for output, values in one.items():
            computed = other[output].reshape(values.shape)
            difference = float(np.abs(computed - values).max())
            scale = float(np.abs(values).max())
            if not difference <= source.tolerance * scale + source.absolute_tolerance:
                raise ExportError(
                    f"{name}: output '{output}': expected the layers to compute what the network "
                    f"does, found outputs up to {scale:.3g} that differ by {difference:.3g} for "
                    f"test image {index}; does it draw random numbers?"
                )


def test_patterns(graph: Graph, size_multiple: int = 1) -> list[tuple[Pattern, ...]]:
    """The inputs of a file's test vectors: images of real ones' range, always the same.

    Random patches, from single pixels to coarser ones, since layers see edges and areas
    differently; the last is a plain image. Free heights and widths become multiples of
    `size_multiple`.
    """
    vectors = []
    free = free_sizes(size_multiple)
    for index, patch in enumerate((*_PATCHES, None)):
        patterns = []
        for number, entry in enumerate(graph.inputs):
            sizes = free if entry.height is None else ((entry.height, entry.width),)
            height, width = sizes[index % len(sizes)]
            seed = index + 1 + 100 * number
            patterns.append(Pattern(height, width, seed, patch or max(height, width) + 1))
        vectors.append(tuple(patterns))
    return vectors


test_patterns.__test__ = False


def _samples(where: str, outputs: dict[str, np.ndarray]) -> tuple[OutputSample, ...]:
    """What a vector stores of a network's outputs."""
    samples = []
    for name, values in outputs.items():
        stride = -(-values.size // _MOST_SAMPLES)
        stored = as_stored(sampled(values, stride), False, f"{where}, output '{name}'")
        samples.append(OutputSample(stored, stride))
    return tuple(samples)


def replay(file: WeightFile, name: str) -> float:
    """Run a file's graph on its tensors; the largest difference to its test vectors.

    Raises ExportError, beginning with `name`, if the difference is more than rounding.
    """
    largest = 0.0
    for index, vector in enumerate(file.vectors):
        found = _run_graph(
            file.graph, file.stored(), vector.input_values(file.graph, file.preprocessing)
        )
        for values, sample in zip(found.values(), vector.outputs, strict=True):
            difference = float(np.abs(sampled(values, sample.stride) - sample.values).max())
            scale = float(np.abs(sample.values).max())
            if not difference <= _REPLAY_TOLERANCE * scale:
                raise ExportError(
                    f"{name}: test vector {index}: expected what the file's graph computes, found "
                    f"outputs up to {scale:.3g} that differ by {difference:.3g}"
                )
            largest = max(largest, difference)
    return largest


def as_stored(values: np.ndarray, half: bool, where: str) -> np.ndarray:
    """Float64 values as float16 or float32; ExportError, beginning with `where`, on overflow."""
    dtype = np.float16 if half else np.float32
    with np.errstate(over="ignore", under="ignore"):
        stored = values.astype(dtype)
    overflowed = np.flatnonzero(~np.isfinite(stored))
    if overflowed.size:
        largest = float(np.finfo(dtype).max)
        raise ExportError(
            f"{where}: element {overflowed[0]}: expected at most {largest:g}, the largest "
            f"{np.dtype(dtype).name}, found {values.flat[overflowed[0]]:g}"
        )
    return stored


def _labels(labels: tuple[str, ...] | None, graph: Graph) -> tuple[str, ...]:
    """Those of a classifier, which has one output, a flat vector; none for other networks."""
    shapes = graph.output_shapes()
    is_classifier = len(shapes) == 1 and shapes[0][1:] == (1, 1)
    if not is_classifier:
        if labels is not None:
            found = " and ".join(shape_text(shape) for shape in shapes)
            raise ExportError(
                f"labels: expected none for a network that does not put out one flat vector, found "
                f"{len(labels)} ({', '.join(labels)}) for {found}"
            )
        return ()
    if labels is None:
        return tuple(f"class{index}" for index in range(shapes[0][0]))
    if len(labels) != shapes[0][0]:
        raise ExportError(
            f"labels: expected {shapes[0][0]}, one for each output, found {len(labels)} "
            f"({', '.join(labels)})"
        )
    return labels


def _with_face_size(
    preprocessing: Preprocessing, graph: Graph, labels: tuple[str, ...]
) -> Preprocessing:
    if preprocessing.face_size is not None:
        return preprocessing
    entry = graph.inputs[0]
    size = max(entry.height, entry.width) if labels and entry.height is not None else 0
    return replace(preprocessing, face_size=size)


@contextmanager
def _all_or_nothing(paths: list[Path]) -> Iterator[None]:
    """If the block fails, every file is again what it was."""
    for path in paths:
        if path.is_dir():
            raise ExportError(f"{path}: expected a file to write, found a folder")
        if not path.parent.is_dir():
            raise ExportError(f"{path}: expected its folder to exist, found none")
    # Devices and the like are left alone.
    files = [path for path in paths if path.is_file() or not path.exists()]
    previous = {path: path.read_bytes() if path.exists() else None for path in files}
    try:
        yield
    except BaseException:
        for path, data in previous.items():
            if data is None:
                path.unlink(missing_ok=True)
            elif path.read_bytes() != data:
                write_atomically(path, data)
        raise


def main(arguments: list[str] | None = None) -> int:
    parser = _make_parser()
    options = parser.parse_args(arguments)
    _check_usage(parser, options)
    errors = (ExportError, HeaderError, FormatError, OnnxError)
    if options.network or options.module:
        errors += _pytorch_errors()
    if options.int8:
        errors += _calibration_errors()
    return exit_status(parser.prog, lambda: _export_as_asked(options), errors)


def _pytorch_errors() -> tuple[type[Exception], ...]:
    from mien_tools.checkpoints import CheckpointError
    from mien_tools.pytorch import ModuleError, TraceError
    from mien_tools.state_dicts import StateDictError

    return CheckpointError, ModuleError, TraceError, StateDictError


def _calibration_errors() -> tuple[type[Exception], ...]:
    if not _has_pytorch():
        return ()
    from mien_tools.data import DataError
    from mien_tools.int8_choice import QuantizationError

    return DataError, QuantizationError


def _network_names() -> list[str]:
    """Mien's own networks, which are modules of PyTorch."""
    if not _has_pytorch():
        return []
    from mien_tools.networks import NETWORKS

    return sorted(NETWORKS)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mien_tools.export",
        description="Write a network of PyTorch or ONNX, or of another weight file, as a .mien "
        "weight file and a C++ header.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--network", choices=_network_names(), help="one of Mien's own networks")
    what.add_argument(
        "--module",
        metavar="FILE.py:NAME",
        help="a torch.nn.Module, or a class or function that makes one, in a file or a module",
    )
    what.add_argument("--onnx", type=Path, metavar="FILE.onnx", help="a model of ONNX")
    what.add_argument(
        "--mien",
        type=Path,
        metavar="FILE.mien",
        help="a weight file, to store it in another number type; all else is kept",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="the weights: a state_dict, a training checkpoint, or a pickled module",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="load a checkpoint that holds objects; loading them can run code of their author's",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.mien")
    parser.add_argument(
        "--half",
        action="store_true",
        help="store the weights in fp16 (with "
        "--int8 and --int8-weights those that are not in 8 bits)",
    )
    temperature = parser.add_mutually_exclusive_group()
    temperature.add_argument(
        "--temperature",
        type=float,
        metavar="T",
        help="probabilities are softmax(outputs / T) (default: 1)",
    )
    temperature.add_argument(
        "--report",
        type=Path,
        metavar="FILE.json",
        help="take the temperature from this report of mien_tools.train or mien_tools.report",
    )
    parser.add_argument("--header", type=Path, metavar="FILE.hpp", help="write a C++ header, too")
    parser.add_argument("--namespace", default="", help="of the header's struct (default: global)")
    _add_int8_options(parser.add_argument_group("8 bits"))
    own = parser.add_argument_group("for --module and --onnx")
    own.add_argument(
        "--input",
        type=_input_shape,
        action="append",
        metavar="CxHxW",
        help="such as 1x40x40; 3xanyxany for images of any size; once for each input (default for "
        "--onnx: the model's own)",
    )
    own.add_argument(
        "--size-multiple",
        type=_positive,
        metavar="N",
        help="images of any size have a height and width that are multiples of N (default: 1)",
    )
    own.add_argument(
        "--name", help="of the C++ struct (default: from the header's or the output's)"
    )
    own.add_argument(
        "--labels",
        type=_split_labels,
        metavar="A,B,...",
        help="of the outputs, for a classifier: a network with one output, a flat vector",
    )
    own.add_argument(
        "--mean",
        type=_numbers,
        metavar="M,...",
        help="input = (pixel / 255 - M) / S; one for all channels, or one for each",
    )
    own.add_argument("--std", type=_numbers, metavar="S,...", help="(default: mean 0, deviation 1)")
    own.add_argument(
        "--face-size",
        type=int,
        metavar="N",
        help="faces become N pixels square before cropping; 0: the input is no face (default: a "
        "classifier's larger input side, else 0)",
    )
    own.add_argument(
        "--equalize-histogram",
        action="store_true",
        default=None,
        help="equalise the histogram of faces before cropping",
    )
    return parser


def _add_int8_options(group: argparse._ArgumentGroup) -> None:
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--int8",
        action="store_true",
        help="compute products of layers in 8 bits, and store weights so, where --calibrate shows "
        "that it changes little",
    )
    which.add_argument(
        "--int8-weights",
        action="store_true",
        help="only store the weights of convolutions and dense layers in 8 bits",
    )
    group.add_argument(
        "--calibrate",
        type=Path,
        metavar="DATA",
        help="for --int8: faces as mien_tools.train takes them, of which the training rows are "
        "used, a folder of images of faces, or an array [n, C, H, W] in a file .npy (uint8: "
        "pixels; float32: inputs as they are)",
    )
    group.add_argument(
        "--calibrate-count",
        type=_positive,
        metavar="N",
        help="so many of them: ranges are measured on one half, and on the other half what 8 bits "
        f"change (default: {DEFAULT_COUNT})",
    )
    group.add_argument(
        "--int8-method",
        choices=METHOD_CHOICES,
        help="where a layer's inputs are cut off; auto: what changes the outputs least (default)",
    )
    group.add_argument(
        "--int8-layers",
        type=_layer_names,
        metavar="NAMES",
        help="layers with products in 8 bits, such as layer3.conv.0,lin1; auto (the default): "
        "those dense layers and convolutions that change the outputs least, but for 3x3 and 5x5 "
        "ones of stride 1, which are as fast in fp32",
    )
    group.add_argument(
        "--int8-products-only",
        action="store_true",
        help="store other weights as without --int8",
    )


def _layer_names(text: str) -> tuple[str, ...] | None:
    return None if text == "auto" else _split_labels(text)


def _are_same(first: Path, second: Path) -> bool:
    """Whether two paths are one file; a device may be several."""
    return first.resolve() == second.resolve() and (first.is_file() or not first.exists())


def _check_usage(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    own = (
        "input",
        "size_multiple",
        "name",
        "labels",
        "mean",
        "std",
        "face_size",
        "equalize_histogram",
    )
    given = [option for option in own if getattr(options, option) is not None]
    if options.network and given:
        parser.error(
            f"--{given[0].replace('_', '-')} is for --module and --onnx; --network brings its own"
        )
    if options.mien:
        given += [
            option
            for option in ("checkpoint", "temperature", "report")
            if getattr(options, option) is not None
        ]
        if given:
            parser.error(f"--{given[0].replace('_', '-')}: --mien keeps what its file says")
    if options.network and options.checkpoint is None:
        parser.error("--network needs its weights: --checkpoint FILE")
    if options.module and options.input is None:
        parser.error("--module needs --input CxHxW")
    if options.onnx and options.checkpoint is not None:
        parser.error("--checkpoint is for --network and --module; --onnx has its weights")
    if options.report is not None and options.checkpoint is None:
        parser.error("--report is on a checkpoint: --checkpoint FILE")
    for written in ("output", "header"):
        for other in ("mien", "onnx", "checkpoint", "report", "calibrate", "output"):
            paths = [getattr(options, written), getattr(options, other)]
            if other != written and None not in paths and _are_same(*paths):
                parser.error(f"--{other} and --{written} are the same file")
    if options.namespace and options.header is None:
        parser.error("--namespace is for --header")
    _check_int8_usage(parser, options)


def _check_int8_usage(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.int8 and options.calibrate is None:
        parser.error("--int8 needs images to measure ranges on: --calibrate DATA")
    for option in ("calibrate", "calibrate_count", "int8_method", "int8_layers"):
        if getattr(options, option) is not None and not options.int8:
            parser.error(f"--{option.replace('_', '-')} is for --int8")
    if options.int8_products_only and not options.int8:
        parser.error("--int8-products-only is for --int8")


def _input_shape(text: str) -> Shape:
    found = re.fullmatch(r"([1-9]\d*)x(?:([1-9]\d*)x([1-9]\d*)|anyxany)", text, re.ASCII)
    if not found:
        raise argparse.ArgumentTypeError(f"expected channels x height x width, found '{text}'")
    return tuple(None if size is None else int(size) for size in found.groups())


def _positive(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d*", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"expected a number of 1 or more, found '{text}'")
    return int(text)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers, found '{text}'") from None


def _split_labels(text: str) -> tuple[str, ...]:
    return tuple(label.strip() for label in text.split(","))


def _export_as_asked(options: argparse.Namespace) -> None:
    struct_name = _struct_name(options)
    header.check_struct_name(struct_name)
    if options.report is not None:
        from mien_tools.checkpoints import read_temperature

        options.temperature = read_temperature(options.report, options.checkpoint)
    if options.temperature is None:
        options.temperature = 1.0
    if options.mien:
        network = read_source(options.mien)
    elif options.network:
        from mien_tools.networks import network_info

        network = own_network(network_info(options.network), options.temperature)
        load_weights(network.module, options)
    else:
        network = _users_network(options, struct_name)
    target = None
    if options.header is not None:
        target = HeaderTarget(options.header, struct_name, options.namespace)
    exported = export(network, options.output, options.half, target, _int8_options(options))
    _report(exported, options, struct_name)


def _int8_options(options: argparse.Namespace) -> Int8Options | None:
    if not options.int8 and not options.int8_weights:
        return None
    return Int8Options(
        options.calibrate,
        options.calibrate_count or DEFAULT_COUNT,
        options.int8_method or "auto",
        options.int8_layers,
        options.int8_products_only,
    )


def _struct_name(options: argparse.Namespace) -> str:
    if options.network:
        from mien_tools.networks import network_info

        return network_info(options.network).build.__name__
    if options.name is not None:
        return options.name
    return header.to_struct_name((options.header or options.output).stem)


def own_network(info: "NetworkInfo", temperature: float = 1.0) -> Network:
    """One of Mien's own networks, still with random weights."""
    preprocessing = Preprocessing(
        info.face_size,
        (info.mean,),
        (info.standard_deviation,),
        temperature,
        info.equalize_histogram,
    )
    input_shape = (1, info.input_size, info.input_size)
    return Network(info.build(), info.name, input_shape, preprocessing, info.labels)


def _users_network(options: argparse.Namespace, struct_name: str) -> Network:
    if options.onnx:
        source: Source = OnnxSource(options.onnx, options.input or (), options.size_multiple or 1)
        input_shape = source.imported().graph.inputs[0].shape
    else:
        from mien_tools.pytorch import load_module

        module = load_module(options.module)
        load_weights(module, options)
        source = ModuleSource(module, options.input, options.size_multiple or 1)
        input_shape = options.input[0]
    channels = input_shape[0]
    preprocessing = Preprocessing(
        options.face_size,
        _for_channels(options.mean or (0.0,), channels),
        _for_channels(options.std or (1.0,), channels),
        options.temperature,
        bool(options.equalize_histogram),
    )
    name = header.to_network_name(struct_name)
    return Network(source, name, input_shape, preprocessing, options.labels)


def _for_channels(numbers: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """One number for all channels, or those of each."""
    return numbers * channels if len(numbers) == 1 else numbers


def load_weights(module: "nn.Module", options: argparse.Namespace) -> None:
    """Load the checkpoint, or check the weights with which the module came, in double precision.

    `options` are the command line's network, module, checkpoint and trust. Raises ExportError,
    StateDictError or OSError.
    """
    from mien_tools.state_dicts import load_into, read_weights

    module.double()  # so that what float32 cannot hold is found by name and value
    if options.checkpoint is None:
        load_into(module, module.state_dict(), f"--module {options.module}")
        return
    saved = read_weights(options.checkpoint, options.trust)
    if options.network and saved.network not in (None, options.network):
        raise ExportError(
            f"{options.checkpoint}: network: expected {options.network}, found {saved.network}"
        )
    load_into(module, saved.state, str(options.checkpoint))


def _report(exported: Exported, options: argparse.Namespace, struct_name: str) -> None:
    file = exported.file
    number_type = "fp16" if options.half else "fp32"
    if options.int8 or options.int8_weights:
        number_type = f"int8 and {number_type}"
    print(
        f"{options.output}: {file.network}, {file.graph.parameter_count} parameters in "
        f"{number_type}, {options.output.stat().st_size} bytes; rounding them changes outputs of "
        f"up to {exported.largest_output:.3g} by at most {exported.storage_error:.2g}"
    )
    if exported.choice is not None:
        from mien_tools.int8_choice import report_text

        print(report_text(exported.choice))
    if file.preprocessing.temperature != 1:
        print(f"temperature {file.preprocessing.temperature:.6g}")
    if options.header is not None:
        print(f"{options.header}: struct {struct_name}")
    if exported.unused:
        print(f"note: the outputs do not depend on {', '.join(exported.unused)}: not written")
    if not file.labels:
        named = zip(file.graph.outputs, file.graph.output_shapes(), strict=True)
        shapes = ", ".join(f"{output.name} {shape_text(shape)}" for output, shape in named)
        print(f"no classifier, without labels; outputs: {shapes}")
    last = file.graph.outputs[0].value - len(file.graph.inputs)
    if file.labels and last >= 0 and file.graph.nodes[last].layer == "Softmax":
        print(
            "note: the outputs are probabilities; mien::ExpressionClassifier expects logits and "
            "would apply softmax again"
        )


if __name__ == "__main__":
    sys.exit(main())
