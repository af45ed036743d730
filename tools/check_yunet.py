"""Compares the program `detect` with OpenCV's FaceDetectorYN on all photos of a folder.

    python tools/check_yunet.py PHOTOS --detect build/examples/detect --onnx MODEL.onnx

MODEL.onnx is face_detection_yunet_2023mar.onnx (docs/yunet.md says where it is). Pictures are not
reduced. Needs opencv-python-headless of version 4. Faces must be the same: boxes and landmarks to
half a pixel, and what rounding adds, scores to 1e-3.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

SUFFIXES = (".png", ".jpg", ".jpeg")
POINTS = ("right_eye", "left_eye", "nose_tip", "right_mouth_corner", "left_mouth_corner")
# Half a pixel, and as much for coordinates that are rounded to whole ones.
MOST_PIXELS = np.array(4 * [1.0] + 10 * [0.5])
MOST_SCORE = 1e-3


def by_opencv(model: Path, photo: Path, score: float) -> np.ndarray:
    """A row of 15 numbers for each face; see OpenCV's FaceDetectorYN::detect."""
    # As the program does: to R, G, B first, and then to gray.
    picture = cv2.cvtColor(cv2.imread(str(photo)), cv2.COLOR_BGR2GRAY)
    size = (picture.shape[1], picture.shape[0])
    detector = cv2.FaceDetectorYN.create(str(model), "", size, score, 0.3)
    faces = detector.detect(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))[1]
    return np.zeros((0, 15)) if faces is None else faces


def by_mien(program: Path, photo: Path, score: float) -> np.ndarray:
    command = [program, "--json", "--max-side", "0", "--min-score", str(score), photo]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{program}: exit status {done.returncode}: {done.stderr.strip()}")
    rows = []
    for face in json.loads(done.stdout)["faces"]:
        row = [face[key] for key in ("x", "y", "width", "height")]
        for name in POINTS:
            row += face["landmarks"][name]
        rows.append([*row, face["score"]])
    return np.array(rows).reshape(-1, 15)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    if len(a) != len(b):
        return False
    pixels = np.abs(a[:, :14] - b[:, :14])
    return bool(np.all(pixels <= MOST_PIXELS) and np.all(np.abs(a[:, 14] - b[:, 14]) < MOST_SCORE))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--detect", type=Path, required=True, help="the program")
    parser.add_argument("--onnx", type=Path, required=True, help="YuNet's model")
    parser.add_argument("--min-score", type=float, default=0.6, help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    program = options.detect.resolve()  # a bare name would be looked for in PATH
    photos = sorted(p for p in options.photos.rglob("*") if p.suffix.lower() in SUFFIXES)
    different = faces = 0
    try:
        for photo in photos:
            expected = by_opencv(options.onnx, photo, options.min_score)
            found = by_mien(program, photo, options.min_score)
            faces += len(expected)
            if not same(expected, found):
                different += 1
                print(f"{photo}: expected {expected[:, [0, 1, 2, 3, 14]].tolist()}")
                print(f"{photo}: found {found[:, [0, 1, 2, 3, 14]].tolist()}")
    except (OSError, cv2.error) as error:
        print(f"check_yunet.py: {error}", file=sys.stderr)
        return 1
    print(f"{len(photos)} photos, {faces} faces, {different} photos different")
    return 0 if photos and different == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
