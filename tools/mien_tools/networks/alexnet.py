"""AlexNet (Krizhevsky, Sutskever and Hinton 2012) for gray faces: 56,873,671 parameters.

Section 3.5 of the paper, with one gray channel for three colours and 7 outputs for 1000. Images are
227 pixels wide, not the 224 that the paper names: only so do 11x11 windows at stride 4 give its 55
columns. Local response normalisation is PyTorch's, which divides alpha by the size as Caffe and
cuda-convnet do; the paper writes the sum without that division. Weights start as He et al. 2015
have them, not with the paper's deviation of 0.01 everywhere.
"""

from torch import Tensor, nn

from mien_tools.networks.layers import initialise


def _normalisation() -> nn.Module:
    """Section 3.3 with its constants."""
    return nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2)


class AlexNet(nn.Module):
    """Faces [batch, 1, 227, 227] with values in [0, 1] to logits [batch, classes]."""

    def __init__(self, classes: int = 7) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 96, kernel_size=11, stride=4),
            nn.ReLU(inplace=True),
            _normalisation(),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=2),
            nn.ReLU(inplace=True),
            _normalisation(),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(256, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 384, kernel_size=3, padding=1, groups=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1, groups=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(4096, classes),
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))
