"""The program `video` on a clip that ffmpeg makes of the example photo."""

import json
import math
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PHOTO = ROOT / "examples/images/astronaut.png"

WIDTH, HEIGHT = 320, 240
SIZE = ["--width", str(WIDTH), "--height", str(HEIGHT)]
FRAMES = 45
CASCADE = ROOT / "examples/models/haarcascade_frontalface_default.haar"
KEYS = ["identity", "x", "y", "width", "height", "neighbors", "score", "landmarks"]
KEYS += ["expression", "probabilities", "classified"]


@pytest.fixture(scope="session")
def clip() -> np.ndarray:
    """Gray frames [FRAMES][HEIGHT][WIDTH]: the camera pans and zooms in."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    zoom = "scale=w='2*floor(210+n)':h='2*floor(210+n)':eval=frame"
    pan = f"crop={WIDTH}:{HEIGHT}:'40+40*sin(n/8)':'20+n/3'"
    command = ["ffmpeg", "-v", "error", "-loop", "1", "-i", str(PHOTO), "-vf", f"{zoom},{pan}"]
    command += ["-frames:v", str(FRAMES), "-pix_fmt", "gray", "-f", "rawvideo", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(FRAMES, HEIGHT, WIDTH)


def run(programs: Path, data: bytes, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([programs / "video", *arguments], input=data, capture_output=True)


def read(programs: Path, frames: np.ndarray, *arguments: str) -> list[dict]:
    done = run(programs, frames.tobytes(), *SIZE, *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def box(face: dict) -> list[int]:
    return [face[key] for key in ("x", "y", "width", "height")]


def overlap(a: list[int], b: list[int]) -> float:
    """Intersection over union."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def test_every_frame_is_read_as_a_photo(programs: Path, clip: np.ndarray, tmp_path: Path):
    lines = read(programs, clip)
    assert [line["frame"] for line in lines] == list(range(FRAMES))
    assert all(list(line) == ["frame", "faces", "milliseconds"] for line in lines)
    for number in (0, 17, FRAMES - 1):
        path = tmp_path / f"{number}.png"
        Image.fromarray(clip[number]).save(path)
        done = subprocess.run([programs / "photo", "--json", path], capture_output=True)
        (expected,) = json.loads(done.stdout)["faces"]
        (face,) = lines[number]["faces"]
        assert list(face) == KEYS
        assert {key: face[key] for key in expected} == expected


def test_the_face_is_one_through_pan_and_zoom(programs: Path, clip: np.ndarray):
    lines = read(programs, clip)
    for line in lines:
        (face,) = line["faces"]
        assert (face["identity"], face["expression"], face["classified"]) == (1, "happy", True)
    # The photo grows from 420 to 508 pixels.
    growth = np.mean([line["faces"][0]["width"] for line in lines[-5:]])
    growth /= np.mean([line["faces"][0]["width"] for line in lines[:5]])
    assert 1.1 < growth < 1.3


def test_fast_finds_what_searching_every_frame_does(programs: Path, clip: np.ndarray):
    lines = read(programs, clip)
    fast = read(programs, clip, "--fast")
    for number, (line, fast_line) in enumerate(zip(lines, fast, strict=True)):
        (face,), (fast_face,) = line["faces"], fast_line["faces"]
        assert overlap(box(face), box(fast_face)) > 0.6, number
        assert fast_face["identity"] == 1
        assert fast_face["classified"] == (number % 3 == 0), number
        assert math.isclose(sum(fast_face["probabilities"].values()), 1, abs_tol=1e-5)
        assert fast_face["expression"] == "happy"
        if number % 30 == 0:  # the whole frame is searched
            assert box(face) == box(fast_face), number


def test_a_face_appears_within_the_refresh_interval_and_keeps_its_identity(
    programs: Path, clip: np.ndarray
):
    empty = np.full_like(clip[:1], 128)
    frames = np.concatenate([empty.repeat(2, 0), clip[:20], empty.repeat(3, 0), clip[20:30]])
    lines = read(programs, frames, "--fast", "--refresh", "4")
    faces = [[face["identity"] for face in line["faces"]] for line in lines]
    assert faces[:2] == [[], []]
    first = faces.index([1])
    assert 2 <= first < 2 + 4
    assert faces[first:22] == [[1]] * (22 - first)
    assert faces[22:25] == [[], [], []]
    again = faces.index([1], 25)
    assert 25 <= again < 25 + 4
    assert faces[again:] == [[1]] * (35 - again)


