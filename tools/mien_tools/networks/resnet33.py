"""The ResNet of depth 33 of Pramerdorfer and Kampel (arXiv 1612.02903): 5,325,159 parameters.

ResNet-34 (He et al., arXiv 1512.03385, table 1) at half its width, 32 to 256 channels in stages of
3, 4, 6 and 3 blocks: about the 5 million parameters that the paper states. Assumed: its first
convolution of 7x7 at stride 2 and the pooling after it, made for 224 pixels, give way to one of 3x3
at stride 1; projections (option B) where a stage begins; no dropout, as in the original. The last
normalisation of every block starts at zero, so that blocks start as identities (Goyal et al., arXiv
1706.02677, section 5.1).
"""

from torch import Tensor, nn
from torch.nn import functional

from mien_tools.networks.layers import convolution, initialise


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions plus the input, projected by 1x1 where its shape differs; then ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(in_channels, out_channels, kernel=3, stride=stride, bias=False),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


class ResNet33(nn.Module):
    """Equalised faces [batch, 1, 48, 48], values in [0, 1], to logits [batch, classes]."""

    def __init__(self, classes: int = 7) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *convolution(1, 32, kernel=3, bias=False),
            *self._stage(32, 32, blocks=3, stride=1),
            *self._stage(32, 64, blocks=4, stride=2),
            *self._stage(64, 128, blocks=6, stride=2),
            *self._stage(128, 256, blocks=3, stride=2),
            nn.AvgPool2d(kernel_size=6),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(256, classes))
        initialise(self)
        for block in self.features:
            if isinstance(block, ResidualBlock):
                nn.init.zeros_(block.body[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))

    @staticmethod
    def _stage(in_channels: int, out_channels: int, blocks: int, stride: int) -> list[nn.Module]:
        first = ResidualBlock(in_channels, out_channels, stride)
        others = (ResidualBlock(out_channels, out_channels, stride=1) for _ in range(blocks - 1))
        return [first, *others]
