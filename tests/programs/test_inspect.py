"""The program `inspect`: its table, pictures as inputs, refusals (test_parity.py has its dumps)."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mien_tools.compare_layers import read_values
from mien_tools.export import export, own_network
from mien_tools.networks import NETWORKS

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "examples/models"
MODEL = MODELS / "mini_fer.mien"


def run(programs: Path, *arguments: object) -> subprocess.CompletedProcess:
    command = [programs / "inspect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def vgg10(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    export(own_network(NETWORKS["vgg10"]), tmp_path / "vgg10.mien")
    return tmp_path / "vgg10.mien"


def test_the_table_has_a_line_for_every_layer_that_runs(programs: Path, vgg10: Path) -> None:
    result = run(programs, "--model", vgg10, "--replay")
    assert (result.returncode, result.stderr) == (0, "")
    head, table = result.stdout.split("\n\n")
    assert head.startswith("network: vgg10\ninput: 1 x 48 x 48, crops of faces of 54 x 54")
    assert "equalised" in head
    first, *layers, total, replay = table.splitlines()
    assert re.fullmatch(r"layer +output C x H x W +parameters +multiply-adds", first)
    assert len(layers) == 8 + 1 + 2
    assert re.fullmatch(r"\S+\+BatchNorm2d\+ReLU +32 x 48 x 48 +384 +663552", layers[0])
    assert re.fullmatch(r"Flatten +2304 x 1 x 1", layers[8])
    assert re.fullmatch(r"\S+ +7 x 1 x 1 +1799 +1792", layers[10])
    assert total.split() == ["sum", "1765479", "118040320"]
    assert re.fullmatch(r"test vectors: [1-9]\d*, largest difference: \S+", replay)


def test_a_picture_is_seen_as_a_face(programs: Path, tmp_path: Path, vgg10: Path) -> None:
    info = NETWORKS["vgg10"]
    face = np.random.default_rng(2).integers(20, 90, (info.face_size,) * 2, dtype=np.uint8)
    Image.fromarray(face).save(tmp_path / "face.png")
    layers = tmp_path / "layers"
    result = run(programs, "--model", vgg10, "--dump", layers, tmp_path / "face.png")
    assert (result.returncode, result.stderr) == (0, "")
    # Its middle, equalised: in the order of the pixels, but over all values.
    inputs = read_values(layers / "input.npy")
    margin = (info.face_size - info.input_size) // 2
    order = np.argsort(face[margin:-margin, margin:-margin].ravel())
    assert (np.diff(inputs.ravel()[order]) >= 0).all()
    assert inputs.min() < 0.1 and inputs.max() > 0.9


def test_what_cannot_be_done_leaves_nothing(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    result = run(programs, "--dump", tmp_path / "full")
    assert result.returncode == 1
    assert f"inspect: {tmp_path}/full: expected no folder or an empty one" in result.stderr
    result = run(programs, "--dump", tmp_path / "new", tmp_path / "missing.png")
    assert result.returncode == 1
    assert "missing.png" in result.stderr
    assert run(programs, tmp_path / "face.png").returncode == 2
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "mine.txt"]


def test_the_own_model_is_the_default(programs: Path) -> None:
    result = run(programs)
    assert result.returncode == 0
    assert result.stdout == run(programs, "--model", MODEL).stdout
    assert result.stdout.startswith("network: mini_fer\ninput: 1 x 40 x 40, ")


@pytest.mark.parametrize("name", sorted(path.name for path in MODELS.glob("*.mien")))
def test_the_weights_that_ship_replay(programs: Path, name: str) -> None:
    result = run(programs, "--model", MODELS / name, "--replay")
    assert (result.returncode, result.stderr) == (0, ""), name
    network = re.sub(r"(_all|_int8)?\.mien$", "", name)
    assert result.stdout.startswith(f"network: {network}\n")
    vectors, difference = re.search(
        r"test vectors: (\d+), largest difference: (\S+)", result.stdout
    ).groups()
    most = 5e-2 if name.endswith("_int8.mien") else 1e-3
    assert int(vectors) > 0 and float(difference) < most, result.stdout
