"""Makes layers.mien and layer_cases.inc: what PyTorch computes for every layer over many shapes.

    python tests/data/make_layers.py          # from a Python that has the package in tools/

Each case is a layer as written in C++, the same in PyTorch, and an input shape. The .mien file
holds for each case, in order, the input, the parameters, and the output computed in float64; the
.inc file lists the cases for test_layers.cpp.
"""

from pathlib import Path

import torch
from torch import nn

from mien_tools.networks.mini_fer import InvertedResidual
from mien_tools.weights import NamedTensor, Preprocessing, WeightFile

HERE = Path(__file__).parent


class Concatenate(nn.Module):
    """torch.cat of the branches' outputs, along the channels"""

    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Residual(nn.Module):
    """body(x) + shortcut(x)"""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None):
        super().__init__()
        self.body = body
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


CONVOLUTIONS = [
    ("Conv2d<1, 1, Kernel<1>>", nn.Conv2d(1, 1, 1), (1, 1, 1)),
    ("Conv2d<3, 17, Kernel<1>>", nn.Conv2d(3, 17, 1), (3, 1, 1)),
    ("Conv2d<17, 33, Kernel<1>, NoBias>", nn.Conv2d(17, 33, 1, bias=False), (17, 3, 3)),
    ("Conv2d<33, 16, Kernel<1>>", nn.Conv2d(33, 16, 1), (33, 5, 5)),
    ("Conv2d<64, 20, Kernel<1>>", nn.Conv2d(64, 20, 1), (64, 9, 9)),
    ("Conv2d<5, 9, Kernel<1>, Stride<2>>", nn.Conv2d(5, 9, 1, 2), (5, 7, 8)),
    ("Conv2d<3, 5, Kernel<1>, Padding<1>>", nn.Conv2d(3, 5, 1, 1, 1), (3, 2, 3)),
    ("Conv2d<4, 6, Kernel<2>>", nn.Conv2d(4, 6, 2), (4, 5, 6)),
    ("Conv2d<1, 4, Kernel<3>>", nn.Conv2d(1, 4, 3), (1, 5, 5)),
    ("Conv2d<3, 5, Kernel<3>>", nn.Conv2d(3, 5, 3), (3, 3, 3)),
    ("Conv2d<3, 5, Kernel<3>, Padding<1>>", nn.Conv2d(3, 5, 3, 1, 1), (3, 7, 9)),
    ("Conv2d<2, 3, Kernel<3>, Padding<2>>", nn.Conv2d(2, 3, 3, 1, 2), (2, 4, 5)),
    ("Conv2d<2, 3, Kernel<3>, Padding<3>>", nn.Conv2d(2, 3, 3, 1, 3), (2, 4, 5)),
    ("Conv2d<3, 40, Kernel<3>, Padding<1>>", nn.Conv2d(3, 40, 3, 1, 1), (3, 1, 1)),
    ("Conv2d<5, 7, Kernel<3>, Stride<2>>", nn.Conv2d(5, 7, 3, 2), (5, 9, 8)),
    ("Conv2d<5, 7, Stride<2>, Padding<1>, Kernel<3>>", nn.Conv2d(5, 7, 3, 2, 1), (5, 9, 8)),
    ("Conv2d<2, 8, Kernel<3>, Stride<3>, Padding<1>>", nn.Conv2d(2, 8, 3, 3, 1), (2, 11, 10)),
    ("Conv2d<16, 31, Kernel<3>, Padding<1>>", nn.Conv2d(16, 31, 3, 1, 1), (16, 6, 5)),
    ("Conv2d<1, 64, Kernel<3>, Padding<1>>", nn.Conv2d(1, 64, 3, 1, 1), (1, 10, 10)),
    ("Conv2d<5, 32, Kernel<3>, Padding<1>>", nn.Conv2d(5, 32, 3, 1, 1), (5, 4, 37)),
    ("Conv2d<7, 35, Kernel<3>, Padding<1>>", nn.Conv2d(7, 35, 3, 1, 1), (7, 5, 13)),
    ("Conv2d<4, 6, Kernel<4>, Padding<2>, Stride<2>>", nn.Conv2d(4, 6, 4, 2, 2), (4, 7, 7)),
    ("Conv2d<4, 6, Kernel<5>, Padding<1>>", nn.Conv2d(4, 6, 5, 1, 1), (4, 9, 9)),
    ("Conv2d<4, 6, Kernel<5>, Padding<2>>", nn.Conv2d(4, 6, 5, 1, 2), (4, 8, 7)),
    ("Conv2d<8, 33, Kernel<5>, Padding<1>>", nn.Conv2d(8, 33, 5, 1, 1), (8, 10, 10)),
    ("Conv2d<1, 3, Kernel<7>, Stride<2>, Padding<3>>", nn.Conv2d(1, 3, 7, 2, 3), (1, 13, 11)),
    ("Conv2d<1, 5, Kernel<11>, Stride<4>>", nn.Conv2d(1, 5, 11, 4), (1, 27, 23)),
    (
        "Conv2d<2, 5, Kernel<3, 5>, Padding<1, 2>>",
        nn.Conv2d(2, 5, (3, 5), 1, (1, 2)),
        (2, 6, 8),
    ),
    (
        "Conv2d<3, 4, Kernel<1, 3>, Stride<1, 2>, Padding<0, 1>>",
        nn.Conv2d(3, 4, (1, 3), (1, 2), (0, 1)),
        (3, 5, 6),
    ),
    (
        "Conv2d<6, 9, Kernel<3>, Padding<1>, Groups<3>>",
        nn.Conv2d(6, 9, 3, 1, 1, groups=3),
        (6, 5, 7),
    ),
    (
        "Conv2d<4, 8, Kernel<3>, Stride<2>, Padding<1>, Groups<2>>",
        nn.Conv2d(4, 8, 3, 2, 1, groups=2),
        (4, 7, 6),
    ),
    (
        "Conv2d<4, 8, Kernel<3>, Groups<4>, NoBias>",
        nn.Conv2d(4, 8, 3, groups=4, bias=False),
        (4, 5, 5),
    ),
    (
        "Conv2d<34, 66, Kernel<1>, Groups<2>>",
        nn.Conv2d(34, 66, 1, groups=2),
        (34, 2, 3),
    ),
    (
        "Conv2d<12, 20, Kernel<5>, Padding<2>, Groups<2>>",
        nn.Conv2d(12, 20, 5, 1, 2, groups=2),
        (12, 9, 8),
    ),
    (
        "Conv2d<48, 48, Kernel<3>, Padding<1>, Groups<3>>",
        nn.Conv2d(48, 48, 3, 1, 1, groups=3),
        (48, 10, 11),
    ),
]


