"""Makes equalize_histogram.txt with OpenCV's equalizeHist.

    python tests/data/make_equalize_histogram.py    # from a Python that has OpenCV and NumPy

Needs opencv-python-headless of version 4 (made with 4.6.0.66). A line: width, height and seed of a
noise image; its pixels become low + pixel % span; the first so many pixels, row by row, have
another value; CRC-32 of the equalised pixels.
"""

import random
import zlib
from pathlib import Path

import cv2
import numpy as np

from noise import noise

HERE = Path(__file__).resolve().parent

# Width, height, low, span, number of pixels of another value, that value.
CASES = [
    (1, 1, 0, 1, 0, 0),  # constant: black, gray, white
    (48, 48, 0, 1, 0, 0),
    (7, 5, 128, 1, 0, 0),
    (31, 1, 255, 1, 0, 0),
    (48, 48, 128, 1, 1, 129),  # nearly constant
    (48, 48, 128, 1, 1, 127),
    (48, 48, 255, 1, 2303, 0),
    (17, 3, 200, 2, 0, 0),
    (54, 54, 90, 4, 0, 0),
    # 510 pixels beyond the darkest: every odd sum lies halfway between two values.
    (34, 16, 10, 240, 34, 0),
    (8, 64, 40, 30, 2, 9),
    # 170 beyond the darkest: the scale is 1.5.
    (19, 9, 20, 200, 1, 3),
    (48, 48, 0, 256, 0, 0),
    (1, 300, 0, 256, 0, 0),
    (300, 1, 0, 256, 0, 0),
    (640, 480, 60, 100, 5000, 250),
]
RANDOM_CASES = 100


def make_image(case: tuple[int, ...], seed: int) -> np.ndarray:
    width, height, low, span, others, other = case
    image = low + noise(width, height, seed) % span if span < 256 else noise(width, height, seed)
    image = image.astype(np.uint8)
    image.ravel()[:others] = other
    return image


def main() -> None:
    generator = random.Random(6)
    cases = list(CASES)
    for _ in range(RANDOM_CASES):
        width, height = generator.randint(1, 97), generator.randint(1, 61)
        low = generator.randrange(256)
        others = generator.choice([0, generator.randint(0, width * height)])
        span = generator.randint(1, 256 - low)
        cases.append((width, height, low, span, others, generator.randrange(256)))
    lines = []
    for seed, case in enumerate(cases):
        width, height, *rest = case
        equalized = cv2.equalizeHist(make_image(case, seed))
        numbers = (width, height, seed, *rest, zlib.crc32(equalized.tobytes()))
        lines.append(" ".join(map(str, numbers)))
    (HERE / "equalize_histogram.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
