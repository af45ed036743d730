"""Preprocessing against OpenCV, Pillow, PyTorch and torchvision's documented order of crops."""

import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mien_tools.preprocess import (
    centre_crop,
    equalize_histogram,
    normalise,
    prepare_faces,
    resize_face,
    ten_crops,
    to_gray,
)

# What OpenCV made of noise, for the C++ tests and these; the noise's formula stands beside.
OPENCV_DATA = Path(__file__).resolve().parents[2] / "tests" / "data"
sys.path.insert(0, str(OPENCV_DATA))
from noise import noise  # noqa: E402

# cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), OpenCV 5.0.0.
OPENCV_GRAYS = {
    (0, 0, 0): 0,
    (255, 255, 255): 255,
    (255, 0, 0): 76,
    (0, 255, 0): 150,
    (0, 0, 255): 29,
    (1, 2, 3): 2,
    (12, 200, 77): 130,
    (128, 127, 126): 127,
    (250, 3, 99): 88,
    (17, 17, 18): 17,
    (90, 180, 45): 138,
    (33, 66, 240): 76,
}
# zlib.crc32 of the same for all R, G, B in 0, 5, ..., 255, R slowest and B fastest.
OPENCV_CUBE_STEP = 5
OPENCV_CUBE_CRC = 1907721702

FACE = np.random.default_rng(5).integers(0, 256, (48, 48), dtype=np.uint8)
PHOTO = np.random.default_rng(6).integers(0, 256, (90, 70), dtype=np.uint8)


@pytest.mark.parametrize(("colour", "gray"), OPENCV_GRAYS.items())
def test_gray_of_a_colour_is_opencvs(colour: tuple[int, int, int], gray: int) -> None:
    assert to_gray(np.array([[colour]], dtype=np.uint8)).tolist() == [[gray]]


def test_gray_of_the_colour_cube_is_opencvs() -> None:
    values = np.arange(0, 256, OPENCV_CUBE_STEP, dtype=np.uint8)
    cube = np.stack(np.meshgrid(values, values, values, indexing="ij"), axis=-1)
    gray = to_gray(cube.reshape(-1, len(values), 3))
    assert zlib.crc32(gray.tobytes()) == OPENCV_CUBE_CRC


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_gray_needs_three_channels(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"photo: expected uint8 \[height, width, 3\]"):
        to_gray(np.zeros(shape, dtype=np.uint8))


@pytest.mark.parametrize(
    "box", [(0, 20, 70, 70), (10, 20, 30, 30), (3, 1, 64, 64), (60, 80, 5, 5), (5, 7, 48, 48)]
)
def test_resize_of_a_square_is_pillows(box: tuple[int, int, int, int]) -> None:
    x, y, width, height = box
    part = Image.fromarray(PHOTO).crop((x, y, x + width, y + height))
    expected = np.asarray(part.resize((48, 48), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(resize_face(PHOTO, box, 48), expected)


@pytest.mark.parametrize("box", [(0, 0, 70, 90), (10, 20, 30, 30), (3, 1, 64, 80)])
def test_resize_is_close_to_pytorchs(box: tuple[int, int, int, int]) -> None:
    x, y, width, height = box
    part = torch.from_numpy(PHOTO[y : y + height, x : x + width].astype(np.float32))
    expected = F.interpolate(part[None, None], (48, 48), mode="bilinear", antialias=True)[0, 0]
    # Pillow rounds to 8 bits between the two directions and at the end.
    difference = np.abs(resize_face(PHOTO, box, 48).astype(np.float32) - expected.numpy())
    assert difference.max() <= 1.01


@pytest.mark.parametrize("box", [(-5, -9, 40, 40), (50, 60, 40, 50), (-10, -10, 90, 110)])
def test_a_box_beyond_the_photo_repeats_its_edge(box: tuple[int, int, int, int]) -> None:
    x, y, width, height = box
    margin = 100
    padded = np.pad(PHOTO, margin, mode="edge")
    expected = resize_face(padded, (x + margin, y + margin, width, height), 48)
    np.testing.assert_array_equal(resize_face(PHOTO, box, 48), expected)


@pytest.mark.parametrize(
    "box", [(70, 0, 5, 5), (0, 90, 5, 5), (-5, 0, 5, 5), (0, -5, 5, 5), (0, 0, 0, 5), (0, 0, 5, -1)]
)
def test_a_box_outside_the_photo_is_refused(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="box: expected one that meets the photo of 70 x 90"):
        resize_face(PHOTO, box, 48)


def test_equalised_histograms_are_opencvs() -> None:
    lines = (OPENCV_DATA / "equalize_histogram.txt").read_text().splitlines()
    assert len(lines) > 100
    for line in lines:
        width, height, seed, low, span, others, other, expected = map(int, line.split())
        pixels = noise(width, height, seed)
        image = (low + pixels % span).astype(np.uint8) if span < 256 else pixels
        image.ravel()[:others] = other
        found = equalize_histogram(image)
        assert (found.dtype, zlib.crc32(found.tobytes())) == (np.uint8, expected), line


def test_faces_are_prepared_one_by_one() -> None:
    faces = np.random.default_rng(7).integers(0, 256, (3, 48, 48), dtype=np.uint8)
    assert prepare_faces(faces, 48, equalize=False) is faces
    for size in (48, 54):
        found = prepare_faces(faces, size, equalize=True)
        for face, prepared in zip(faces, found, strict=True):
            expected = equalize_histogram(resize_face(face, (0, 0, 48, 48), size))
            np.testing.assert_array_equal(prepared, expected)


def test_crops_are_in_torchvisions_order() -> None:
    # TenCrop: FiveCrop of the image (top left, top right, bottom left, bottom right, centre), then
    # FiveCrop of its mirror image.
    expected = []
    for face in (FACE, np.fliplr(FACE)):
        for top, left in ((0, 0), (0, 8), (8, 0), (8, 8), (4, 4)):
            expected.append(face[top : top + 40, left : left + 40])
    np.testing.assert_array_equal(ten_crops(FACE, 40, 40), np.stack(expected))


def test_crops_of_the_whole_face_are_the_face_and_its_mirror() -> None:
    crops = ten_crops(FACE, 48, 48)
    assert crops.shape == (10, 48, 48)
    for crop in crops[:5]:
        np.testing.assert_array_equal(crop, FACE)
    for crop in crops[5:]:
        np.testing.assert_array_equal(crop, np.fliplr(FACE))


@pytest.mark.parametrize(("height", "width", "top", "left"), [(40, 40, 4, 4), (45, 30, 1, 9)])
def test_centre_crop(height: int, width: int, top: int, left: int) -> None:
    expected = FACE[top : top + height, left : left + width]
    np.testing.assert_array_equal(centre_crop(FACE, height, width), expected)


@pytest.mark.parametrize("size", [(49, 48), (48, 49), (0, 40), (40, -1)])
def test_crops_larger_than_the_face_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="crop: expected at most 48 x 48"):
        ten_crops(FACE, *size)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (0.5077, 0.255), (-0.25, 3.0)])
def test_normalisation_is_pytorchs(mean: float, deviation: float) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    # torchvision's ToTensor and Normalize: div_(255), sub_(mean), div_(std) in float32.
    expected = torch.from_numpy(pixels).float().div_(255)
    expected = expected.sub_(torch.tensor(mean)).div_(torch.tensor(deviation))
    found = normalise(pixels, mean, deviation)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected.numpy())
