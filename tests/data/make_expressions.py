"""Makes the golden data of the way from a photo to probabilities, with Pillow and PyTorch.

    python tests/data/make_expressions.py       # from a Python that has the package in tools/

crops.txt         side and seed of a square noise image; side of the target; CRC-32 of the pixels
                  that Pillow's bilinear resize gives
expressions.txt   seed of a noise image of 40 x 30; x, y, width, height of a box in it; 1 or 10
                  views; the network of tiny.mien's mean logits; its probabilities
"""

import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from make_networks import tiny
from mien_tools import weights
from mien_tools.preprocess import normalise
from noise import noise

HERE = Path(__file__).resolve().parent

CROP_SIDES = (1, 2, 3, 7, 20, 39, 47, 48, 49, 50, 61, 95, 96, 97, 100, 144, 150, 211, 333, 500)
TARGET_SIDES = (48, 40, 10, 1)

PHOTO_SIZE = (40, 30)
# Inside, of the face's own size, one pixel, wide, tall, and over every edge.
BOXES = (
    (5, 6, 20, 20),
    (7, 3, 10, 10),
    (3, 4, 1, 1),
    (4, 5, 21, 12),
    (20, 2, 9, 26),
    (-8, -5, 25, 25),
    (25, 15, 30, 30),
    (-10, -20, 70, 70),
)


def resized(pixels: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))


def crop_lines() -> list[str]:
    lines = []
    for seed, side in enumerate(CROP_SIDES):
        for target in TARGET_SIDES:
            pixels = resized(noise(side, side, seed), target)
            lines.append(f"{side} {seed} {target} {zlib.crc32(pixels.tobytes())}")
    return lines


def load_tiny() -> tuple[torch.nn.Module, weights.WeightFile]:
    file = weights.read(HERE / "tiny.mien")
    module = tiny().eval()
    values = {tensor.name: torch.from_numpy(tensor.values.copy()) for tensor in file.tensors}
    module.load_state_dict(values, strict=False)
    return module.double(), file


def views(face: np.ndarray, side: int, count: int) -> np.ndarray:
    """The centre, or the corners and the centre with their mirror images."""
    margin = face.shape[0] - side
    middle = margin // 2
    corners = [(0, 0), (0, margin), (margin, 0), (margin, margin), (middle, middle)]
    crops = [face[y : y + side, x : x + side] for y, x in corners]
    return np.stack([crops[-1]] if count == 1 else [*crops, *(c[:, ::-1] for c in crops)])


def expression_lines() -> list[str]:
    module, file = load_tiny()
    how, side_of_view = file.preprocessing, file.graph.inputs[0].width
    lines = []
    for seed, (x, y, width, height) in enumerate(BOXES):
        photo = noise(*PHOTO_SIZE, seed)
        side = max(width, height)
        left, top = x - (side - width) // 2, y - (side - height) // 2
        padded = np.pad(photo, 100, mode="edge")
        face = padded[top + 100 : top + 100 + side, left + 100 : left + 100 + side]
        face = resized(face, how.face_size)
        for count in (1, 10):
            pixels = views(face, side_of_view, count)
            inputs = normalise(pixels, how.mean[0], how.standard_deviation[0])
            with torch.no_grad():
                logits = module(torch.from_numpy(inputs)[:, None].double()).mean(0)
            probabilities = torch.softmax(logits / how.temperature, 0)
            numbers = [f"{value:.9g}" for value in (*logits.tolist(), *probabilities.tolist())]
            lines.append(f"{seed} {x} {y} {width} {height} {count} {' '.join(numbers)}")
    return lines


def main() -> None:
    for name, lines in (("crops.txt", crop_lines()), ("expressions.txt", expression_lines())):
        (HERE / name).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
