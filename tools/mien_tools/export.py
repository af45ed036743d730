"""Writes a PyTorch network as a .mien weight file and, if asked, as a C++ header.

    python -m mien_tools.export --network mini_fer --checkpoint best.pt --output mini_fer.mien
    python -m mien_tools.export --module my_cnn.py:make_network --checkpoint my_cnn.pt \\
        --input 1x40x40 --output my_cnn.mien --header my_cnn.hpp --labels cat,dog

The network is traced into a graph of Mien's layers, its weights are rounded to what the file
stores, and PyTorch computes the file's test vectors from the rounded weights in double precision.
The file is then read back and its graph, as C++ will run it, is replayed against these vectors.
"""

import argparse
import copy
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mien_tools import header, weights
from mien_tools.checkpoints import CheckpointError, read_temperature
from mien_tools.commands import exit_status
from mien_tools.container import FormatError, write_atomically
from mien_tools.graph import Graph
from mien_tools.header import HeaderError
from mien_tools.networks import NETWORKS, NetworkInfo, network_info
from mien_tools.shapes import Shape, shape_text
from mien_tools.state_dicts import StateDictError, load_into, read_weights
from mien_tools.trace import TraceError, first_line, named_outputs, trace, user_line
from mien_tools.weights import (
    NamedTensor,
    OutputSample,
    Pattern,
    Preprocessing,
    TestVector,
    WeightFile,
    sampled,
)

# The sizes at which a network that takes any is traced and tested; they are to give one graph.
FREE_SIZES = ((64, 64), (61, 83))

# Patches of the test vectors' pixels; the last vector is plain.
_PATCHES = (1, 2, 4)
# At most so many values of an output are stored.
_MOST_SAMPLES = 4096
# A network of more multiply-adds is not replayed whenever it is loaded.
MOST_REPLAYED = 500_000_000

# The replay differs from PyTorch by the rounding of the stored outputs to float32, about 6e-8.
_REPLAY_TOLERANCE = 1e-6


class ExportError(ValueError):
    """A network cannot be exported; the message says what, where, expected and found."""


@dataclass(frozen=True)
class Network:
    """A module with its weights, and what a weight file says besides them.

    Height and width of `input_shape` may be None: any. A classifier, which puts out one flat
    vector, without `labels` has class0, class1 and so on; other networks have none. A face size of
    None is the input's larger side for a classifier, else 0.
    """

    module: nn.Module
    name: str
    input_shape: Shape
    preprocessing: Preprocessing
    labels: tuple[str, ...] | None = None


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
    unused: tuple[str, ...]


def export(
    network: Network, output: Path, half: bool = False, header_target: HeaderTarget | None = None
) -> Exported:
    """Write `network` to `output` and its header, or neither; `half` stores weights in fp16.

    Raises ExportError, TraceError, StateDictError, HeaderError, FormatError or OSError.
    """
    exported = build_weight_file(network, half)
    contents = {output: exported.file.encode()}
    if header_target is not None:
        text = header.header_text(
            exported.file.graph,
            header_target.struct_name,
            network.name,
            header_target.namespace,
        )
        contents[header_target.path] = text.encode()
    with _all_or_nothing(list(contents)):
        for path, data in contents.items():
            write_atomically(path, data)
        replay(weights.read(output), str(output))
        if header_target is not None:
            written = header_target.path.read_text(encoding="utf-8")
            header.check_header(written, str(header_target.path), network.name)
    return exported