def depthwise(channels: int, kernel: int, stride: int, padding: int, height: int, width: int):
    return (
        f"DepthwiseConv2d<{channels}, Kernel<{kernel}>, Stride<{stride}>, Padding<{padding}>>",
        nn.Conv2d(channels, channels, kernel, stride, padding, groups=channels),
        (channels, height, width),
    )


DEPTHWISE = [
    depthwise(1, 3, 1, 1, 5, 4),
    depthwise(2, 3, 1, 1, 1, 1),
    depthwise(3, 3, 1, 0, 3, 5),
    depthwise(7, 3, 2, 1, 6, 7),
    depthwise(8, 5, 1, 2, 6, 6),
    depthwise(15, 3, 1, 1, 4, 3),
    depthwise(16, 3, 1, 1, 9, 9),
    depthwise(17, 3, 3, 1, 8, 9),
    depthwise(33, 3, 1, 2, 3, 3),
    depthwise(40, 1, 1, 0, 2, 2),
    depthwise(5, 2, 2, 0, 7, 5),
    depthwise(3, 3, 1, 3, 2, 2),
    (
        "DepthwiseConv2d<6, Kernel<3>, NoBias>",
        nn.Conv2d(6, 6, 3, groups=6, bias=False),
        (6, 4, 4),
    ),
]

