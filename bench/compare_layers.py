"""Compares the time of single layers in Mien and in ONNX Runtime.

    python bench/compare_layers.py [PATTERN] [--core 1] [--rounds 12] [--runs 60]
    python bench/compare_layers.py depthwise --other OTHER_BUILD/bench/serve_models

Both run in turns on one core, on one thread, with the same weights; the table goes to standard
output as Markdown. ONNX Runtime's times are those that its profiler gives for the layer itself,
without the call from Python and without bringing images into its order of channels and back. With
`--other`, another build of Mien takes part. Linux only.
"""

import argparse
import gc
import json
import os
import re
import statistics
import sys
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn
from tqdm import tqdm

from comparison import (
    CompareError,
    add_core_option,
    add_program_option,
    onnx_runtime_session,
    positive,
    processor,
    require_program,
)
from mien_tools.export import Network, export
from mien_tools.weights import Preprocessing
from served import EngineError, ServedProgram

WARM_UP_RUNS = 20
ONNX_RUNTIME = "ONNX Runtime"


@dataclass
class Layer:
    name: str
    module: nn.Module
    shape: tuple[int, int, int]
    # Of each engine, the median of each round in microseconds.
    rounds: dict[str, list[float]] = field(default_factory=dict)


def layers() -> list[Layer]:
    """What small convolutional networks have besides the layers that `layers` times."""
    found = []

    def add(name: str, module: nn.Module, channels: int, side: int) -> None:
        found.append(Layer(f"{name}, {channels}@{side}x{side}", module, (channels, side, side)))

    def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups), nn.ReLU()
        )

    for channels, side in ((24, 56), (40, 28), (72, 28), (96, 14), (116, 28), (120, 14), (144, 56)):
        for kernel in (3, 5):
            for stride in (1, 2):
                name = f"depthwise {kernel}x{kernel} stride {stride}"
                add(name, convolution(channels, channels, kernel, stride, channels), channels, side)
    for channels, kernel, side in (
        (240, 3, 14),
        (240, 5, 14),
        (256, 3, 9),
        (512, 3, 4),
        (96, 7, 14),
    ):
        name = f"depthwise {kernel}x{kernel} stride 1"
        add(name, convolution(channels, channels, kernel, 1, channels), channels, side)
    for channels, side in ((128, 28), (256, 14)):
        add("32 groups 3x3", convolution(channels, channels, 3, groups=32), channels, side)
    add("3 groups 1x1", convolution(240, 240, 1, groups=3), 240, 28)
    for inputs, outputs in ((6, 12), (8, 8), (1, 6), (6, 16), (24, 24), (3, 64)):
        add(f"3x3 to {outputs}", convolution(inputs, outputs, 3), inputs, 28)
    add("5x5 to 6", convolution(1, 6, 5), 1, 28)
    add("5x5 to 16", convolution(6, 16, 5), 6, 14)
    add("3x3 stride 2 to 32", convolution(3, 32, 3, 2), 3, 224)
    add("7x7 stride 2 to 64", convolution(3, 64, 7, 2), 3, 224)
    for inputs, outputs, side in ((24, 72, 28), (116, 116, 14), (16, 64, 56), (40, 10, 14)):
        add(f"1x1 to {outputs}", convolution(inputs, outputs, 1), inputs, side)
    add("max pooling 3x3 stride 2", nn.MaxPool2d(3, 2, 1), 64, 56)
    add("max pooling 2x2 stride 2", nn.MaxPool2d(2, 2), 24, 56)
    add("average pooling 7x7", nn.AvgPool2d(7), 96, 7)
    return found


def main() -> int:
    arguments = parse_arguments()
    try:
        os.sched_setaffinity(0, {arguments.core})
        torch.set_num_threads(1)
        programs = {"Mien": arguments.program}
        if arguments.other is not None:
            programs["other"] = arguments.other
        for program in programs.values():
            require_program(program, "tools/bench.sh")
        chosen = [layer for layer in layers() if re.search(arguments.pattern, layer.name)]
        with tempfile.TemporaryDirectory() as folder:
            print(compare(chosen, programs, arguments, Path(folder)))
    except (CompareError, EngineError, OSError) as error:
        print(f"compare_layers.py: {error}", file=sys.stderr)
        return 1
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pattern", nargs="?", default="", help="regular expression of the layers")
    add_core_option(parser)
    parser.add_argument("--rounds", type=positive, default=12, help="turns of all engines")
    parser.add_argument("--runs", type=positive, default=60, help="passes a turn")
    add_program_option(parser, "build/bench/serve_models")
    parser.add_argument("--other", type=Path, help="the same program of another build")
    return parser.parse_args()


