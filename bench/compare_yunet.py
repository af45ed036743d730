"""Compares the times of face detectors: YuNet in Mien, ONNX Runtime and OpenCV, and cascades.

    python bench/compare_yunet.py face_detection_yunet_2023mar.onnx [--core 1] [--rounds 9]
    python bench/compare_yunet.py YUNET.onnx --other OTHER_BUILD/bench/serve_yunet

All run in turns on one core, on one thread, on the same gray pixels: a photo scaled to a picture's
height and repeated side by side. Two tables go to standard output as Markdown: the network alone,
and whole detections, from gray pixels in memory to faces. docs/yunet.md says where the ONNX file
is to be had; `bash tools/bench.sh` builds Mien's programs; OpenCV of version 4 is
`pip install "opencv-python-headless<5"`. With `--other`, another build of Mien takes part.
Linux only.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
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
from served import EngineError, ServedProgram

SIZES = [(160, 128), (320, 256), (640, 480), (1280, 960), (1920, 1080)]
MODELS = ROOT / "examples/models"
CASCADE = "haarcascade_frontalface_default"
SCORE = 0.75
# What a round spends on each candidate, so that fast ones run often, and how often at most.
SECONDS_A_TURN = 0.1
MOST_RUNS = 50


@dataclass
class Candidate:
    """What is timed: `run` returns milliseconds of so many runs, `faces` how many it finds."""

    name: str
    run: Callable[[int], list[float]]
    faces: Callable[[], int] | None = None
    rounds: list[float] = field(default_factory=list)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("onnx", type=Path, help="YuNet as OpenCV Zoo has it")
    parser.add_argument("--rounds", type=positive, default=9, help="turns of all candidates")
    parser.add_argument("--other", type=Path, help="another build's serve_yunet")
    add_core_option(parser)
    add_program_option(parser, "build/bench/serve_yunet")
    return parser.parse_args()


def timed(function: Callable[[], object]) -> Callable[[int], list[float]]:
    def run(count: int) -> list[float]:
        times = []
        for _ in range(count):
            start = time.process_time_ns()
            function()
            times.append((time.process_time_ns() - start) / 1e6)
        return times

    return run


def served(program: ServedProgram, command: str) -> Callable[[int], list[float]]:
    return lambda count: [int(word) / 1e6 for word in program.ask(f"{command} {count}").split()]


def served_faces(program: ServedProgram) -> Callable[[], int]:
    return lambda: len(program.ask("boxes").split()) // 4


class Comparison:
    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        if not hasattr(cv2, "CascadeClassifier"):
            raise CompareError(f"OpenCV: expected version 4, found {cv2.__version__}")
        haar = options.program.parent / "serve_detections"
        for program in (options.program, haar):
            require_program(program, "tools/bench.sh")
        cv2.setNumThreads(1)
        self._pixels = folder / "gray"
        self._photo = cv2.imread(str(ROOT / "examples/images/astronaut.png"), cv2.IMREAD_GRAYSCALE)
        self._onnx = options.onnx
        model = MODELS / "yunet.mien"
        self.yunet = ServedProgram([options.program.resolve(), model, SCORE])
        self._other = None
        if options.other is not None:
            self._other = ServedProgram([options.other.resolve(), model, SCORE])
        self._haar = {
            smallest: ServedProgram([haar.resolve(), MODELS / f"{CASCADE}.haar", 1.1, 4, smallest])
            for smallest in (0, 80)
        }
        self._cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}/{CASCADE}.xml")
        self._settings = onnxruntime.SessionOptions()
        self._settings.intra_op_num_threads = 1
        self._settings.inter_op_num_threads = 1

    def candidates(self, width: int, height: int) -> tuple[list[Candidate], list[Candidate]]:
        """The network alone, and whole detections; the first of each is Mien's."""
        gray = self._picture(width, height)
        self._pixels.write_bytes(gray.tobytes())
        programs = [self.yunet, *self._haar.values()]
        programs += [] if self._other is None else [self._other]
        for program in programs:
            program.ask(f"image {width} {height} {self._pixels}")
        bgr = cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)
        padded = np.zeros((-(-height // 32) * 32, -(-width // 32) * 32, 3), np.float32)
        padded[:height, :width] = bgr
        session, taken = self._session(*padded.shape[:2])
        feed = {taken: np.ascontiguousarray(padded.transpose(2, 0, 1)[None])}
        finder = cv2.FaceDetectorYN.create(str(self._onnx), "", (width, height), SCORE, 0.3, 5000)

        def yunet() -> int:
            faces = finder.detect(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR))[1]
            return 0 if faces is None else len(faces)

        def cascade(smallest: int) -> Callable[[], int]:
            limit = (smallest, smallest)
            return lambda: len(self._cascade.detectMultiScale(gray, 1.1, 4, 0, limit))

        network = [
            Candidate("Mien", served(self.yunet, "network")),
            Candidate("ONNX Runtime", timed(lambda: session.run(None, feed))),
        ]
        whole = [
            Candidate("YuNet, Mien", served(self.yunet, "run"), served_faces(self.yunet)),
            Candidate("YuNet, OpenCV", timed(yunet), yunet),
        ]
        if self._other is not None:
            network.append(Candidate("Mien, other build", served(self._other, "network")))
            whole.append(
                Candidate(
                    "Mien, other build", served(self._other, "run"), served_faces(self._other)
                )
            )
        for smallest, program in self._haar.items():
            size = f", from {smallest} px" if smallest else ""
            ours = Candidate(f"Haar{size}, Mien", served(program, "run"), served_faces(program))
            theirs = cascade(smallest)
            whole += [ours, Candidate(f"Haar{size}, OpenCV", timed(theirs), theirs)]
        return network, whole

    def _picture(self, width: int, height: int) -> np.ndarray:
        scaled = cv2.resize(self._photo, (height, height), interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(np.tile(scaled, (1, -(-width // height)))[:, :width])

    def _session(self, height: int, width: int) -> tuple[onnxruntime.InferenceSession, str]:
        """The file fixes the size of its input, on which nothing depends."""
        model = onnx.load(self._onnx)
        taken = model.graph.input[0]
        for place, size in ((2, height), (3, width)):
            taken.type.tensor_type.shape.dim[place].dim_value = size
        del model.graph.value_info[:]
        for output in model.graph.output:
            output.type.tensor_type.shape.dim[1].dim_param = f"cells of {output.name}"
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), self._settings, providers=["CPUExecutionProvider"]
        )
        return session, taken.name


def run_in_turns(candidates: list[Candidate], rounds: int) -> None:
    """Another candidate goes first in each round."""
    counts = {}
    for candidate in candidates:
        candidate.run(1)
        (once,) = candidate.run(1)
        counts[candidate.name] = max(1, min(MOST_RUNS, int(SECONDS_A_TURN * 1000 / once)))
    for number in range(rounds):
        first = number % len(candidates)
        for candidate in candidates[first:] + candidates[:first]:
            times = candidate.run(counts[candidate.name])
            candidate.rounds.append(statistics.median(times))


def cells(candidates: list[Candidate]) -> str:
    """Medians, and ratios of Mien's time to the others' taken in each round."""
    mien = candidates[0].rounds
    found = []
    for candidate in candidates:
        text = f"{statistics.median(candidate.rounds):.2f}"
        if candidate is not candidates[0]:
            ratios = [a / b for a, b in zip(mien, candidate.rounds, strict=True)]
            text += f" ({statistics.median(ratios):.2f})"
        if candidate.faces is not None:
            text += f", {candidate.faces()}"
        found.append(text)
    return " | ".join(found)


def main() -> int:
    options = parse_arguments()
    try:
        os.sched_setaffinity(0, {options.core})
        networks, wholes = [], []
        with tempfile.TemporaryDirectory() as folder:
            comparison = Comparison(options, Path(folder))
            for width, height in tqdm(SIZES, unit="size", disable=None):
                network, whole = comparison.candidates(width, height)
                run_in_turns(network, options.rounds)
                run_in_turns(whole, options.rounds)
                # Faces are counted now, while the programs have this picture.
                networks.append(f"| {width}x{height} | {cells(network)} |")
                wholes.append(f"| {width}x{height} | {cells(whole)} |")
            about = comparison.yunet.ask("about")
    except (CompareError, EngineError, OSError, cv2.error) as error:
        print(f"compare_yunet.py: {error}", file=sys.stderr)
        return 1
    print(f"- processor: {processor()}")
    print(f"- Mien: {about}; OpenCV {cv2.__version__}, ONNX Runtime {onnxruntime.__version__}")
    print(f"- milliseconds, in brackets Mien's time as a part of it; score {SCORE}\n")
    for title, candidates, rows in (
        ("network alone", network, networks),
        ("whole detection, and faces found", whole, wholes),
    ):
        print(f"| {title} | {' | '.join(one.name for one in candidates)} |")
        print("|---" * (1 + len(candidates)) + "|")
        print("\n".join(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
