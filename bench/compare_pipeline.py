"""Compares Mien's program `video` with the same pipeline in Python: OpenCV and ONNX Runtime.

    python bench/compare_pipeline.py [--core 1] [--rounds 9] [--frames 40]

A face moves slowly through gray frames of 640x480. Each pipeline finds it (frontal face cascade,
scale factor 1.1, 4 neighbors, 80 pixels or more), cuts it out and classifies its centre by MiniFER,
on one core and one thread; they take turns, and the table goes to standard output as Markdown.
A frame's time is that from its pixels in memory to its expressions; only the frames count in which
OpenCV finds one face. The programs' CPU time, all frames and for Mien reading them from a pipe and
printing JSON included, stands beside it. It needs the programs (tools/build.sh) and the packages of
compare.py (tools/compare.sh installs them). Linux only.
"""

import argparse
import json
import math
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from compare import load_network
from comparison import (
    ROOT,
    CompareError,
    add_core_option,
    add_program_option,
    onnx_runtime_session,
    positive,
    processor,
    require_program,
)
from mien_tools import weights
from mien_tools.container import FormatError

CASCADE = ROOT / "examples/models/haarcascade_frontalface_default.haar"
WIDTH, HEIGHT = 640, 480
SMALLEST_FACE = 80
# Frames from one extreme of the face's way to the same again, and how far it goes, in pixels.
PERIOD = 240
WAY = 60
# The photo's size, from which frames are cut.
SCALED_PHOTO = 800


@dataclass
class Answer:
    """The faces of a frame: their boxes, the expression of each, and the time it took."""

    boxes: list[list[int]]
    expressions: list[str]
    milliseconds: float


@dataclass
class Measured:
    name: str
    pipeline: "Pipeline"
    # Milliseconds a frame with one face, of each round, and of CPU time a frame.
    rounds: list[float] = field(default_factory=list)
    cpu_rounds: list[float] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


class Pipeline:
    def run(self, frame: np.ndarray) -> Answer:
        raise NotImplementedError

    def cpu_seconds(self) -> float:
        """What the pipeline's process has used so far."""
        raise NotImplementedError

    def close(self) -> None:
        pass


