"""Writes a PyTorch network as a .mien weight file and, if asked, as a C++ header.

    python -m mien_tools.export --network mini_fer --checkpoint best.pt --output mini_fer.mien
    python -m mien_tools.export --module my_cnn.py:make_network --checkpoint my_cnn.pt \\
        --input 1x40x40 --output my_cnn.mien --header my_cnn.hpp --labels cat,dog

The network is traced into Mien's layers, its weights are rounded to what the file stores, and
PyTorch computes the file's verification vectors from the rounded weights in double precision. The
file is then read back and its layers, as C++ will run them, are replayed against these vectors.
"""

import argparse
import copy
import importlib
import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mien_tools import header, weights
from mien_tools.checkpoints import CheckpointError, read_temperature
from mien_tools.commands import exit_status
from mien_tools.container import FormatError, write_atomically
from mien_tools.header import HeaderError
from mien_tools.layer_tree import BATCH_NORM_EPSILON, Layer, Sequential, Softmax
from mien_tools.networks import NETWORKS, NetworkInfo, network_info
from mien_tools.preprocess import normalise
from mien_tools.shapes import Shape, shape_text
from mien_tools.state_dicts import StateDictError, load_into, read_weights
from mien_tools.trace import TraceError, first_line, trace, user_line
from mien_tools.weights import NamedTensor, Preprocessing, VerificationVector, WeightFile

VERIFICATION_VECTORS = 4
_VERIFICATION_SEED = 0
_MID_GRAY = 128

# The replay differs from PyTorch by the rounding of the stored outputs to float32, about 6e-8.
_REPLAY_TOLERANCE = 1e-6


class ExportError(ValueError):
    """A network cannot be exported; the message says what, where, expected and found."""


@dataclass(frozen=True)
class Network:
    """A module with its weights, and what a weight file says besides them.

    Without `labels` the outputs are called class0, class1 and so on.
    """

    module: nn.Module
    architecture: str
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
    layers: Sequential
    # The largest change of an output by storing the weights, and the largest output.
    storage_error: float
    largest_output: float
    # Tensors of the module on which its output does not depend.
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
            exported.layers,
            network.preprocessing.input_shape,
            header_target.struct_name,
            network.architecture,
            header_target.namespace,
        )
        contents[header_target.path] = text.encode()
    with _all_or_nothing(list(contents)):
        for path, data in contents.items():
            write_atomically(path, data)
        replay(weights.read(output), exported.layers, str(output))
        if header_target is not None:
            written = header_target.path.read_text(encoding="utf-8")
            header.check_header(written, str(header_target.path), network.architecture)
    return exported


def build_weight_file(network: Network, half: bool = False) -> Exported:
    """Trace a network and make its weight file, with verification vectors, in memory."""
    try:
        module = copy.deepcopy(network.module).cpu().double().eval()
    except Exception as error:
        raise ExportError(
            f"{type(network.module).__name__}: expected a module that can be copied to the CPU in "
            f"double precision, found {type(error).__name__}: {first_line(error)}"
        ) from error
    preprocessing = network.preprocessing
    layers = trace(module, preprocessing.input_shape)
    labels = _labels(network.labels, layers.output_shape(preprocessing.input_shape))
    inputs = verification_inputs(preprocessing, VERIFICATION_VECTORS)

    exact_outputs = _run(module, inputs)
    tensors = tuple(
        NamedTensor(slot.name, as_stored(values, half, f"tensor '{slot.name}'"))
        for slot, values in _tensors(layers, module)
    )
    _put_back(layers, module, tensors)
    outputs = _run(module, inputs)

    vectors = tuple(
        VerificationVector(vector, as_stored(result, False, f"verification vector {i}, output"))
        for i, (vector, result) in enumerate(zip(inputs, outputs, strict=True))
    )
    written = {tensor.name for tensor in tensors}
    return Exported(
        WeightFile(network.architecture, preprocessing, labels, tensors, vectors),
        layers,
        storage_error=float(np.abs(outputs - exact_outputs).max()),
        largest_output=float(np.abs(exact_outputs).max()),
        unused=tuple(
            name
            for name, tensor in network.module.state_dict().items()
            if name not in written and tensor.is_floating_point()
        ),
    )