def build_weight_file(network: Network, half: bool = False) -> Exported:
    """Trace a network and make its weight file, with test vectors, in memory."""
    try:
        module = copy.deepcopy(network.module).cpu().double().eval()
    except Exception as error:
        raise ExportError(
            f"{type(network.module).__name__}: expected a module that can be copied to the CPU in "
            f"double precision, found {type(error).__name__}: {first_line(error)}"
        ) from error
    graph = _graph(module, network.input_shape)
    labels = _labels(network.labels, graph)
    preprocessing = _with_face_size(network.preprocessing, graph, labels)
    preprocessing.check(network.name, graph.inputs[0])
    patterns = test_patterns(graph)
    unanswered = (TestVector((pattern,), ()) for pattern in patterns)
    inputs = [vector.input_values(graph, preprocessing)[0] for vector in unanswered]
    if len(network.input_shape) == 1:
        inputs = [values.reshape(-1) for values in inputs]

    exact_outputs = [_run(module, values) for values in inputs]
    tensors = _stored_tensors(graph, module, half)
    _put_back(graph, module, tensors)
    outputs = [_run(module, values) for values in inputs]

    pairs = [
        pair
        for exact, found in zip(exact_outputs, outputs, strict=True)
        for pair in zip(exact.values(), found.values(), strict=True)
    ]
    size = (graph.inputs[0].channels, patterns[0].height, patterns[0].width)
    file = WeightFile(
        network.name,
        graph,
        tuple(NamedTensor(*pair) for pair in tensors.items()),
        labels,
        preprocessing,
        tuple(
            TestVector((pattern,), _samples(f"test vector {index}", found))
            for index, (pattern, found) in enumerate(zip(patterns, outputs, strict=True))
        ),
        replayed=int(graph.multiply_adds([size]) <= MOST_REPLAYED),
    )
    return Exported(
        file,
        storage_error=max(float(np.abs(found - exact).max()) for exact, found in pairs),
        largest_output=max(float(np.abs(exact).max()) for exact, _ in pairs),
        unused=tuple(
            name
            for name, tensor in network.module.state_dict().items()
            if name not in tensors and tensor.is_floating_point()
        ),
    )


def _graph(module: nn.Module, input_shape: Shape) -> Graph:
    """The module's graph; where it takes any size, that of one size which others share."""
    if None not in input_shape:
        return trace(module, input_shape)
    channels = input_shape[0]
    graphs = [trace(module, (channels, *size)) for size in FREE_SIZES]
    for first, other in zip(graphs[0].nodes, graphs[1].nodes, strict=False):
        if first != other:
            sizes = " and ".join(shape_text(size) for size in FREE_SIZES)
            raise ExportError(
                f"{first.label}: expected the same layer for images of {sizes}, found "
                f"{_spelled(first)} and {_spelled(other)}; give --input a height and a width"
            )
    entry = replace(graphs[0].inputs[0], height=None, width=None)
    graph = replace(graphs[0], inputs=(entry,))
    graph.shapes()  # refuses what needs a fixed size
    return graph


def _spelled(node) -> str:
    return node.record.cpp(node.resolved)


