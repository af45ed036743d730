"""The VGG of depth 10 of Pramerdorfer and Kampel (arXiv 1612.02903): 1,765,479 parameters.

Block string CCPCCPCCPCCPFF; dropout after every pooling and after the first dense layer, batch
normalisation. The paper gives about 1.8 million parameters and neither widths nor rates of dropout.
Assumed: widths 32, 64, 128, 256 and a dense layer of 256; 0.1 after poolings, 0.3 after the dense
layer; batch normalisation after convolutions alone.
"""

from torch import Tensor, nn

from mien_tools.networks.layers import convolution, initialise


class Vgg10(nn.Module):
    """Equalised faces [batch, 1, 48, 48], values in [0, 1], to logits [batch, classes]."""

    def __init__(self, classes: int = 7) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *self._stage(1, 32),
            *self._stage(32, 64),
            *self._stage(64, 128),
            *self._stage(128, 256),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(256 * 3 * 3, 256),
            nn.ReLU(inplace=True),
            nn.Dropout(0.3),
            nn.Linear(256, classes),
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
            nn.Dropout(0.1),
        ]
