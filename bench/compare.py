"""Compares the time that Mien and other engines take for one face through MiniFER.

    python bench/compare.py [--core 1] [--rounds 12] [--runs 300]

All engines run in turns on one core, on one thread, one face at a time, with the same weights and
inputs; the table goes to standard output as Markdown. `bash tools/compare.sh` builds what this
needs and installs the engines; those that are not installed are left out by name. Linux only.
"""

import argparse
import contextlib
import gc
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

import engines
from comparison import (
    ROOT,
    CompareError,
    add_core_option,
    add_program_option,
    positive,
    processor,
    require_program,
)
from engines import ENGINES, Engine, Mien
from mien_tools import weights
from mien_tools.container import FormatError
from mien_tools.networks.mini_fer import MiniFer

INPUT_COUNT = 16
WARM_UP_RUNS = 20
STARTS = 3


@dataclass
class Measured:
    """An engine and what was found about it."""

    engine: Engine
    largest_difference: float
    start: dict[str, float]
    # The median of each round, in microseconds.
    rounds: list[float] = field(default_factory=list)


def main() -> int:
    arguments = parse_arguments()
    try:
        os.sched_setaffinity(0, {arguments.core})
        with tempfile.TemporaryDirectory() as folder, output_to_standard_error():
            text = compare(arguments, Path(folder))
        print(text)
    except (CompareError, engines.EngineError, FormatError, OSError) as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def output_to_standard_error() -> Iterator[None]:
    """Engines and converters, C++ code too, write on standard output, which is for the table."""
    sys.stdout.flush()
    standard_output = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(standard_output, 1)
        os.close(standard_output)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_core_option(parser)
    parser.add_argument("--rounds", type=positive, default=12, help="turns of all engines")
    parser.add_argument("--runs", type=positive, default=300, help="inferences a turn")
    parser.add_argument(
        "--model", type=Path, default=ROOT / "examples/models/mini_fer.mien", help="a MiniFER"
    )
    parser.add_argument(
        "--int8-model",
        type=Path,
        default=ROOT / "examples/models/mini_fer_int8.mien",
        help="the same with products of 8 bits",
    )
    add_program_option(parser, "build/bench/serve_times")
    return parser.parse_args()


def compare(arguments: argparse.Namespace, folder: Path) -> str:
    """Prepare the models, run all engines, and return the report."""
    require_program(arguments.program, "tools/bench.sh")
    inputs = np.random.default_rng(0).random((INPUT_COUNT, *engines.INPUT_SHAPE), dtype=np.float32)
    module = load_network(arguments.model)
    skipped = prepare(folder, module, inputs, arguments)
    expected = outputs_in_double_precision(module, inputs)

    measured = []
    for engine_class in ENGINES:
        try:
            measured.append(open_engine(engine_class, folder, expected))
        except (engines.EngineError, ImportError, RuntimeError, ValueError, OSError) as error:
            if issubclass(engine_class, Mien):
                raise
            skipped[engine_class.name] = reason(error)
    run_in_turns(measured, arguments.rounds, arguments.runs)
    return report(measured, skipped, float(np.abs(expected).max()))


