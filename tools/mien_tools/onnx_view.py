"""How a tensor of ONNX shows the values of an image that Mien holds as channels, height and width.

ONNX's Reshape and Transpose move no value here: they change the view. A view is a list of
dimensions, the batch left out; each dimension is a list of factors, outer ones first, and a factor
is a part of the index along one axis: index = sum of factor index * stride. An image is

    [[C], [H], [W]]

with one factor each; split into two groups of channels it is [[C / 2, stride 2], ...] and so on.
Factors of length 1 are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien_tools.shapes import Shape

if TYPE_CHECKING:
    from mien_tools.onnx_node import Value

CHANNELS, HEIGHT, WIDTH = range(3)


@dataclass(frozen=True)
class Factor:
    """A part of the index along one axis."""

    axis: int
    stride: int
    length: int


Dimension = tuple[Factor, ...]
View = tuple[Dimension, ...]


def axis_dimension(shape: Shape, axis: int) -> Dimension:
    """The dimension that is one axis of an image."""
    return (Factor(axis, 1, shape[axis]),) if shape[axis] > 1 else ()


def image_view(shape: Shape) -> View:
    return tuple(axis_dimension(shape, axis) for axis in (CHANNELS, HEIGHT, WIDTH))


def row_view(shape: Shape) -> View:
    """Channels and places of an image of one row."""
    return axis_dimension(shape, CHANNELS), axis_dimension(shape, WIDTH)


def flat_view(shape: Shape) -> View:
    """A vector: the channels of one pixel."""
    return (axis_dimension(shape, CHANNELS),)


def length(dimension: Dimension) -> int:
    return math.prod(factor.length for factor in dimension)


def lengths(view: View) -> tuple[int, ...]:
    return tuple(length(dimension) for dimension in view)


def merged(factors: Sequence[Factor]) -> Dimension:
    """Neighbours that are parts of one index become one factor."""
    result: list[Factor] = []
    for factor in factors:
        last = result[-1] if result else None
        if last and last.axis == factor.axis and last.stride == factor.stride * factor.length:
            result[-1] = Factor(factor.axis, factor.stride, last.length * factor.length)
        else:
            result.append(factor)
    return tuple(result)


def reshaped(view: View, sizes: Sequence[int]) -> View | None:
    """The view after a reshape; None where it would cut a factor unevenly."""
    pending = [factor for dimension in view for factor in dimension][::-1]
    result: list[Dimension] = []
    for size in sizes:
        taken: list[Factor] = []
        missing = size
        while missing > 1:
            if not pending:
                return None
            factor = pending.pop()
            if missing % factor.length == 0:
                taken.append(factor)
                missing //= factor.length
            elif factor.length % missing == 0:
                inner = factor.length // missing
                taken.append(Factor(factor.axis, factor.stride * inner, missing))
                pending.append(Factor(factor.axis, factor.stride, inner))
                missing = 1
            else:
                return None
        result.append(merged(taken))
    return None if pending else tuple(result)


def only_axis(dimension: Dimension) -> int | None:
    """The axis of a dimension that is one whole factor; None for others and for length 1."""
    if len(dimension) == 1 and dimension[0].stride == 1:
        return dimension[0].axis
    return None


def is_list_of_cells(value: "Value") -> bool:
    """Whether a value shows a map as a list of its cells, each with all channels: HW x C.

    Detectors put out their boxes so. What has one row only is not a map: rows hold dimensions that
    were moved there to be worked on, too.
    """
    height, width = (axis_dimension(value.shape, axis) for axis in (HEIGHT, WIDTH))
    cells = (*height, *width)
    return len(cells) == 2 and value.view == (cells, axis_dimension(value.shape, CHANNELS))


def like(view: View, shape: Shape) -> View:
    """An image, a row or a vector as the view of an input was one."""
    if len(view) == 1:
        return flat_view(shape)
    return row_view(shape) if len(view) == 2 else image_view(shape)
