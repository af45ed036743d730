"""Compares the time that Mien and OpenCV take to find the faces in photos.

    python bench/compare_detector.py [PHOTOS] [--cascade XML] [--min-size 80] [--core 1]

Both run in turns on one core, on one thread, on the same gray pixels and by the same cascade; the
table goes to standard output as Markdown. `bash tools/bench.sh` builds Mien's program; OpenCV of
version 4 is `pip install "opencv-python-headless<5"`. Linux only.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from comparison import (
    ROOT,
    CompareError,
    add_core_option,
    add_program_option,
    positive,
    processor,
    require_program,
)
from mien_tools.cascade import read_cascade
from mien_tools.container import FormatError
from served import EngineError, ServedProgram

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".webp"}


@dataclass(frozen=True)
class Row:
    """A photo and the fastest times on it, in milliseconds."""

    name: str
    width: int
    height: int
    objects: int
    same: bool
    opencv: float
    mien: float


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "photos", type=Path, nargs="?", default=ROOT / "examples/images", help="a folder of photos"
    )
    parser.add_argument(
        "--cascade",
        type=Path,
        default=Path("/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml"),
        help="an XML file of OpenCV's (default: %(default)s)",
    )
    parser.add_argument("--scale-factor", type=float, default=1.1)
    parser.add_argument("--min-neighbors", type=int, default=4)
    parser.add_argument("--min-size", type=int, default=0, help="smallest object, in pixels")
    parser.add_argument("--rounds", type=positive, default=3, help="turns on each photo")
    add_core_option(parser)
    add_program_option(parser, "build/bench/serve_detections")
    return parser.parse_args()


class Detectors:
    """OpenCV and Mien with one cascade and one setting."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        if not hasattr(cv2, "CascadeClassifier"):
            raise CompareError(f"OpenCV: expected version 4, found {cv2.__version__}")
        require_program(options.program, "tools/bench.sh")
        cv2.setNumThreads(1)
        self._options = options
        self._pixels = folder / "gray"
        converted = folder / "cascade.haar"
        converted.write_bytes(
            read_cascade(options.cascade.read_bytes(), options.cascade.stem).pack()
        )
        self._classifier = cv2.CascadeClassifier(str(options.cascade))
        self.program = ServedProgram(
            [
                options.program.resolve(),
                converted,
                options.scale_factor,
                options.min_neighbors,
                options.min_size,
            ]
        )

    def compare(self, path: Path) -> Row:
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise CompareError(f"{path}: expected a photo, found what OpenCV cannot read")
        self._pixels.write_bytes(image.tobytes())
        height, width = image.shape
        self.program.ask(f"image {width} {height} {self._pixels}")
        boxes = np.array(self.program.ask("boxes").split(), dtype=int).reshape(-1, 4)
        expected = np.array(self._opencv(image), dtype=int).reshape(-1, 4)
        opencv, mien = [], []
        for _ in range(self._options.rounds):
            start = time.process_time_ns()
            self._opencv(image)
            opencv.append((time.process_time_ns() - start) / 1e6)
            mien.append(int(self.program.ask("run 1")) / 1e6)
        same = np.array_equal(boxes, expected)
        return Row(path.name, width, height, len(expected), same, min(opencv), min(mien))

    def _opencv(self, image: np.ndarray) -> np.ndarray:
        options = self._options
        smallest = (options.min_size, options.min_size)
        return self._classifier.detectMultiScale(
            image, options.scale_factor, options.min_neighbors, 0, smallest
        )


def report(rows: list[Row], about: str, options: argparse.Namespace) -> str:
    lines = [
        f"- processor: {processor()}",
        f"- Mien: {about}; OpenCV {cv2.__version__}, one thread each",
        f"- {options.cascade.stem}, scale factor {options.scale_factor}, "
        f"{options.min_neighbors} neighbours, smallest size {options.min_size}",
        "",
        "| photo | pixels | objects | OpenCV, ms | Mien, ms | of OpenCV's time | boxes |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.name} | {row.width}x{row.height} | {row.objects} | {row.opencv:.1f} "
            f"| {row.mien:.2f} | {row.mien / row.opencv:.3f} "
            f"| {'same' if row.same else 'different'} |"
        )
    opencv = sum(row.opencv for row in rows)
    mien = sum(row.mien for row in rows)
    ratios = [row.mien / row.opencv for row in rows]
    lines += [
        f"| all | | {sum(row.objects for row in rows)} | {opencv:.1f} | {mien:.2f} "
        f"| {mien / opencv:.3f} | {sum(not row.same for row in rows)} different |",
        "",
        f"A photo's ratio: {min(ratios):.3f} to {max(ratios):.3f}, "
        f"median {statistics.median(ratios):.3f}.",
    ]
    return "\n".join(lines)


def main() -> int:
    options = parse_arguments()
    try:
        photos = sorted(p for p in options.photos.iterdir() if p.suffix.lower() in SUFFIXES)
        if not photos:
            raise CompareError(f"{options.photos}: expected photos, found none")
        os.sched_setaffinity(0, {options.core})
        with tempfile.TemporaryDirectory() as folder:
            detectors = Detectors(options, Path(folder))
            rows = [detectors.compare(path) for path in tqdm(photos, unit="photo", disable=None)]
            print(report(rows, detectors.program.ask("about"), options))
    except (CompareError, EngineError, FormatError, OSError) as error:
        print(f"compare_detector.py: {error}", file=sys.stderr)
        return 1
    return 0 if all(row.same for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
