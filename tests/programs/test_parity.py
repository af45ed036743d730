"""Every network, from Python to C++: each layer's output, and rows judged from the pixels on."""

import csv
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mien_tools import weights
from mien_tools.compare_layers import compare, difference_table, layer_outputs, read_values
from mien_tools.data import Faces
from mien_tools.evaluation import centre_view, mean_logits, ten_views
from mien_tools.export import export, own_network
from mien_tools.networks import LABELS, NETWORKS, NetworkInfo

TOLERANCE = 1e-4  # of a layer's largest value; float32 against float64
SEED = 20


@pytest.fixture
def folder() -> Iterator[Path]:
    """Removed at once: pytest would keep AlexNet's 227 MB for three runs."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def random_module(info: NetworkInfo) -> nn.Module:
    """Random weights, with batch normalisations that a few random images have gone through."""
    torch.manual_seed(SEED)
    module = info.build()
    for submodule in module.modules():
        if isinstance(submodule, (nn.BatchNorm1d, nn.BatchNorm2d)):
            submodule.momentum = None  # the plain mean over batches
            submodule.train()
            nn.init.uniform_(submodule.weight, 0.5, 1.5)
            nn.init.normal_(submodule.bias, std=0.2)
        elif isinstance(submodule, (nn.Conv2d, nn.Linear)) and submodule.bias is not None:
            nn.init.normal_(submodule.bias, std=0.1)
        else:
            submodule.eval()
    with torch.no_grad():
        module(torch.rand(8, 1, info.input_size, info.input_size))
    return module.eval()


def export_random(info: NetworkInfo, path: Path) -> nn.Module:
    """The module whose weights went into the file."""
    network = own_network(info)
    network.module.load_state_dict(random_module(info).state_dict())
    export(network, path)
    return network.module.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_computes_what_pytorch_does(programs: Path, folder: Path, name: str):
    model, dump = folder / f"{name}.mien", folder / "layers"
    module = export_random(NETWORKS[name], model)
    command = [programs / "inspect", "--model", model, "--replay", "--dump", dump]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

    inputs = read_values(dump / "input.npy")
    file = weights.read(model)
    vector = file.vectors[0]
    (expected_inputs,) = vector.input_values(file.graph, file.preprocessing)
    np.testing.assert_array_equal(inputs, expected_inputs)
    outputs = layer_outputs(module, inputs)
    logits = vector.outputs[0].values
    np.testing.assert_allclose(outputs[-1].values.ravel(), logits, rtol=1e-5, atol=1e-6)
    assert 1e-3 < np.ptp(logits) < 1e3, f"{name}: weights that test nothing: {logits}"
    differences = compare(outputs, dump)
    wrong = [difference.layer for difference in differences if difference.exceeds(TOLERANCE)]
    table = difference_table(differences, TOLERANCE)
    assert not wrong, f"{name}, seed {SEED}: the first layer to differ is {wrong[0]}\n{table}"


def write_rows(path: Path) -> Faces:
    """Noise, some of it in few grays, as a CSV file of FER2013's columns."""
    generator = np.random.default_rng(SEED)
    coarse = generator.integers(0, 256, (6, 12, 12), dtype=np.uint8)
    pixels = coarse.repeat(4, axis=1).repeat(4, axis=2)
    pixels[3] = 90 + pixels[3] // 16
    pixels[4] = 200
    labels = np.arange(len(pixels)) % len(LABELS)
    lines = [
        f"{label},{' '.join(map(str, face.ravel()))},PublicTest"
        for label, face in zip(labels, pixels, strict=True)
    ]
    path.write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    return Faces(pixels, labels)


@pytest.mark.parametrize("name", ["fer_net", "vgg10"])
def test_enlarged_and_equalised_faces_are_judged_alike(programs: Path, tmp_path: Path, name: str):
    """By the program and by Python's own evaluation, which reports and trainings use."""
    info = NETWORKS[name]
    module = export_random(info, tmp_path / "network.mien")
    faces = write_rows(tmp_path / "faces.csv")
    for views, rule in (("centre", centre_view), ("ten", ten_views)):
        output = tmp_path / f"{views}.csv"
        options = ["--model", tmp_path / "network.mien", "--views", views, "--logits", output]
        command = [programs / "evaluate", *options, tmp_path / "faces.csv"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        expected = mean_logits(module.float(), faces, info, rule(info))
        with open(output, newline="") as file:
            rows = [[float(row[label]) for label in LABELS] for row in csv.DictReader(file)]
        tolerance = TOLERANCE * np.abs(expected).max()
        np.testing.assert_allclose(
            rows, expected, rtol=0, atol=tolerance, err_msg=f"{name} {views}"
        )