POOLING = [
    ("MaxPool2d<Kernel<2>>", nn.MaxPool2d(2), (3, 4, 6)),
    ("MaxPool2d<Kernel<2>>", nn.MaxPool2d(2), (17, 5, 7)),
    ("MaxPool2d<Kernel<3>, Stride<2>>", nn.MaxPool2d(3, 2), (16, 7, 8)),
    ("MaxPool2d<Kernel<3>, Stride<2>, Padding<1>>", nn.MaxPool2d(3, 2, 1), (33, 6, 5)),
    ("MaxPool2d<Kernel<3>, Stride<1>, Padding<1>>", nn.MaxPool2d(3, 1, 1), (5, 1, 1)),
    ("MaxPool2d<Kernel<2, 3>>", nn.MaxPool2d((2, 3)), (4, 5, 8)),
    ("MaxPool2d<Kernel<1>, Stride<2>>", nn.MaxPool2d(1, 2), (8, 3, 4)),
    ("MaxPool2d<Kernel<4>, Stride<3>, Padding<2>>", nn.MaxPool2d(4, 3, 2), (2, 6, 6)),
    ("AvgPool2d<Kernel<2>>", nn.AvgPool2d(2), (3, 4, 6)),
    ("AvgPool2d<Kernel<2>>", nn.AvgPool2d(2), (17, 5, 7)),
    ("AvgPool2d<Kernel<3>, Stride<2>>", nn.AvgPool2d(3, 2), (16, 7, 8)),
    ("AvgPool2d<Kernel<3>, Stride<2>, Padding<1>>", nn.AvgPool2d(3, 2, 1), (33, 6, 5)),
    ("AvgPool2d<Kernel<3>, Stride<1>, Padding<1>>", nn.AvgPool2d(3, 1, 1), (5, 1, 1)),
    ("AvgPool2d<Kernel<2, 3>, Padding<0, 1>>", nn.AvgPool2d((2, 3), None, (0, 1)), (4, 5, 8)),
    ("AvgPool2d<Kernel<1>, Stride<2>>", nn.AvgPool2d(1, 2), (8, 3, 4)),
    ("AvgPool2d<Kernel<4>, Stride<3>, Padding<2>>", nn.AvgPool2d(4, 3, 2), (2, 6, 6)),
    ("AvgPool2d<Kernel<6>>", nn.AvgPool2d(6), (40, 6, 6)),
]


def local_response_norm(
    size: int, alpha: str, beta: str, k: str, channels: int, height: int, width: int
):
    """The numbers are fractions, as C++ writes them: "1, 10000"."""

    def value(ratio: str) -> float:
        numerator, denominator = ratio.split(", ")
        return int(numerator) / int(denominator)

    return (
        f"LocalResponseNorm<{size}, std::ratio<{alpha}>, std::ratio<{beta}>, std::ratio<{k}>>",
        nn.LocalResponseNorm(size, value(alpha), value(beta), value(k)),
        (channels, height, width),
    )


NORMS = [
    local_response_norm(5, "1, 10000", "3, 4", "2, 1", 96, 3, 4),
    local_response_norm(5, "1, 10", "3, 4", "2, 1", 33, 2, 3),
    local_response_norm(1, "2, 1", "1, 2", "1, 1", 16, 2, 2),
    local_response_norm(4, "1, 2", "1, 4", "1, 2", 17, 3, 1),
    local_response_norm(3, "1, 1", "1, 1", "1, 1", 2, 2, 5),
    local_response_norm(7, "1, 3", "2, 3", "3, 2", 9, 2, 2),
    local_response_norm(9, "1, 1", "3, 4", "1, 1", 3, 2, 2),
    local_response_norm(5, "1, 1", "0, 1", "1, 1", 6, 1, 2),
]

OTHERS = [
    ("ReLU", nn.ReLU(), (3, 4, 5)),
    ("ReLU6", nn.ReLU6(), (3, 4, 5)),
    ("BatchNorm2d<1>", nn.BatchNorm2d(1), (1, 3, 3)),
    ("BatchNorm2d<7>", nn.BatchNorm2d(7), (7, 5, 2)),
    ("BatchNorm2d<33>", nn.BatchNorm2d(33), (33, 1, 1)),
    ("Flatten", nn.Flatten(), (3, 2, 5)),
    ("Dense<1, 1>", nn.Linear(1, 1), (1,)),
    ("Dense<5, 33>", nn.Linear(5, 33), (5,)),
    ("Dense<70, 7>", nn.Linear(70, 7), (70,)),
    ("Dense<16, 32, NoBias>", nn.Linear(16, 32, bias=False), (16,)),
    ("Softmax", nn.Softmax(1), (7,)),
    ("Softmax", nn.Softmax(1), (5, 2, 3)),
]

