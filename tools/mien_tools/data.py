"""Labelled 48x48 gray faces from the three layouts in which FER2013 travels."""

import csv
import importlib.util
import lzma
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mien_tools.networks import LABELS

SIDE = 48
FER_PLUS_COLUMNS = 10
COLUMNS = ("emotion", "pixels", "Usage")
FOLDER_USAGES = {"train": "Training", "test": "PublicTest"}
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


class DataError(ValueError):
    """A data set is not what was expected; the message says where, what was expected and found."""


@dataclass(frozen=True)
class Faces:
    """`pixels` [n, 48, 48] uint8, `labels` [n] int64 (indices of LABELS), and, where the source has
    them, FER+'s `votes` [n, 10] of its ten annotators."""

    pixels: np.ndarray
    labels: np.ndarray
    votes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)


def load_faces(path: Path) -> dict[str, Faces]:
    """Read a data set and return its rows by usage (Training, PublicTest, PrivateTest).

    `path` is a CSV file with the columns emotion, pixels and Usage; a folder of images
    {train,test}/<label>/*.png, whose test images count as PublicTest; or a folder with
    `fer2013_dev.npz.xz` and the `fer2013.py` that reads it and is run for that.
    """
    path = Path(path)
    if path.is_file():
        try:
            return _load_csv(path)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path}: expected a CSV file, found: {error}") from None
    if (path / "fer2013.py").is_file():
        return _load_packed(path)
    if any((path / split).is_dir() for split in FOLDER_USAGES):
        return _load_folders(path)
    found = "a folder with neither" if path.is_dir() else "nothing there"
    raise DataError(
        f"{path}: expected a CSV file, a folder with train/ or test/, or a folder with fer2013.py, "
        f"found {found}"
    )


def select_usages(faces: dict[str, Faces], usages: list[str]) -> Faces:
    """Join the rows of several usages, in that order."""
    for usage in usages:
        if usage not in faces:
            raise DataError(f"usage: expected one of {', '.join(faces)}, found {usage!r}")
    parts = [faces[usage] for usage in usages]
    votes = [part.votes for part in parts if part.votes is not None]
    return Faces(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate(votes) if len(votes) == len(parts) else None,
    )


def duplicates(faces: Faces, others: Faces) -> np.ndarray:
    """Which of the faces occur, pixel for pixel, among `others` as well: bool [n]."""
    known = {face.tobytes() for face in others.pixels}
    return np.array([face.tobytes() in known for face in faces.pixels], bool)


def _load_csv(path: Path) -> dict[str, Faces]:
    pixels: dict[str, list[np.ndarray]] = {}
    labels: dict[str, list[int]] = {}
    with path.open(newline="") as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            raise DataError(
                f"{path}:1: header: expected {','.join(COLUMNS)}, found {','.join(header)[:80]!r}"
            )
        emotion_column, pixels_column, usage_column = (header.index(name) for name in COLUMNS)
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if len(row) != len(COLUMNS):
                raise DataError(f"{where}: expected {len(COLUMNS)} fields, found {len(row)}")
            usage = row[usage_column]
            labels.setdefault(usage, []).append(_parse_label(row[emotion_column], where))
            pixels.setdefault(usage, []).append(_parse_pixels(row[pixels_column], where))
    if not labels:
        raise DataError(f"{path}: expected rows of faces, found none")
    return {usage: Faces(np.stack(pixels[usage]), np.array(labels[usage])) for usage in labels}


def _parse_label(text: str, where: str) -> int:
    if text not in {str(index) for index in range(len(LABELS))}:
        raise DataError(f"{where}: emotion: expected 0 to {len(LABELS) - 1}, found {text[:20]!r}")
    return int(text)


def _parse_pixels(text: str, where: str) -> np.ndarray:
    try:
        values = np.array(text.split(), dtype=np.int64)
    except (OverflowError, ValueError) as error:
        raise DataError(f"{where}: pixels: expected whole numbers: {error}") from None
    if values.size != SIDE * SIDE:
        raise DataError(f"{where}: pixels: expected {SIDE * SIDE}, found {values.size}")
    if values.min() < 0 or values.max() > 255:
        raise DataError(
            f"{where}: pixels: expected 0 to 255, found {values.min()} to {values.max()}"
        )
    return values.astype(np.uint8).reshape(SIDE, SIDE)


def _load_folders(path: Path) -> dict[str, Faces]:
    faces = {}
    for split, usage in FOLDER_USAGES.items():
        files = _labelled_images(path / split)
        if files:
            faces[usage] = Faces(
                np.stack([_read_image(file) for file, _ in files]),
                np.array([label for _, label in files]),
            )
    if not faces:
        raise DataError(f"{path}: expected {{train,test}}/<label>/*.png, found no such image")
    return faces


def _labelled_images(split: Path) -> list[tuple[Path, int]]:
    files = []
    for folder in sorted(folder for folder in split.glob("*") if folder.is_dir()):
        if folder.name not in LABELS:
            raise DataError(f"{folder}: label: expected one of {', '.join(LABELS)}")
        images = (file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
        files += [(file, LABELS.index(folder.name)) for file in sorted(images)]
    return files


def _read_image(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L"))
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{path}: expected an image, found: {error}") from None
    if pixels.shape != (SIDE, SIDE):
        raise DataError(f"{path}: expected {SIDE}x{SIDE} pixels, found {pixels.shape[::-1]}")
    return pixels


def _load_packed(path: Path) -> dict[str, Faces]:
    """Let the folder's own reader, fer2013.py, decode its archive."""
    specification = importlib.util.spec_from_file_location("fer2013", path / "fer2013.py")
    reader = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(reader)
    try:
        rows_by_usage = reader.load()
    except (OSError, ValueError, lzma.LZMAError) as error:
        raise DataError(f"{path}: expected an archive that fer2013.py reads: {error}") from None
    return {
        usage: Faces(rows["pixels"], rows["label"].astype(np.int64), rows["ferplus_votes"])
        for usage, rows in rows_by_usage.items()
    }
