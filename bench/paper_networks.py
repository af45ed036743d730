"""Small networks for faces and segmentation, as their papers have them, in PyTorch."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_norm(
    inputs: int, outputs: int, kernel: int = 3, act: nn.Module | None = None, **options
) -> nn.Sequential:
    options = {"padding": kernel // 2, **options}
    layers = [nn.Conv2d(inputs, outputs, kernel, bias=False, **options), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([act] if act else []))


class UNet(nn.Module):
    """Ronneberger et al., arXiv 1505.04597, with padding, batch normalisations and half as many
    channels."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        widths = [channels << level for level in range(5)]
        pairs = list(zip(widths, widths[1:], strict=False))
        self.down = nn.ModuleList(
            [self.two_convolutions(3, channels), *(self.two_convolutions(*p) for p in pairs)]
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in reversed(pairs))
        self.merge = nn.ModuleList(self.two_convolutions(b, a) for a, b in reversed(pairs))
        self.head = nn.Conv2d(channels, 2, 1)

    @staticmethod
    def two_convolutions(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            conv_norm(inputs, outputs, act=nn.ReLU()), conv_norm(outputs, outputs, act=nn.ReLU())
        )

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for level in self.down:
            x = level(F.max_pool2d(x, 2) if kept else x)
            kept.append(x)
        for up, merge, skipped in zip(self.up, self.merge, reversed(kept[:-1]), strict=True):
            x = merge(torch.cat((skipped, up(x)), dim=1))
        return self.head(x)


class Separable(nn.Module):
    """A residual block of Xception."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.shortcut = conv_norm(inputs, outputs, 1, stride=2)
        self.body = nn.Sequential(
            self.separable(inputs, outputs),
            nn.ReLU(),
            self.separable(outputs, outputs),
            nn.MaxPool2d(3, 2, 1),
        )

    @staticmethod
    def separable(inputs: int, outputs: int) -> nn.Sequential:
        depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        return nn.Sequential(depthwise, *conv_norm(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


def mini_xception() -> nn.Module:
    """Arriaga et al., arXiv 1710.07557: 64x64 gray pixels, seven expressions."""
    return nn.Sequential(
        conv_norm(1, 8, act=nn.ReLU(), padding=0),
        conv_norm(8, 8, act=nn.ReLU(), padding=0),
        *(Separable(inputs, 2 * inputs) for inputs in (8, 16, 32, 64)),
        nn.Conv2d(128, 7, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Softmax(1),
    )


class Bottleneck(nn.Module):
    """An inverted residual of MobileFaceNet."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.is_residual = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            conv_norm(inputs, inner, 1, nn.PReLU(inner)),
            conv_norm(inner, inner, 3, nn.PReLU(inner), stride=stride, groups=inner),
            conv_norm(inner, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.is_residual else self.body(x)


def mobile_face_net() -> nn.Module:
    """Chen et al., arXiv 1804.07573, table 1."""
    blocks = []
    inputs = 64
    for expansion, outputs, count, first_stride in (
        (2, 64, 5, 2),
        (4, 128, 1, 2),
        (2, 128, 6, 1),
        (4, 128, 1, 2),
        (2, 128, 2, 1),
    ):
        for i in range(count):
            blocks.append(Bottleneck(inputs, outputs, expansion, first_stride if i == 0 else 1))
            inputs = outputs
    return nn.Sequential(
        conv_norm(3, 64, 3, nn.PReLU(64), stride=2),
        conv_norm(64, 64, 3, nn.PReLU(64), groups=64),
        *blocks,
        conv_norm(128, 512, 1, nn.PReLU(512)),
        conv_norm(512, 512, 7, groups=512, padding=0),
        conv_norm(512, 128, 1),
        nn.Flatten(),
    )


# How each is made, and the shape of its input.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "UNet": (UNet, (3, 128, 128)),
    "mini_XCEPTION": (mini_xception, (1, 64, 64)),
    "MobileFaceNet": (mobile_face_net, (3, 112, 112)),
}
