"""Makes the golden data of the vision tests with OpenCV.

    python tests/data/make_vision.py [--photos FOLDER]    # with OpenCV and the package in tools/

Needs opencv-python-headless of version 4 (checked with 4.6.0.66) and the cascade
haarcascade_frontalface_default.xml (Debian's opencv-data). It writes beside itself:

  vision_resize.txt       source width, height, seed; target width, height; CRC-32 of the pixels
  vision_integral.txt     width, height, seed; CRC-32 of the sums, squared sums, tilted sums (u32)
  vision_grouping.txt     minimum neighbours; number of rectangles, rectangles (x, y, width,
                          height); number of groups, groups (x, y, width, height, neighbours)
  vision_detections.txt   image, cascade, scale factor, minimum neighbours, minimum width, height,
                          maximum width, height; number of detections; without grouping the
                          CRC-32 of their x, y, width, height (i32), otherwise the detections
                          (x, y, width, height, neighbours)
  tiny_stumps, tiny_trees random cascades with tilted features, as .xml and .haar

With --photos FOLDER it makes astronaut.pgm and grace_hopper.pgm from sk_astronaut.png (NASA,
portrait of Eileen Collins) and mpl_grace_hopper.jpg (US Navy, portrait of Grace Hopper), both in
the public domain.
"""

import argparse
import random
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np

from mien_tools.cascade import read_cascade
from noise import noise

HERE = Path(__file__).resolve().parent
CASCADES = Path("/usr/share/opencv4/haarcascades")
PHOTOS = {
    "astronaut.pgm": ("sk_astronaut.png", (192, 192)),
    "grace_hopper.pgm": ("mpl_grace_hopper.jpg", (171, 200)),
}
TINY = ("tiny_stumps", "tiny_trees")
GROUPING_TOLERANCE = 0.2


def crc(array: np.ndarray, dtype: str) -> int:
    return zlib.crc32(np.ascontiguousarray(array).astype(dtype).tobytes())


def write(name: str, lines: list[str]) -> None:
    (HERE / name).write_text("\n".join(lines) + "\n")


def make_photos(folder: Path) -> None:
    for name, (source, size) in PHOTOS.items():
        gray = cv2.imread(str(folder / source), cv2.IMREAD_GRAYSCALE)
        small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        (HERE / name).write_bytes(b"P5\n%d %d\n255\n" % size + small.tobytes())


def make_resize(generator: random.Random) -> None:
    pairs = [(1, 1, 1, 1), (1, 1, 7, 5), (1, 9, 4, 3), (9, 1, 3, 4), (2, 2, 1, 1), (2, 2, 5, 5)]
    pairs += [(640, 480, 582, 436), (640, 480, 320, 240), (320, 240, 640, 480), (97, 61, 97, 30)]
    pairs += [(97, 61, 50, 61), (97, 61, 97, 61), (255, 255, 254, 256), (48, 48, 40, 40)]
    # Widths where a fused multiply-add in the place of two roundings gives other pixels.
    pairs += [(n, 3, 768, 3) for n in (5, 7, 11, 13, 17, 19, 23, 25, 29, 31, 859, 863, 917)]
    while len(pairs) < 400:
        limits = generator.choice([(4, 4), (40, 40), (40, 300), (300, 300)])
        pairs.append(tuple(generator.randint(1, limits[i % 2]) for i in range(4)))
    lines = []
    for seed, (width, height, new_width, new_height) in enumerate(pairs):
        image = noise(width, height, seed)
        resized = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR_EXACT)
        lines.append(f"{width} {height} {seed} {new_width} {new_height} {crc(resized, '<u1')}")
    write("vision_resize.txt", lines)


def make_integral(generator: random.Random) -> None:
    sizes = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (1, 40), (40, 1), (64, 64), (1500, 1100)]
    sizes += [(generator.randint(1, 90), generator.randint(1, 90)) for _ in range(40)]
    lines = []
    for seed, (width, height) in enumerate(sizes):
        tables = cv2.integral3(noise(width, height, seed), sdepth=cv2.CV_32S, sqdepth=cv2.CV_64F)
        checksums = [crc(table.astype(np.int64) % 2**32, "<u4") for table in tables]
        lines.append(f"{width} {height} {seed} " + " ".join(map(str, checksums)))
    write("vision_integral.txt", lines)


