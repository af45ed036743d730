"""What the surveyed networks are made of."""

import math

from torch import nn

# So small that a network starts with nearly even probabilities.
_FIRST_LOGITS = 0.1


def convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, bias: bool = True
) -> list[nn.Module]:
    """Convolution (odd kernel, "same" padding), batch normalisation, ReLU."""
    return [
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=bias),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


def initialise(network: nn.Module) -> None:
    """Normal weights that keep the variance through ReLUs (He et al. 2015, section 2.2), biases 0.

    Those of the last dense layer make outputs a tenth as large as what comes in.
    """
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    nn.init.normal_(layers[-1].weight, std=_FIRST_LOGITS / math.sqrt(layers[-1].in_features))
