"""Programs and tools that are used clumsily or with malice: full devices, pipes, huge numbers,
files that would take all memory or for ever, and interruptions."""

import json
import os
import resource
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien_tools import cascade
from mien_tools.commands import INTERRUPTED

ROOT = Path(__file__).resolve().parents[2]
PHOTO = ROOT / "examples/images/astronaut.png"
MODEL = ROOT / "examples/models/mini_fer.mien"
YUNET = ROOT / "examples/models/yunet.mien"
CASCADE = ROOT / "examples/models/haarcascade_frontalface_default.haar"
TINY = ROOT / "tests/data/tiny.mien"
NO_NUMBERS = ("-99999999999999999999", "1e999", "nan", "inf", "1.5.2", "")
NO_WHOLE_NUMBERS = (*NO_NUMBERS, "99999999999999999999", "9e99", "1.5")
SECONDS = 60  # far more than any of this takes, far less than what it took


def run(program: Path, *arguments: object, **options: object) -> subprocess.CompletedProcess:
    options = {"capture_output": True, "text": True, "timeout": SECONDS, **options}
    return subprocess.run([program, *map(str, arguments)], **options)


def one_message(done: subprocess.CompletedProcess, status: int = 1) -> str:
    """The only line of a program that refuses."""
    assert done.returncode == status, (done.returncode, done.stderr)
    (line,) = done.stderr.splitlines()
    return line


def write_csv(path: Path, rows: int) -> Path:
    pixels = " ".join(["7", "200"] * 1152)
    lines = [f"{row % 7},{pixels},PublicTest" for row in range(rows)]
    path.write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    return path


def commands(programs: Path, tmp_path: Path) -> dict[str, list[object]]:
    """A good use of every program."""
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 8, 8), np.float32))
    return {
        "minimal": [programs / "minimal", MODEL, YUNET, PHOTO],
        "detect": [programs / "detect", PHOTO],
        "photo": [programs / "photo", "--json", PHOTO],
        "inspect": [programs / "inspect"],
        "evaluate": [programs / "evaluate", write_csv(tmp_path / "faces.csv", 4)],
        "run": [
            *(programs / "run", "--model", TINY, "--input", tmp_path / "x.npy"),
            *("--output", tmp_path / "out"),
        ],
        "video": [programs / "video", "--width", 64, "--height", 64],
    }


PROGRAMS = ("minimal", "detect", "photo", "inspect", "evaluate", "run", "video")


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("asks_for_help", [False, True])
def test_a_full_standard_output_is_an_error(
    programs: Path, tmp_path: Path, name: str, asks_for_help: bool
) -> None:
    command = [str(part) for part in commands(programs, tmp_path)[name]]
    if asks_for_help:
        command = [command[0], "--help"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command,
            input=bytes(64 * 64) if name == "video" else None,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=SECONDS,
        )
    assert done.returncode == 1
    assert done.stderr.decode() == f"{name}: standard output: cannot write\n"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_without_memory_says_so(programs: Path, tmp_path: Path, name: str) -> None:
    command = [str(part) for part in commands(programs, tmp_path)[name]]
    # What a program of this size needs to start, and less than what the work takes.
    failures = 0
    for megabytes in (12, 14, 16, 18, 20, 24):
        limit = megabytes << 20

        def set_limit(limit: int = limit) -> None:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

        done = run(Path(command[0]), *command[1:], preexec_fn=set_limit, input="\0" * 4096)
        if "error while loading shared libraries" in done.stderr:
            continue
        assert done.returncode in (0, 1), (megabytes, done.returncode, done.stderr)
        if done.returncode == 1:
            assert one_message(done).startswith(f"{name}: ")
            failures += 1
    assert failures > 0 or name == "run"  # on a network so small that it always fits


WHOLE_NUMBERS = {
    "evaluate": ["--threads"],
    "run": ["--repeat"],
    "video": ["--width", "--height", "--every", "--refresh", "--classify"],
    "detect": [
        *("--min-size", "--max-size", "--max-side", "--min-neighbors", "--min-confirmations"),
        "--max-pixels",
    ],
}
NUMBERS = {"video": ["--smooth"], "detect": ["--min-score", "--scale-factor"]}


@pytest.mark.parametrize(
    ("name", "option", "number"),
    [
        (name, option, number)
        for options, numbers in ((WHOLE_NUMBERS, NO_WHOLE_NUMBERS), (NUMBERS, NO_NUMBERS))
        for name in options
        for option in options[name]
        for number in numbers
    ],
)
def test_numbers_that_do_not_fit_are_usage_errors(
    programs: Path, tmp_path: Path, name: str, option: str, number: str
) -> None:
    done = run(*commands(programs, tmp_path)[name], option, number, input="")
    message = one_message(done, 2)
    assert message.startswith(f"{name}: ")
    assert option.strip("-").replace("-", "_") in message.replace("-", "_") or "smooth" in message


