"""The networks that Mien trains and exports, by name."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from mien_tools.networks.mini_fer import MiniFer

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@dataclass(frozen=True)
class NetworkInfo:
    """A network and how a face becomes its input.

    A gray face is brought to `face_size` pixels square, crops of `input_size` are taken from it,
    and input value = (pixel / 255 - mean) / standard_deviation.
    """

    name: str
    build: Callable[[], nn.Module]
    input_size: int
    face_size: int
    labels: tuple[str, ...] = LABELS
    mean: float = 0.0
    standard_deviation: float = 1.0

    @property
    def margin(self) -> int:
        """How many pixels a crop can move in the face, along each axis."""
        return self.face_size - self.input_size


NETWORKS = {
    info.name: info
    for info in (NetworkInfo("mini_fer", build=MiniFer, input_size=40, face_size=48),)
}


def network_info(name: str) -> NetworkInfo:
    """Look a network up; ValueError names the known ones."""
    if name not in NETWORKS:
        raise ValueError(f"network: expected one of {', '.join(NETWORKS)}, found {name!r}")
    return NETWORKS[name]