def compare(
    chosen: list[Layer], programs: dict[str, Path], arguments: argparse.Namespace, folder: Path
) -> str:
    torch.manual_seed(0)
    files = [folder / f"{index}.mien" for index in range(len(chosen))]
    for layer, file in zip(chosen, files, strict=True):
        write_models(layer, file)
    served = {name: ServedProgram([path, *files]) for name, path in programs.items()}
    turns = [*served, ONNX_RUNTIME]
    gc.disable()
    for number in tqdm(range(arguments.rounds), unit="round"):
        first = number // 2 % len(turns)
        order = turns[first:] + turns[:first]
        if number % 2 == 1:
            order.reverse()
        for index, layer in enumerate(chosen):
            for name in order:
                if name == ONNX_RUNTIME:
                    microseconds = time_onnx_runtime(layer, files[index], arguments.runs)
                else:
                    served[name].ask(f"run {index} {WARM_UP_RUNS}")
                    times = served[name].ask(f"run {index} {arguments.runs}").split()
                    microseconds = statistics.median(map(int, times)) / 1000
                layer.rounds.setdefault(name, []).append(microseconds)
    gc.enable()
    about = {name: program.ask("about") for name, program in served.items()}
    return report(chosen, turns, about)


def write_models(layer: Layer, file: Path) -> None:
    """The layer as a .mien file and, beside it, as an ONNX model."""
    channels = layer.shape[0]
    plain = Preprocessing(mean=(0.0,) * channels, standard_deviation=(1.0,) * channels)
    export(Network(layer.module.eval(), "layer", layer.shape, plain), file)
    with warnings.catch_warnings():
        # This exporter is the older one, and says so; the newer needs one package more.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            layer.module,
            (torch.zeros(1, *layer.shape),),
            str(file.with_suffix(".onnx")),
            input_names=["input"],
            output_names=["output"],
            dynamo=False,
        )


def time_onnx_runtime(layer: Layer, file: Path, runs: int) -> float:
    """The median time of a pass in microseconds, by ONNX Runtime's own profiler."""
    session = onnx_runtime_session(
        file.with_suffix(".onnx"),
        enable_profiling=True,
        profile_file_prefix=str(file.with_suffix("")),
    )
    image = np.random.default_rng(0).random((1, *layer.shape), dtype=np.float32)
    for _ in range(WARM_UP_RUNS + runs):
        session.run(None, {"input": image})
    profile = Path(session.end_profiling())
    events = json.loads(profile.read_text())
    profile.unlink()
    # Every pass has the same nodes, in the same order.
    kernels = [event for event in events if event["name"].endswith("_kernel_time")]
    nodes = len(kernels) // (WARM_UP_RUNS + runs)
    passes = [
        sum(
            # The profiler's whole microseconds are rounded down.
            event["dur"] + 0.5
            for event in kernels[first : first + nodes]
            if not event["args"]["op_name"].startswith("Reorder")
        )
        for first in range(WARM_UP_RUNS * nodes, len(kernels), nodes)
    ]
    return statistics.median(passes)


def report(chosen: list[Layer], names: list[str], about: dict[str, str]) -> str:
    lines = [
        f"- processor: {processor()}",
        *(f"- {name}: {text}" for name, text in about.items()),
        f"- {ONNX_RUNTIME}: {onnxruntime.__version__}",
        "",
        "| layer | " + " | ".join(f"{name}, us" for name in names),
        "|---|" + "---|" * (2 * len(names) - 1),
    ]
    lines[-2] += "".join(f" | {name} / Mien" for name in names[1:]) + " |"
    for layer in chosen:
        times = [f"{min(layer.rounds[name]):.1f}" for name in names]
        # All shared the machine's state in a round, so the ratio is taken there.
        ratios = [
            statistics.median(
                a / b for a, b in zip(layer.rounds[name], layer.rounds["Mien"], strict=True)
            )
            for name in names[1:]
        ]
        lines.append(f"| {layer.name} | " + " | ".join(times + [f"{r:.2f}" for r in ratios]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
