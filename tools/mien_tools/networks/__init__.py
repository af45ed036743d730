"""The networks that Mien trains and exports, by name."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from mien_tools.networks.alexnet import AlexNet
from mien_tools.networks.fer_net import FerNet, FerNet256
from mien_tools.networks.inception_fer import InceptionFer
from mien_tools.networks.mini_fer import MiniFer
from mien_tools.networks.resnet33 import ResNet33
from mien_tools.networks.vgg10 import Vgg10
from mien_tools.networks.vgg_net import VggNet

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@dataclass(frozen=True)
class NetworkInfo:
    """A network and how a face becomes its input.

    A gray face is brought to `face_size` pixels square, its histogram is equalised if
    `equalize_histogram` says so, crops of `input_size` are taken from it, and input value =
    (pixel / 255 - mean) / standard_deviation.

    `build` is the network's class, which has the name of the C++ struct; it makes one with random
    weights.
    """

    name: str
    build: Callable[[], nn.Module]
    input_size: int
    face_size: int
    equalize_histogram: bool = False
    labels: tuple[str, ...] = LABELS
    mean: float = 0.0
    standard_deviation: float = 1.0

    @property
    def margin(self) -> int:
        """How many pixels a crop can move in the face, along each axis."""
        return self.face_size - self.input_size


# Face sizes leave crops an eighth of the input to move in, as 256 for 227 does (Krizhevsky et al.
# 2012, section 4.1), where the publication does not say.
NETWORKS = {
    info.name: info
    for info in (
        NetworkInfo("mini_fer", MiniFer, input_size=40, face_size=48),
        NetworkInfo("alexnet", AlexNet, input_size=227, face_size=256),
        NetworkInfo("fer_net", FerNet, input_size=48, face_size=54),
        NetworkInfo("fer_net_256", FerNet256, input_size=256, face_size=288),
        NetworkInfo("vgg_net", VggNet, input_size=40, face_size=48),
        NetworkInfo("vgg10", Vgg10, input_size=48, face_size=54, equalize_histogram=True),
        NetworkInfo(
            "inception_fer", InceptionFer, input_size=48, face_size=54, equalize_histogram=True
        ),
        NetworkInfo("resnet33", ResNet33, input_size=48, face_size=54, equalize_histogram=True),
    )
}


def network_info(name: str) -> NetworkInfo:
    """Look a network up; ValueError names the known ones."""
    if name not in NETWORKS:
        raise ValueError(f"network: expected one of {', '.join(NETWORKS)}, found {name!r}")
    return NETWORKS[name]
