"""The program `run`: arrays in, arrays out, against the same graph run in PyTorch."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from mien_tools import weights
from mien_tools.graph import Graph, Input, Node, Output
from mien_tools.weights import NamedTensor, Preprocessing, WeightFile

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples/models/mini_fer.mien"
TOLERANCE = 1e-4  # of the largest value; float32 against float64


def run(programs: Path, *arguments: object) -> subprocess.CompletedProcess:
    command = [programs / "run", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def expected(file: WeightFile, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What PyTorch computes in float64."""
    tensors = {name: torch.from_numpy(v.astype(np.float64)) for name, v in file.values().items()}
    inputs = [torch.from_numpy(array.astype(np.float64)) for array in arrays]
    return [values.numpy() for values in file.graph.run_outputs(inputs, tensors)]


def assert_close(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.dtype == np.float32
    assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two inputs of any size, two outputs: one of the images' size, one a flat vector."""
    generator = np.random.default_rng(1)
    sizes = {"in_channels": 5, "out_channels": 4, "kernel_height": 3, "kernel_width": 3}
    options = sizes | {"padding_y": 1, "padding_x": 1}
    kernel = generator.normal(size=(4, 5, 3, 3)).astype(np.float32)
    bias = generator.normal(size=4).astype(np.float32)
    graph = Graph(
        (Input(2, name="left"), Input(3, name="right/side"), Input(4, 1, 1, name="gate")),
        (
            Node("Concatenate", (0, 1)),
            Node("Conv2d", (3,), options, ("conv.weight", "conv.bias"), "conv"),
            Node("ReLU", (2,)),
        ),
        (Output(4, "map/full"), Output(5, "gated")),
    )
    tensors = (NamedTensor("conv.weight", kernel), NamedTensor("conv.bias", bias))
    how = Preprocessing(0, (0.0, 0.0), (1.0, 1.0))
    path = tmp_path_factory.mktemp("two") / "two.mien"
    WeightFile("two", graph, tensors, preprocessing=how).write(path)
    return path


def save(folder: Path, **arrays: np.ndarray) -> dict[str, Path]:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return {name: folder / f"{name}.npy" for name in arrays}


@pytest.mark.parametrize("count", [1, 3, 35])
def test_a_model_that_ships(programs: Path, tmp_path: Path, count: int) -> None:
    file = weights.read(MODEL)
    images = np.random.default_rng(count).normal(size=(count, 1, 40, 40)).astype(np.float32)
    x = save(tmp_path, x=images)["x"]
    arguments = ("--model", MODEL, "--input", x, "--output", tmp_path / "out")
    result = run(programs, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(
        f"network: mini_fer\ninput input: {count} x 1 x 40 x 40, {x}\n"
        f"output output: {count} x 7, {tmp_path}/out/output.npy\ntime: "
    )
    found = np.load(tmp_path / "out" / "output.npy")
    assert found.shape == (count, 7)
    assert_close(found, expected(file, [images])[0].reshape(count, 7))
    # Once more, over the old file.
    result = run(programs, *arguments, "--repeat", 4, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    assert (np.load(tmp_path / "out" / "output.npy") == found).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "x.npy"]
    told = json.loads(result.stdout)
    assert told.pop("milliseconds") > 0
    assert told == {
        "model": str(MODEL),
        "network": "mini_fer",
        "inputs": [{"name": "input", "shape": [count, 1, 40, 40]}],
        "outputs": [{"name": "output", "shape": [count, 7], "file": f"{tmp_path}/out/output.npy"}],
        "repeat": 4,
    }


@pytest.mark.parametrize("way", ["in order", "by name", "mixed"])
def test_several_inputs_and_outputs(programs: Path, tmp_path: Path, two: Path, way: str) -> None:
    generator = np.random.default_rng(2)
    arrays = [generator.normal(size=(2, c, 6, 9)) for c in (2, 3)]
    gate = generator.normal(size=(2, 4))
    paths = save(tmp_path, left=arrays[0], right=arrays[1].astype(np.float32), gate=gate)
    left, right, gates = paths.values()
    inputs = {
        "in order": (left, right, gates),
        "by name": (f"gate={gates}", f"right/side={right}", f"left={left}"),
        "mixed": (f"gate={gates}", left, right),
    }[way]
    given = [argument for path in inputs for argument in ("--input", path)]
    out = tmp_path / "deep" / "out"
    result = run(programs, "--model", two, *given, "--output", out, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert [entry["shape"] for entry in told["inputs"]] == [[2, 2, 6, 9], [2, 3, 6, 9], [2, 4]]
    files = {entry["name"]: entry["file"] for entry in told["outputs"]}
    assert files == {"map/full": f"{out}/map_full.npy", "gated": f"{out}/gated.npy"}
    wanted = expected(weights.read(two), [*arrays, gate[..., None, None]])
    found = [np.load(files[name]) for name in ("map/full", "gated")]
    assert [values.shape for values in found] == [(2, 4, 6, 9), (2, 4)]
    assert_close(found[0], wanted[0])
    assert_close(found[1], wanted[1].reshape(2, 4))


def test_arrays_of_every_kind(programs: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (3, 1, 40, 40), dtype=np.uint8)
    wanted = expected(weights.read(MODEL), [pixels])[0].reshape(3, 7)
    kinds = {
        "float32": pixels.astype(np.float32),
        "float64": pixels.astype(np.float64),
        "uint8": pixels,
        "fortran": np.asfortranarray(pixels),
        "fortran64": np.asfortranarray(pixels.astype(np.float64)),
        "one": pixels[0],
        "one_fortran": np.asfortranarray(pixels[0].transpose(0, 2, 1)).transpose(0, 2, 1),
    }
    for name, path in save(tmp_path, **kinds).items():
        out = tmp_path / f"out_{name}"
        result = run(programs, "--model", MODEL, "--input", path, "--output", out)
        assert (result.returncode, result.stderr) == (0, ""), name
        found = np.load(out / "output.npy")
        assert_close(found, wanted[: 1 if name.startswith("one") else 3])
    # Headers of the format's later versions.
    for version in ((2, 0), (3, 0)):
        with open(tmp_path / "later.npy", "wb") as file:
            np.lib.format.write_array(file, pixels, version=version)
        out = tmp_path / f"out_{version[0]}"
        result = run(programs, "--model", MODEL, "--input", file.name, "--output", out)
        assert (result.returncode, result.stderr) == (0, "")
        assert_close(np.load(out / "output.npy"), wanted)


def test_what_cannot_be_done_leaves_nothing(programs: Path, tmp_path: Path, two: Path) -> None:
    one = np.zeros((1, 1, 40, 40), np.float32)
    paths = save(
        tmp_path,
        good=one,
        small=one[..., 1:],
        flat=np.zeros((1, 1600)),
        none=one[:0],
        integers=one.astype(np.int64),
        left=np.zeros((1, 2, 5, 5)),
        right=np.zeros((1, 3, 5, 6)),
        rights=np.zeros((2, 3, 5, 5)),
        gate=np.zeros((1, 4)),
    )
    whole = paths["good"].read_bytes()
    (tmp_path / "short.npy").write_bytes(whole[:-4])
    (tmp_path / "long.npy").write_bytes(whole + b"1234")
    (tmp_path / "head.npy").write_bytes(whole[:40])
    (tmp_path / "text.npy").write_text("0 1 2 3 4 5 6 7")
    (tmp_path / "shape.npy").write_bytes(whole.replace(b"(1, 1, 40, 40)", b"(1, 1, 4O, 40)"))
    (tmp_path / "order.npy").write_bytes(whole.replace(b"False", b"Maybe"))
    before = sorted(tmp_path.iterdir())

    def refused(model: Path, *names: str) -> str:
        given = [argument for name in names for argument in ("--input", name)]
        result = run(programs, "--model", model, *given, "--output", tmp_path / "out")
        assert (result.returncode, result.stdout) == (1, "")
        assert sorted(tmp_path.iterdir()) == before
        assert result.stderr.startswith("run: ") and result.stderr.count("\n") == 1
        return result.stderr.removeprefix("run: ").rstrip("\n")

    def message_of(name: str) -> str:
        path = f"{tmp_path}/{name}.npy"
        return refused(MODEL, path).removeprefix(f"{path}: ")

    array = "expected an array of N x 1 x 40 x 40 for the input 'input', found "
    assert message_of("small") == array + "1 x 1 x 40 x 39"
    assert message_of("flat") == array + "1 x 1600"
    assert message_of("none") == array + "0 x 1 x 40 x 40"
    types = "type: expected float32, float64 or uint8 ('<f4', '<f8', '|u1'), found "
    assert message_of("integers") == types + "'<i8'"
    numbers = "expected the numbers of an array of 1 x 1 x 40 x 40, found "
    assert message_of("short") == numbers + "6396 bytes of them"
    assert message_of("long") == numbers + "6404 bytes of them"
    assert message_of("head").startswith("expected a whole header of version 1 to 3, found version")
    assert message_of("text").startswith("expected an array in NumPy's format (.npy), found")
    assert message_of("shape") == "header: expected a shape, found (1, 1, 4O, 40), }   "
    assert message_of("order").startswith(
        "header: expected fortran_order of True or False, found M"
    )
    assert message_of("missing") == "cannot open the file: No such file or directory"

    left, right, rights, gate = (tmp_path / f"{n}.npy" for n in ("left", "right", "rights", "gate"))
    names = "'left', 'right/side', 'gate'"
    assert refused(two, left) == f"--input: expected 3 arrays, for {names}, found 1"
    assert refused(two, left, right, gate) == (
        f"{right}: expected images of 5 x 5, as in {left}, found 5 x 6"
    )
    assert refused(two, left, rights, gate) == (
        f"{rights}: expected 1 images, as in {left}, found 2"
    )
    assert refused(two, f"middle={left}", right, gate) == (
        f"--input: expected one of the network's inputs {names}, found 'middle'"
    )
    assert refused(two, f"left={left}", f"left={left}", gate) == (
        "--input: expected one 'left', found two"
    )

    for missing in (["--input", paths["good"]], ["--output", tmp_path / "out"]):
        assert run(programs, "--model", MODEL, *missing).returncode == 2
    given = ("--model", MODEL, "--input", paths["good"], "--output")
    assert run(programs, *given, tmp_path / "out", "--repeat", 0).returncode == 2
    result = run(programs, *given, paths["flat"])
    assert result.returncode == 1
    assert result.stderr.startswith(f"run: {paths['flat']}: cannot write into the folder: ")
    assert sorted(tmp_path.iterdir()) == before
