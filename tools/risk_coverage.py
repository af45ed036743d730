"""Measures for which faces an answer is worth showing: by its probability, and by the face's size.

    python tools/risk_coverage.py fer2013.csv --evaluate build/examples/evaluate [--model FILE.mien]

The first table: of the faces whose most probable label has at least a probability, the share of all
faces (coverage), how many are read right, and how many of the others would have been. The second:
accuracy on faces that were reduced to so many pixels a side before the network got them back at
theirs. docs/pictures.md has both for PublicTest.
"""

import argparse
import csv
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from mien_tools import weights

ROOT = Path(__file__).resolve().parents[1]
PROBABILITIES = (0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SIDES = (48, 40, 32, 28, 24, 20, 16, 12)
SIDE = 48


def read(path: Path, usage: str) -> tuple[list[str], np.ndarray]:
    """The labels and the faces [n, 48, 48] of a usage."""
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Usage"] == usage]
    pixels = [np.array(row["pixels"].split(), np.uint8).reshape(SIDE, SIDE) for row in rows]
    return [row["emotion"] for row in rows], np.stack(pixels)


def logits(arguments: argparse.Namespace, labels: list[str], faces: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        data, output = Path(folder) / "faces.csv", Path(folder) / "logits.csv"
        rows = [
            f"{label},{' '.join(map(str, face.ravel()))},all"
            for label, face in zip(labels, faces, strict=True)
        ]
        data.write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
        command = [arguments.evaluate, "--model", arguments.model, "--views", arguments.views]
        command += ["--usage", "all", "--logits", output, data]
        subprocess.run([*map(str, command)], check=True, capture_output=True)
        return np.loadtxt(output, delimiter=",", skiprows=1)[:, 2:]


def reduced(face: np.ndarray, side: int) -> np.ndarray:
    if side == SIDE:
        return face
    small = Image.fromarray(face).resize((side, side), Image.BILINEAR)
    return np.asarray(small.resize((SIDE, SIDE), Image.BILINEAR))


def percent(part: np.ndarray) -> str:
    return f"{100 * part.mean():.1f} %" if len(part) else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="DATA.csv")
    parser.add_argument("--evaluate", type=Path, required=True, help="the program")
    parser.add_argument("--model", type=Path, default=ROOT / "examples/models/mini_fer.mien")
    parser.add_argument("--views", choices=("centre", "ten"), default="centre")
    parser.add_argument("--usage", default="PublicTest")
    arguments = parser.parse_args()
    labels, faces = read(arguments.data, arguments.usage)
    truth = np.array(labels, int)

    scaled = logits(arguments, labels, faces)
    scaled /= weights.read(arguments.model).preprocessing.temperature
    powers = np.exp(scaled - scaled.max(1, keepdims=True))
    order = np.argsort(-scaled, 1)
    first, second = order[:, 0] == truth, order[:, 1] == truth
    probability = powers.max(1) / powers.sum(1)
    print("| probability | faces | right | right among the others | ... or their second |")
    print("|---|---|---|---|---|")
    for least in PROBABILITIES:
        shown = probability >= least
        cells = [shown, first[shown], first[~shown], (first | second)[~shown]]
        print(f"| {least} | {' | '.join(map(percent, cells))} |")

    print("\n| pixels a side | right |\n|---|---|")
    for side in SIDES:
        found = logits(arguments, labels, np.stack([reduced(face, side) for face in faces]))
        print(f"| {side} | {percent(found.argmax(1) == truth)} |")


if __name__ == "__main__":
    main()
