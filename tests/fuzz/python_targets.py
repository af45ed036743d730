"""Fuzzes what the Python package reads: models of ONNX, cascades in XML, weight files and tables.

    python tests/fuzz/python_targets.py TARGET [options of libFuzzer] [CORPUS...]
    python tests/fuzz/python_targets.py TARGET --plain SECONDS [CORPUS...]

The first needs atheris, which drives the inputs by what code they reach. The second changes the
files of the corpus blindly and needs nothing. With files in place of folders both run those alone.
Anything else than the error that a reader documents is a finding.
"""

import argparse
import importlib
import random
import re
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

Mutator = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Target:
    module: str  # whose code guides atheris
    run: Callable[[bytes], None]  # raises what is a finding
    mutate: Mutator | None = None  # None: bytes, whatever they mean


def read_model(data: bytes) -> None:
    import onnx
    from google.protobuf.message import DecodeError

    from mien_tools.container import FormatError
    from mien_tools.onnx_import import import_model
    from mien_tools.onnx_node import OnnxError

    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError):
        return
    with suppress(OnnxError, FormatError):
        import_model(model, "model")


def read_cascade(data: bytes) -> None:
    from mien_tools import cascade
    from mien_tools.container import FormatError

    with suppress(FormatError):
        cascade.read_cascade(data, "cascade").pack()


def read_weights(data: bytes) -> None:
    """What is accepted is what would be written."""
    from mien_tools import container, weights
    from mien_tools.container import FormatError

    sealed = container.seal("MIEN", 2, data[container.HEADER_SIZE :])
    try:
        file = weights.decode(sealed)
    except FormatError:
        return
    assert file.encode() == sealed, "written again, the file differs"


def read_table(data: bytes, folder: list[Path] = []) -> None:  # noqa: B006
    import tempfile

    from mien_tools.data import DataError, load_faces

    if not folder:
        folder.append(Path(tempfile.mkdtemp()))
    path = folder[0] / "faces.csv"
    path.write_bytes(data)
    with suppress(DataError):
        load_faces(path)


def mutate_model(data: bytes, dice: random.Random) -> bytes:
    """One to four changes to nodes, attributes, constants and sizes."""
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception:
        return data
    graph = model.graph
    names = [i.name for i in graph.initializer] + [i.name for i in graph.input] + [""]
    names += [name for node in graph.node for name in node.output]
    operators = re.findall(
        r"\w+",
        "Relu Sigmoid Tanh Add Sub Mul Div Concat Reshape Transpose Slice Split Gather Squeeze "
        "Unsqueeze Shape Cast Expand Pad Resize Gemm MatMul Softmax ReduceMean Pow Sqrt Erf "
        "Flatten Identity Dropout Constant ConstantOfShape Where Conv ConvTranspose MaxPool "
        "AveragePool GlobalAveragePool BatchNormalization Clip InstanceNormalization LRN "
        "DepthToSpace LayerNormalization HardSwish PRelu LeakyRelu Upsample Range Equal",
    )

    def number() -> int:
        return dice.choice([-(2**63), 2**31, 2**63 - 1, 65536, 0, 1, 2, 3, 4, -1, -2, 7, 48])

    for _ in range(dice.randint(1, 4)):
        kind = dice.randrange(9)
        node = dice.choice(graph.node) if graph.node else None
        constant = dice.choice(graph.initializer) if graph.initializer else None
        if kind == 0 and node:
            node.op_type = dice.choice(operators)
        elif kind == 1 and node and node.input:
            node.input[dice.randrange(len(node.input))] = dice.choice(names)
        elif kind == 2 and node:
            node.input.append(dice.choice(names))
        elif kind == 3 and node and node.attribute:
            attribute = dice.choice(node.attribute)
            if attribute.ints:
                attribute.ints[dice.randrange(len(attribute.ints))] = number()
            else:
                attribute.i, attribute.f = number(), dice.choice([0.0, float("nan"), 1e30, -1.0])
        elif kind == 4 and node and node.attribute:
            del node.attribute[dice.randrange(len(node.attribute))]
        elif kind == 5 and constant:
            if constant.dims and dice.random() < 0.5:
                constant.dims[dice.randrange(len(constant.dims))] = number()
            elif constant.raw_data:
                raw = bytearray(constant.raw_data)
                raw[dice.randrange(len(raw))] = dice.randrange(256)
                constant.raw_data = bytes(raw[: dice.choice([len(raw), dice.randrange(len(raw))])])
            else:
                constant.data_type = dice.randrange(24)
        elif kind == 6 and graph.input:
            dims = dice.choice(graph.input).type.tensor_type.shape.dim
            if dims:
                dims[dice.randrange(len(dims))].dim_value = number()
        elif kind == 7 and node:
            if dice.random() < 0.5:
                graph.node.remove(node)
            else:
                graph.node.insert(dice.randrange(len(graph.node)), node)
        elif kind == 8 and model.opset_import:
            model.opset_import[0].version = dice.choice([6, 9, 11, 12, 13, 17, 18, 21, 99])
    return model.SerializeToString()


