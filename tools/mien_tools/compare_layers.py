"""Compares a network's layers in C++ with PyTorch's: where do two runs part?

    inspect --model vgg10.mien --dump layers
    python -m mien_tools.compare_layers --network vgg10 --checkpoint best.pt layers

prints a table of the layers that the program `inspect` wrote, with the largest difference of each
to what PyTorch computes in double precision for the same input. The status is 1 if one differs by
more than the tolerance, relative to the layer's largest value: the first such layer is where to
look.

Files are called NNN_LAYER.npy, float32, channels x height x width. LAYER is the name of the layer
in PyTorch, or its kind, with "_" for what file systems may not take; "+ReLU" and the like stand for
the layers that C++ runs together with it, each of them taking what the one before it put out.
"+Add" adds that to a value of an earlier step.
"""

import argparse
import copy
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mien_tools.commands import exit_status
from mien_tools.export import ExportError, load_weights
from mien_tools.networks import NETWORKS
from mien_tools.pytorch import ModuleError, TraceError, import_module, load_module
from mien_tools.shapes import Shape, shape_text
from mien_tools.state_dicts import StateDictError

INPUT_FILE = "input.npy"
TOLERANCE = 1e-4


class ComparisonError(ValueError):
    """Two runs cannot be compared, or differ; the message says what, where, expected and found."""