class Mien(Pipeline):
    """The program, to which frames go one by one."""

    def __init__(self, program: Path, *arguments: str) -> None:
        size = ["--width", str(WIDTH), "--height", str(HEIGHT), "--min-size", str(SMALLEST_FACE)]
        self._program = subprocess.Popen(
            [program, *size, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(self, frame: np.ndarray) -> Answer:
        self._program.stdin.write(frame.tobytes())
        self._program.stdin.flush()
        line = self._program.stdout.readline()
        if not line:
            raise CompareError(f"{self._program.args[0]}: it ended; expected a line for each frame")
        answer = json.loads(line)
        faces = answer["faces"]
        boxes = [[face[key] for key in ("x", "y", "width", "height")] for face in faces]
        return Answer(boxes, [face["expression"] for face in faces], answer["milliseconds"])

    def cpu_seconds(self) -> float:
        # The process's CPU clock; see clock_getcpuclockid(3).
        return time.clock_gettime((~self._program.pid << 3) | 2)

    def close(self) -> None:
        self._program.stdin.close()
        self._program.wait()


class Python(Pipeline):
    """OpenCV's cascade and ONNX Runtime."""

    def __init__(self, module: torch.nn.Module, labels: list[str], folder: Path) -> None:
        import cv2
        import onnxruntime

        cv2.setNumThreads(1)
        self._cv2 = cv2
        self.versions = f"OpenCV {cv2.__version__}, ONNX Runtime {onnxruntime.__version__}"
        cascade = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"
        self._cascade = cv2.CascadeClassifier(str(cascade))
        model = folder / "mini_fer.onnx"
        with warnings.catch_warnings():
            # This exporter is the older one, and says so; the newer needs one package more.
            warnings.simplefilter("ignore", DeprecationWarning)
            example = torch.zeros(1, 1, 40, 40)
            names = {"input_names": ["input"], "output_names": ["output"]}
            torch.onnx.export(module, (example,), str(model), dynamo=False, **names)
        self._session = onnx_runtime_session(model)
        self._labels = labels

    def run(self, frame: np.ndarray) -> Answer:
        start = time.perf_counter()
        answer = self._read(frame)
        answer.milliseconds = 1000 * (time.perf_counter() - start)
        return answer

    def _read(self, frame: np.ndarray) -> Answer:
        found = self._cascade.detectMultiScale(
            frame, 1.1, 4, minSize=(SMALLEST_FACE, SMALLEST_FACE)
        )
        answer = Answer([], [], 0.0)
        for x, y, width, height in found:
            crop = frame[y : y + height, x : x + width]
            face = self._cv2.resize(crop, (48, 48), interpolation=self._cv2.INTER_AREA)
            pixels = face[4:44, 4:44].astype(np.float32)[None, None] / 255
            (logits,) = self._session.run(None, {"input": pixels})
            answer.boxes.append([int(x), int(y), int(width), int(height)])
            answer.expressions.append(self._labels[int(logits.argmax())])
        return answer

    def cpu_seconds(self) -> float:
        return time.process_time()


def main() -> int:
    arguments = parse_arguments()
    try:
        os.sched_setaffinity(0, {arguments.core})
        with tempfile.TemporaryDirectory() as folder:
            print(compare(arguments, Path(folder)))
    except (CompareError, FormatError, ImportError, OSError) as error:
        print(f"compare_pipeline.py: {error}", file=sys.stderr)
        return 1
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_core_option(parser)
    parser.add_argument("--rounds", type=positive, default=9, help="turns of all pipelines")
    parser.add_argument("--frames", type=positive, default=40, help="frames a turn")
    parser.add_argument(
        "--model", type=Path, default=ROOT / "examples/models/mini_fer.mien", help="a MiniFER"
    )
    parser.add_argument(
        "--photo",
        type=Path,
        default=ROOT / "examples/images/astronaut.png",
        help="a square photo of a face (default: the astronaut)",
    )
    add_program_option(parser, "build/examples/video")
    return parser.parse_args()


def compare(arguments: argparse.Namespace, folder: Path) -> str:
    require_program(arguments.program, "tools/build.sh")

    module = load_network(arguments.model)
    python = Python(module, list(weights.read(arguments.model).labels), folder)
    program = arguments.program.resolve()
    model = ("--model", str(arguments.model.resolve()))
    cascade = ("--detector", str(CASCADE))
    measured = [
        Measured(f"Python: {python.versions}", python),
        Measured(
            "`video`, cascade, `--min-neighbors 4`: OpenCV's rule",
            Mien(program, *model, *cascade, "--min-neighbors", "4"),
        ),
        Measured("`video`, cascade", Mien(program, *model, *cascade)),
        Measured("`video --fast`, cascade", Mien(program, *model, *cascade, "--fast")),
        Measured(
            "`video --fast --classify 1`, cascade",
            Mien(program, *model, *cascade, "--fast", "--classify", "1"),
        ),
        Measured("`video`, YuNet", Mien(program, *model)),
        Measured("`video --fast`, YuNet", Mien(program, *model, "--fast")),
    ]
    photo = load_photo(arguments.photo)
    try:
        for entry in measured:  # loading and warming up is not measured
            entry.pipeline.run(frame_of(photo, 0))
        run_in_turns(measured, photo, arguments.rounds, arguments.frames)
    finally:
        for entry in measured:
            entry.pipeline.close()
    return report(measured)


def load_photo(path: Path) -> np.ndarray:
    import cv2

    photo = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if photo is None:
        raise CompareError(f"{path}: expected a photo, found none that OpenCV can read")
    return cv2.resize(photo, (SCALED_PHOTO, SCALED_PHOTO), interpolation=cv2.INTER_AREA)


def frame_of(photo: np.ndarray, number: int) -> np.ndarray:
    """A part of the photo that moves to and fro."""
    angle = 2 * math.pi * number / PERIOD
    x = round((SCALED_PHOTO - WIDTH) / 2 + WAY * math.sin(angle))
    y = round(WAY / 2 * (1 - math.cos(angle)))
    return np.ascontiguousarray(photo[y : y + HEIGHT, x : x + WIDTH])


def run_in_turns(
    measured: list[Measured], photo: np.ndarray, rounds: int, frames_a_round: int
) -> None:
    """Each round, every pipeline takes the same frames; another goes first each time.

    The first pipeline says which frames have one face.
    """
    for number in tqdm(range(rounds), unit="round", disable=None):
        frames = [frame_of(photo, number * frames_a_round + i) for i in range(frames_a_round)]
        first = number % len(measured)
        for entry in measured[first:] + measured[:first]:
            start = entry.pipeline.cpu_seconds()
            entry.answers += [entry.pipeline.run(frame) for frame in frames]
            seconds = entry.pipeline.cpu_seconds() - start
            entry.cpu_rounds.append(1000 * seconds / frames_a_round)
        first_answers = measured[0].answers[-frames_a_round:]
        counted = [i for i, answer in enumerate(first_answers) if len(answer.boxes) == 1]
        if not counted:
            raise CompareError(f"round {number + 1}: expected frames with one face, found none")
        for entry in measured:
            answers = entry.answers[-frames_a_round:]
            entry.rounds.append(statistics.mean(answers[i].milliseconds for i in counted))


def report(measured: list[Measured]) -> str:
    python = measured[0]
    lines = [
        f"- processor: {processor()}",
        f"- command: python bench/compare_pipeline.py {shlex.join(sys.argv[1:])}".rstrip(),
        "",
        "| pipeline | ms a frame | frames a second | times Python's speed | CPU ms a frame, whole "
        "program | frames with the same boxes as Python | the same expressions |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in measured:
        milliseconds = statistics.median(entry.rounds)
        # Both shared the machine's state in a round, so the ratio is taken there.
        ratios = [a / b for a, b in zip(python.rounds, entry.rounds, strict=True)]
        pairs = list(zip(entry.answers, python.answers, strict=True))
        boxes = sum(sorted(a.boxes) == sorted(b.boxes) for a, b in pairs) / len(pairs)
        same = sum(sorted(a.expressions) == sorted(b.expressions) for a, b in pairs) / len(pairs)
        lines.append(
            f"| {entry.name} | {milliseconds:.2f} | {1000 / milliseconds:.0f} "
            f"| {statistics.median(ratios):.1f} | {statistics.median(entry.cpu_rounds):.2f} "
            f"| {100 * boxes:.0f} % | {100 * same:.0f} % |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
