"""Images from which ranges of 8 bits are measured, as a network takes them."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mien_tools.data import FOLDER_USAGES, IMAGE_SUFFIXES, DataError, load_faces
from mien_tools.graph import Input
from mien_tools.preprocess import centre_crop, prepare_faces, resize_face
from mien_tools.shapes import shape_text
from mien_tools.weights import Preprocessing

# Whose rows are taken of labelled faces, if they have it: validation stays unseen.
_USAGE = "Training"


def load_inputs(path: Path, count: int, entry: Input, how: Preprocessing) -> np.ndarray:
    """At most `count` inputs float32 [n, channels, height, width], spread over a data set.

    `path` is a data set of faces (see mien_tools.data), of which the training rows are taken; a
    folder of images, each of them a face; or an array .npy [n, channels, height, width]: of uint8,
    pixels, or float32, inputs as the network takes them. Faces become their centre crop. Raises
    DataError or OSError.
    """
    path = Path(path)
    if path.suffix == ".npy":
        return _of_array(path, count, entry, how)
    if not how.face_size or entry.channels != 1:
        raise DataError(
            f"{path}: expected an array .npy for a network whose input is no gray face, found "
            f"{'a folder' if path.is_dir() else 'another file'}"
        )
    is_labelled = (path / "fer2013.py").is_file() or any((path / s).is_dir() for s in FOLDER_USAGES)
    if path.is_dir() and not is_labelled:
        faces = _of_folder(path, count, how.face_size)
    else:
        by_usage = load_faces(path)
        usages = [_USAGE] if _USAGE in by_usage else list(by_usage)
        faces = np.concatenate([by_usage[usage].pixels for usage in usages])
        faces = faces[_spread(len(faces), count)]
    return _normalised(_cropped(faces, entry, how)[:, None], how)


def _spread(available: int, count: int) -> np.ndarray:
    """Indices of `count` of so many, or of all, evenly spaced."""
    return np.linspace(0, available, min(count, available), endpoint=False).astype(int)


def _cropped(faces: np.ndarray, entry: Input, how: Preprocessing) -> np.ndarray:
    faces = prepare_faces(faces, how.face_size, how.equalize_histogram)
    height, width = entry.height or how.face_size, entry.width or how.face_size
    return np.stack([centre_crop(face, height, width) for face in faces])


def _normalised(pixels: np.ndarray, how: Preprocessing) -> np.ndarray:
    mean, deviation = (
        np.array(numbers, np.float32).reshape(-1, 1, 1)
        for numbers in (how.mean, how.standard_deviation)
    )
    return (pixels.astype(np.float32) / np.float32(255) - mean) / deviation


def _of_folder(path: Path, count: int, face_size: int) -> np.ndarray:
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise DataError(f"{path}: expected images ({', '.join(IMAGE_SUFFIXES)}), found none")
    return np.stack([_read_face(files[i], face_size) for i in _spread(len(files), count)])


def _read_face(path: Path, size: int) -> np.ndarray:
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L"))
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{path}: expected an image, found: {error}") from None
    return resize_face(pixels, (0, 0, pixels.shape[1], pixels.shape[0]), size)


def _of_array(path: Path, count: int, entry: Input, how: Preprocessing) -> np.ndarray:
    try:
        images = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: expected an array of NumPy, found: {error}") from None
    if images.dtype not in (np.uint8, np.float32) or images.ndim != 4 or not images.size:
        raise DataError(
            f"{path}: expected uint8 or float32 [n, channels, height, width], found "
            f"{images.dtype} {shape_text(images.shape)}"
        )
    images = images[_spread(len(images), count)]
    if images.dtype == np.uint8 and how.face_size and images.shape[1] == entry.channels == 1:
        images = _cropped(images[:, 0], entry, how)[:, None]
    sizes = zip(images.shape[1:], entry.shape, strict=True)
    if not all(wanted in (None, found) for found, wanted in sizes):
        raise DataError(
            f"{path}: expected images {shape_text(entry.shape)}, found "
            f"{shape_text(images.shape[1:])}"
        )
    if images.dtype == np.uint8:
        return _normalised(images, how)
    if not np.isfinite(images).all():
        raise DataError(f"{path}: expected finite numbers, found others")
    return images
