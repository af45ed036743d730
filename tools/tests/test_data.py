"""The three layouts of FER2013 give the same faces; malformed rows are named."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien_tools.data import DataError, Faces, duplicates, load_faces, select_usages
from mien_tools.networks import LABELS

SHARED = Path(__file__).resolve().parents[3] / "shared" / "fer2013"
HEADER = "emotion,pixels,Usage"


def random_pixels(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def row(label: object, pixels: np.ndarray, usage: str = "Training") -> str:
    return f"{label},{' '.join(map(str, pixels.ravel()))},{usage}"


def write_csv(path: Path, rows: list[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_csv_rows_are_sorted_by_usage(tmp_path):
    pixels = random_pixels(3)
    rows = [row(3, pixels[0]), row(6, pixels[1], "PublicTest"), row(0, pixels[2])]
    faces = load_faces(write_csv(tmp_path / "fer2013.csv", rows))
    np.testing.assert_array_equal(faces["Training"].pixels, pixels[[0, 2]])
    np.testing.assert_array_equal(faces["Training"].labels, [3, 0])
    np.testing.assert_array_equal(faces["PublicTest"].pixels, pixels[[1]])
    assert faces["Training"].pixels.dtype == np.uint8


def test_csv_columns_may_stand_in_another_order(tmp_path):
    pixels = random_pixels(1)
    line = f"4,Training,{' '.join(map(str, pixels.ravel()))}"
    faces = load_faces(write_csv(tmp_path / "faces.csv", [line], "emotion, Usage, pixels"))
    np.testing.assert_array_equal(faces["Training"].pixels, pixels)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("7,0 1 2,Training", r"faces.csv:3: emotion: expected 0 to 6, found '7'"),
        ("x,0 1 2,Training", r"faces.csv:3: emotion: expected 0 to 6, found 'x'"),
        ("0,0 1 2,Training", r"faces.csv:3: pixels: expected 2304, found 3"),
        ("0,0 one 2,Training", r"faces.csv:3: pixels: expected whole numbers"),
        ("0,0 1 2", r"faces.csv:3: expected 3 fields, found 2"),
        (row(0, np.full(2304, 256)), r"faces.csv:3: pixels: expected 0 to 255, found 256 to 256"),
        (row(0, np.full(2304, -1)), r"faces.csv:3: pixels: expected 0 to 255, found -1 to -1"),
    ],
)
def test_malformed_csv_rows_are_errors_with_file_and_line(tmp_path, line, message):
    path = write_csv(tmp_path / "faces.csv", [row(0, random_pixels(1)), line])
    with pytest.raises(DataError, match=message):
        load_faces(path)


def test_other_files_are_errors(tmp_path):
    with pytest.raises(
        DataError, match="header: expected emotion,pixels,Usage, found 'label,pixels'"
    ):
        load_faces(write_csv(tmp_path / "other.csv", [], "label,pixels"))
    with pytest.raises(DataError, match="expected rows of faces, found none"):
        load_faces(write_csv(tmp_path / "empty.csv", []))
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match="expected a CSV file, found"):
        load_faces(tmp_path / "binary.csv")


def test_missing_paths_and_other_folders_are_errors(tmp_path):
    with pytest.raises(DataError, match="nowhere: expected a CSV file.*found nothing there"):
        load_faces(tmp_path / "nowhere")
    with pytest.raises(DataError, match="expected a CSV file.*found a folder with neither"):
        load_faces(tmp_path)


def save_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_folders_give_training_and_public_test(tmp_path):
    pixels = random_pixels(3)
    save_image(tmp_path / "train" / "happy" / "b.png", pixels[0])
    save_image(tmp_path / "train" / "angry" / "a.png", pixels[1])
    save_image(tmp_path / "test" / "neutral" / "c.png", pixels[2])
    faces = load_faces(tmp_path)
    np.testing.assert_array_equal(faces["Training"].pixels, pixels[[1, 0]])
    np.testing.assert_array_equal(
        faces["Training"].labels, [LABELS.index("angry"), LABELS.index("happy")]
    )
    np.testing.assert_array_equal(faces["PublicTest"].pixels, pixels[[2]])


def test_folders_with_wrong_images_are_errors(tmp_path):
    save_image(tmp_path / "size" / "train" / "happy" / "a.png", np.zeros((40, 48), np.uint8))
    with pytest.raises(DataError, match=r"a.png: expected 48x48 pixels, found \(48, 40\)"):
        load_faces(tmp_path / "size")
    save_image(tmp_path / "label" / "train" / "bored" / "a.png", random_pixels(1)[0])
    with pytest.raises(DataError, match="bored: label: expected one of angry"):
        load_faces(tmp_path / "label")
    (tmp_path / "none" / "train" / "sad").mkdir(parents=True)
    with pytest.raises(DataError, match="found no such image"):
        load_faces(tmp_path / "none")
    (tmp_path / "none" / "train" / "sad" / "text.png").write_text("no image")
    with pytest.raises(DataError, match="text.png: expected an image"):
        load_faces(tmp_path / "none")


def test_usages_are_joined_in_the_given_order():
    parts = {
        name: Faces(random_pixels(2, seed), np.array([seed, seed]), np.full((2, 10), seed))
        for seed, name in enumerate(["Training", "PublicTest"])
    }
    both = select_usages(parts, ["PublicTest", "Training"])
    np.testing.assert_array_equal(both.labels, [1, 1, 0, 0])
    np.testing.assert_array_equal(both.votes[:, 0], [1, 1, 0, 0])
    with pytest.raises(
        DataError, match="expected one of Training, PublicTest, found 'PrivateTest'"
    ):
        select_usages(parts, ["PrivateTest"])


def test_exact_duplicates_are_found():
    pixels = random_pixels(4)
    training = Faces(pixels[:2], np.array([0, 1]))
    validation = Faces(pixels[[1, 2, 3]], np.array([5, 2, 3]))
    np.testing.assert_array_equal(duplicates(validation, training), [True, False, False])


@pytest.mark.skipif(not SHARED.exists(), reason="needs FER2013")
def test_the_dataset_folder_its_csv_and_its_images_hold_the_same_faces(tmp_path, monkeypatch):
    faces = load_faces(SHARED)
    assert {usage: len(part) for usage, part in faces.items()} == {
        "Training": 28709,
        "PublicTest": 3589,
    }
    assert faces["Training"].votes.shape == (28709, 10)
    assert duplicates(faces["PublicTest"], faces["Training"]).sum() == 280

    monkeypatch.syspath_prepend(str(SHARED))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    import fer2013

    few = {
        usage: {"pixels": part.pixels[:40], "label": part.labels[:40].astype(np.uint8)}
        for usage, part in faces.items()
    }
    fer2013.to_csv(few, tmp_path / "fer2013.csv")
    fer2013.to_folders(few, tmp_path / "images")
    for usage, part in load_faces(tmp_path / "fer2013.csv").items():
        np.testing.assert_array_equal(part.pixels, few[usage]["pixels"])
        np.testing.assert_array_equal(part.labels, few[usage]["label"])
    for usage, part in load_faces(tmp_path / "images").items():
        by_label = np.argsort([LABELS[label] for label in few[usage]["label"]], kind="stable")
        np.testing.assert_array_equal(part.pixels, few[usage]["pixels"][by_label])
        np.testing.assert_array_equal(part.labels, few[usage]["label"][by_label])