COMPOSITIONS = [
    (
        "Sequential<Conv2d<3, 6, Kernel<3>>, ReLU>",
        nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU()),
        (3, 6, 5),
    ),
    (
        "Sequential<Conv2d<3, 6, Kernel<3>>, ReLU6>",
        nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU6()),
        (3, 6, 5),
    ),
    (
        "Sequential<Conv2d<3, 6, Kernel<3>>, BatchNorm2d<6>>",
        nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)),
        (3, 6, 5),
    ),
    (
        "Sequential<Conv2d<3, 18, Kernel<3>, NoBias>, BatchNorm2d<18>, ReLU>",
        nn.Sequential(nn.Conv2d(3, 18, 3, bias=False), nn.BatchNorm2d(18), nn.ReLU()),
        (3, 6, 5),
    ),
    (
        "Sequential<Conv2d<3, 6, Kernel<3>>, BatchNorm2d<6>, ReLU6>",
        nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU6()),
        (3, 6, 5),
    ),
    (
        "Sequential<DepthwiseConv2d<6, Kernel<3>>, BatchNorm2d<6>, ReLU6>",
        nn.Sequential(nn.Conv2d(6, 6, 3, groups=6), nn.BatchNorm2d(6), nn.ReLU6()),
        (6, 6, 5),
    ),
    (
        "Sequential<BatchNorm2d<3>, Conv2d<3, 6, Kernel<3>, Padding<1>>, ReLU, BatchNorm2d<6>>",
        nn.Sequential(
            nn.BatchNorm2d(3), nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(6)
        ),
        (3, 5, 5),
    ),
    (
        "Sequential<Flatten, Dense<30, 9>, ReLU, Dense<9, 5>, ReLU6, Dense<5, 4>, Softmax>",
        nn.Sequential(
            nn.Flatten(),
            nn.Linear(30, 9),
            nn.ReLU(),
            nn.Linear(9, 5),
            nn.ReLU6(),
            nn.Linear(5, 4),
            nn.Softmax(1),
        ),
        (3, 2, 5),
    ),
    (
        "Sequential<Conv2d<1, 3, Kernel<3>, Padding<1>>, MaxPool2d<Kernel<2>>,"
        " Conv2d<3, 9, Kernel<3>>, ReLU, Conv2d<9, 2, Kernel<1>>, ReLU, Flatten, Dense<12, 7>>",
        nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1),
            nn.MaxPool2d(2),
            nn.Conv2d(3, 9, 3),
            nn.ReLU(),
            nn.Conv2d(9, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(12, 7),
        ),
        (1, 8, 10),
    ),
    ("InvertedResidual<5, 13>", InvertedResidual(5, 13), (5, 7, 6)),
    ("InvertedResidual<16, 32>", InvertedResidual(16, 32), (16, 1, 1)),
    (
        "Sequential<InvertedResidual<4, 8>, InvertedResidual<4, 8>, MaxPool2d<Kernel<2>>>",
        nn.Sequential(InvertedResidual(4, 8), InvertedResidual(4, 8), nn.MaxPool2d(2)),
        (4, 5, 5),
    ),
    (
        "Residual<Conv2d<3, 3, Kernel<3>, Padding<1>>>",
        Residual(nn.Conv2d(3, 3, 3, padding=1)),
        (3, 4, 4),
    ),
    (
        "Residual<Sequential<Conv2d<4, 6, Kernel<3>, Stride<2>, Padding<1>>, BatchNorm2d<6>, ReLU,"
        " Conv2d<6, 6, Kernel<3>, Padding<1>>, BatchNorm2d<6>>,"
        " Sequential<Conv2d<4, 6, Kernel<1>, Stride<2>>, BatchNorm2d<6>>>",
        Residual(
            nn.Sequential(
                nn.Conv2d(4, 6, 3, 2, 1),
                nn.BatchNorm2d(6),
                nn.ReLU(),
                nn.Conv2d(6, 6, 3, 1, 1),
                nn.BatchNorm2d(6),
            ),
            nn.Sequential(nn.Conv2d(4, 6, 1, 2), nn.BatchNorm2d(6)),
        ),
        (4, 7, 6),
    ),
    (
        "Residual<Sequential<Conv2d<3, 3, Kernel<1>>, Residual<Conv2d<3, 3, Kernel<3>, Padding<1>>>"
        ", ReLU>>",
        Residual(
            nn.Sequential(nn.Conv2d(3, 3, 1), Residual(nn.Conv2d(3, 3, 3, padding=1)), nn.ReLU())
        ),
        (3, 5, 4),
    ),
    (
        "Sequential<Residual<Conv2d<3, 3, Kernel<3>, Padding<1>>>, ReLU>",
        nn.Sequential(Residual(nn.Conv2d(3, 3, 3, padding=1)), nn.ReLU()),
        (3, 5, 4),
    ),
    (
        "Sequential<Residual<Conv2d<5, 7, Kernel<3>, Stride<2>, Padding<1>>,"
        " Conv2d<5, 7, Kernel<1>, Stride<2>>>, ReLU6, BatchNorm2d<7>>",
        nn.Sequential(
            Residual(nn.Conv2d(5, 7, 3, 2, 1), nn.Conv2d(5, 7, 1, 2)),
            nn.ReLU6(),
            nn.BatchNorm2d(7),
        ),
        (5, 5, 6),
    ),
    (
        "Sequential<Dense<9, 33>, BatchNorm2d<33>, ReLU, Dense<33, 5, NoBias>, BatchNorm2d<5>>",
        nn.Sequential(
            nn.Linear(9, 33),
            nn.BatchNorm1d(33),
            nn.ReLU(),
            nn.Linear(33, 5, bias=False),
            nn.BatchNorm1d(5),
        ),
        (9,),
    ),
    (
        "Sequential<Conv2d<2, 5, Kernel<3>>, ReLU, MaxPool2d<Kernel<3>, Stride<2>>,"
        " BatchNorm2d<5>>",
        nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU(), nn.MaxPool2d(3, 2), nn.BatchNorm2d(5)),
        (2, 9, 10),
    ),
    (
        "Concatenate<Conv2d<3, 5, Kernel<1>>, MaxPool2d<Kernel<3>, Stride<1>, Padding<1>>>",
        Concatenate(nn.Conv2d(3, 5, 1), nn.MaxPool2d(3, 1, 1)),
        (3, 4, 5),
    ),
    (
        "Sequential<Concatenate<Sequential<Conv2d<4, 17, Kernel<1>>, ReLU>,"
        " Sequential<Conv2d<4, 2, Kernel<1>, NoBias>, BatchNorm2d<2>, ReLU,"
        " Conv2d<2, 6, Kernel<5>, Padding<2>>>, AvgPool2d<Kernel<3>, Stride<1>, Padding<1>>>,"
        " MaxPool2d<Kernel<2>>, Concatenate<Conv2d<27, 3, Kernel<1>>>>",
        nn.Sequential(
            Concatenate(
                nn.Sequential(nn.Conv2d(4, 17, 1), nn.ReLU()),
                nn.Sequential(
                    nn.Conv2d(4, 2, 1, bias=False),
                    nn.BatchNorm2d(2),
                    nn.ReLU(),
                    nn.Conv2d(2, 6, 5, padding=2),
                ),
                nn.AvgPool2d(3, 1, 1),
            ),
            nn.MaxPool2d(2),
            Concatenate(nn.Conv2d(27, 3, 1)),
        ),
        (4, 6, 7),
    ),
]