def replay(file: WeightFile, layers: Layer, name: str) -> float:
    """Run the layers on a file's tensors; the largest difference to its verification vectors.

    Raises ExportError, beginning with `name`, if a tensor is not the one that the layers take at
    its place, or if the difference is more than rounding.
    """
    _check_order(file, layers, name)
    largest = 0.0
    for index, vector in enumerate(file.verification):
        tensors = (torch.from_numpy(t.values.astype(np.float64)) for t in file.tensors)
        images = torch.from_numpy(vector.inputs.astype(np.float64)).unsqueeze(0)
        with torch.no_grad():
            found = layers.forward(images, tensors).squeeze(0).numpy()
        difference = float(np.abs(found - vector.outputs).max())
        scale = float(np.abs(vector.outputs).max())
        if not difference <= _REPLAY_TOLERANCE * scale:
            raise ExportError(
                f"{name}: verification vector {index}: expected the layers to compute what the "
                f"module does, found outputs up to {scale:.3g} that differ by {difference:.3g}; "
                "does its forward change a tensor in place and use the old one again?"
            )
        largest = max(largest, difference)
    return largest


def _check_order(file: WeightFile, layers: Layer, name: str) -> None:
    """Roles and shapes, as the C++ library checks them when it loads the file."""
    slots = list(_slots(layers))
    if len(file.tensors) != len(slots):
        raise ExportError(f"{name}: expected {len(slots)} tensors, found {len(file.tensors)}")
    for slot, tensor in zip(slots, file.tensors, strict=True):
        shape = slot.layer.tensor_shapes()[slot.role]
        if tensor.name.rpartition(".")[2] != slot.role or tensor.values.shape != shape:
            raise ExportError(
                f"{name}: tensor '{tensor.name}': expected {slot.role} {shape_text(shape)}, "
                f"found {shape_text(tensor.values.shape)}"
            )


