"""Weights and products of whole numbers in 8 bits: what they are, and what they compute.

A layer whose weight has an input scale computes, as C++ does:

    q   = clamp(rint(x * float32(1 / input scale)) + zero point, 0, 255)
    acc = sum over the window of (q - zero point) * byte; padding is the zero point
    y   = float32(acc) * float32(input scale * scale of the channel) + bias

rint rounds half to even, acc is exact, and every other step is one of float32. Scales and zero
points come from histograms of a layer's inputs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mien_tools.graph import Graph, Node, OwnProducts
from mien_tools.weights import (
    LARGEST_BYTE,
    LARGEST_PRODUCT_BYTE,
    LARGEST_ZERO_POINT,
    Int8Values,
)

_BINS = 4096
# The least share of a range that the squared error may leave of it, and the number of steps.
_LEAST_SHARE = 0.2
_SHARES = 41

# Sums of whole numbers up to here are exact in float32, in every order.
_EXACT_IN_FLOAT32 = 1 << 24


def int8_weights(values: np.ndarray) -> Int8Values:
    """A tensor [O, ...] for storage in 8 bits; its largest value by channel becomes 127."""
    return _rounded(values, LARGEST_BYTE)


def int8_products(values: np.ndarray, input_scale: float, input_zero_point: int) -> Int8Values:
    """A weight [O, ...] for products in 8 bits; its largest value by channel becomes 64."""
    made = _rounded(values, LARGEST_PRODUCT_BYTE)
    return Int8Values(made.data, made.scales, input_scale, input_zero_point)


def _rounded(values: np.ndarray, limit: int) -> Int8Values:
    channels = values.reshape(len(values), -1).astype(np.float64)
    largest = np.abs(channels).max(axis=1)
    # Where a channel is next to nothing, its scale stays a positive float32.
    least = float(np.finfo(np.float32).tiny)
    scales = np.where(largest > 0, np.maximum(largest / limit, least), 1).astype(np.float32)
    data = np.rint(channels / scales[:, None].astype(np.float64)).clip(-limit, limit)
    return Int8Values(data.astype(np.int8).reshape(values.shape), scales)


def input_rounding(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point of inputs from `low` to `high`; 0 is always one of the 256 values."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / LARGEST_ZERO_POINT)
    if not scale > 0:
        return 1.0, 0
    zero_point = int(np.rint(-low / float(scale)))
    return float(scale), min(zero_point, LARGEST_ZERO_POINT)


@dataclass
class InputRange:
    """What was seen of a layer's inputs: first the smallest and the largest, then how many where.

    Zeros do not count where errors are measured: they are always exact.
    """

    low: float = math.inf
    high: float = -math.inf
    zeros: int = 0
    counts: np.ndarray = field(default_factory=lambda: np.zeros(_BINS))

    def widen(self, values: Tensor) -> None:
        """See values for the first time."""
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))

    def count(self, values: Tensor) -> None:
        """See them again, all of them between the smallest and the largest."""
        others = values[values != 0].float()
        self.zeros += values.numel() - others.numel()
        if self.high > self.low:
            found = torch.histc(others, _BINS, self.low, self.high)
            self.counts += found.double().numpy()

    def by(self, method: str) -> tuple[float, float]:
        """From where to where a method of METHODS has 8 bits reach; 0 is always within."""
        low, high = self.low, self.high
        if method == "squared-error" and high > low:
            low, high = self._of_least_error()
        elif method.startswith("percentile") and high > low:
            share = float(method.rpartition(" ")[2]) / 100
            low, high = self._percentile(1 - share), self._percentile(share)
        return min(low, 0.0), max(high, 0.0)

    def _percentile(self, share: float) -> float:
        edges = np.linspace(self.low, self.high, _BINS + 1)
        counts = self.counts.copy()
        zero = int(np.clip(np.searchsorted(edges, 0.0, "right") - 1, 0, _BINS - 1))
        counts[zero] += self.zeros
        cumulated = np.concatenate([[0.0], counts.cumsum()])
        return float(np.interp(share * cumulated[-1], cumulated, edges))

    def _of_least_error(self) -> tuple[float, float]:
        width = (self.high - self.low) / _BINS
        centres = self.low + width * (np.arange(_BINS) + 0.5)
        used = self.counts > 0
        centres, counts = centres[used], self.counts[used]
        shares = np.linspace(1, _LEAST_SHARE, _SHARES)
        lows = [self.low * share for share in shares] if self.low < 0 else [0.0]
        highs = [self.high * share for share in shares] if self.high > 0 else [0.0]
        best, least = (self.low, self.high), math.inf
        for low in lows:
            for high in highs:
                scale, zero = input_rounding(low, high)
                rounded = np.rint(centres / scale).clip(-zero, LARGEST_ZERO_POINT - zero) * scale
                error = float(counts @ (rounded - centres) ** 2)
                if error < least:
                    best, least = (float(low), float(high)), error
        return best


class Int8Products(OwnProducts):
    """A weight in 8 bits, ready to be multiplied by inputs in 8 bits."""

    def __init__(self, stored: Int8Values) -> None:
        self._factor = float(np.float32(1) / np.float32(stored.input_scale))
        self._zero_point = stored.input_zero_point
        multipliers = np.float32(stored.input_scale) * stored.scales.astype(np.float32)
        self._multipliers = torch.from_numpy(multipliers).reshape(1, -1, 1, 1)
        # Convolutions of float32 that are no matrix product may be computed by transforms that
        # leave the whole numbers.
        largest_sum = math.prod(stored.shape[1:]) * LARGEST_ZERO_POINT * LARGEST_PRODUCT_BYTE
        in_float32 = largest_sum <= _EXACT_IN_FLOAT32 and math.prod(stored.shape[2:]) == 1
        self._exact = torch.float32 if in_float32 else torch.float64
        self._bytes = torch.from_numpy(stored.data.astype(np.int8)).to(self._exact)

    def rounded(self, inputs: Tensor) -> Tensor:
        """q - zero point of inputs, in float32."""
        zero = self._zero_point
        return (inputs.float() * self._factor).round().clamp(-zero, LARGEST_ZERO_POINT - zero)

    def sums(self, node: Node, inputs: Tensor) -> Tensor:
        """The exact sums of a Conv2d or Dense [n, O, height, width], in float32 or float64."""
        whole = self.rounded(inputs).to(self._exact)
        return node.record.reference(node.resolved, [whole], [self._bytes])

    def output(self, node: Node, inputs: Tensor, bias: Sequence[Tensor]) -> Tensor:
        """What a Conv2d or Dense puts out, in the inputs' type; `bias` holds one or none."""
        result = self.sums(node, inputs).float() * self._multipliers
        for values in bias:
            result = result + values.float().reshape(1, -1, 1, 1)
        return result.to(inputs.dtype)