def mutate_bytes(data: bytes, dice: random.Random) -> bytes:
    """One to eight bytes changed, cut out, doubled or put in."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(changed) + 1)
        count = dice.choice([1, 1, 1, 2, 4, 16, 64])
        kind = dice.randrange(5)
        if kind == 0:
            del changed[at : at + count]
        elif kind == 1:
            changed[at:at] = changed[at : at + count]
        elif kind == 2:
            changed[at:at] = dice.randbytes(count)
        elif at < len(changed):
            changed[at] = dice.choice([0, 1, 255, dice.randrange(256), changed[at] ^ 1 << kind])
    return bytes(changed)


TARGETS = {
    "onnx": Target("mien_tools.onnx_import", read_model, mutate_model),
    "cascade_xml": Target("mien_tools.cascade", read_cascade),
    "python_weights": Target("mien_tools.weights", read_weights),
    "python_csv": Target("mien_tools.data", read_table),
}


def run_guided(target: Target, arguments: list[str]) -> None:
    with atheris.instrument_imports(include=["mien_tools"]):
        importlib.import_module(target.module)

    def mutator(data: bytes, max_size: int, seed: int) -> bytes:
        dice = random.Random(seed)
        if target.mutate is None or dice.random() < 0.1:
            return atheris.Mutate(data, len(data))
        try:
            return target.mutate(data, dice)[:max_size]
        except UnicodeDecodeError:  # names that earlier changes to bytes have made
            return atheris.Mutate(data, len(data))

    custom = {} if target.mutate is None else {"custom_mutator": mutator}
    atheris.Setup([sys.argv[0], *arguments], target.run, **custom)
    atheris.Fuzz()


def run_plain(target: Target, seconds: float, paths: list[Path]) -> None:
    """Prints the number of inputs as libFuzzer does."""
    files = [f for p in paths for f in (sorted(p.iterdir()) if p.is_dir() else [p])]
    seeds = [file.read_bytes() for file in files if file.is_file()]
    count = 0
    for seed in seeds:
        target.run(seed)
        count += 1
    dice = random.Random(time.time_ns())
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = (target.mutate or mutate_bytes)(dice.choice(seeds), dice)
        try:
            target.run(data)
        except Exception:
            path = Path(f"crash-{zlib.crc32(data):08x}")
            path.write_bytes(data)
            print(f"Test unit written to {path.absolute()}", file=sys.stderr)
            raise
        count += 1
    print(f"stat::number_of_executed_units: {count}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--plain", type=float, metavar="SECONDS")
    options, arguments = parser.parse_known_args()
    target = TARGETS[options.target]
    if options.plain is not None or atheris is None:
        paths = [Path(a) for a in arguments if not a.startswith("-")]
        run_plain(target, options.plain or 0.0, paths)
    else:
        run_guided(target, arguments)


if __name__ == "__main__":
    main()