def make_grouping(generator: random.Random) -> None:
    lines = []
    for case in range(120):
        rects = []
        for _ in range(generator.randint(1, 5)):
            x, y = generator.randint(-20, 150), generator.randint(-20, 150)
            side, spread = generator.randint(4, 120), generator.choice([1, 4, 15])
            for _ in range(generator.randint(1, 9)):
                shift = [generator.randint(-spread, spread) for _ in range(4)]
                rects.append(
                    (x + shift[0], y + shift[1], max(side + shift[2], 1), max(side + shift[3], 1))
                )
        generator.shuffle(rects)
        least = case % 6
        groups, counts = cv2.groupRectangles(rects, least, GROUPING_TOLERANCE)
        numbers = [least, len(rects), *np.ravel(rects), len(groups)]
        for group, count in zip(groups, np.ravel(counts), strict=True):
            numbers += [*group, count]
        lines.append(" ".join(map(str, numbers)))
    write("vision_grouping.txt", lines)


def random_feature(generator: random.Random, width: int, height: int, tilted: bool) -> list:
    """Rectangles of a Haar feature: halves, thirds or a chequered four, inside the window."""
    while True:
        columns, rows = generator.choice([(2, 1), (1, 2), (3, 1), (1, 3), (2, 2)])
        cell = generator.randint(1, 6), generator.randint(1, 6)
        whole = columns * cell[0], rows * cell[1]
        x, y = generator.randint(0, width), generator.randint(0, height)
        left = x - whole[1] if tilted else x
        bottom = y + whole[1] + (whole[0] if tilted else 0)
        if left >= 0 and x + whole[0] <= width and bottom <= height:
            break
    rects = [(x, y, *whole, -1)]
    chequered = (columns, rows) == (2, 2)
    for column, row in [(0, 0), (1, 1)] if chequered else [(columns // 2, rows // 2)]:
        right, down = column * cell[0], row * cell[1]
        corner = (x + right - down, y + right + down) if tilted else (x + right, y + down)
        rects.append((*corner, *cell, 2 if chequered else columns * rows))
    return rects


def random_tree(generator: random.Random, nodes: int, features: int) -> tuple[list, list]:
    """Nodes (left, right, feature, threshold) in random places of a tree, and leaf values."""
    children = [[None, None]]
    while len(children) < nodes:
        node, side = generator.randrange(len(children)), generator.randrange(2)
        if children[node][side] is None:
            children[node][side] = len(children)
            children.append([None, None])
    leaves = iter(generator.sample(range(nodes + 1), nodes + 1))
    children = [[-next(leaves) if child is None else child for child in node] for node in children]
    if nodes == 1:
        children = [[0, -1]]
    rows = [
        (*pair, generator.randrange(features), repr(generator.gauss(0, 0.004))) for pair in children
    ]
    return rows, [repr(generator.uniform(-1, 1)) for _ in range(nodes + 1)]


def make_cascade(name: str, generator: random.Random, size: tuple[int, int], nodes: list[int]):
    width, height = size
    feature_count = 60
    stages = ""
    for _ in range(6):
        weak = ""
        for _ in range(5):
            rows, leaves = random_tree(generator, generator.choice(nodes), feature_count)
            inner = " ".join(str(value) for row in rows for value in row)
            weak += f"""
        <_><internalNodes>{inner}</internalNodes>
          <leafValues>{" ".join(leaves)}</leafValues></_>"""
        stages += f"""
    <_><maxWeakCount>5</maxWeakCount>
      <stageThreshold>{generator.uniform(-0.6, 0.2)!r}</stageThreshold>
      <weakClassifiers>{weak}</weakClassifiers></_>"""
    features = ""
    for i in range(feature_count):
        rects = random_feature(generator, width, height, tilted=i % 2 == 1)
        text = "".join(f"<_>{' '.join(map(str, rect))}.</_>" for rect in rects)
        features += f"\n    <_><rects>{text}</rects><tilted>{i % 2}</tilted></_>"
    xml = f"""<?xml version="1.0"?>
<!-- A cascade of random features for tests. It finds nothing in particular. -->
<opencv_storage>
<cascade type_id="opencv-cascade-classifier"><stageType>BOOST</stageType>
  <featureType>HAAR</featureType>
  <height>{height}</height>
  <width>{width}</width>
  <stageParams><maxWeakCount>5</maxWeakCount></stageParams>
  <featureParams><maxCatCount>0</maxCatCount></featureParams>
  <stageNum>6</stageNum>
  <stages>{stages}</stages>
  <features>{features}</features></cascade>
</opencv_storage>
"""
    (HERE / f"{name}.xml").write_text(xml)
    (HERE / f"{name}.haar").write_bytes(read_cascade(xml.encode(), name).pack())


def load_image(name: str) -> np.ndarray:
    if name.startswith("noise:"):
        return noise(*map(int, name.split(":")[1:]))
    return cv2.imread(str(HERE / name), cv2.IMREAD_UNCHANGED)


def make_detections(generator: random.Random) -> None:
    frontal = "haarcascade_frontalface_default"
    paths = {frontal: CASCADES / f"{frontal}.xml"}
    paths |= {name: HERE / f"{name}.xml" for name in TINY}
    classifiers = {name: cv2.CascadeClassifier(str(path)) for name, path in paths.items()}
    unlimited = (0, 0)
    cases = []
    for image in PHOTOS:
        for factor in (1.05, 1.1, 1.2, 1.35, 1.6):
            cases += [(image, frontal, factor, least, unlimited, unlimited) for least in range(6)]
        for smallest, largest in [(30, 0), (60, 90), (0, 70), (25, 200), (300, 0), (90, 40)]:
            sizes = (smallest, smallest), (largest, largest)
            cases += [(image, frontal, 1.1, least, *sizes) for least in (0, 3)]
        cases.append((image, frontal, 1.1, 0, (40, 0), (0, 50)))
        cases.append((image, frontal, 50, 0, unlimited, unlimited))
        for tiny in TINY:
            for factor in (1.05, 1.1, 1.3, 1.6):
                cases += [(image, tiny, factor, least, unlimited, unlimited) for least in (0, 1, 4)]
    for size in [(1, 1), (23, 24), (24, 23), (24, 24), (25, 25), (400, 24), (24, 300), (301, 33)]:
        image = ":".join(map(str, ("noise", *size, 1)))
        cases += [(image, name, 1.1, 0, unlimited, unlimited) for name in paths]
    for size in [(20000, 20), (20, 20000)]:
        image = ":".join(map(str, ("noise", *size, 1)))
        cases += [(image, name, 1.1, 0, unlimited, unlimited) for name in TINY]
    for seed in range(60):
        size = generator.randint(15, 130), generator.randint(15, 130)
        image = ":".join(map(str, ("noise", *size, seed)))
        tiny = generator.choice(TINY)
        limits = [generator.choice([0, generator.randint(0, 100)]) for _ in range(4)]
        factor = generator.choice([1.05, 1.1, 1.6, round(generator.uniform(1.02, 1.6), 4)])
        least = generator.choice([0, 1, 2, 3])
        cases.append((image, tiny, factor, least, tuple(limits[:2]), tuple(limits[2:])))

    lines = []
    for image, cascade, factor, least, smallest, largest in cases:
        boxes, counts = classifiers[cascade].detectMultiScale2(
            load_image(image), factor, least, 0, smallest, largest
        )
        if least == 0:
            result = [crc(np.asarray(boxes, np.int32).reshape(-1), "<i4")]
        else:
            result = [
                n for box, count in zip(boxes, np.ravel(counts), strict=True) for n in (*box, count)
            ]
        numbers = [image, cascade, factor, least, *smallest, *largest, len(boxes), *result]
        lines.append(" ".join(map(str, numbers)))
    write("vision_detections.txt", lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="folder of the two photos")
    options = parser.parse_args()
    if cv2.__version__.split(".")[0] != "4":
        print(f"make_vision.py: OpenCV: expected 4.x, found {cv2.__version__}", file=sys.stderr)
        return 1
    cv2.setNumThreads(1)  # with several the order of the rectangles varies
    if options.photos:
        make_photos(options.photos)
    make_resize(random.Random(1))
    make_integral(random.Random(2))
    make_grouping(random.Random(3))
    make_cascade("tiny_stumps", random.Random(8), (18, 14), [1])
    make_cascade("tiny_trees", random.Random(5), (15, 20), [1, 2, 3, 4])
    make_detections(random.Random(6))
    return 0


if __name__ == "__main__":
    sys.exit(main())
