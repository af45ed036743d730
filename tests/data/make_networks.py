"""Makes tiny.mien, tiny_half.mien and tiny_int8.mien: a small network with random weights.

python tests/data/make_networks.py          # from a Python that has the package in tools/
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mien_tools.export import Network, export
from mien_tools.int8_options import Int8Options
from mien_tools.networks.mini_fer import InvertedResidual
from mien_tools.weights import gray

HERE = Path(__file__).parent
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def tiny() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        InvertedResidual(4, 6),
        nn.Flatten(),
        nn.Linear(64, 7),
    )


def main() -> None:
    torch.manual_seed(2)
    module = tiny()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.2, 0.2)
            nn.init.uniform_(layer.running_var, 0.1, 1)
    # Faces of 10x10 pixels, of which views of 8x8 are cropped.
    preprocessing = gray(10, mean=0.5, standard_deviation=0.25, temperature=1.5)
    network = Network(module, "tiny", (1, 8, 8), preprocessing, LABELS)
    export(network, HERE / "tiny.mien")
    export(network, HERE / "tiny_half.mien", half=True)
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder, "images.npy")
        np.save(images, np.random.default_rng(3).integers(0, 256, (64, 1, 8, 8), dtype=np.uint8))
        layers = ("0", "4.conv.0", "4.conv.6", "6")
        export(network, HERE / "tiny_int8.mien", int8=Int8Options(images, 64, layers=layers))


if __name__ == "__main__":
    main()
