"""FER-net: 1,687,943 parameters at 48x48, 17,807,239 at 256x256.

Mohan, Seal, Krejcar and Yazidi, "FER-net: facial expression recognition using deep neural net",
Neural Computing and Applications 33, 2021. Its figure gives the maps: 64, 128, 256 and 256 channels
at 256, 128, 64 and 32 pixels, so convolutions that keep the size, each followed by batch
normalisation, ReLU and 2x2 max pooling; then two dense layers with batch normalisation. Dropout is
0.25 after convolutions, 0.5 after dense layers. Kernel size and dense widths are not public.
Assumed: 3x3; 256 and 512 for 48x48, 256 and 256 for 256x256, where the first dense layer holds most
of the network.
"""

from torch import Tensor, nn

from mien_tools.networks.layers import convolution, initialise


class FerNet(nn.Module):
    """Faces [batch, 1, size, size] with values in [0, 1] to logits [batch, classes]."""

    def __init__(
        self, classes: int = 7, size: int = 48, dense_widths: tuple[int, int] = (256, 512)
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *self._stage(1, 64),
            *self._stage(64, 128),
            *self._stage(128, 256),
            *self._stage(256, 256),
        )
        first, second = dense_widths
        self.classifier = nn.Sequential(
            nn.Flatten(),
            *self._dense(256 * (size // 16) ** 2, first),
            *self._dense(first, second),
            nn.Linear(second, classes),
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))

    @staticmethod
    def _stage(in_channels: int, out_channels: int) -> list[nn.Module]:
        pooling = [nn.MaxPool2d(kernel_size=2), nn.Dropout(0.25)]
        return convolution(in_channels, out_channels, kernel=3) + pooling

    @staticmethod
    def _dense(in_features: int, out_features: int) -> list[nn.Module]:
        return [
            nn.Linear(in_features, out_features),
            nn.BatchNorm1d(out_features),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
        ]


class FerNet256(FerNet):
    """Faces [batch, 1, 256, 256] with values in [0, 1] to logits [batch, classes]."""

    def __init__(self, classes: int = 7) -> None:
        super().__init__(classes, size=256, dense_widths=(256, 256))
