"""The pictures that `photo` draws: answers, their colours, and faces without an answer."""

import dataclasses
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien_tools import weights

ROOT = Path(__file__).resolve().parents[2]
PHOTO = ROOT / "examples/images/astronaut.png"
MODEL = ROOT / "examples/models/mini_fer.mien"
HAPPY = (240, 228, 66)  # Okabe and Ito's yellow
UNANSWERED = (170, 170, 170)


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)


def drawn(programs: Path, picture: Path, *options: object) -> tuple[dict, np.ndarray]:
    """The only face in PHOTO as JSON, and the picture of it."""
    done = run(programs / "photo", "--json", "--output", picture, *options, PHOTO)
    assert done.returncode == 0, done.stderr
    (face,) = json.loads(done.stdout)["faces"]
    return face, np.asarray(Image.open(picture).convert("RGB"))


def of_color(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return (picture == color).all(2)


def above(face: dict) -> tuple[slice, slice]:
    """Where the label stands."""
    return np.s_[face["y"] - 50 : face["y"], face["x"] : face["x"] + face["width"]]


def frame_has(picture: np.ndarray, face: dict, color: tuple[int, int, int]) -> bool:
    row = picture[face["y"] + face["height"] - 1, face["x"] : face["x"] + face["width"]]
    return bool((row == color).all())


def softer_model(path: Path, temperature: float) -> Path:
    """MiniFER, less sure."""
    file = weights.read(MODEL)
    preprocessing = dataclasses.replace(file.preprocessing, temperature=temperature)
    dataclasses.replace(file, preprocessing=preprocessing).write(path)
    return path


def test_an_answer_has_its_color_and_a_label_above_the_face(programs: Path, tmp_path: Path):
    face, picture = drawn(programs, tmp_path / "faces.png")
    assert face["expression"] == "happy"
    assert frame_has(picture, face, HAPPY)
    label = of_color(picture[above(face)], HAPPY)
    assert label.sum() > 500
    black = of_color(picture[above(face)], (0, 0, 0))
    assert black.sum() > 50
    # Anti-aliased: there are steps between the label's color and its letters'.
    rows, columns = np.nonzero(label)
    inside = picture[above(face)][rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) > 20


@pytest.mark.parametrize(
    ("options", "answered"),
    [
        (["--min-confidence", 0.99], False),
        (["--min-confidence", 0.8], True),
        (["--min-read-size", 200], False),
        (["--min-read-size", 0], True),
    ],
)
def test_a_face_that_cannot_be_read_is_drawn_without_an_answer(
    programs: Path, tmp_path: Path, options: list, answered: bool
):
    face, picture = drawn(programs, tmp_path / "faces.png", *options)
    assert frame_has(picture, face, HAPPY if answered else UNANSWERED)
    if not answered:
        before = np.asarray(Image.open(PHOTO).convert("RGB"))
        assert (picture[above(face)] == before[above(face)]).all()
    # What is printed is the same.
    assert face == drawn(programs, tmp_path / "default.png")[0]


def test_an_unsure_answer_is_drawn_with_the_second_and_a_guess_not_at_all(
    programs: Path, tmp_path: Path
):
    heights = []
    for temperature in (1.0, 2.0):
        model = softer_model(tmp_path / "softer.mien", temperature)
        face, picture = drawn(programs, tmp_path / "faces.png", "--model", model)
        probability = face["probabilities"]["happy"]
        assert probability > 0.6 if temperature == 1.0 else 0.4 < probability < 0.6
        heights.append(of_color(picture[above(face)], HAPPY).any(1).sum())
    assert heights[1] > 1.6 * heights[0]

    model = softer_model(tmp_path / "guess.mien", 10.0)
    face, picture = drawn(programs, tmp_path / "faces.png", "--model", model)
    assert face["probabilities"]["happy"] < 0.4
    assert frame_has(picture, face, UNANSWERED)
    _, picture = drawn(programs, tmp_path / "faces.png", "--model", model, "--min-confidence", 0)
    assert frame_has(picture, face, HAPPY)


@pytest.mark.parametrize("program", ["photo", "detect"])
def test_labels_of_faces_side_by_side_cover_no_face(programs: Path, tmp_path: Path, program: str):
    # Five faces in two rows, those below right under those above.
    face = Image.open(PHOTO).convert("RGB").crop((165, 30, 285, 190))
    crowd = Image.new("RGB", (400, 330), (128, 128, 128))
    for number in range(5):
        crowd.paste(face, (20 + number % 3 * 120, 5 + number // 3 * 160))
    crowd.save(tmp_path / "crowd.png")
    output = tmp_path / "faces.png"
    done = run(programs / program, "--json", "--output", output, tmp_path / "crowd.png")
    faces = json.loads(done.stdout)["faces"]
    assert len(faces) == 5
    before, after = (np.asarray(Image.open(path)) for path in (tmp_path / "crowd.png", output))
    for found in faces:
        line = 4
        rows = slice(found["y"] + line, found["y"] + found["height"] - line)
        columns = slice(found["x"] + line, found["x"] + found["width"] - line)
        assert (before[rows, columns] == after[rows, columns]).all()


@pytest.mark.parametrize(
    ("option", "value"),
    [("--min-confidence", 1.5), ("--min-confidence", -0.1), ("--min-read-size", -1)],
)
def test_wrong_thresholds_are_errors(programs: Path, option: str, value: float):
    done = run(programs / "photo", option, value, PHOTO)
    assert done.returncode == 2
    assert done.stderr.startswith(f"photo: {option}: ")
