"""Files of networks that no program has a type for: made here, shown, measured and used."""

import csv
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from mien_tools.compare_layers import compare, layer_outputs, read_values
from mien_tools.export import Network, export
from mien_tools.networks import LABELS
from mien_tools.preprocess import (
    centre_crop,
    equalize_histogram,
    normalise,
    prepare_faces,
    resize_face,
    ten_crops,
    to_gray,
)
from mien_tools.weights import gray

ROOT = Path(__file__).resolve().parents[2]
PHOTO = ROOT / "examples/images/astronaut.png"
MODEL = ROOT / "examples/models/mini_fer.mien"
CASCADE = ROOT / "examples/models/haarcascade_frontalface_default.haar"

SIZE = (24, 20)
FACE_SIZE = 30
MEAN, DEVIATION, TEMPERATURE = 0.4, 0.3, 1.5
TOLERANCE = 1e-4  # of the largest value; float32 against float64


class Stranger(nn.Module):
    """Values cross over: a series of layers, forks and joins cannot say it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, 2, 1)
        self.left = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.right = nn.Conv2d(8, 8, 1)
        self.pool = nn.AvgPool2d((12, 10))
        self.head = nn.Linear(24, len(LABELS))

    def forward(self, x: Tensor) -> Tensor:
        stem = self.stem(x).relu()
        left = self.norm(self.left(stem))
        right = self.right(stem).relu() + left
        return self.head(self.pool(torch.cat([left, right.relu(), stem], 1)).flatten(1))


@pytest.fixture(scope="module")
def stranger() -> nn.Module:
    torch.manual_seed(4)
    module = Stranger().eval()
    for values in (module.norm.running_mean, module.norm.bias):
        nn.init.normal_(values, std=0.2)
    nn.init.uniform_(module.norm.running_var, 0.5, 1.5)
    nn.init.normal_(module.head.weight, std=3.0)
    return module.double()


@pytest.fixture(scope="module")
def model(stranger: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stranger") / "stranger.mien"
    how = gray(FACE_SIZE, MEAN, DEVIATION, temperature=TEMPERATURE, equalize_histogram=True)
    export(Network(stranger, "stranger", (1, *SIZE), how, LABELS), path)
    return path


def run(program: Path, *arguments: object, data: bytes = b"") -> subprocess.CompletedProcess:
    return subprocess.run([program, *map(str, arguments)], capture_output=True, input=data)


def torch_logits(module: nn.Module, face: np.ndarray, views: str) -> np.ndarray:
    """The mean logits of a face of the network's face size, whose histogram is equalised."""
    crops = ten_crops(face, *SIZE) if views == "ten" else centre_crop(face, *SIZE)[None]
    with torch.no_grad():
        inputs = torch.from_numpy(normalise(crops, MEAN, DEVIATION)).double()
        return module(inputs[:, None]).mean(0).numpy()


def test_inspect_shows_it_layer_by_layer(
    programs: Path, tmp_path: Path, model: Path, stranger: nn.Module
):
    dump = tmp_path / "layers"
    done = run(programs / "inspect", "--model", model, "--replay", "--dump", dump)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert text.startswith("network: stranger\ninput: 1 x 24 x 20, crops of faces of 30 x 30")
    parameters = sum(values.numel() for values in stranger.parameters())
    total = next(line.split() for line in text.splitlines() if line.startswith("sum "))
    assert total == ["sum", str(parameters), str(8 * 9 * 120 + 8 * 72 * 120 + 64 * 120 + 168)]
    outputs = layer_outputs(stranger, read_values(dump / "input.npy"))
    differences = compare(outputs, dump)
    assert not [difference for difference in differences if difference.exceeds(TOLERANCE)]


