"""Counts the faces that the program `detect` finds in labelled photos by YuNet and by a cascade.

    python tools/detection_quality.py PHOTOS --detect build/examples/detect [--check]

PHOTOS/quality.json gives for each photo (a path in PHOTOS) the number of its `faces`, and which
rectangles of OpenCV's cascade haarcascade_frontalface_default (scale factor 1.1, 4 neighbors) are
faces: `opencv_hits`, [x, y, width, height]. Photos that are not there are left out.

Here a hit is found if a rectangle overlaps it by 0.4 or more (intersection over union), each
rectangle counting for one only. Every other rectangle is one of the `other` ones. A cascade's are
false. YuNet finds faces that OpenCV's cascade misses, which no hit marks: those of its other
rectangles that are more than the photo has faces are certainly false (`beyond`), and its faces are
at most the rectangles without these.

--check tries the first line, the cascade's default and YuNet's only, and fails unless the cascade's
finds all that the first line does with at most 30 % of its other rectangles, and YuNet's at most
three of a hundred faces fewer than there are, with none in photos without faces and at most two
beyond.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from mien_tools.cascade import read_cascade
from mien_tools.container import FormatError

ENOUGH_OVERLAP = 0.4
OTHER_CASCADES = ("frontalface_alt2",)
HALVES = 1000
CASCADE = (
    Path(__file__).resolve().parents[1] / "examples/models/haarcascade_frontalface_default.haar"
)
# Of the other rectangles of OpenCV's rule: what --check lets the cascade's default keep.
MOST_FALSE = 0.3
# What --check asks of YuNet's default.
YUNET_MOST_BEYOND = 2
YUNET_LEAST_FACES = 0.97

Box = tuple[int, int, int, int]


class QualityError(RuntimeError):
    """The default is worse than --check demands."""


@dataclass(frozen=True)
class Photo:
    path: Path
    faces: int
    hits: list[Box]


@dataclass(frozen=True)
class Setting:
    name: str
    arguments: tuple[str, ...]
    # Of FinderOptions::min_confirmations, where it alone differs from the default.
    confirmations: int | None = None


def by_cascade(
    name: str, *arguments: str, confirmations: int | None = None, path: Path = CASCADE
) -> Setting:
    return Setting(name, ("--detector", str(path), *arguments), confirmations)


REFERENCE = by_cascade("1.1, 4 neighbors (OpenCV)", "--min-neighbors", "4")
DEFAULT = by_cascade("**default of cascades: 4 neighbors, 8 confirmations**", confirmations=8)
YUNET = Setting("**default of YuNet: score 0.7, side 960**", ())


@dataclass
class Score:
    """Rectangles in a photo: on a hit, others, and those beyond the photo's number of faces."""

    found: int
    other: int
    beyond: int

    @property
    def faces(self) -> int:
        """At most so many are faces."""
        return self.found + self.other - self.beyond


def read_photos(folder: Path) -> list[Photo]:
    labels = json.loads((folder / "quality.json").read_text())
    return [
        Photo(folder / name, label["faces"], [tuple(box) for box in label["opencv_hits"]])
        for name, label in labels.items()
        if (folder / name).exists()
    ]


def settings(cascades: dict[str, Path]) -> list[Setting]:
    rows = [REFERENCE]
    rows += [by_cascade(f"1.1, {n} neighbors", "--min-neighbors", str(n)) for n in (6, 8, 12, 20)]
    rows.append(by_cascade("1.05, 4 neighbors", "--scale-factor", "1.05", "--min-neighbors", "4"))
    rows += [
        by_cascade(f"{name}, 1.1, 4 neighbors", "--min-neighbors", "4", path=path)
        for name, path in cascades.items()
    ]
    rows.append(DEFAULT)
    rows += [
        by_cascade(
            f"4 neighbors, {n} confirmations", "--min-confirmations", str(n), confirmations=n
        )
        for n in (2, 4, 6, 10, 12, 14, 16, 20)
    ]
    rows.append(
        by_cascade(
            "3 neighbors, 12 confirmations", "--min-neighbors", "3", "--min-confirmations", "12"
        )
    )
    rows.append(YUNET)
    rows += [
        Setting(f"YuNet, score {score}", ("--min-score", str(score)))
        for score in (0.5, 0.6, 0.65, 0.75, 0.8, 0.85, 0.9)
    ]
    rows += [
        Setting(f"YuNet, side {side or 'of any length'}", ("--max-side", str(side)))
        for side in (480, 640, 800, 1280, 1920, 0)
    ]
    return rows


def detect(program: Path, arguments: tuple[str, ...], photo: Path) -> list[Box]:
    command = [str(program), "--json", *arguments, str(photo)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{program}: exit status {done.returncode}: {done.stderr.strip()}")
    faces = json.loads(done.stdout)["faces"]
    return [tuple(face[key] for key in ("x", "y", "width", "height")) for face in faces]


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def count_found(hits: list[Box], boxes: list[Box]) -> int:
    """Pairs of a hit and a box, those that overlap most first, each in one pair only."""
    pairs = sorted(
        ((overlap(hit, box), i, j) for i, hit in enumerate(hits) for j, box in enumerate(boxes)),
        reverse=True,
    )
    paired_hits, paired_boxes = set(), set()
    for value, i, j in pairs:
        if value >= ENOUGH_OVERLAP and i not in paired_hits and j not in paired_boxes:
            paired_hits.add(i)
            paired_boxes.add(j)
    return len(paired_hits)


def measure(program: Path, setting: Setting, photos: list[Photo], progress: tqdm) -> list[Score]:
    scores = []
    for photo in photos:
        boxes = detect(program, setting.arguments, photo.path)
        found = count_found(photo.hits, boxes)
        beyond = max(len(boxes) - photo.faces, 0)
        scores.append(Score(found, len(boxes) - found, beyond))
        progress.update()
    return scores


def table(photos: list[Photo], rows: list[Setting], scores: dict[Setting, list[Score]]) -> str:
    hits = sum(len(photo.hits) for photo in photos)
    faces = sum(photo.faces for photo in photos)
    lines = [
        f"| setting | OpenCV's hits found, of {hits} | other rectangles | beyond the photo's faces "
        f"| in photos without faces | faces at most, of {faces} |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        found, other, beyond, at_most = (
            sum(getattr(score, what) for score in scores[row])
            for what in ("found", "other", "beyond", "faces")
        )
        empty = sum(s.other for p, s in zip(photos, scores[row], strict=True) if p.faces == 0)
        lines.append(f"| {row.name} | {found} | {other} | {beyond} | {empty} | {at_most} |")
    return "\n".join(lines)


def halves(photos: list[Photo], rows: list[Setting], scores: dict[Setting, list[Score]]) -> str:
    """Chooses the number of confirmations on one half of the photos and tries it on the other."""
    candidates = sorted(
        (row for row in rows if row.confirmations is not None), key=lambda row: row.confirmations
    )
    generator = random.Random(0)
    kept = hits = false = reference_false = 0
    for _ in range(HALVES):
        order = generator.sample(range(len(photos)), len(photos))
        half, other = order[: len(order) // 2], order[len(order) // 2 :]
        keeping = [
            row
            for row in candidates
            if all(scores[row][i].found == scores[rows[0]][i].found for i in half)
        ]
        # The middle of what keeps all faces.
        chosen = (keeping or candidates[:1])[len(keeping) // 2]
        kept += sum(scores[chosen][i].found for i in other)
        hits += sum(scores[rows[0]][i].found for i in other)
        false += sum(scores[chosen][i].other for i in other)
        reference_false += sum(scores[rows[0]][i].other for i in other)
    return (
        f"The number of confirmations chosen on a random half of the photos (the middle of those "
        f"that keep all its faces) and tried on the other half, {HALVES} times: "
        f"{100 * kept / hits:.1f} % of the faces kept, "
        f"{100 * (1 - false / reference_false):.0f} % of the false ones gone."
    )


def check(
    photos: list[Photo], reference: list[Score], default: list[Score], yunet: list[Score]
) -> str:
    """Raises QualityError unless the defaults are as much better as they should be."""
    missed = sum(a.found > b.found for a, b in zip(reference, default, strict=True))
    false, reference_false = (sum(score.other for score in row) for row in (default, reference))
    result = (
        f"the cascade's default misses faces that OpenCV's rule finds in {missed} photos, and has "
        f"{false} false rectangles for OpenCV's {reference_false}"
    )
    if missed > 0 or false > MOST_FALSE * reference_false:
        raise QualityError(
            f"expected no missed faces and at most {MOST_FALSE:.0%} of the false ones, found: "
            f"{result}"
        )
    faces = sum(photo.faces for photo in photos)
    found, beyond = (sum(getattr(score, what) for score in yunet) for what in ("faces", "beyond"))
    empty = sum(s.other for photo, s in zip(photos, yunet, strict=True) if photo.faces == 0)
    of_yunet = (
        f"YuNet's default finds at most {found} of {faces} faces, {beyond} rectangles beyond, "
        f"{empty} in photos without faces"
    )
    if found < YUNET_LEAST_FACES * faces or beyond > YUNET_MOST_BEYOND or empty > 0:
        raise QualityError(
            f"expected {YUNET_LEAST_FACES:.0%} of the faces, at most {YUNET_MOST_BEYOND} "
            f"rectangles beyond and none in photos without faces, found: {of_yunet}"
        )
    return f"{result}; {of_yunet}"


def compare(options: argparse.Namespace) -> str:
    program = options.detect.resolve()  # a bare name would be looked for in PATH
    photos = read_photos(options.photos)
    if not photos:
        raise OSError(f"{options.photos}: expected the photos of quality.json, found none")
    if options.check:
        rows = (REFERENCE, DEFAULT, YUNET)
        with tqdm(total=len(rows) * len(photos), disable=None) as progress:
            return check(photos, *(measure(program, row, photos, progress) for row in rows))
    with tempfile.TemporaryDirectory() as folder:
        cascades = {}
        for name in OTHER_CASCADES:
            xml = (options.cascades / f"haarcascade_{name}.xml").read_bytes()
            cascades[name] = Path(folder) / f"{name}.haar"
            cascades[name].write_bytes(read_cascade(xml, name).pack())
        rows = settings(cascades)
        with tqdm(total=len(rows) * len(photos), disable=None) as progress:
            scores = {row: measure(program, row, photos, progress) for row in rows}
    empty = sum(photo.faces == 0 for photo in photos)
    return "\n".join(
        [
            f"{len(photos)} photos, {empty} of them without faces.",
            "",
            table(photos, rows, scores),
            "",
            halves(photos, rows, scores),
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--detect", type=Path, required=True, help="the program")
    parser.add_argument("--check", action="store_true", help="only test the default")
    parser.add_argument(
        "--cascades",
        type=Path,
        default=Path("/usr/share/opencv4/haarcascades"),
        help="folder of OpenCV's XML files (default: %(default)s)",
    )
    try:
        print(compare(parser.parse_args(arguments)))
    except (OSError, FormatError, QualityError) as error:
        print(f"detection_quality.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