def test_probabilities_are_smoothed_over_the_time_constant(programs: Path, clip: np.ndarray):
    frames = np.concatenate([clip[:1], clip[5:6].repeat(6, 0)])
    plain = read(programs, frames)
    smooth = read(programs, frames, "--smooth", "3")
    first, last = (line["faces"][0]["probabilities"] for line in (plain[0], plain[-1]))
    for number, line in enumerate(smooth):
        arrived = 1 - math.exp(-number / 3)
        for label, value in line["faces"][0]["probabilities"].items():
            expected = first[label] + arrived * (last[label] - first[label])
            assert math.isclose(value, expected, abs_tol=1e-5), (number, label)


def test_every_passes_over_frames(programs: Path, clip: np.ndarray):
    lines = read(programs, clip, "--every", "7")
    assert [line["frame"] for line in lines] == list(range(0, FRAMES, 7))


def test_gray_and_colour_frames_are_read_alike(programs: Path, clip: np.ndarray):
    gray = read(programs, clip[:3])
    colour = read(programs, clip[:3, :, :, None].repeat(3, 3), "--format", "rgb24")
    assert [line["faces"] for line in gray] == [line["faces"] for line in colour]


def test_each_line_is_written_before_the_next_frame(programs: Path, clip: np.ndarray):
    program = subprocess.Popen(
        [programs / "video", *SIZE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    for number in range(3):
        program.stdin.write(clip[number].tobytes())
        program.stdin.flush()
        assert json.loads(program.stdout.readline())["frame"] == number
    program.stdin.close()
    assert program.stdout.read() == b""
    assert program.wait() == 0


FRAME = bytes(WIDTH * HEIGHT)


@pytest.mark.parametrize(
    ("data", "lines", "message"),
    [
        (b"", 0, "frame 0: expected 76800 bytes (320 x 240, gray), found 0"),
        (FRAME[:9], 0, "frame 0: expected 76800 bytes (320 x 240, gray), found 9"),
        (
            2 * FRAME + FRAME[:5],
            2,
            "frame 2: expected 76800 bytes (320 x 240, gray), found 5: the input is truncated or "
            "of another size or format",
        ),
    ],
)
def test_input_that_is_no_whole_number_of_frames_is_an_error(
    programs: Path, data: bytes, lines: int, message: str
):
    done = run(programs, data, *SIZE)
    assert done.returncode == 1
    assert done.stderr.decode() == f"video: standard input: {message}\n"
    assert len(done.stdout.splitlines()) == lines


def test_output_that_nobody_takes_ends_the_program(programs: Path):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [programs / "video", *SIZE], input=2 * FRAME, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert done.stderr == b"video: standard output: cannot write\n"

    program = subprocess.Popen(
        [programs / "video", *SIZE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    program.stdin.write(FRAME)
    program.stdin.flush()
    program.stdout.readline()
    program.stdout.close()
    program.stdin.write(FRAME)
    program.stdin.close()
    assert program.wait(timeout=30) == -signal.SIGPIPE  # as other programs in a pipe end


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--width", "320"], "--height is required"),
        (["--width", "0", "--height", "240"], "--width"),
        (["--width", "99999", "--height", "240"], "--width"),
        ([*SIZE, "--format", "yuv"], "yuv not in {gray,rgb24}"),
        ([*SIZE, "--every", "0"], "--every"),
        ([*SIZE, "--refresh", "0"], "refresh_interval: expected 1 or more, found 0"),
        ([*SIZE, "--classify", "0"], "classify_interval: expected 1 or more, found 0"),
        ([*SIZE, "--smooth", "-1"], "smoothing: expected a finite number of frames of 0 or more"),
        ([*SIZE, "--min-neighbors", "0"], "min_neighbors: expected 1 or more to follow faces"),
        ([*SIZE, "--min-confirmations", "-1"], "min_confirmations: expected 0 or more, found -1"),
    ],
)
def test_mistakes_on_the_command_line_are_usage_errors(
    programs: Path, arguments: list[str], message: str
):
    done = run(programs, FRAME, *arguments)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert done.stdout == b""


def test_help_explains_every_option(programs: Path):
    done = run(programs, b"", "--help")
    assert done.returncode == 0
    for option in ("--width", "--format", "--every", "--fast", "--refresh", "--min-confirmations"):
        assert option in done.stdout.decode()
