"""Files with products of 8 bits, made here, through the programs."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn

from mien_tools import weights
from mien_tools.export import Network, export
from mien_tools.int8_options import Int8Options
from mien_tools.quantization import int8_products, to_tensors
from mien_tools.weights import Preprocessing

MODELS = ROOT / "examples/models"
ASTRONAUT = ROOT / "examples/images/astronaut.png"


def run_json(*command: object) -> dict:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def gray_pixels(path: Path) -> np.ndarray:
    header, _, pixels = path.read_bytes().partition(b"\n255\n")
    width, height = map(int, header.split()[1:3])
    return np.frombuffer(pixels, np.uint8).reshape(height, width)


def test_a_face_detector_in_8_bits_finds_the_same_face(programs: Path, tmp_path: Path) -> None:
    photo = gray_pixels(ROOT / "tests/data/astronaut.pgm")[:96, :96].astype(np.float32)
    np.save(tmp_path / "photos.npy", np.stack(2 * [np.stack(3 * [photo])]))
    file = weights.read(MODELS / "yunet.mien")
    # All pointwise convolutions but those of the heads, which the detector joins.
    pointwise = [
        node.name
        for node in file.graph.nodes[1:52]
        if node.layer == "Conv2d" and node.options.get("groups", 1) == 1
    ]
    int8 = Int8Options(tmp_path / "photos.npy", 2, "maximum", tuple(pointwise), products_only=True)
    export(file, tmp_path / "yunet.mien", int8=int8)
    stored = weights.read(tmp_path / "yunet.mien").tensors
    assert sum(getattr(tensor.values, "input_scale", 0) > 0 for tensor in stored) == len(pointwise)

    detectors = (MODELS / "yunet.mien", tmp_path / "yunet.mien")
    [exact], [found] = (
        run_json(programs / "detect", "--json", "--detector", detector, ASTRONAUT)["faces"]
        for detector in detectors
    )
    for key in ("x", "y", "width", "height"):
        assert abs(exact[key] - found[key]) <= 6, key
    assert exact["score"] != found["score"]
    assert abs(exact["score"] - found["score"]) < 0.1


def test_a_photo_is_read_alike_in_8_bits(programs: Path) -> None:
    photo = ROOT / "examples/images/astronaut_faces.jpg"
    exact, found = (
        run_json(programs / "photo", "--json", "--model", MODELS / name, photo)["faces"]
        for name in ("mini_fer.mien", "mini_fer_int8.mien")
    )
    assert len(exact) == len(found) > 0
    for one, other in zip(exact, found, strict=True):
        assert one["expression"] == other["expression"]
        for label, probability in one["probabilities"].items():
            assert abs(probability - other["probabilities"][label]) < 0.05


def test_a_layer_that_cannot_be_in_8_bits_is_refused(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upwards = nn.Sequential(nn.ConvTranspose2d(2, 3, 2), nn.Flatten())
    how = Preprocessing(0, 2 * (0.0,), 2 * (1.0,))
    path = tmp_path / "upwards.mien"
    export(Network(upwards.eval(), "upwards", (2, 4, 4), how), path)
    file = weights.read(path)
    first = file.tensors[0]
    products = replace(first, values=int8_products(first.values, 0.5, 0))
    monkeypatch.setattr(weights, "products_misfit", lambda *_: None)
    replace(file, tensors=(products, *file.tensors[1:])).write(path)
    done = subprocess.run([programs / "inspect", "--model", path], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        f"inspect: {path}: tensor '0.weight': node 0, '0' (ConvTranspose2d) cannot compute in 8 "
        "bits: expected an input scale of 0, found 0.500000\n"
    )


class Grouped(nn.Module):
    """Depthwise convolutions, alone and behind a pointwise one, and groups of several channels."""

    def __init__(self) -> None:
        super().__init__()
        self.pointwise = nn.Conv2d(3, 20, 1)
        self.behind = nn.Conv2d(20, 20, 3, padding=1, groups=20)
        self.norm = nn.BatchNorm2d(20)
        self.groups = nn.Conv2d(20, 36, 3, padding=1, groups=4)
        self.wide = nn.Conv2d(36, 36, 5, 2, padding=2, groups=36)
        self.last = nn.Conv2d(36, 6, 3, groups=3)

    def forward(self, x):
        x = self.norm(self.behind(self.pointwise(x))).relu()
        x = nn.functional.max_pool2d(x, 2)
        return self.last(self.wide(self.groups(x).relu())).flatten(1)


def test_groups_in_8_bits_give_what_pytorch_gives(programs: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    generator = np.random.default_rng(2)
    images = generator.normal(size=(8, 3, 26, 22)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "image.npy", images[:1])
    layers = ("pointwise", "behind", "groups", "wide", "last")
    network = Network(
        Grouped().eval(), "grouped", (3, 26, 22), Preprocessing(0, 3 * (0.0,), 3 * (1.0,))
    )
    path = tmp_path / "grouped.mien"
    int8 = Int8Options(tmp_path / "images.npy", 8, "maximum", layers, products_only=True)
    export(network, path, int8=int8)
    file = weights.read(path)
    assert sum(getattr(t.values, "input_scale", 0) > 0 for t in file.tensors) == len(layers)

    paths = ("--input", tmp_path / "image.npy", "--output", tmp_path)
    run_json(programs / "run", "--json", "--model", path, *paths)
    inputs = torch.from_numpy(images[:1])
    [wanted] = file.graph.run_outputs([inputs], to_tensors(file.stored(), torch.float32))
    wanted = wanted.numpy().reshape(1, -1)
    found = np.load(tmp_path / f"{file.graph.outputs[0].name}.npy")
    # A value between two whole numbers may fall to either side.
    assert np.abs(found - wanted).max() <= 0.02 * np.abs(wanted).max()