def test_pictures_arrays_models_and_cascades_come_through_pipes(
    programs: Path, tmp_path: Path
) -> None:
    expected = json.loads(run(programs / "detect", "--json", PHOTO).stdout)["faces"]
    detect = [programs / "detect", "--json"]
    with open(PHOTO, "rb") as photo:
        piped = subprocess.run(
            [*detect, "/dev/stdin"], input=photo.read(), capture_output=True, timeout=SECONDS
        )
    assert json.loads(piped.stdout)["faces"] == expected
    script = 'exec "$0" --json --detector <(cat "$1") <(cat "$2")'
    done = subprocess.run(
        ["bash", "-c", script, detect[0], YUNET, PHOTO], capture_output=True, timeout=SECONDS
    )
    assert json.loads(done.stdout)["faces"] == expected, done.stderr
    done = subprocess.run(
        ["bash", "-c", script, detect[0], CASCADE, PHOTO], capture_output=True, timeout=SECONDS
    )
    assert len(json.loads(done.stdout)["faces"]) == 1, done.stderr
    np.save(tmp_path / "x.npy", np.ones((3, 1, 8, 8), np.float32))
    script = 'exec "$0" --model <(cat "$1") --input <(cat "$2") --output "$3"'
    done = subprocess.run(
        ["bash", "-c", script, programs / "run", TINY, tmp_path / "x.npy", tmp_path / "out"],
        capture_output=True,
        timeout=SECONDS,
    )
    assert np.load(tmp_path / "out/output.npy").shape == (3, 7), done.stderr
    # Cut off.
    with open(YUNET, "rb") as file:
        start = file.read(5000)
    done = subprocess.run(
        [*detect, "--detector", "/dev/stdin", PHOTO], input=start, capture_output=True
    )
    assert b"/dev/stdin: truncated: expected" in done.stderr
    assert done.returncode == 1


def sparse(path: Path, start: bytes, size: int) -> Path:
    with open(path, "wb") as file:
        file.write(start)
        file.truncate(size)
    return path


def set_small_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


@pytest.mark.parametrize("start", [b"\0" * 32, b"\x89HDF\r\n\x1a\n", b"#!/bin/sh\nexit 0\n"])
def test_a_large_file_of_another_kind_is_refused_unread(
    programs: Path, tmp_path: Path, start: bytes
) -> None:
    large = sparse(tmp_path / "large", start, 10 << 30)
    for arguments, message in {
        ("detect", large): "expected a JPEG, PNG, BMP, PGM or PPM image",
        ("detect", "--detector", large, PHOTO): "expected a face detector",
        ("photo", "--model", large, PHOTO): "not a Mien file of kind MIEN",
        ("inspect", "--model", large): "not a Mien file of kind MIEN",
        ("run", "--model", TINY, "--input", large, "--output", tmp_path): "NumPy's format",
    }.items():
        done = run(programs / arguments[0], *arguments[1:], preexec_fn=set_small_memory)
        assert message in one_message(done)
        assert str(large) in done.stderr


