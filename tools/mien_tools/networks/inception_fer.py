"""The Inception of depth 16 of Pramerdorfer and Kampel (arXiv 1612.02903): 1,189,167 parameters.

Block string CIPIIPIIPIIPF. The modules are GoogLeNet's (Szegedy et al. 2014, figure 2b) with n
filters of 3x3, n = 32, 64, ..., 224, and 3n/4, n/2, n/8, n/4 and n/4 of 1x1, of the reductions
before 3x3 and 5x5, of 5x5 and after the pooling: about the 1.2 million parameters that the paper
states. Assumed: 64 filters in the first convolution; batch normalisation after every convolution,
which then needs no bias; the last P is GoogLeNet's global average pooling, before which the others
are its 3x3 max poolings at stride 2; its dropout of 0.4 before the dense layer.
"""

import torch
from torch import Tensor, nn

from mien_tools.networks.layers import convolution, initialise


class Inception(nn.Module):
    """Four branches side by side, 9n/4 channels in all: 1x1, 3x3, 5x5, and max pooling."""

    def __init__(self, in_channels: int, n: int) -> None:
        super().__init__()
        self.one = nn.Sequential(*self._convolution(in_channels, 3 * n // 4, 1))
        self.three = nn.Sequential(
            *self._convolution(in_channels, n // 2, 1), *self._convolution(n // 2, n, 3)
        )
        self.five = nn.Sequential(
            *self._convolution(in_channels, n // 8, 1), *self._convolution(n // 8, n // 4, 5)
        )
        self.pool = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1),
            *self._convolution(in_channels, n // 4, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.one(x), self.three(x), self.five(x), self.pool(x)), dim=1)

    @staticmethod
    def _convolution(in_channels: int, out_channels: int, kernel: int) -> list[nn.Module]:
        return convolution(in_channels, out_channels, kernel, bias=False)


class InceptionFer(nn.Module):
    """Equalised faces [batch, 1, 48, 48], values in [0, 1], to logits [batch, classes]."""

    def __init__(self, classes: int = 7) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *convolution(1, 64, kernel=3, bias=False),
            Inception(64, 32),
            self._pooling(),
            Inception(72, 64),
            Inception(144, 96),
            self._pooling(),
            Inception(216, 128),
            Inception(288, 160),
            self._pooling(),
            Inception(360, 192),
            Inception(432, 224),
            nn.AvgPool2d(kernel_size=6),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.4), nn.Linear(504, classes))
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))

    @staticmethod
    def _pooling() -> nn.Module:
        return nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
