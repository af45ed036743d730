"""MiniFER, the 784,263-parameter network for 40x40 gray faces, in PyTorch.

Attribute names are part of the interface: checkpoints and .mien files carry the keys of this
module's `state_dict`, `layer1.0.weight` to `lin3.bias`.
"""

from torch import Tensor, nn


class InvertedResidual(nn.Module):
    """The block of MobileNetV2 (Sandler et al. 2018, section 3.3) at stride 1, plus its input.

    Expand to `hidden` channels, filter each depthwise, project back. Unlike the paper's, the
    projection is not batch-normalised.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(channels, hidden, kernel_size=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, kernel_size=3, padding=1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, channels, kernel_size=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class MiniFer(nn.Module):
    """Faces [batch, 1, 40, 40] with values in [0, 1] to logits [batch, classes]."""

    def __init__(self, classes: int = 7) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(
            nn.Conv2d(1, 64, kernel_size=3, padding=1), nn.BatchNorm2d(64), nn.ReLU(inplace=True)
        )
        self.layer2 = nn.Sequential(
            nn.Conv2d(64, 128, kernel_size=5, padding=1), nn.BatchNorm2d(128), nn.ReLU(inplace=True)
        )
        self.layer3 = InvertedResidual(128, 256)
        self.layer4 = InvertedResidual(128, 256)
        self.layer5 = InvertedResidual(128, 512)
        self.layer6 = InvertedResidual(128, 512)
        self.pool = nn.MaxPool2d(2)
        self.relu = nn.ReLU(inplace=True)
        self.lin1 = nn.Linear(512, 256)
        self.lin2 = nn.Linear(256, 128)
        self.lin3 = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.layer1(x))
        x = self.pool(self.layer2(x))
        x = self.pool(self.layer4(self.layer3(x)))
        x = self.pool(self.layer6(self.layer5(x)))
        x = self.relu(self.lin1(x.flatten(1)))
        x = self.relu(self.lin2(x))
        return self.lin3(x)
