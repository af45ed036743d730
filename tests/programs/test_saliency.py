"""`photo --saliency` pixel by pixel against PyTorch's gradient and Matplotlib's colours."""

import json
import subprocess
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from mien_tools import weights
from mien_tools.networks import NETWORKS
from mien_tools.preprocess import centre_crop, normalise, resize_face, to_gray

ROOT = Path(__file__).resolve().parents[2]
PHOTO = ROOT / "examples/images/astronaut.png"
MODEL = ROOT / "examples/models/mini_fer.mien"
CASCADE = ROOT / "examples/models/haarcascade_frontalface_default.haar"


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)


def torch_map(photo: np.ndarray, box: tuple[int, int, int, int], label: int) -> np.ndarray:
    """The absolute gradient of a label's logit at the pixels of a face's centre, 0 around it."""
    file = weights.read(MODEL)
    how, seen = file.preprocessing, file.graph.inputs[0]
    module = NETWORKS[file.network].build().eval()
    values = {
        tensor.name: torch.from_numpy(tensor.values.astype(np.float32)) for tensor in file.tensors
    }
    module.load_state_dict(values, strict=False)
    face = resize_face(photo, box, how.face_size)
    view = centre_crop(face, seen.height, seen.width)
    x = torch.from_numpy(normalise(view, how.mean[0], how.standard_deviation[0]))[None, None]
    x = x.double().requires_grad_()
    module.double()(x)[0, label].backward()
    margin = (how.face_size - seen.height) // 2
    return np.pad(x.grad.abs().numpy()[0, 0], margin)


def painted(gray: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """A face's gray pixels [n, n] under the colours of its map, as R, G, B."""
    padded = torch.nn.functional.pad(
        torch.from_numpy(saliency)[None, None], (1, 1, 1, 1), mode="replicate"
    )
    kernel = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)
    smooth = torch.nn.functional.conv2d(padded, torch.outer(kernel, kernel)[None, None])
    scaled = (smooth / smooth.flatten().sort().values[smooth.numel() * 99 // 100]).clamp(max=1)
    values = torch.nn.functional.interpolate(scaled, gray.shape, mode="bilinear")[0, 0].numpy()
    colors = 255 * matplotlib.colormaps["inferno"](values)[..., :3]
    opacity = np.sqrt(values)[..., None]
    return gray[..., None] * (1 - opacity) + colors * opacity


def test_saliency_is_drawn_over_every_face_in_gray(programs: Path, tmp_path: Path):
    path = tmp_path / "saliency.png"
    # A cascade's boxes are cut out as they are.
    options = ("--json", "--detector", CASCADE, "--saliency", path)
    result = run(programs / "photo", *options, PHOTO)
    assert result.returncode == 0, result.stderr
    (face,) = json.loads(result.stdout)["faces"]
    labels = list(face["probabilities"])
    box = tuple(face[side] for side in ("x", "y", "width", "height"))
    x, y, width, height = box
    assert width == height

    photo = to_gray(np.asarray(Image.open(PHOTO).convert("RGB")))
    picture = np.asarray(Image.open(path))
    assert picture.shape == (*photo.shape, 3)
    # Below the face and its label, which stands above it, nothing but gray.
    assert (picture[y + height :] == photo[y + height :, :, None]).all()

    # Inside the frame.
    line = max(min(photo.shape) // 240, 1)
    inside = np.s_[line:-line, line:-line]
    region = np.s_[y : y + height, x : x + width]
    saliency = torch_map(photo, box, labels.index(face["expression"]))
    expected = painted(photo[region], saliency)[inside]
    difference = np.abs(picture[region][inside] - expected)
    # The program interpolates between nine of the colours.
    assert difference.max() < 20 and difference.mean() < 1.5
    assert np.ptp(picture[region][inside], axis=-1).max() > 100  # there is colour to compare


def test_views_change_the_map_and_another_network_may_join(programs: Path, tmp_path: Path):
    pictures = []
    for number, options in enumerate(
        ([], ["--views", "ten"], ["--model", MODEL, "--model", MODEL], ["--model", MODEL])
    ):
        path = tmp_path / f"{number}.png"
        result = run(programs / "photo", *options, "--saliency", path, PHOTO)
        assert result.returncode == 0, result.stderr
        pictures.append(np.asarray(Image.open(path)))
    assert (pictures[0] != pictures[1]).any()
    # The mean of two equal maps is the map.
    assert (pictures[2] == pictures[3]).all()


def test_several_images_are_numbered(programs: Path, tmp_path: Path):
    result = run(programs / "photo", "--saliency", tmp_path / "s.png", PHOTO, PHOTO)
    assert result.returncode == 0, result.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s-1.png", "s-2.png"]


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("s.jpg", 2, "photo: --saliency: expected a name that ends in .png, found "),
        ("missing/s.png", 1, "missing/s.png: cannot create the file"),
    ],
)
def test_what_cannot_be_written_is_an_error(
    programs: Path, tmp_path: Path, name: str, status: int, message: str
):
    result = run(programs / "photo", "--saliency", tmp_path / name, PHOTO)
    assert result.returncode == status
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []
