"""Counts the faces of FER2013 that the program `photo` finds in pictures, and reads right.

    python tools/end_to_end_quality.py fer2013.csv --programs build/examples [--backgrounds DIR]

Faces of PublicTest are enlarged to 144 pixels and set into the middle of pictures of 320x320,
upright and turned by up to 30 degrees to either side: gray ones or, in turns with them, parts of
the photos in DIR, in which no faces may be. What counts is the face nearest to the picture's
middle, if it is within half the face's side. "Given" is what the program `evaluate` reads from the
same faces' own crops, of those that the detector finds.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from mien_tools.data import LABELS, load_faces

SIDE = 144
PICTURE = 320
GRAY = 128
DETECTORS = {
    "YuNet, default": (),
    "YuNet, score 0.5": ("--min-score", "0.5"),
    "cascade, default": ("--detector", "haarcascade_frontalface_default.haar"),
    "cascade, OpenCV's rule": (
        *("--detector", "haarcascade_frontalface_default.haar"),
        *("--min-neighbors", "4"),
    ),
}


def call(*command) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{command[0]}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def background(photos: list[Path], number: int, random: np.random.Generator) -> Image.Image:
    if not photos or number % 2 == 0:
        return Image.new("L", (PICTURE, PICTURE), GRAY)
    photo = Image.open(photos[number // 2 % len(photos)]).convert("L")
    scale = max(PICTURE / min(photo.size), 1.0)
    photo = photo.resize([round(scale * side) for side in photo.size])
    left, top = (int(random.integers(side - PICTURE + 1)) for side in photo.size)
    return photo.crop((left, top, left + PICTURE, top + PICTURE))


def picture(face: np.ndarray, degrees: float, behind: Image.Image) -> Image.Image:
    """Degrees are counter-clockwise, as Pillow has them."""
    large = Image.fromarray(face).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    mask = Image.new("L", large.size, 255)
    turn = {"resample": Image.Resampling.BICUBIC, "expand": True}
    large, mask = large.rotate(degrees, **turn), mask.rotate(degrees, **turn)
    behind.paste(large, tuple((PICTURE - side) // 2 for side in large.size), mask)
    return behind


def nearest(faces: list[dict]) -> dict | None:
    def distance(face: dict) -> float:
        return np.hypot(
            face["x"] + face["width"] / 2 - PICTURE / 2,
            face["y"] + face["height"] / 2 - PICTURE / 2,
        )

    best = min(faces, key=distance, default=None)
    return best if best is not None and distance(best) <= SIDE / 2 else None


def given_predictions(program: Path, rows: Path, folder: Path) -> np.ndarray:
    """Whether each face's own crop is read right."""
    logits = folder / "logits.csv"
    call(program, rows, "--usage", "all", "--logits", logits)
    with logits.open(newline="") as lines:
        return np.array([line["truth"] == line["prediction"] for line in csv.DictReader(lines)])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog=__doc__.partition("\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, help="FER2013's CSV or what the package trains from")
    parser.add_argument("--programs", type=Path, required=True, help="folder of photo, evaluate")
    parser.add_argument("--cascades", type=Path, default=Path("examples/models"))
    parser.add_argument("--backgrounds", type=Path, help="photos without faces")
    parser.add_argument("--faces", type=int, default=700, help="how many, at random; default 700")
    parser.add_argument("--degrees", type=float, nargs="+", default=[0, 15, 30])
    arguments = parser.parse_args()

    random = np.random.default_rng(1)
    split = load_faces(arguments.data)["PublicTest"]
    chosen = random.permutation(len(split.labels))[: arguments.faces]
    photos = sorted(arguments.backgrounds.iterdir()) if arguments.backgrounds else []
    print("| turned by | detector | found | of those read right | given |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = folder / "faces.csv"
        with rows.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["emotion", "pixels", "Usage"])
            for i in chosen:
                pixels = " ".join(map(str, split.pixels[i].ravel()))
                writer.writerow([split.labels[i], pixels, "PublicTest"])
        given = given_predictions(arguments.programs / "evaluate", rows, folder)
        for degrees in arguments.degrees:
            paths = [folder / f"{number}.png" for number in range(len(chosen))]
            for number, (i, path) in enumerate(zip(chosen, paths, strict=True)):
                side = degrees if number % 4 < 2 else -degrees
                behind = background(photos, number, random)
                picture(split.pixels[i], side, behind).save(path, compress_level=1)
            for detector, options in DETECTORS.items():
                options = [
                    arguments.cascades / option if option.endswith(".haar") else option
                    for option in options
                ]
                found, right = [], []
                for number in tqdm(range(0, len(paths), 50), leave=False, disable=None):
                    program = arguments.programs / "photo"
                    text = call(program, "--json", *options, *paths[number : number + 50])
                    for line in text.splitlines():
                        place = len(found)
                        face = nearest(json.loads(line)["faces"])
                        found.append(face is not None)
                        label = LABELS[split.labels[chosen[place]]]
                        right.append(face is not None and face["expression"] == label)
                found, right = np.array(found), np.array(right)
                print(
                    f"| {degrees:g} degrees | {detector} | {found.mean():.1%} "
                    f"| {right[found].mean():.1%} | {given[found].mean():.1%} |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
