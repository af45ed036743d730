"""What can be asked of a network in 8 bits; needs no PyTorch."""

from dataclasses import dataclass
from pathlib import Path

# How far 8 bits reach of a layer's inputs.
METHODS = ("maximum", "percentile 99.9", "percentile 99.99", "squared-error")

# What can be asked for, and the methods that each tries.
METHOD_CHOICES = {
    "auto": METHODS,
    "maximum": ("maximum",),
    "percentile": tuple(method for method in METHODS if method.startswith("percentile")),
    "squared-error": ("squared-error",),
}

DEFAULT_COUNT = 1024


@dataclass(frozen=True)
class Int8Options:
    """What of a network to put into 8 bits.

    `calibrate` is the data set of `count` images by which layers are chosen for products in 8 bits;
    None: only stored weights are in 8 bits, all of them. `method` is one of METHOD_CHOICES,
    `layers` the names of those that have products in 8 bits (None: choose). `products_only` leaves
    other weights as they are.
    """

    calibrate: Path | None = None
    count: int = DEFAULT_COUNT
    method: str = "auto"
    layers: tuple[str, ...] | None = None
    products_only: bool = False