# Tensors of a graph by name.
Tensors = Mapping[str, Tensor | Int8Products]


def to_tensors(
    stored: Mapping[str, np.ndarray | Int8Values], dtype: torch.dtype = torch.float64
) -> dict[str, Tensor | Int8Products]:
    """A file's tensors for a run whose other layers are of a type."""
    return {name: to_tensor(values, dtype) for name, values in stored.items()}


def to_tensor(values: np.ndarray | Int8Values, dtype: torch.dtype) -> Tensor | Int8Products:
    if isinstance(values, Int8Values):
        if values.has_products:
            return Int8Products(values)
        values = values.widened()
    # Arrays of files cannot be written to, which PyTorch warns about.
    return torch.from_numpy(np.array(values)).to(dtype)


def run_values(graph: Graph, inputs: Sequence[Tensor], tensors: Tensors) -> list[Tensor]:
    """All values of a graph for batches of images, those of its inputs first."""
    return [*inputs, *(value for _, value in graph.run(inputs, tensors))]


def run_again(
    graph: Graph, values: Sequence[Tensor], tensors: Tensors, changed: Mapping[str, object]
) -> list[Tensor]:
    """All values of a graph after some tensors changed, from what run_values() gave before."""
    values, moved = list(values), set()
    for index, node in enumerate(graph.nodes):
        if moved.isdisjoint(node.inputs) and changed.keys().isdisjoint(node.tensors):
            continue
        number = graph.value_of(index)
        values[number] = node.run([values[value] for value in node.inputs], tensors)
        moved.add(number)
    return values
