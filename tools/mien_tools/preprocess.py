"""From a photo to a network's input: the Python twin of the C++ library's preprocessing.

Gray as OpenCV computes it, a face brought to its size as Pillow does, its histogram equalised as
OpenCV does if the network wants that, one or ten crops, and pixels scaled to numbers. Images are
NumPy arrays [height, width(, 3)] of uint8.
"""

import numpy as np
from PIL import Image

# OpenCV's fixed-point weights of R, G and B for 8-bit images: 0.299, 0.587, 0.114 times 2^15.
_GRAY_WEIGHTS = (9798, 19235, 3735)
_GRAY_BITS = 15


def to_gray(photo: np.ndarray) -> np.ndarray:
    """Gray [height, width] from R, G, B [height, width, 3] as OpenCV's cvtColor computes it."""
    _require_image("photo", photo, channels=3)
    weighted = photo.astype(np.int32) @ np.array(_GRAY_WEIGHTS, dtype=np.int32)
    return ((weighted + (1 << (_GRAY_BITS - 1))) >> _GRAY_BITS).astype(np.uint8)


def resize_face(photo: np.ndarray, box: tuple[int, int, int, int], size: int) -> np.ndarray:
    """The box (x, y, width, height) of a gray photo as `size` x `size` pixels.

    Pillow's bilinear filter, antialiased where it shrinks, along rows and then along columns. Where
    the box reaches beyond the photo, the photo's edge is repeated. Raises ValueError if it lies
    outside altogether.
    """
    _require_image("photo", photo)
    x, y, width, height = box
    rows, columns = photo.shape
    if width <= 0 or height <= 0 or not (-width < x < columns and -height < y < rows):
        raise ValueError(
            f"box: expected one that meets the photo of {columns} x {rows} pixels, found x {x}, "
            f"y {y}, width {width}, height {height}"
        )
    row_numbers = np.arange(y, y + height).clip(0, rows - 1)
    column_numbers = np.arange(x, x + width).clip(0, columns - 1)
    region = Image.fromarray(photo[np.ix_(row_numbers, column_numbers)])
    # Pillow 13 resizes tall images along columns first, others as here; rounding between the two
    # steps makes that a difference.
    narrowed = region.resize((size, height), Image.Resampling.BILINEAR)
    return np.asarray(narrowed.resize((size, size), Image.Resampling.BILINEAR))


def equalize_histogram(face: np.ndarray) -> np.ndarray:
    """The gray values of a face [height, width] spread as OpenCV's equalizeHist does.

    A value becomes the number of pixels up to it, those of the darkest value left out, times 255 /
    (pixels - pixels of the darkest value), rounded half to even, in float32. An image of a single
    value stays as it is.
    """
    _require_image("face", face)
    histogram = np.bincount(face.ravel(), minlength=256)
    darkest = int(face.min())
    others = face.size - histogram[darkest]
    if others == 0:
        return face.copy()
    histogram[darkest] = 0
    scale = np.float32(255) / np.float32(others)
    table = np.rint(histogram.cumsum().astype(np.float32) * scale).astype(np.uint8)
    return table[face]


def prepare_faces(pixels: np.ndarray, face_size: int, equalize: bool) -> np.ndarray:
    """Gray faces [n, height, width] as crops are taken from them: [n, face_size, face_size]."""
    height, width = pixels.shape[1:]
    if (height, width) != (face_size, face_size):
        pixels = np.stack([resize_face(face, (0, 0, width, height), face_size) for face in pixels])
    if equalize:
        pixels = np.stack([equalize_histogram(face) for face in pixels])
    return pixels


def centre_crop(face: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle of a face; of two middles the one nearer to the top left."""
    _require_crop(face, height, width)
    top, left = (face.shape[0] - height) // 2, (face.shape[1] - width) // 2
    return face[top : top + height, left : left + width]


def ten_crops(face: np.ndarray, height: int, width: int) -> np.ndarray:
    """Ten views [10, height, width] of a face (Krizhevsky et al. 2012, section 4.1).

    The crops at the top left, top right, bottom left, bottom right and centre, then their mirror
    images in the order of torchvision's TenCrop: by where they lie in the mirrored face.
    """
    _require_crop(face, height, width)
    top_left = face[:height, :width]
    top_right = face[:height, -width:]
    bottom_left = face[-height:, :width]
    bottom_right = face[-height:, -width:]
    centre = centre_crop(face, height, width)
    views = (top_left, top_right, bottom_left, bottom_right, centre)
    mirrored = (top_right, top_left, bottom_right, bottom_left, centre)
    return np.stack([*views, *(view[:, ::-1] for view in mirrored)])


def normalise(pixels: np.ndarray, mean: float, standard_deviation: float) -> np.ndarray:
    """Network input (pixel / 255 - mean) / standard_deviation, every step rounded to float32."""
    scaled = pixels.astype(np.float32) / np.float32(255)
    return (scaled - np.float32(mean)) / np.float32(standard_deviation)


def _require_image(what: str, image: np.ndarray, channels: int | None = None) -> None:
    expected = "[height, width]" if channels is None else f"[height, width, {channels}]"
    fits = image.ndim == 2 if channels is None else image.ndim == 3 and image.shape[2] == channels
    if image.dtype != np.uint8 or not fits or image.size == 0:
        raise ValueError(
            f"{what}: expected uint8 {expected}, found {image.dtype} {list(image.shape)}"
        )


def _require_crop(face: np.ndarray, height: int, width: int) -> None:
    _require_image("face", face)
    if not (1 <= height <= face.shape[0] and 1 <= width <= face.shape[1]):
        raise ValueError(
            f"crop: expected at most {face.shape[0]} x {face.shape[1]} (height, width), "
            f"found {height} x {width}"
        )
