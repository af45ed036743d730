"""Numbers that tests/pseudo_random.hpp computes by the same formulas, to the last bit."""

import math

import numpy as np


def pseudo_random(count: int, seed: int) -> np.ndarray:
    """`count` multiples of 2^-23 from -1 to below 1, float64."""
    value = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed * 40503)
    value = (value ^ (value >> np.uint32(15))) * np.uint32(2246822519)
    value = (value ^ (value >> np.uint32(13))) * np.uint32(3266489917)
    value ^= value >> np.uint32(16)
    return (value >> np.uint32(8)) / 2.0**23 - 1.0


def pseudo_random_image(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Whole numbers from -3 to 8, so that there are ties and values where rectifiers cut."""
    values = np.floor(6.0 * pseudo_random(math.prod(shape), seed)) + 3.0
    return values.astype(np.float32).reshape(shape)


def pseudo_random_tensor(role: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Values for a parameter; `role` is the last part of its name.

    Filters keep the variance of their input behind a rectifier (He et al., arXiv 1502.01852);
    scales and variances are 0.5 to 1.5, the rest -0.5 to 0.5.
    """
    values = pseudo_random(math.prod(shape), seed)
    if role == "weight" and len(shape) > 1:
        values = math.sqrt(6.0 / math.prod(shape[1:])) * values
    elif role in ("weight", "running_var"):
        values = 0.5 * values + 1.0
    else:
        values = 0.5 * values
    return values.astype(np.float32).reshape(shape)