@dataclass(frozen=True)
class LayerOutput:
    """A layer of a run: its name in PyTorch, if it has one, its kind and its output.

    `inputs` are the places of the layers in the run whose outputs it takes; -1 is the input.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    values: np.ndarray

    @property
    def label(self) -> str:
        return self.name or self.kind


@dataclass(frozen=True)
class Difference:
    """What a dumped file says of a layer, against PyTorch."""

    layer: str
    shape: Shape
    largest: float  # absolute difference
    relative: float  # to PyTorch's largest absolute value

    def exceeds(self, tolerance: float) -> bool:
        """Also if a value is not a number."""
        return not self.relative <= tolerance


def layer_outputs(module: nn.Module, inputs: np.ndarray) -> list[LayerOutput]:
    """What every layer of a network puts out for one input [channels, height, width], in float64.

    In the order in which they run; sums and concatenations come after their branches. Raises
    TraceError.
    """
    module = copy.deepcopy(module).double().eval()
    imported = import_module(module, [inputs.shape])
    images = torch.from_numpy(inputs.astype(np.float64)).unsqueeze(0)
    with torch.no_grad():
        tensors = {name: torch.from_numpy(array) for name, array in imported.tensors.items()}
        run = imported.graph.run([images], tensors)
        return [
            LayerOutput(
                node.name,
                node.layer,
                tuple(value - 1 for value in node.inputs),
                values.squeeze(0).numpy(),
            )
            for node, values in run
        ]


def compare(outputs: list[LayerOutput], folder: Path) -> list[Difference]:
    """Compare a run with the files that another left; raises ComparisonError if they do not fit."""
    files = sorted(path for path in folder.glob("*.npy") if path.name != INPUT_FILE)
    if not files:
        raise ComparisonError(f"{folder}: expected files of layers (NNN_LAYER.npy), found none")
    steps = _Steps(outputs)
    differences = []
    for path in files:
        layer = path.stem.partition("_")[2]
        expected = steps.take(layer, path).values
        values = read_values(path)
        if values.shape != expected.shape:
            raise ComparisonError(
                f"{path}: expected {shape_text(expected.shape)}, found {shape_text(values.shape)}"
            )
        largest = float(np.abs(values - expected).max())
        scale = float(np.abs(expected).max())
        relative = largest / scale if scale else (0.0 if largest == 0 else np.inf)
        differences.append(Difference(layer, expected.shape, largest, relative))
    if steps.left:
        raise ComparisonError(
            f"{folder}: after {files[-1].name}: expected a file of "
            f"{outputs[min(steps.left)].label}, found none"
        )
    return differences


class _Steps:
    """The layers of a run, taken in the steps of another that runs some of them together."""

    def __init__(self, outputs: list[LayerOutput]) -> None:
        self.outputs = outputs
        # The layers that no step has taken.
        self.left = set(range(len(outputs)))

    def take(self, step: str, path: Path) -> LayerOutput:
        """The last of the layers that run together as `step`; raises ComparisonError."""
        first, *others = step.split("+")
        place = self._start(first, path)
        self.left.discard(place)
        for kind in others:
            place = self._next(place, kind, path)
            self.left.discard(place)
        return self.outputs[place]

    def _start(self, label: str, path: Path) -> int:
        """The first layer of this name or kind whose inputs are there."""
        ready = [place for place in sorted(self.left) if not self._missing(place)]
        for place in ready:
            output = self.outputs[place]
            if label in (_in_file_name(output.label), output.kind):
                return place
        wanted = f"layer {self.outputs[ready[0]].label}" if ready else "nothing more"
        raise ComparisonError(f"{path}: expected {wanted}, found {label}")

    def _next(self, previous: int, kind: str, path: Path) -> int:
        """The layer that takes what `previous` puts out, and else only what earlier steps did."""
        ready = [
            place
            for place in sorted(self.left)
            if previous in self.outputs[place].inputs and not self._missing(place)
        ]
        for place in ready:
            if self.outputs[place].kind == kind:
                return place
        wanted = self.outputs[ready[0]].kind if ready else "nothing more"
        raise ComparisonError(f"{path}: expected {wanted} at '+{kind}', found {kind}")

    def _missing(self, place: int) -> set[int]:
        return self.left.intersection(self.outputs[place].inputs)


def _in_file_name(layer: str) -> str:
    return re.sub(r"[^A-Za-z0-9._#-]", "_", layer)


def read_values(path: Path) -> np.ndarray:
    """A float32 array; raises ComparisonError or OSError."""
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ComparisonError(f"{path}: expected an array of NumPy, found: {error}") from None
    if values.dtype != np.float32 or values.ndim != 3:
        raise ComparisonError(
            f"{path}: expected float32 channels x height x width, found {values.dtype} "
            f"{shape_text(values.shape)}"
        )
    return values


def difference_table(differences: list[Difference], tolerance: float) -> str:
    """Columns for people; layers beyond the tolerance are marked."""
    rows = [("layer", "shape", "largest difference", "relative", "")]
    for difference in differences:
        mark = "<- differs" if difference.exceeds(tolerance) else ""
        numbers = (f"{difference.largest:.3g}", f"{difference.relative:.3g}")
        rows.append((difference.layer, shape_text(difference.shape), *numbers, mark))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """The command `mien-compare-layers`; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="mien-compare-layers",
        description="Compare the layers that the program inspect dumped with PyTorch's.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--network", choices=sorted(NETWORKS), help="one of Mien's own networks")
    what.add_argument(
        "--module", metavar="FILE.py:NAME", help="any other, as mien_tools.export takes it"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="the weights from which the .mien file was exported",
    )
    parser.add_argument("--trust", action="store_true", help="load a checkpoint with objects")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help=f"of a layer's largest value (default: {TOLERANCE:g}; for fp16 weights 0.02)",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="what inspect --dump DIR wrote")
    options = parser.parse_args(arguments)
    if options.network and options.checkpoint is None:
        parser.error("--network needs its weights: --checkpoint FILE")
    if not options.tolerance > 0:
        parser.error(f"--tolerance: expected more than 0, found {options.tolerance}")
    errors = (ComparisonError, ExportError, ModuleError, StateDictError, TraceError)
    return exit_status(parser.prog, lambda: _compare_as_asked(options), errors)


def _compare_as_asked(options: argparse.Namespace) -> None:
    module = NETWORKS[options.network].build() if options.network else load_module(options.module)
    load_weights(module, options)
    outputs = layer_outputs(module, read_values(options.folder / INPUT_FILE))
    differences = compare(outputs, options.folder)
    print(difference_table(differences, options.tolerance))
    first = next((d for d in differences if d.exceeds(options.tolerance)), None)
    if first is not None:
        raise ComparisonError(
            f"{options.folder}: layer {first.layer}: expected PyTorch's values within "
            f"{options.tolerance:g} of their largest, found a difference of {first.relative:.3g}; "
            "it is the first"
        )


if __name__ == "__main__":
    sys.exit(main())
