"""Makes the golden data of ensemble.hpp with Pillow and PyTorch.

    python tests/data/make_ensemble.py          # from a Python that has the package in tools/

tiny_wide.mien    a small network with random weights, another face size and temperature than
                  tiny.mien's, and histogram equalisation
tiny_colour.mien  one whose input has three channels
ensemble.txt      seed of a noise image of 40 x 30; x, y, width, height of a box in it; 1 or 10
                  views; tiny_wide.mien's mean logits; the mean of tiny.mien's and tiny_wide.mien's
                  probabilities
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from make_expressions import BOXES, PHOTO_SIZE, load_tiny
from make_networks import LABELS
from mien_tools import preprocess
from mien_tools.export import Network, export
from mien_tools.weights import Preprocessing, gray
from noise import noise

HERE = Path(__file__).resolve().parent

WIDE_SHAPE = (1, 10, 12)
WIDE = gray(15, 0.25, 0.5, temperature=0.7, equalize_histogram=True)
COLOUR = Preprocessing(4, (0.0,) * 3, (1.0,) * 3)


def wide() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(180, 7)
    )


def mean_logits(
    module: nn.Module,
    input_shape: tuple[int, ...],
    how: Preprocessing,
    photo: np.ndarray,
    box: tuple[int, ...],
    views: int,
) -> torch.Tensor:
    x, y, width, height = box
    side = max(width, height)
    square = (x - (side - width) // 2, y - (side - height) // 2, side, side)
    face = preprocess.resize_face(photo, square, how.face_size)
    if how.equalize_histogram:
        face = preprocess.equalize_histogram(face)
    size = input_shape[1:]
    pixels = (
        preprocess.ten_crops(face, *size)
        if views == 10
        else preprocess.centre_crop(face, *size)[None]
    )
    inputs = preprocess.normalise(pixels, how.mean[0], how.standard_deviation[0])
    with torch.no_grad():
        return module(torch.from_numpy(inputs)[:, None].double()).mean(0)


def main() -> None:
    torch.manual_seed(3)
    module = wide().eval()
    # Large weights, so that the probabilities are far from equal.
    nn.init.normal_(module[-1].weight, std=0.5)
    export(Network(module, "tiny_wide", WIDE_SHAPE, WIDE, LABELS), HERE / "tiny_wide.mien")
    colour = nn.Sequential(nn.Flatten(), nn.Linear(48, 7)).eval()
    export(Network(colour, "tiny_colour", (3, 4, 4), COLOUR, LABELS), HERE / "tiny_colour.mien")

    tiny, tiny_file = load_tiny()
    members = (
        (tiny, tiny_file.graph.inputs[0].shape, tiny_file.preprocessing),
        (module.double(), WIDE_SHAPE, WIDE),
    )
    lines = []
    for seed, box in enumerate(BOXES):
        photo = noise(*PHOTO_SIZE, seed)
        for views in (1, 10):
            logits = [mean_logits(*member, photo, box, views) for member in members]
            probabilities = [
                torch.softmax(values / member.temperature, 0)
                for values, (*_, member) in zip(logits, members, strict=True)
            ]
            mean = sum(probabilities) / len(probabilities)
            numbers = [f"{value:.9g}" for value in (*logits[1].tolist(), *mean.tolist())]
            lines.append(" ".join(map(str, (seed, *box, views, *numbers))))
    (HERE / "ensemble.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