def verification_inputs(preprocessing: Preprocessing, count: int) -> np.ndarray:
    """Network inputs [count, channels, height, width] of real inputs' range, always the same.

    Random patches, from single pixels to coarser ones, since layers see edges and areas
    differently; the last is a plain gray image.
    """
    generator = np.random.default_rng(_VERIFICATION_SEED)
    channels, height, width = preprocessing.input_shape
    images = []
    for index in range(count - 1):
        patch = 2**index
        rows, columns = -(-height // patch), -(-width // patch)
        patches = generator.integers(0, 256, (channels, rows, columns), dtype=np.uint8)
        enlarged = patches.repeat(patch, axis=1).repeat(patch, axis=2)
        images.append(enlarged[:, :height, :width])
    images.append(np.full((channels, height, width), _MID_GRAY, dtype=np.uint8))
    return normalise(np.stack(images), preprocessing.mean, preprocessing.standard_deviation)


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


def fold_epsilon(
    weight: np.ndarray, variance: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weight and running variance that normalise at Mien's epsilon as these do at `epsilon`.

    The difference goes into the variance. Where that would become negative, it stays 0 and the
    weight makes up for it.
    """
    folded = variance + (epsilon - BATCH_NORM_EPSILON)
    with np.errstate(divide="ignore"):
        scaled_weight = weight * np.sqrt(BATCH_NORM_EPSILON / (variance + epsilon))
    return np.where(folded < 0, scaled_weight, weight), np.maximum(folded, 0)


@dataclass(frozen=True)
class _Slot:
    """A tensor that a layer takes: the layer, the tensor's role in it, and its name in the file."""

    layer: Layer
    role: str
    name: str


def _slots(layers: Layer) -> Iterator[_Slot]:
    """Every tensor in the order of the file; a module's second use adds "#2" to its name."""
    uses: Counter[str] = Counter()
    for layer in layers.leaves():
        if layer.tensor_shapes():
            uses[layer.source] += 1
            suffix = f"#{uses[layer.source]}" if uses[layer.source] > 1 else ""
            for role in layer.tensor_shapes():
                yield _Slot(layer, role, f"{layer.source}{suffix}.{role}")


def _tensors(layers: Layer, module: nn.Module) -> Iterator[tuple[_Slot, np.ndarray]]:
    """The values of every tensor, batch normalisations brought to Mien's epsilon."""
    for slot in _slots(layers):
        values = _values(module.get_submodule(slot.layer.source), slot.role)
        expected = slot.layer.tensor_shapes()[slot.role]
        if values.shape != expected:
            raise ExportError(
                f"tensor '{slot.name}': expected {shape_text(expected)}, "
                f"found {shape_text(values.shape)}"
            )
        yield slot, values


def layer_tensors(layers: Layer, module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Name in a weight file and values of every tensor that the traced `layers` take, in order.

    `module` is in double precision. Raises ExportError for a misshapen tensor.
    """
    for slot, values in _tensors(layers, module):
        yield slot.name, torch.from_numpy(values)


def _values(module: nn.Module, role: str) -> np.ndarray:
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
        mean = module.running_mean.numpy()
        weight = np.ones_like(mean) if module.weight is None else module.weight.detach().numpy()
        bias = np.zeros_like(mean) if module.bias is None else module.bias.detach().numpy()
        weight, variance = fold_epsilon(weight, module.running_var.numpy(), module.eps)
        return {"weight": weight, "bias": bias, "running_mean": mean, "running_var": variance}[role]
    return getattr(module, role).detach().numpy()


def _put_back(layers: Layer, module: nn.Module, tensors: tuple[NamedTensor, ...]) -> None:
    """Make `module` compute with the weights as stored."""
    for slot, tensor in zip(_slots(layers), tensors, strict=True):
        submodule = module.get_submodule(slot.layer.source)
        values = torch.from_numpy(tensor.values.astype(np.float64))
        if isinstance(submodule, (nn.BatchNorm1d, nn.BatchNorm2d)):
            submodule.eps = BATCH_NORM_EPSILON
            if getattr(submodule, slot.role) is None:
                submodule.register_parameter(slot.role, nn.Parameter(values))
        getattr(submodule, slot.role).data.copy_(values)


def _run(module: nn.Module, inputs: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return module(torch.from_numpy(inputs.astype(np.float64))).numpy()


def _labels(labels: tuple[str, ...] | None, output_shape: Shape) -> tuple[str, ...]:
    if len(output_shape) != 1:
        raise ExportError(
            "the network's output: expected a flat vector (nn.Flatten before the end), found "
            f"{shape_text(output_shape)}"
        )
    if labels is None:
        return tuple(f"class{index}" for index in range(output_shape[0]))
    if len(labels) != output_shape[0]:
        raise ExportError(
            f"labels: expected {output_shape[0]}, one for each output, found {len(labels)} "
            f"({', '.join(labels)})"
        )
    return labels


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
    own.add_argument("--input", type=_input_shape, metavar="CxHxW", help="such as 1x40x40")
    own.add_argument(
        "--name", help="of the C++ struct (default: from the header's or the output's)"
    )
    own.add_argument("--labels", type=_split_labels, metavar="A,B,...", help="of the outputs")
    own.add_argument("--mean", type=float, metavar="M", help="input = (pixel / 255 - M) / S")
    own.add_argument("--std", type=float, metavar="S", help="(default: mean 0, deviation 1)")
    own.add_argument(
        "--face-size",
        type=int,
        metavar="N",
        help="faces become N pixels square before cropping (default: the input's larger side)",
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


def _input_shape(text: str) -> tuple[int, int, int]:
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"expected channels x height x width, found '{text}'")
    channels, height, width = map(int, text.split("x"))
    return channels, height, width


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
    network.preprocessing.check(network.architecture)
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
        1,
        info.input_size,
        info.input_size,
        info.face_size,
        info.mean,
        info.standard_deviation,
        temperature,
        info.equalize_histogram,
    )
    return Network(info.build(), info.name, preprocessing, info.labels)


def _users_network(options: argparse.Namespace, struct_name: str) -> Network:
    face_size = options.face_size
    preprocessing = Preprocessing(
        *options.input,
        max(options.input[1:]) if face_size is None else face_size,
        0.0 if options.mean is None else options.mean,
        1.0 if options.std is None else options.std,
        options.temperature,
        bool(options.equalize_histogram),
    )
    architecture = header.to_architecture(struct_name)
    return Network(load_module(options.module), architecture, preprocessing, options.labels)


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
        f"{options.output}: {file.architecture}, {exported.layers.parameter_count} parameters in "
        f"{number_type}, {options.output.stat().st_size} bytes; rounding them changes outputs of "
        f"up to {exported.largest_output:.3g} by at most {exported.storage_error:.2g}"
    )
    if file.preprocessing.temperature != 1:
        print(f"temperature {file.preprocessing.temperature:.6g}")
    if options.header is not None:
        print(f"{options.header}: struct {struct_name}")
    if exported.unused:
        print(f"note: the output does not depend on {', '.join(exported.unused)}: not written")
    if isinstance(exported.layers.layers[-1], Softmax):
        print(
            "note: the outputs are probabilities; mien::ExpressionClassifier expects logits and "
            "would apply softmax again"
        )


if __name__ == "__main__":
    sys.exit(main())
