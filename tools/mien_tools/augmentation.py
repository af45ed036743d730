"""Random changes of training faces, a whole batch at a time and on the device that holds it.

Scale, shift, rotation, mirror and crop are one affine map each face, so each pixel is interpolated
once. Drawing the changes and applying them are two steps, so that a teacher and its student, whose
input sizes may differ, see the same picture.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mien_tools.networks import NetworkInfo
from mien_tools.options import option
from mien_tools.preprocess import prepare_faces


@dataclass(frozen=True)
class Augmentation:
    """Strengths; zero switches a change off. Every draw is uniform, and each face has its own."""

    warp: float = option(0.75, "probability that scale, shift and rotation apply")
    scale: float = option(0.15, "faces are enlarged by 1 - SCALE to 1 + SCALE")
    shift: float = option(0.05, "along each axis, up to this share of the face")
    rotation: float = option(10.0, "up to so many degrees, either way")
    mirror: float = option(0.5, "probability")
    brightness: float = option(0.1, "up to so much is added or taken; white is 1")
    contrast: float = option(
        0.2, "differences from the mean gray times 1 - CONTRAST to 1 + CONTRAST"
    )
    erasing: float = option(0.3, "probability that a rectangle is filled with a random gray")
    erasing_area: float = option(0.2, "the rectangle's largest share of the crop")

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            largest = 180 if item.name == "rotation" else 1
            if not 0 <= value <= largest or (item.name == "scale" and value == 1):
                raise ValueError(f"{item.name}: expected 0 to {largest}, found {value}")


@dataclass(frozen=True)
class Changes:
    """What is done to each face of a batch: every member is [n]."""

    enlargement: Tensor  # factor
    angle: Tensor  # radians, counterclockwise as seen
    shift_x: Tensor  # share of the face's width, to the left
    shift_y: Tensor  # share of the face's height, upwards
    mirrored: Tensor  # bool
    crop_x: Tensor  # 0 to below 1: which of the possible columns the crop starts at
    crop_y: Tensor
    contrast: Tensor  # factor
    brightness: Tensor  # summand, white is 1
    erased: Tensor  # bool
    left: Tensor  # the erased rectangle, as shares of the crop
    top: Tensor
    width: Tensor
    height: Tensor
    gray: Tensor  # what the rectangle is filled with, 0 to 1


def draw_changes(count: int, strengths: Augmentation, generator: torch.Generator) -> Changes:
    """Draw the changes of `count` faces, on the generator's device."""

    def between(low: float, high: float) -> Tensor:
        unit = torch.rand(count, generator=generator, device=generator.device)
        return low + (high - low) * unit

    def within(bound: float) -> Tensor:
        return between(-bound, bound)

    def happens(probability: float) -> Tensor:
        return between(0, 1) < probability

    warped = happens(strengths.warp)
    longest = math.sqrt(strengths.erasing_area)
    return Changes(
        enlargement=torch.where(warped, 1 + within(strengths.scale), 1.0),
        angle=torch.where(warped, within(math.radians(strengths.rotation)), 0.0),
        shift_x=torch.where(warped, within(strengths.shift), 0.0),
        shift_y=torch.where(warped, within(strengths.shift), 0.0),
        mirrored=happens(strengths.mirror),
        crop_x=between(0, 1),
        crop_y=between(0, 1),
        contrast=1 + within(strengths.contrast),
        brightness=within(strengths.brightness),
        width=(width := between(longest / 4, longest)),
        height=(height := between(longest / 4, longest)),
        left=between(0, 1) * (1 - width),
        top=between(0, 1) * (1 - height),
        gray=between(0, 1),
        erased=happens(strengths.erasing),
    )


def changeable_faces(pixels: np.ndarray, network: NetworkInfo) -> np.ndarray:
    """What `apply_changes` takes of faces [n, height, width]: mostly the faces as they are.

    It enlarges them itself, together with all else. Only where a network wants the histogram
    equalised, which is done at the face's size, are they brought to that size first.
    """
    if not network.equalize_histogram:
        return pixels
    return prepare_faces(pixels, network.face_size, equalize=True)


def apply_changes(pixels: Tensor, changes: Changes, network: NetworkInfo) -> Tensor:
    """Faces of `changeable_faces`, uint8, to crops [n, 1, input_size, input_size] in [0, 1].

    Beyond its edges a face continues with its outermost pixels.
    """
    faces = pixels.unsqueeze(1).float().div_(255)
    size = (len(pixels), 1, network.input_size, network.input_size)
    grid = F.affine_grid(_affine_maps(changes, network), size, align_corners=False)
    crops = F.grid_sample(faces, grid, padding_mode="border", align_corners=False)
    return _erase(_change_tone(crops, changes), changes)


def _affine_maps(changes: Changes, network: NetworkInfo) -> Tensor:
    """For each face the map [2, 3] from crop to face, both with coordinates -1 to 1."""
    size = network.input_size / network.face_size
    direction = 1 - 2 * changes.mirrored.float()
    centre_x = direction * _crop_centre(changes.crop_x, network)
    centre_y = _crop_centre(changes.crop_y, network)
    cosine = changes.angle.cos() / changes.enlargement
    sine = changes.angle.sin() / changes.enlargement
    entries = [
        size * direction * cosine,
        -size * sine,
        centre_x * cosine - centre_y * sine + 2 * changes.shift_x,
        size * direction * sine,
        size * cosine,
        centre_x * sine + centre_y * cosine + 2 * changes.shift_y,
    ]
    return torch.stack(entries, dim=1).view(-1, 2, 3)


def _crop_centre(position: Tensor, network: NetworkInfo) -> Tensor:
    """Crops start at whole pixels, so that a face that is not warped is not interpolated."""
    start = (position * (network.margin + 1)).floor().clamp(max=network.margin)
    return (2 * start - network.margin) / network.face_size


def _change_tone(crops: Tensor, changes: Changes) -> Tensor:
    contrast = changes.contrast.view(-1, 1, 1, 1)
    brightness = changes.brightness.view(-1, 1, 1, 1)
    mean = crops.mean(dim=(1, 2, 3), keepdim=True)
    return ((crops - mean) * contrast + mean + brightness).clamp(0, 1)


def _erase(crops: Tensor, changes: Changes) -> Tensor:
    """Random erasing (Zhong et al. 2017), each rectangle in one gray, its sides drawn singly."""
    size = crops.shape[-1]
    centres = (torch.arange(size, device=crops.device) + 0.5) / size

    def inside(start: Tensor, length: Tensor) -> Tensor:
        return (centres >= start[:, None]) & (centres < (start + length)[:, None])

    rows = inside(changes.top, changes.height) & changes.erased[:, None]
    columns = inside(changes.left, changes.width)
    rectangles = rows[:, None, :, None] & columns[:, None, None, :]
    return torch.where(rectangles, changes.gray.view(-1, 1, 1, 1), crops)
