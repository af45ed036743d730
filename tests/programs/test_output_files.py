"""Where programs and tools write: links, devices, permissions, and what is read already."""

import os
import stat
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien_tools.container import write_atomically
from mien_tools.export import main as export

PLAIN = Image.fromarray(np.zeros((40, 40), np.uint8))


def detect(programs: Path, *arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [programs / "detect", *map(str, arguments)], capture_output=True, text=True
    )


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    PLAIN.save(path)
    return path


@pytest.fixture(params=["program", "tool"])
def write(request: pytest.FixtureRequest, programs: Path, picture: Path):
    """Writes some output to a path."""

    def by_program(path: Path) -> None:
        done = detect(programs, "--output", path, picture)
        assert done.returncode == 0, done.stderr

    return by_program if request.param == "program" else lambda path: write_atomically(path, b"x")


def test_links_stay_and_lead_to_the_output(write, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link, target = tmp_path / "link.png", tmp_path / "folder" / "target.png"
    link.symlink_to(Path("folder/target.png"))  # to nothing yet
    for _ in range(2):
        write(link)
        assert link.is_symlink()
        assert target.stat().st_size > 0
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["target.png"]


def test_permissions_are_the_old_files_or_the_usual_ones(write, tmp_path: Path) -> None:
    old, new = tmp_path / "old.png", tmp_path / "new.png"
    old.write_bytes(b"")
    old.chmod(0o640)
    before = os.umask(0o027)
    try:
        write(old)
        write(new)
    finally:
        os.umask(before)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert stat.S_IMODE(new.stat().st_mode) == 0o640


def test_pipes_are_written_to(write, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    write(pipe)
    reader.join()
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert len(received[0]) > 0


def test_a_full_device_is_an_error(programs: Path, picture: Path, tmp_path: Path) -> None:
    link = tmp_path / "full.png"
    link.symlink_to("/dev/full")
    done = detect(programs, "--output", link, picture)
    assert done.returncode == 1
    assert "full.png: cannot write the file: No space left on device" in done.stderr
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_an_output_is_no_input(programs: Path, picture: Path, tmp_path: Path) -> None:
    before = picture.read_bytes()
    link = tmp_path / "link.png"
    link.symlink_to(picture)
    for output in (picture, link, tmp_path / "." / "in.png"):
        done = detect(programs, "--output", output, picture)
        assert done.returncode == 1
        assert "expected an output that is no input" in done.stderr
    photo = subprocess.run(
        [
            programs / "photo",
            *("--output", tmp_path / "a.png", "--saliency", tmp_path / "a.png", picture),
        ],
        capture_output=True,
        text=True,
    )
    assert photo.returncode == 1
    assert "a.png: expected a file for each output, found two for this one" in photo.stderr
    assert picture.read_bytes() == before
    assert not (tmp_path / "a.png").exists()


def test_evaluate_writes_over_neither_its_data_nor_its_own_pictures(
    programs: Path, tmp_path: Path
) -> None:
    data = tmp_path / "faces.csv"
    data.write_text("emotion,pixels,Usage\n3," + " ".join(["7"] * 2304) + ",PublicTest\n")
    before = data.read_bytes()
    both = tmp_path / "both.png"
    for options, message in (
        (("--logits", data), "expected an output that is no input"),
        (("--logits", both, "--confusion", both), "expected a file for each output"),
    ):
        done = subprocess.run(
            [programs / "evaluate", *options, data], capture_output=True, text=True
        )
        assert done.returncode == 1
        assert message in done.stderr
        assert (data.read_bytes(), both.exists()) == (before, False)


@pytest.mark.parametrize("option", ["--mien", "--checkpoint"])
def test_export_does_not_write_over_what_it_reads(
    tmp_path: Path, option: str, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "network"
    path.write_bytes(b"kept")
    source = ["--network", "mini_fer"] if option == "--checkpoint" else []
    with pytest.raises(SystemExit):
        export([*source, option, str(path), "--output", str(path)])
    assert f"{option} and --output are the same file" in capsys.readouterr().err
    assert path.read_bytes() == b"kept"