def randomise(module: nn.Module) -> None:
    """Statistics and scales as a trained network has them, instead of zeros and ones."""
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(layer.weight, -1.5, 1.5)
            nn.init.uniform_(layer.bias, -1, 1)
            nn.init.uniform_(layer.running_mean, -1, 1)
            nn.init.uniform_(layer.running_var, 0.01, 4)


def as_image(tensor: torch.Tensor) -> torch.Tensor:
    """C, H, W, where a flat vector has one row and column."""
    return tensor if tensor.dim() == 3 else tensor[:, None, None]


def main() -> None:
    torch.manual_seed(1)
    tensors, lines = [], []
    cases = CONVOLUTIONS + DEPTHWISE + POOLING + NORMS + OTHERS + COMPOSITIONS
    for number, (layer, module, shape) in enumerate(cases):
        module.eval()
        randomise(module)
        x = 4 * torch.randn(shape)
        parameters = {
            name: value.clone()
            for name, value in module.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        with torch.no_grad():
            y = module.double()(x.double()[None])[0]
        named = [("input", as_image(x)), *parameters.items(), ("output", as_image(y))]
        for name, value in named:
            tensors.append(NamedTensor(f"{number}.{name}", value.float().numpy()))
        input_shape = ", ".join(str(size) for size in as_image(x).shape)
        lines.append(f"LAYER_CASE({layer}, Shape<{input_shape}>)\n")
    file = WeightFile("layers", Preprocessing(1, 1, 1, 1), ("none",), tuple(tensors), ())
    file.write(HERE / "layers.mien")
    (HERE / "layer_cases.inc").write_text("// Made by make_layers.py.\n" + "".join(lines))


if __name__ == "__main__":
    main()
