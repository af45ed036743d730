"""Compares the program `detect` with OpenCV's recorded rectangles, their order included.

    python tools/check_photos.py PHOTOS --detect build/examples/detect

PHOTOS/opencv_rects.jsonl has a line for each photo and setting: photo (a path in PHOTOS), cascade
(an XML file of --cascades), scale_factor, min_neighbors, min_size, rects ([x, y, width, height]),
opencv_ms. Lines whose photo is not there are left out.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from mien_tools.cascade import read_cascade
from mien_tools.container import FormatError


@dataclass(frozen=True)
class Setting:
    cascade: str
    scale_factor: float
    min_neighbors: int
    min_size: int

    def __str__(self) -> str:
        return (
            f"{self.cascade}, scale factor {self.scale_factor}, "
            f"min neighbors {self.min_neighbors}, min size {self.min_size}"
        )


@dataclass
class Score:
    compared: int = 0
    different: int = 0
    milliseconds: float = 0
    opencv_milliseconds: float = 0


def read_records(photos: Path) -> dict[Setting, list[dict]]:
    records = defaultdict(list)
    for line in (photos / "opencv_rects.jsonl").read_text().splitlines():
        record = json.loads(line)
        if (photos / record["photo"]).exists():
            setting = Setting(
                record["cascade"],
                record["scale_factor"],
                record["min_neighbors"],
                record["min_size"],
            )
            records[setting].append(record)
    return records


def detect(program: Path, cascade: Path, setting: Setting, photo: Path) -> dict:
    command = [program, "--json", "--cascade", cascade, "--scale-factor", setting.scale_factor]
    command += ["--min-neighbors", setting.min_neighbors, "--min-size", setting.min_size, photo]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{program}: exit status {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def compare(program: Path, cascade: Path, setting: Setting, photos: Path, record: dict) -> Score:
    found = detect(program, cascade, setting, photos / record["photo"])
    rects = [[face[key] for key in ("x", "y", "width", "height")] for face in found["faces"]]
    score = Score(1, 0, found["milliseconds"]["detect"], record["opencv_ms"])
    if rects != record["rects"]:
        score.different = 1
        tqdm.write(f"{record['photo']}, {setting}: expected {record['rects']}, found {rects}")
    return score


def check(options: argparse.Namespace) -> list[tuple[Setting, Score]]:
    program = options.detect.resolve()  # a bare name would be looked for in PATH
    records = read_records(options.photos)
    scores = []
    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(total=sum(map(len, records.values())), disable=None) as progress,
    ):
        for setting, lines in records.items():
            cascade = (Path(folder) / setting.cascade).with_suffix(".haar")
            xml = (options.cascades / setting.cascade).read_bytes()
            cascade.write_bytes(read_cascade(xml, cascade.stem).pack())
            total = Score()
            for record in lines:
                score = compare(program, cascade, setting, options.photos, record)
                for name, value in vars(score).items():
                    setattr(total, name, getattr(total, name) + value)
                progress.update()
            scores.append((setting, total))
    return scores


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--detect", type=Path, required=True, help="the program")
    parser.add_argument(
        "--cascades",
        type=Path,
        default=Path("/usr/share/opencv4/haarcascades"),
        help="folder of OpenCV's XML files (default: %(default)s)",
    )
    try:
        scores = check(parser.parse_args(arguments))
    except (OSError, FormatError) as error:
        print(f"check_photos.py: {error}", file=sys.stderr)
        return 1
    for setting, score in scores:
        print(
            f"{setting}: {score.compared} photos, {score.different} different, "
            f"{score.milliseconds:.0f} ms, OpenCV {score.opencv_milliseconds:.0f} ms"
        )
    compared = sum(score.compared for _, score in scores)
    different = sum(score.different for _, score in scores)
    print(f"{compared} comparisons, {different} different")
    return 0 if compared > 0 and different == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