def test_folders_and_endless_devices_are_refused(programs: Path, tmp_path: Path) -> None:
    for path in (tmp_path, "/dev/zero", "/dev/null", "/dev/urandom"):
        for arguments in ([path], ["--detector", path, PHOTO]):
            done = run(programs / "detect", *arguments, preexec_fn=set_small_memory)
            assert str(path) in one_message(done)


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_oversized_pictures_are_told_their_size(programs: Path, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    for data in (
        png(20000, 20000),
        png(1 << 20, 1 << 20),
        png((1 << 31) - 1, (1 << 31) - 1),
        b"P5 20000 20000 255\n",
        b"P6 99999999999 1 255\n",
        b"P5 1 99999999999999999999 255\n",
        b"BM" + struct.pack("<IIIIiiHH", 54, 0, 54, 40, 1 << 20, 1 << 20, 1, 24) + bytes(24),
        b"BM" + struct.pack("<IIIIiiHH", 54, 0, 54, 40, 1, -(1 << 31), 1, 24) + bytes(24),
    ):
        path.write_bytes(data)
        message = one_message(run(programs / "detect", path, preexec_fn=set_small_memory))
        assert str(path) in message
        assert any(word in message for word in ("pixels", "truncated", "too large", "too many")), (
            data[:40],
            message,
        )


def test_a_name_that_is_not_utf8_is_json_all_the_same(programs: Path, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/gr\xfcn\xff.png"
    Image.new("L", (20, 20)).save(tmp_path / "plain.png")
    os.rename(tmp_path / "plain.png", path)
    done = subprocess.run([programs / "detect", "--json", path], capture_output=True)
    assert done.returncode == 0
    line = json.loads(done.stdout.decode("utf-8"))
    assert line["image"] == f"{tmp_path}/gr\ufffdn\ufffd.png"


def test_more_threads_than_rows_are_not_started(programs: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "faces.csv", 4)
    command = [programs / "evaluate", "--json", "--threads", 1024, data]
    if subprocess.run(["which", "strace"], capture_output=True).returncode == 0:
        trace = tmp_path / "trace"
        run(Path("strace"), "-f", "-e", "trace=clone,clone3", "-o", trace, *command)
        assert trace.read_text().count("clone") < 20

    # Stacks of 1024 threads would take 8 GiB.
    def set_limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    done = run(*command, preexec_fn=set_limit)
    assert done.returncode == 0, done.stderr
    alone = run(programs / "evaluate", "--json", "--threads", 1, data)
    assert json.loads(done.stdout)["confusion"] == json.loads(alone.stdout)["confusion"]


def test_a_cascade_that_accepts_everything_ends_soon(programs: Path, tmp_path: Path) -> None:
    path = tmp_path / "all.haar"
    leaves = [np.float32(1), np.float32(1)]
    tree = cascade.Tree([cascade.Node(0, -1, 0, np.float32(0))], leaves)
    feature = cascade.Feature([cascade.WeightedRect(0, 0, 24, 24, 1)], False)
    stage = cascade.Stage(np.float32(-1e30), [tree])
    path.write_bytes(cascade.Cascade("all", "", 24, 24, [feature], [stage]).pack())
    done = run(programs / "detect", "--json", "--detector", path, PHOTO)
    assert done.returncode == 0, done.stderr
    large = tmp_path / "large.png"
    Image.open(PHOTO).convert("L").resize((2000, 2000)).save(large)
    done = run(programs / "detect", "--detector", path, large, preexec_fn=set_small_memory)
    assert "expected one that accepts at most 1048576 windows of an image" in one_message(done)


def test_a_scale_factor_near_one_takes_little_memory(programs: Path, tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    Image.new("L", (20000, 30), 128).save(wide)
    command = [programs / "detect", "--detector", CASCADE, "--scale-factor", "1.0001", wide]

    def set_limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))

    done = run(*command, preexec_fn=set_limit)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["model", "input"])
def test_run_does_not_write_over_what_it_reads(programs: Path, tmp_path: Path, name: str) -> None:
    array = tmp_path / "output.npy"
    np.save(array, np.zeros((1, 1, 8, 8), np.float32))
    model = TINY
    if name == "model":
        array = array.rename(tmp_path / "x.npy")
        model = tmp_path / "output.npy"
        model.write_bytes(TINY.read_bytes())
    before = (tmp_path / "output.npy").read_bytes()
    done = run(programs / "run", "--model", model, "--input", array, "--output", tmp_path)
    assert "expected an output that is no input" in one_message(done)
    assert (tmp_path / "output.npy").read_bytes() == before


INTERRUPTING = """
import os, signal, sys, time
from mien_tools import export
# Whoever runs the tests in the background has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
replace = os.replace
def interrupted(*arguments):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
    replace(*arguments)
os.replace = interrupted
sys.exit(export.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("is_there", [False, True])
def test_an_interrupted_export_leaves_nothing_half_written(tmp_path: Path, is_there: bool) -> None:
    output = tmp_path / "out.mien"
    if is_there:
        output.write_bytes(b"old")
    command = [sys.executable, "-c", INTERRUPTING, "--mien", MODEL, "--output", output]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=environment, timeout=SECONDS
    )
    assert done.returncode in (INTERRUPTED, -signal.SIGINT), done.stderr
    assert done.stderr == "mien_tools.export: interrupted\n"
    assert [path.name for path in tmp_path.iterdir()] == ([output.name] if is_there else [])
    assert not is_there or output.read_bytes() == b"old"


@pytest.mark.parametrize("tool", ["export", "cascade"])
def test_tools_end_by_one_message_where_a_device_is_full(tmp_path: Path, tool: str) -> None:
    arguments = {"export": ["--mien", MODEL, "--output"], "cascade": [tmp_path / "x.xml"]}[tool]
    if tool == "cascade":
        source = Path("/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml")
        if not source.exists():
            pytest.skip("OpenCV's cascades are not on this machine")
        arguments = [source, "--output"]
    command = [sys.executable, "-m", f"mien_tools.{tool}", *arguments, "/dev/full"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    assert "/dev/full: " in one_message(done)
    assert done.stderr.endswith("No space left on device\n")
    command[-1] = str(tmp_path / "out")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            list(map(str, command)), stdout=full, stderr=subprocess.PIPE, text=True, env=environment
        )
    expected = f"mien_tools.{tool}: standard output: No space left on device"
    assert one_message(done) == expected
