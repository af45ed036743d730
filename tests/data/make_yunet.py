"""Makes the golden data of the YuNet tests with OpenCV's FaceDetectorYN.

    python tests/data/make_yunet.py face_detection_yunet_2023mar.onnx

Needs opencv-python-headless of version 4 (checked with 4.14.0), and the model that docs/yunet.md
names. It writes beside itself:

  yunet_detections.txt  a line for each search: picture (see pictures()), min_score, max_overlap,
                        number of faces; of each face x, y, width, height, five landmarks (x, y),
                        score
  yunet_photos.jsonl    the same of the photos in examples/images, in gray, min_score 0.3
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
PHOTOS = ("astronaut.png", "grace_hopper.jpg")
SETTINGS = ((0.6, 0.3), (0.02, 0.3), (0.02, 0.6), (0.02, 0.0))


def gray(name: str) -> np.ndarray:
    return cv2.imread(str(HERE / f"{name}.pgm"), cv2.IMREAD_GRAYSCALE)


def pictures() -> dict[str, np.ndarray]:
    """The pictures as B, G, R; tests/test_yunet_detector.cpp makes them by the same rules."""
    first, second = gray("astronaut"), gray("grace_hopper")
    both = np.zeros((200, 363), np.uint8)
    both[:192, :192] = first
    both[:, 192:] = second
    in_gray = {
        "astronaut": first,
        "grace_hopper": second,
        "both": both,
        "part": both[15:186, 31:340],
    }
    result = {name: cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) for name, image in in_gray.items()}
    # Reddish, as under a lamp.
    tinted = [both // 2, both // 4 * 3, both]
    result["tinted"] = cv2.merge(tinted)
    return result


def detect(picture: np.ndarray, score: float, overlap: float) -> np.ndarray:
    """A row of 15 numbers for each face."""
    size = (picture.shape[1], picture.shape[0])
    detector = cv2.FaceDetectorYN.create(sys.argv[1], "", size, score, overlap)
    faces = detector.detect(picture)[1]
    return np.zeros((0, 15)) if faces is None else faces


def main() -> None:
    lines = []
    for name, picture in pictures().items():
        for score, overlap in SETTINGS:
            faces = detect(picture, score, overlap)
            rows = (" ".join([*(f"{n:.2f}" for n in f[:14]), f"{f[14]:.5f}"]) for f in faces)
            lines.append(" ".join([name, str(score), str(overlap), str(len(faces)), *rows]))
    (HERE / "yunet_detections.txt").write_text("\n".join(lines) + "\n")
    lines = []
    for name in PHOTOS:
        picture = cv2.imread(str(HERE.parents[1] / "examples/images" / name))
        in_gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        faces = detect(cv2.cvtColor(in_gray, cv2.COLOR_GRAY2BGR), 0.3, 0.3)
        rows = [[round(float(number), 5) for number in face] for face in faces]
        lines.append(json.dumps({"photo": name, "faces": rows}))
    (HERE / "yunet_photos.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
