"""Images that tests/vision_data.hpp computes by the same formula."""

import numpy as np


def noise(width: int, height: int, seed: int) -> np.ndarray:
    """Gray noise [height, width]."""
    x = np.arange(width, dtype=np.uint32)[None, :]
    y = np.arange(height, dtype=np.uint32)[:, None]
    value = x * np.uint32(2654435761) + y * np.uint32(2246822519) + np.uint32(seed * 40503)
    value = (value ^ (value >> np.uint32(15))) * np.uint32(2246822519)
    value = (value ^ (value >> np.uint32(13))) * np.uint32(3266489917)
    return (value >> np.uint32(24)).astype(np.uint8)