@pytest.mark.parametrize("views", ["centre", "ten"])
def test_evaluate_measures_it(
    programs: Path, tmp_path: Path, model: Path, stranger: nn.Module, views: str
):
    generator = np.random.default_rng(5)
    faces = generator.integers(0, 256, (12, 8, 8), dtype=np.uint8).repeat(6, 1).repeat(6, 2)
    rows = [f"{i % 7},{' '.join(map(str, face.ravel()))},Test" for i, face in enumerate(faces)]
    (tmp_path / "faces.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    options = ["--model", model, "--views", views, "--logits", tmp_path / "logits.csv", "--json"]
    done = run(programs / "evaluate", *options, tmp_path / "faces.csv")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["network"] == "stranger"
    prepared = prepare_faces(faces, FACE_SIZE, True)
    expected = np.stack([torch_logits(stranger, face, views) for face in prepared])
    with open(tmp_path / "logits.csv", newline="") as file:
        found = [[float(row[label]) for label in LABELS] for row in csv.DictReader(file)]
    assert np.ptp(expected, axis=0).min() > 0.1  # it tells faces apart
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


def test_photo_and_video_use_it(programs: Path, tmp_path: Path, model: Path, stranger: nn.Module):
    picture = tmp_path / "saliency.png"
    cascade = ("--detector", CASCADE)  # whose boxes are cut out as they are
    options = ("--json", "--model", model, "--saliency", picture)
    done = run(programs / "photo", *options, *cascade, PHOTO)
    assert (done.returncode, done.stderr) == (0, b"")
    result = json.loads(done.stdout)
    assert result["models"] == ["stranger"]
    (face,) = result["faces"]
    box = tuple(face[side] for side in ("x", "y", "width", "height"))
    photo = to_gray(np.asarray(Image.open(PHOTO).convert("RGB")))
    pixels = equalize_histogram(resize_face(photo, box, FACE_SIZE))
    logits = torch.from_numpy(torch_logits(stranger, pixels, "centre"))
    expected = torch.softmax(logits / TEMPERATURE, 0).tolist()
    found = [face["probabilities"][label] for label in LABELS]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    # Its saliency has colours.
    assert np.ptp(np.asarray(Image.open(picture)), axis=-1).max() > 100

    size = ["--width", photo.shape[1], "--height", photo.shape[0]]
    models = ["--model", model, "--model", MODEL]
    done = run(programs / "video", *size, *models, *cascade, data=photo.tobytes())
    assert done.returncode == 0, done.stderr
    (face,) = json.loads(done.stdout)["faces"]
    (alone,) = json.loads(run(programs / "photo", "--json", *cascade, PHOTO).stdout)["faces"]
    mean = (np.array(found) + [alone["probabilities"][label] for label in LABELS]) / 2
    np.testing.assert_allclose(list(face["probabilities"].values()), mean, atol=1e-6)


@pytest.fixture
def edges(tmp_path: Path) -> Path:
    """A network of pictures of any size: no faces, no labels, a map as its output."""
    torch.manual_seed(6)
    module = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    export(Network(module, "edges", (1, None, None), gray(0)), tmp_path / "edges.mien")
    return tmp_path / "edges.mien"


def test_inspect_shows_networks_of_any_size_at_their_test_vector_s(
    programs: Path, tmp_path: Path, edges: Path
):
    dump = tmp_path / "layers"
    done = run(programs / "inspect", "--model", edges, "--replay", "--dump", dump)
    assert (done.returncode, done.stderr) == (0, b"")
    head, table = done.stdout.decode().split("\n\n")
    assert head.splitlines() == [
        "network: edges",
        "input: 1 x any x any; value = (pixel / 255 - 0) / 1",
        "output: output",
    ]
    height, width = read_values(dump / "input.npy").shape[1:]
    assert f" 4 x {height} x {width} " in table
    last = sorted(path for path in dump.iterdir() if path.name != "input.npy")[-1]
    assert read_values(last).shape == (2, height, width)


def test_networks_that_read_no_faces_are_refused_by_name(
    programs: Path, tmp_path: Path, edges: Path
):
    message = (
        f"{edges}: face size: expected that of a network whose input is a face, 1 or more, found 0"
    )
    for program, argument in (
        ("photo", [PHOTO]),
        ("evaluate", [tmp_path / "none.csv"]),
        ("video", ["--width", 8, "--height", 8]),
    ):
        done = run(programs / program, "--model", edges, *argument)
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.decode() == f"{program}: {message}\n"
    done = run(programs / "inspect", "--model", edges, "--dump", tmp_path / "layers", PHOTO)
    assert done.returncode == 1
    assert done.stderr.decode() == f"inspect: {message}\n"
    assert not (tmp_path / "layers").exists()
