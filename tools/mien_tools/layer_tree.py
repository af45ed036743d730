"""A network as Mien sees it: a tree of layers that is a C++ type and, here, a PyTorch function.

A layer knows its options only. The tensors it takes come apart from it, in the order of the tree
(depth first; a residual's body, then its shortcut; branch after branch), which is the order of a
.mien file.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn import functional

from mien_tools.shapes import Shape

# The epsilon of every BatchNorm2d in C++; PyTorch's default.
BATCH_NORM_EPSILON = 1e-5

# Height and width.
Pair = tuple[int, int]


class Layer:
    """What all layers share; the defaults are those of a layer without tensors."""

    def tensor_shapes(self) -> dict[str, Shape]:
        """The tensors the layer takes, in order: role (last part of the name) and PyTorch shape."""
        return {}

    def output_shape(self, input_shape: Shape) -> Shape:
        """The shape the layer makes of `input_shape`."""
        return input_shape

    def forward(self, x: Tensor, tensors: Iterator[Tensor]) -> Tensor:
        """Compute the layer on a batch, taking its tensors from `tensors`."""
        raise NotImplementedError

    def children(self) -> tuple["Layer", ...]:
        """The layers inside, in the order in which they take tensors."""
        return ()

    def leaves(self) -> Iterator["Layer"]:
        """The layers that compute, in the order in which they take tensors."""
        if not self.children():
            yield self
        for child in self.children():
            yield from child.leaves()

    @property
    def parameter_count(self) -> int:
        """Number of trainable values: running statistics do not count, as in PyTorch."""
        return sum(
            math.prod(shape)
            for leaf in self.leaves()
            for role, shape in leaf.tensor_shapes().items()
            if not role.startswith("running_")
        )


@dataclass(frozen=True)
class Conv2d(Layer):
    """Convolution with zero padding; depthwise where groups = in_channels = out_channels."""

    in_channels: int
    out_channels: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    groups: int = 1
    bias: bool = True
    # The qualified name of the PyTorch module.
    source: str = field(default="", compare=False)

    @property
    def is_depthwise(self) -> bool:
        return self.groups == self.in_channels == self.out_channels and self.groups > 1

    def tensor_shapes(self) -> dict[str, Shape]:
        weight = (self.out_channels, self.in_channels // self.groups, *self.kernel)
        return {"weight": weight} | ({"bias": (self.out_channels,)} if self.bias else {})

    def output_shape(self, input_shape: Shape) -> Shape:
        return (self.out_channels, *_slide(self, input_shape))

    def forward(self, x: Tensor, tensors: Iterator[Tensor]) -> Tensor:
        weight = next(tensors)
        bias = next(tensors) if self.bias else None
        return functional.conv2d(
            x, weight, bias, stride=self.stride, padding=self.padding, groups=self.groups
        )


@dataclass(frozen=True)
class BatchNorm2d(Layer):
    """Batch normalisation by running statistics, of images or flat vectors."""

    channels: int
    source: str = field(default="", compare=False)

    def tensor_shapes(self) -> dict[str, Shape]:
        return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (self.channels,))

    def forward(self, x: Tensor, tensors: Iterator[Tensor]) -> Tensor:
        weight, bias, mean, variance = (next(tensors) for _ in range(4))
        return functional.batch_norm(x, mean, variance, weight, bias, eps=BATCH_NORM_EPSILON)


@dataclass(frozen=True)
class ReLU(Layer):
    """max(0, x)."""

    def forward(self, x: Tensor, tensors: Iterator[Tensor]) -> Tensor:
        return functional.relu(x)


@dataclass(frozen=True)
class ReLU6(Layer):
    """min(max(0, x), 6)."""

    def forward(self, x: Tensor, tensors: Iterator[Tensor]) -> Tensor:
        return functional.relu6(x)


@dataclass(frozen=True)
class Pooling2d(Layer):
    """One value for every place of a sliding window; the output size is rounded down."""

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)

    def output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *_slide(self, input_shape))


@dataclass(frozen=True)
class MaxPool2d(Pooling2d):
    """Largest value under the window."""

    def forward(self, x: Tensor, tensors: Iterator[Tensor]) -> Tensor:
        return functional.max_pool2d(x, self.kernel, self.stride, self.padding)


@dataclass(frozen=True)
class AvgPool2d(Pooling2d):
    """Mean under the window, padding counted as zeros."""

    def forward(self, x: Tensor, tensors: Iterator[Tensor]) -> Tensor:
        return functional.avg_pool2d(x, self.kernel, self.stride, self.padding)


@dataclass(frozen=True)
class LocalResponseNorm(Layer):
    """x / (k + alpha / size * sum of squares of `size` neighbouring channels) ^ beta."""

    size: int
    alpha: Fraction
    beta: Fraction
    k: Fraction

    def forward(self, x: Tensor, tensors: Iterator[Tensor]) -> Tensor:
        return functional.local_response_norm(
            x, self.size, float(self.alpha), float(self.beta), float(self.k)
        )


@dataclass(frozen=True)
class Flatten(Layer):
    """An image becomes a vector in the order channels, height, width."""

    def output_shape(self, input_shape: Shape) -> Shape:
        return (math.prod(input_shape),)

    def forward(self, x: Tensor, tensors: Iterator[Tensor]) -> Tensor:
        return x.flatten(1)


@dataclass(frozen=True)
class Dense(Layer):
    """A fully connected layer on a flat vector."""

    in_features: int
    out_features: int
    bias: bool = True
    source: str = field(default="", compare=False)

    def tensor_shapes(self) -> dict[str, Shape]:
        weight = (self.out_features, self.in_features)
        return {"weight": weight} | ({"bias": (self.out_features,)} if self.bias else {})

    def output_shape(self, input_shape: Shape) -> Shape:
        return (self.out_features,)

    def forward(self, x: Tensor, tensors: Iterator[Tensor]) -> Tensor:
        weight = next(tensors)
        return functional.linear(x, weight, next(tensors) if self.bias else None)


@dataclass(frozen=True)
class Softmax(Layer):
    """Softmax of a flat vector."""

    def forward(self, x: Tensor, tensors: Iterator[Tensor]) -> Tensor:
        return torch.softmax(x, dim=1)


@dataclass(frozen=True)
class Sequential(Layer):
    """Layers one after another."""

    layers: tuple[Layer, ...]

    def children(self) -> tuple[Layer, ...]:
        return self.layers

    def output_shape(self, input_shape: Shape) -> Shape:
        for layer in self.layers:
            input_shape = layer.output_shape(input_shape)
        return input_shape

    def forward(self, x: Tensor, tensors: Iterator[Tensor]) -> Tensor:
        for layer in self.layers:
            x = layer.forward(x, tensors)
        return x


@dataclass(frozen=True)
class Residual(Layer):
    """body(x) + shortcut(x); without a shortcut, body(x) + x."""

    body: Layer
    shortcut: Layer | None = None

    def children(self) -> tuple[Layer, ...]:
        return (self.body,) if self.shortcut is None else (self.body, self.shortcut)

    def output_shape(self, input_shape: Shape) -> Shape:
        return self.body.output_shape(input_shape)

    def forward(self, x: Tensor, tensors: Iterator[Tensor]) -> Tensor:
        body = self.body.forward(x, tensors)
        return body + (x if self.shortcut is None else self.shortcut.forward(x, tensors))

    def as_inverted_residual(self) -> Pair | None:
        """Channels and hidden channels if this is the block InvertedResidual<C, Hidden>."""
        if not isinstance(self.body, Sequential) or not isinstance(self.body.layers[0], Conv2d):
            return None
        channels, hidden = self.body.layers[0].in_channels, self.body.layers[0].out_channels
        return (channels, hidden) if self == inverted_residual(channels, hidden) else None


@dataclass(frozen=True)
class Concatenate(Layer):
    """Every branch's output for the same input, joined along the channels."""

    branches: tuple[Layer, ...]

    def children(self) -> tuple[Layer, ...]:
        return self.branches

    def output_shape(self, input_shape: Shape) -> Shape:
        shapes = [branch.output_shape(input_shape) for branch in self.branches]
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def forward(self, x: Tensor, tensors: Iterator[Tensor]) -> Tensor:
        return torch.cat([branch.forward(x, tensors) for branch in self.branches], dim=1)


def inverted_residual(channels: int, hidden: int) -> Residual:
    """What InvertedResidual<Channels, Hidden> stands for in C++."""
    return Residual(
        Sequential(
            (
                Conv2d(channels, hidden, kernel=(1, 1), bias=False),
                BatchNorm2d(hidden),
                ReLU6(),
                Conv2d(hidden, hidden, kernel=(3, 3), padding=(1, 1), groups=hidden, bias=False),
                BatchNorm2d(hidden),
                ReLU6(),
                Conv2d(hidden, channels, kernel=(1, 1), bias=False),
            )
        )
    )


def _slide(layer: Conv2d | Pooling2d, input_shape: Shape) -> Shape:
    """Height and width of what a sliding window leaves."""
    return tuple(
        (size + 2 * padding - kernel) // stride + 1
        for size, kernel, stride, padding in zip(
            input_shape[1:], layer.kernel, layer.stride, layer.padding, strict=True
        )
    )