def load_network(path: Path) -> MiniFer:
    """The network of a .mien file in PyTorch."""
    file = weights.read(path)
    module = MiniFer(classes=len(file.labels))
    state = {tensor.name: torch.from_numpy(tensor.values.copy()) for tensor in file.tensors}
    try:
        # Batch normalisation's counter of training steps is not in the file.
        problems = module.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise CompareError(f"{path}: expected MiniFER's tensors, found: {error}") from error
    missing = [name for name in problems.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or problems.unexpected_keys:
        raise CompareError(
            f"{path}: expected MiniFER's tensors, found {missing} missing and "
            f"{problems.unexpected_keys} left over"
        )
    return module.eval()


def outputs_in_double_precision(module: MiniFer, inputs: np.ndarray) -> np.ndarray:
    exact = MiniFer(classes=module.lin3.out_features).double().eval()
    exact.load_state_dict(module.state_dict())
    with torch.inference_mode():
        batch = torch.from_numpy(inputs.astype(np.float64)).flatten(0, 1)
        return exact(batch).numpy()


def prepare(
    folder: Path, module: MiniFer, inputs: np.ndarray, arguments: argparse.Namespace
) -> dict[str, str]:
    """Write the inputs, and the model for every engine; the converters that failed, and why."""
    inputs.tofile(folder / engines.INPUTS_FILE)
    shutil.copy(arguments.model, folder / engines.MIEN_FILE)
    shutil.copy(arguments.int8_model, folder / engines.MIEN_INT8_FILE)
    shutil.copy(arguments.program, folder / engines.PROGRAM_FILE)
    torch.save(module.state_dict(), folder / engines.STATE_FILE)
    example = torch.from_numpy(inputs[0])
    torch.jit.trace(module, example).save(str(folder / engines.TRACED_FILE))

    def to_onnx() -> None:
        with warnings.catch_warnings():
            # This exporter is the older one, and says so; the newer needs one package more.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(
                module,
                (example,),
                str(folder / engines.ONNX_FILE),
                input_names=[engines.INPUT_NAME],
                output_names=[engines.OUTPUT_NAME],
                dynamo=False,
            )

    def to_onnx_int8() -> None:
        # The ranges are those of the inputs that are timed.
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

        class Inputs(CalibrationDataReader):
            def __init__(self) -> None:
                self._left = iter(inputs)

            def get_next(self) -> dict[str, np.ndarray] | None:
                values = next(self._left, None)
                return None if values is None else {engines.INPUT_NAME: values}

        quantize_static(
            folder / engines.ONNX_FILE,
            folder / engines.ONNX_INT8_FILE,
            Inputs(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
        )

    def to_openvino_int8() -> None:
        import nncf
        import openvino

        model = openvino.Core().read_model(folder / engines.ONNX_FILE)
        quantised = nncf.quantize(model, nncf.Dataset(list(inputs)))
        openvino.save_model(quantised, folder / engines.OPENVINO_INT8_FILE)

    def to_mnn() -> None:
        command = ["mnnconvert", "-f", "ONNX", "--modelFile", engines.ONNX_FILE]
        run_converter([*command, "--MNNModel", engines.MNN_FILE, "--bizCode", "mien"], folder)

    def to_ncnn() -> None:
        shape = ",".join(map(str, engines.INPUT_SHAPE))
        command = ["pnnx", engines.TRACED_FILE, f"inputshape=[{shape}]", "fp16=0"]
        param, binary = engines.NCNN_PARAM_FILE, engines.NCNN_BIN_FILE
        run_converter([*command, f"ncnnparam={param}", f"ncnnbin={binary}"], folder)

    failed = {}
    converters: dict[str, Callable[[], None]] = {
        "conversion to ONNX": to_onnx,
        "conversion to 8 bits by ONNX Runtime": to_onnx_int8,
        "conversion to 8 bits by NNCF": to_openvino_int8,
        "conversion to MNN": to_mnn,
        "conversion to ncnn": to_ncnn,
    }
    for name, convert in converters.items():
        try:
            convert()
        except (engines.EngineError, ImportError, RuntimeError, OSError) as error:
            failed[name] = reason(error)
    return failed


def run_converter(command: list[str], folder: Path) -> None:
    """Run a program that lies beside this Python's, or on the path, in a folder."""
    beside = Path(sys.executable).parent / command[0]
    program = str(beside) if beside.exists() else shutil.which(command[0])
    if program is None:
        raise engines.EngineError(f"the program {command[0]} is not installed")
    result = subprocess.run([program, *command[1:]], cwd=folder, capture_output=True, text=True)
    if result.returncode != 0:
        lines = (result.stderr + result.stdout).strip().splitlines() or ["no message"]
        raise engines.EngineError(f"{command[0]} ended with {result.returncode}: {lines[-1]}")


def open_engine(engine_class: type[Engine], folder: Path, expected: np.ndarray) -> Measured:
    start = measure_start(engine_class, folder)
    engine = engine_class(folder)
    differences = [np.abs(engine.run(i).reshape(-1) - row).max() for i, row in enumerate(expected)]
    return Measured(engine, float(max(differences)), start)


def measure_start(engine_class: type[Engine], folder: Path) -> dict[str, float]:
    """The fastest start of a few, each in a process of its own."""
    starts = []
    for _ in range(STARTS):
        command = [sys.executable, engines.__file__, engine_class.name, str(folder)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            lines = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
            raise engines.EngineError(lines[-1])
        starts.append(json.loads(result.stdout.splitlines()[-1]))
    return min(starts, key=lambda start: start["milliseconds"])


def run_in_turns(measured: list[Measured], rounds: int, runs: int) -> None:
    """Each round, every engine runs; another goes first each time."""
    gc.disable()
    for number in tqdm(range(rounds), unit="round"):
        first = number % len(measured)
        for entry in measured[first:] + measured[:first]:
            entry.engine.times(WARM_UP_RUNS)
            entry.rounds.append(statistics.median(entry.engine.times(runs)) / 1000)
    gc.enable()


def report(measured: list[Measured], skipped: dict[str, str], largest_output: float) -> str:
    mien = next(entry for entry in measured if type(entry.engine) is Mien)
    lines = [
        f"- processor: {processor()}",
        f"- system: {platform.system()} {platform.release()}, Python {platform.python_version()}",
        f"- command: python bench/compare.py {shlex.join(sys.argv[1:])}".rstrip(),
        f"- largest output: {largest_output:.2f}",
        "",
        "| engine | version | median us | times Mien's | largest difference "
        "| load and first run, ms | memory, MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in sorted(measured, key=lambda entry: statistics.median(entry.rounds)):
        # Both shared the machine's state in a round, so the ratio is taken there.
        ratios = [a / b for a, b in zip(entry.rounds, mien.rounds, strict=True)]
        lines.append(
            f"| {entry.engine.name} | {entry.engine.version()} "
            f"| {statistics.median(entry.rounds):.0f} | {statistics.median(ratios):.2f} "
            f"| {entry.largest_difference:.0e} | {entry.start['milliseconds']:.1f} "
            f"| {entry.start['mebibytes']:.1f} |"
        )
    lines += [""] * bool(skipped)
    lines += [f"Left out: {name}: {why}" for name, why in skipped.items()]
    return "\n".join(lines)


def reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
