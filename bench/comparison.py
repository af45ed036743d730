"""What the comparisons share: their options, their error, and the processor's name."""

import argparse
import os
import platform
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class CompareError(RuntimeError):
    """The comparison cannot be made; the message says what, where, expected and found."""


def add_core_option(parser: argparse.ArgumentParser) -> None:
    cores = sorted(os.sched_getaffinity(0))
    parser.add_argument(
        "--core",
        type=int,
        default=cores[-1],
        choices=cores,
        help="the core to run on (default: the last)",
    )


def add_program_option(parser: argparse.ArgumentParser, program: str) -> None:
    """Mien's program; `program` is its path from the root."""
    parser.add_argument(
        "--program", type=Path, default=ROOT / program, help=f"Mien's program (default: {program})"
    )


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {value}")
    return value


def require_program(path: Path, script: str) -> None:
    """CompareError where there is no program; `script` builds it."""
    if not path.exists():
        raise CompareError(
            f"{path}: expected the built program, found none; build it by: bash {script}"
        )


def onnx_runtime_session(path: Path, **settings: object):
    """A model in ONNX Runtime on one thread; `settings` are further ones of SessionOptions."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    for name, value in {"intra_op_num_threads": 1, "inter_op_num_threads": 1, **settings}.items():
        setattr(options, name, value)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def processor() -> str:
    """The processor's name, family and model: a virtual machine's name alone can say little."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    fields = dict(re.findall(r"^([\w ]+?)\s*:\s*(.+)$", text, flags=re.MULTILINE))
    names = ("model name", "cpu family", "model")
    if not all(name in fields for name in names):
        return platform.machine()
    return "{}, family {}, model {}".format(*(fields[name] for name in names))
