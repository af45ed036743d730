"""VGGNet for 40x40 faces (Khaireddin and Chen, arXiv 2105.03588): 29,890,759 parameters.

Four stages of two 3x3 convolutions, batch-normalised, and a pooling; then 4096, 4096 and the
classes, with dropout 0.2. Weights start as He et al. 2015 have them; the paper does not say.
"""

from torch import Tensor, nn

from mien_tools.networks.layers import convolution, initialise


class VggNet(nn.Module):
    """Faces [batch, 1, 40, 40] with values in [0, 1] to logits [batch, classes]."""

    def __init__(self, classes: int = 7) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *self._stage(1, 64),
            *self._stage(64, 128),
            *self._stage(128, 256),
            *self._stage(256, 512),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(512 * 2 * 2, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(0.2),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(0.2),
            nn.Linear(4096, classes),
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))

    @staticmethod
    def _stage(in_channels: int, out_channels: int) -> list[nn.Module]:
        return [
            *convolution(in_channels, out_channels, kernel=3),
            *convolution(out_channels, out_channels, kernel=3),
            nn.MaxPool2d(kernel_size=2),
        ]
