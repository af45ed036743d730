"""Real options of layers as fractions: std::ratio is how a C++ type holds them."""

import math
from fractions import Fraction

import numpy as np

from mien_tools.layer import LayerError, Option

# The largest numerator and denominator of std::ratio.
LARGEST_RATIO = 2**63 - 1

# The largest number that the options of activations may be.
LARGEST_REAL = float(np.finfo(np.float32).max)


def real_option(name: str, default: float) -> Option:
    """A real number of either sign."""
    return Option(name, default, least=-LARGEST_REAL, most=LARGEST_REAL, whole=False)


def ratio(value: float) -> Fraction | None:
    """The simplest fraction that is this number in double precision; None if none fits.

    1e-4, which a double only approaches, is 1 / 10000.
    """
    return _simplest(value, float)


def simplest(value: float) -> float:
    """The number of the simplest fraction that a float of ONNX is: 0.16666667 was 1 / 6."""
    fraction = _simplest(value, lambda number: float(np.float32(number)))
    return float(value) if fraction is None else float(fraction)


def _simplest(value: float, rounded) -> Fraction | None:
    if not math.isfinite(value):
        return None
    exact = Fraction(value)
    digits = 1
    while digits <= LARGEST_RATIO:
        fraction = exact.limit_denominator(digits)
        if rounded(float(fraction)) == value:
            return fraction if abs(fraction.numerator) <= LARGEST_RATIO else None
        digits *= 10
    return None


def cpp_ratio(value: float) -> str:
    """One number where it is whole, as std::ratio itself has it; raises LayerError."""
    fraction = ratio(value)
    if fraction is None:
        raise LayerError(f"expected a number that std::ratio can hold, found {value:g}")
    numbers = (fraction.numerator,) if fraction.denominator == 1 else fraction.as_integer_ratio()
    return f"std::ratio<{', '.join(map(str, numbers))}>"
