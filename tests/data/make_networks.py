"""Makes tiny.mien and tiny_half.mien: a small network with random weights, from the exporter.

python tests/data/make_networks.py          # from a Python that has the package in tools/
"""

from pathlib import Path

import torch
from torch import nn

from mien_tools.export import Network, export
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


if __name__ == "__main__":
    main()