def test_patterns(graph: Graph) -> list[Pattern]:
    """The inputs of a file's test vectors: images of real ones' range, always the same.

    Random patches, from single pixels to coarser ones, since layers see edges and areas
    differently; the last is a plain image.
    """
    entry = graph.inputs[0]
    sizes = FREE_SIZES if entry.height is None else ((entry.height, entry.width),)
    patterns = []
    for index, patch in enumerate((*_PATCHES, None)):
        height, width = sizes[index % len(sizes)]
        patterns.append(Pattern(height, width, index + 1, patch or max(height, width) + 1))
    return patterns


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
    tensors = {
        name: torch.from_numpy(values.astype(np.float64)) for name, values in file.values().items()
    }
    largest = 0.0
    for index, vector in enumerate(file.vectors):
        inputs = [
            torch.from_numpy(values.astype(np.float64)).unsqueeze(0)
            for values in vector.input_values(file.graph, file.preprocessing)
        ]
        with torch.no_grad():
            outputs = file.graph.run_outputs(inputs, tensors)
        for output, sample in zip(outputs, vector.outputs, strict=True):
            found = sampled(output.numpy(), sample.stride)
            difference = float(np.abs(found - sample.values).max())
            scale = float(np.abs(sample.values).max())
            if not difference <= _REPLAY_TOLERANCE * scale:
                raise ExportError(
                    f"{name}: test vector {index}: expected the layers to compute what the module "
                    f"does, found outputs up to {scale:.3g} that differ by {difference:.3g}; does "
                    "its forward change a tensor in place and use the old one again?"
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


def _values(graph: Graph, module: nn.Module) -> dict[str, np.ndarray]:
    """The values of every tensor that the traced graph takes, as its layers compute with them."""
    found: dict[str, np.ndarray] = {}
    for node in graph.nodes:
        shapes = node.tensor_shapes
        values = node.record.values(module.get_submodule(node.name)) if shapes else {}
        for name, (role, shape) in zip(node.tensors, shapes.items(), strict=True):
            if values[role].shape != shape:
                raise ExportError(
                    f"tensor '{name}': expected {shape_text(shape)}, "
                    f"found {shape_text(values[role].shape)}"
                )
            found[name] = values[role]
    return found


def graph_tensors(graph: Graph, module: nn.Module) -> dict[str, Tensor]:
    """The tensors that the traced graph takes from its module, which is in double precision.

    Raises ExportError for a misshapen tensor.
    """
    return {name: torch.from_numpy(values) for name, values in _values(graph, module).items()}


def _stored_tensors(graph: Graph, module: nn.Module, half: bool) -> dict[str, np.ndarray]:
    return {
        name: as_stored(values, half, f"tensor '{name}'")
        for name, values in _values(graph, module).items()
    }


def _put_back(graph: Graph, module: nn.Module, tensors: dict[str, np.ndarray]) -> None:
    """Make `module` compute with the weights as stored."""
    for node in graph.nodes:
        for name, role in zip(node.tensors, node.tensor_shapes, strict=True):
            values = torch.from_numpy(tensors[name].astype(np.float64))
            node.record.put_back(module.get_submodule(node.name), role, values)


def _run(module: nn.Module, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """A module's outputs for one input, by name."""
    with torch.no_grad():
        result = module(torch.from_numpy(inputs.astype(np.float64)).unsqueeze(0))
    return {name: tensor.squeeze(0).numpy() for name, tensor in named_outputs(result).items()}


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
    previous = {path: path.read_bytes() if path.exists() else None for path in paths}
    try:
        yield
    except BaseException:
        for path, data in previous.items():
            if data is None:
                path.unlink(missing_ok=True)
            elif path.read_bytes() != data:
                write_atomically(path, data)
        raise


def load_module(spec: str) -> nn.Module:
    """The module that "file.py:name" or "package.module:name" stands for.

    `name` is a torch.nn.Module, or a class or function that makes one when called without
    arguments. Raises ExportError.
    """
    source, _, name = spec.rpartition(":")
    if not source or not name:
        raise ExportError(f"--module: expected FILE.py:NAME or PACKAGE.MODULE:NAME, found '{spec}'")
    found = _guarded(f"--module {spec}: importing {source}", lambda: _import(source))
    for attribute in name.split("."):
        if not hasattr(found, attribute):
            raise ExportError(f"--module {spec}: expected '{name}' in {source}, found none")
        found = getattr(found, attribute)
    if not isinstance(found, nn.Module):
        if not callable(found):
            kind = type(found).__name__
            raise ExportError(f"--module {spec}: expected a module or what makes one, found {kind}")
        found = _guarded(f"--module {spec}: calling {name}()", found)
    if not isinstance(found, nn.Module):
        raise ExportError(
            f"--module {spec}: expected a torch.nn.Module, found {type(found).__name__}"
        )
    return _unwrapped(found)


def _unwrapped(module: nn.Module) -> nn.Module:
    """The network inside what DataParallel or torch.compile put around it."""
    while True:
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            module = module.module
        elif isinstance(getattr(module, "_orig_mod", None), nn.Module):
            module = module._orig_mod
        else:
            return module


def _import(source: str) -> object:
    if not source.endswith(".py"):
        # Packages in the current folder are importable, as for `python -m`.
        sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(source)
    path = Path(source).resolve()
    # A script's neighbours are importable, as when Python runs it.
    sys.path.insert(0, str(path.parent))
    name = path.stem if path.stem not in sys.modules else f"mien_export_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _guarded(where: str, action: Callable[[], object]) -> object:
    """The result of code that is not ours; whatever it raises becomes an ExportError."""
    try:
        return action()
    except Exception as error:
        raise ExportError(
            f"{where}{user_line(error)}: expected no error, found {type(error).__name__}: "
            f"{first_line(error)}"
        ) from error


def main(arguments: list[str] | None = None) -> int:
    parser = _make_parser()
    options = parser.parse_args(arguments)
    _check_usage(parser, options)
    errors = (ExportError, TraceError, StateDictError, HeaderError, FormatError, CheckpointError)
    return exit_status(parser.prog, lambda: _export_as_asked(options), errors)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mien_tools.export",
        description="Write a PyTorch network as a .mien weight file and a C++ header.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--network", choices=sorted(NETWORKS), help="one of Mien's own networks")
    what.add_argument(
        "--module",
        metavar="FILE.py:NAME",
        help="a torch.nn.Module, or a class or function that makes one, in a file or a module",
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
    parser.add_argument("--half", action="store_true", help="store the weights in fp16")
    temperature = parser.add_mutually_exclusive_group()
    temperature.add_argument(
        "--temperature",
        type=float,
        default=1.0,
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
    own = parser.add_argument_group("for --module")
    own.add_argument(
        "--input",
        type=_input_shape,
        metavar="CxHxW",
        help="such as 1x40x40; 3xanyxany for images of any size",
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


def _check_usage(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    own = ("input", "name", "labels", "mean", "std", "face_size", "equalize_histogram")
    given = [option for option in own if getattr(options, option) is not None]
    if options.network and given:
        parser.error(f"--{given[0].replace('_', '-')} is for --module; --network brings its own")
    if options.network and options.checkpoint is None:
        parser.error("--network needs its weights: --checkpoint FILE")
    if options.module and options.input is None:
        parser.error("--module needs --input CxHxW")
    if options.report is not None and options.checkpoint is None:
        parser.error("--report is on a checkpoint: --checkpoint FILE")
    if options.header is not None and options.header.resolve() == options.output.resolve():
        parser.error("--header and --output are the same file")
    if options.namespace and options.header is None:
        parser.error("--namespace is for --header")


def _input_shape(text: str) -> Shape:
    found = re.fullmatch(r"([1-9]\d*)x(?:([1-9]\d*)x([1-9]\d*)|anyxany)", text, re.ASCII)
    if not found:
        raise argparse.ArgumentTypeError(f"expected channels x height x width, found '{text}'")
    return tuple(None if size is None else int(size) for size in found.groups())


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
        options.temperature = read_temperature(options.report, options.checkpoint)
    if options.network:
        network = own_network(network_info(options.network), options.temperature)
    else:
        network = _users_network(options, struct_name)
    target = None
    if options.header is not None:
        target = HeaderTarget(options.header, struct_name, options.namespace)
    load_weights(network.module, options)
    _report(export(network, options.output, options.half, target), options, struct_name)


def _struct_name(options: argparse.Namespace) -> str:
    if options.network:
        return network_info(options.network).build.__name__
    if options.name is not None:
        return options.name
    return header.to_struct_name((options.header or options.output).stem)


def own_network(info: NetworkInfo, temperature: float = 1.0) -> Network:
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
    channels = options.input[0]
    preprocessing = Preprocessing(
        options.face_size,
        _for_channels(options.mean or (0.0,), channels),
        _for_channels(options.std or (1.0,), channels),
        options.temperature,
        bool(options.equalize_histogram),
    )
    name = header.to_network_name(struct_name)
    module = load_module(options.module)
    return Network(module, name, options.input, preprocessing, options.labels)


def _for_channels(numbers: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """One number for all channels, or those of each."""
    return numbers * channels if len(numbers) == 1 else numbers


def load_weights(module: nn.Module, options: argparse.Namespace) -> None:
    """Load the checkpoint, or check the weights with which the module came, in double precision.

    `options` are the command line's network, module, checkpoint and trust. Raises ExportError,
    StateDictError or OSError.
    """
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
    print(
        f"{options.output}: {file.network}, {file.graph.parameter_count} parameters in "
        f"{number_type}, {options.output.stat().st_size} bytes; rounding them changes outputs of "
        f"up to {exported.largest_output:.3g} by at most {exported.storage_error:.2g}"
    )
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
