"""Makes the golden data of the saliency tests: gradients by PyTorch's autograd in float64.

    python tests/data/make_saliency.py         # from a Python that has the package in tools/

Weights, inputs and the gradients at outputs are pseudo-random numbers that the tests compute again.
Images are in the order C, H, W.

saliency_layers.txt    the gradient at the layer's input; the layers are saliency_layers.inc
saliency_network.txt   those of each output of a small network with every kind of layer
saliency_mini_fer.txt  label and gradient of MiniFER's largest logit for a part of astronaut.pgm
saliency_faces.txt     for faces in noise images that a small network sees: seed; x, y, width,
                       height of a box; 1 if the histogram is equalised; 1 or 10 views; the label;
                       the absolute gradient of that label's mean logit at every pixel of the face
"""

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from make_expressions import PHOTO_SIZE, resized, views
from make_layers import Concatenate, Residual, Written, as_image
from make_networks import tiny
from mien_tools.networks.mini_fer import InvertedResidual, MiniFer
from mien_tools.preprocess import equalize_histogram, normalise
from noise import noise
from pseudo_random import pseudo_random, pseudo_random_image, pseudo_random_tensor

HERE = Path(__file__).resolve().parent

# A case's tensors have its number times this, plus 0, 1, ..., as seeds; the last two are the
# input's and that of the gradient at the output.
SEEDS_A_CASE = 1000

# Left, top and side of the part of astronaut.pgm that MiniFER sees.
FACE = (80, 40, 40)

BOXES = ((5, 6, 20, 20), (7, 3, 10, 10), (20, 2, 9, 26), (-10, -20, 70, 70))
TINY_FACE_SIZE = 10
TINY_MEAN = 0.5
TINY_STANDARD_DEVIATION = 0.25


def conv(layer: str, *arguments, shape: tuple[int, ...], **options):
    return f"Conv2d<{layer}>", nn.Conv2d(*arguments, **options), shape


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


class WithConstant(nn.Module):
    """A function of the images and a constant."""

    def __init__(self, function: Callable, *shape: int):
        super().__init__()
        self.function = function
        self.value = nn.Parameter(torch.empty(shape))

    def forward(self, x):
        return self.function(x, self.value)


def constant(cpp: str, function: Callable, *shape: int):
    sizes = cpp[cpp.index("<") + 1 : -1].split(", ")[:3]
    return cpp, WithConstant(function, *map(int, sizes)), shape


LAYERS = [
    conv("1, 1, Kernel<1>", 1, 1, 1, shape=(1, 1, 1)),
    conv("17, 33, Kernel<1>, NoBias", 17, 33, 1, bias=False, shape=(17, 3, 3)),
    conv("5, 9, Kernel<1>, Stride<2>", 5, 9, 1, 2, shape=(5, 7, 8)),
    conv("3, 5, Kernel<1>, Padding<1>", 3, 5, 1, 1, 1, shape=(3, 2, 3)),
    conv("3, 40, Kernel<3>, Padding<1>", 3, 40, 3, 1, 1, shape=(3, 1, 1)),
    conv("2, 3, Kernel<3>, Padding<3>", 2, 3, 3, 1, 3, shape=(2, 4, 5)),
    conv("2, 8, Kernel<3>, Stride<3>, Padding<1>", 2, 8, 3, 3, 1, shape=(2, 11, 10)),
    conv("16, 31, Kernel<3>, Padding<1>", 16, 31, 3, 1, 1, shape=(16, 6, 5)),
    conv("16, 16, Kernel<3>, Padding<1>", 16, 16, 3, 1, 1, shape=(16, 10, 11)),
    conv("5, 32, Kernel<3>, Padding<1>", 5, 32, 3, 1, 1, shape=(5, 4, 37)),
    conv("4, 6, Kernel<4>, Stride<2>, Padding<2>", 4, 6, 4, 2, 2, shape=(4, 7, 7)),
    conv("4, 6, Kernel<5>, Padding<1>", 4, 6, 5, 1, 1, shape=(4, 9, 9)),
    conv("1, 5, Kernel<11>, Stride<4>", 1, 5, 11, 4, shape=(1, 27, 23)),
    conv("2, 5, Kernel<3, 5>, Padding<1, 2>", 2, 5, (3, 5), 1, (1, 2), shape=(2, 6, 8)),
    conv(
        "3, 4, Kernel<1, 3>, Stride<1, 2>, Padding<0, 1>",
        *(3, 4, (1, 3), (1, 2), (0, 1)),
        shape=(3, 5, 6),
    ),
    conv("6, 9, Kernel<3>, Padding<1>, Groups<3>", 6, 9, 3, 1, 1, groups=3, shape=(6, 5, 7)),
    conv(
        "4, 8, Kernel<3>, Stride<2>, Padding<1>, Groups<2>",
        *(4, 8, 3, 2, 1),
        groups=2,
        shape=(4, 7, 6),
    ),
    conv("4, 8, Kernel<3>, Groups<4>, NoBias", 4, 8, 3, groups=4, bias=False, shape=(4, 5, 5)),
    conv("34, 66, Kernel<1>, Groups<2>", 34, 66, 1, groups=2, shape=(34, 2, 3)),
    (
        "DepthwiseConv2d<7, Kernel<3>, Stride<2>, Padding<1>>",
        nn.Conv2d(7, 7, 3, 2, 1, groups=7),
        (7, 6, 7),
    ),
    (
        "DepthwiseConv2d<17, Kernel<2, 5>, Padding<1, 3>, NoBias>",
        nn.Conv2d(17, 17, (2, 5), 1, (1, 3), groups=17, bias=False),
        (17, 4, 3),
    ),
    ("BatchNorm2d<7>", nn.BatchNorm2d(7), (7, 5, 2)),
    ("ReLU", nn.ReLU(), (3, 4, 5)),
    ("ReLU6", nn.ReLU6(), (3, 4, 5)),
    ("MaxPool2d<Kernel<2>>", nn.MaxPool2d(2), (17, 5, 7)),
    ("MaxPool2d<Kernel<3>, Stride<2>>", nn.MaxPool2d(3, 2), (16, 7, 8)),
    ("MaxPool2d<Kernel<3>, Stride<1>, Padding<1>>", nn.MaxPool2d(3, 1, 1), (5, 6, 5)),
    ("MaxPool2d<Kernel<2, 3>, Padding<0, 1>>", nn.MaxPool2d((2, 3), None, (0, 1)), (4, 5, 8)),
    ("MaxPool2d<Kernel<1>, Stride<2>>", nn.MaxPool2d(1, 2), (8, 3, 4)),
    ("AvgPool2d<Kernel<2>>", nn.AvgPool2d(2), (17, 5, 7)),
    ("AvgPool2d<Kernel<3>, Stride<2>, Padding<1>>", nn.AvgPool2d(3, 2, 1), (33, 6, 5)),
    ("AvgPool2d<Kernel<2, 3>, Padding<0, 1>>", nn.AvgPool2d((2, 3), None, (0, 1)), (4, 5, 8)),
    ("AvgPool2d<Kernel<6>>", nn.AvgPool2d(6), (5, 6, 6)),
    local_response_norm(5, "1, 10000", "3, 4", "2, 1", 96, 3, 4),
    local_response_norm(5, "1, 10", "3, 4", "2, 1", 33, 2, 3),
    local_response_norm(4, "1, 2", "1, 4", "1, 2", 17, 3, 1),
    local_response_norm(7, "1, 3", "2, 3", "3, 2", 9, 2, 2),
    local_response_norm(9, "1, 1", "1, 1", "1, 1", 3, 2, 2),
    local_response_norm(5, "1, 1", "0, 1", "1, 1", 6, 1, 2),
    ("Flatten", nn.Flatten(), (3, 2, 5)),
    ("Dense<1, 1>", nn.Linear(1, 1), (1,)),
    ("Dense<70, 7>", nn.Linear(70, 7), (70,)),
    ("Dense<5, 33, NoBias>", nn.Linear(5, 33, bias=False), (5,)),
    ("Softmax", nn.Softmax(1), (7,)),
    ("Softmax", nn.Softmax(1), (5, 2, 3)),
    (
        "Sequential<Dense<9, 33>, BatchNorm2d<33>, ReLU, Dense<33, 5>, Softmax>",
        nn.Sequential(
            nn.Linear(9, 33), nn.BatchNorm1d(33), nn.ReLU(), nn.Linear(33, 5), nn.Softmax(1)
        ),
        (9,),
    ),
    ("InvertedResidual<5, 13>", InvertedResidual(5, 13), (5, 7, 6)),
    (
        "Residual<Sequential<Conv2d<4, 6, Kernel<3>, Stride<2>, Padding<1>>, ReLU>,"
        " Conv2d<4, 6, Kernel<1>, Stride<2>>>",
        Residual(nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU()), nn.Conv2d(4, 6, 1, 2)),
        (4, 7, 6),
    ),
    (
        "Sequential<Residual<Residual<ReLU, Conv2d<3, 3, Kernel<3>, Padding<1>>>>, ReLU>",
        nn.Sequential(Residual(Residual(nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1))), nn.ReLU()),
        (3, 5, 4),
    ),
    (
        "Concatenate<Sequential<Conv2d<4, 17, Kernel<1>>, ReLU>, Concatenate<Conv2d<4, 6,"
        " Kernel<5>, Padding<2>>, AvgPool2d<Kernel<3>, Stride<1>, Padding<1>>>,"
        " MaxPool2d<Kernel<3>, Stride<1>, Padding<1>>>",
        Concatenate(
            nn.Sequential(nn.Conv2d(4, 17, 1), nn.ReLU()),
            Concatenate(nn.Conv2d(4, 6, 5, padding=2), nn.AvgPool2d(3, 1, 1)),
            nn.MaxPool2d(3, 1, 1),
        ),
        (4, 6, 7),
    ),
    ("Sigmoid", nn.Sigmoid(), (3, 4, 5)),
    ("Tanh", nn.Tanh(), (3, 4, 5)),
    ("SiLU", nn.SiLU(), (3, 4, 5)),
    ("HardSwish", nn.Hardswish(), (3, 4, 5)),
    ("HardSigmoid<>", nn.Hardsigmoid(), (3, 4, 5)),
    ("LeakyReLU<std::ratio<1, 5>>", nn.LeakyReLU(0.2), (3, 4, 5)),
    ("PReLU<7>", nn.PReLU(7), (7, 3, 4)),
    ("PReLU<1>", nn.PReLU(), (7, 3, 4)),
    ("ELU<std::ratio<7, 10>>", nn.ELU(0.7), (3, 4, 5)),
    ("SELU", nn.SELU(), (3, 4, 5)),
    ("GELU", nn.GELU(), (3, 4, 5)),
    ("TanhGELU", nn.GELU("tanh"), (3, 4, 5)),
    ("Mish", nn.Mish(), (3, 4, 5)),
    ("Clip<std::ratio<-5, 2>, std::ratio<9, 2>>", nn.Hardtanh(-2.5, 4.5), (3, 4, 5)),
    ("Softplus", nn.Softplus(), (3, 4, 5)),
    ("LogSoftmax", nn.LogSoftmax(1), (5, 2, 3)),
    conv(
        "3, 5, Kernel<3>, Padding<2, 3>, Dilation<2, 3>",
        *(3, 5, 3, 1, (2, 3), (2, 3)),
        shape=(3, 5, 6),
    ),
    (
        "Conv2d<4, 6, Kernel<3>, Stride<2>, Padding<0, 0, 1, 1>>",
        nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(4, 6, 3, 2)),
        (4, 8, 6),
    ),
    (
        "DepthwiseConv2d<5, Kernel<3>, Padding<2>, Dilation<2>>",
        nn.Conv2d(5, 5, 3, 1, 2, 2, 5),
        (5, 6, 4),
    ),
    ("MaxPool2d<Kernel<3>, Stride<2>, CeilMode>", nn.MaxPool2d(3, 2, ceil_mode=True), (5, 8, 7)),
    (
        "MaxPool2d<Kernel<3>, Stride<1>, Padding<1>, Dilation<2>>",
        nn.MaxPool2d(3, 1, 1, 2),
        (5, 6, 5),
    ),
    (
        "AvgPool2d<Kernel<3>, Stride<2>, Padding<1>, CeilMode>",
        nn.AvgPool2d(3, 2, 1, ceil_mode=True),
        (5, 6, 5),
    ),
    (
        "AvgPool2d<Kernel<3>, Stride<2>, Padding<1>, CeilMode, ExcludePadding>",
        nn.AvgPool2d(3, 2, 1, True, False),
        (5, 6, 5),
    ),
    constant("AddConstant<7, 1, 1>", lambda x, value: x + value, 7, 3, 4),
    constant("SubConstant<1, 1, 1, Reversed>", lambda x, value: value - x, 7, 3, 4),
    constant("MulConstant<1, 3, 1>", lambda x, value: x * value, 7, 3, 4),
    constant("DivConstant<7, 3, 4>", lambda x, value: x / value, 7, 3, 4),
    constant("MinConstant<7, 1, 1>", torch.minimum, 7, 3, 4),
    constant("MaxConstant<1, 3, 4>", torch.maximum, 1, 1, 4),
    (
        "Mul<Identity, Sequential<AvgPool2d<Kernel<3, 4>>, Sigmoid>>",
        Written(lambda m, x: x * m.f(x).sigmoid(), f=nn.AvgPool2d((3, 4))),
        (7, 3, 4),
    ),
    (
        "Sub<AvgPool2d<Kernel<3, 4>>, Identity>",
        Written(lambda m, x: m.f(x) - x, f=nn.AvgPool2d((3, 4))),
        (7, 3, 4),
    ),
    (
        "Div<Tanh, Softplus>",
        Written(lambda m, x: x.tanh() / m.f(x), f=nn.Softplus()),
        (5, 3, 4),
    ),
    (
        "Div<Identity, Sequential<AvgPool2d<Kernel<3, 4>>, Softplus>>",
        Written(lambda m, x: x / nn.functional.softplus(m.f(x)), f=nn.AvgPool2d((3, 4))),
        (5, 3, 4),
    ),
    (
        "Max<Identity, MaxPool2d<Kernel<3>, Stride<1>, Padding<1>>>",
        Written(lambda m, x: torch.maximum(x, m.f(x)), f=nn.MaxPool2d(3, 1, 1)),
        (5, 3, 4),
    ),
    (
        "Min<Identity, Tanh>",
        Written(lambda m, x: torch.minimum(x, x.tanh())),
        (5, 3, 4),
    ),
    ("InstanceNorm2d<5>", nn.InstanceNorm2d(5, affine=True), (5, 4, 3)),
    ("GroupNorm<2, 6, std::ratio<1, 1000>>", nn.GroupNorm(2, 6, eps=1e-3), (6, 4, 3)),
    (
        "LayerNorm2d<7>",
        Written(lambda m, x: m.f(x.movedim(1, -1)).movedim(-1, 1), f=nn.LayerNorm(7)),
        (7, 4, 3),
    ),
    ("ConvTranspose2d<3, 5, Kernel<2>, Stride<2>>", nn.ConvTranspose2d(3, 5, 2, 2), (3, 4, 3)),
    (
        "ConvTranspose2d<4, 6, Kernel<4>, Stride<2>, Padding<1>, NoBias>",
        nn.ConvTranspose2d(4, 6, 4, 2, 1, bias=False),
        (4, 3, 5),
    ),
    (
        "ConvTranspose2d<6, 4, Kernel<3>, Stride<2>, Padding<1>, OutputPadding<1, 0>, Groups<2>>",
        nn.ConvTranspose2d(6, 4, 3, 2, 1, (1, 0), 2),
        (6, 3, 4),
    ),
    (
        "ConvTranspose2d<2, 3, Kernel<3>, Stride<2, 3>, Dilation<2>>",
        nn.ConvTranspose2d(2, 3, 3, (2, 3), dilation=2),
        (2, 4, 3),
    ),
    ("AdaptiveAvgPool2d<1>", nn.AdaptiveAvgPool2d(1), (17, 5, 4)),
    ("AdaptiveAvgPool2d<3, 2>", nn.AdaptiveAvgPool2d((3, 2)), (5, 7, 5)),
    ("AdaptiveMaxPool2d<3, 2>", nn.AdaptiveMaxPool2d((3, 2)), (5, 7, 5)),
    ("Pad<1, 2, 3, 0>", nn.ZeroPad2d((3, 0, 1, 2)), (3, 4, 5)),
    ("Pad<2, 1, 3, 2, Reflect>", nn.ReflectionPad2d((3, 2, 2, 1)), (3, 3, 4)),
    ("Pad<2, 3, 1, 4, Replicate>", nn.ReplicationPad2d((1, 4, 2, 3)), (3, 2, 3)),
    (
        "Resize<Scale<std::ratio<2>, std::ratio<3, 2>>, Asymmetric>",
        nn.Upsample(scale_factor=(2.0, 1.5)),
        (3, 4, 5),
    ),
    ("Resize<ToSize<7, 9>, Bilinear>", nn.Upsample((7, 9), mode="bilinear"), (5, 3, 4)),
    (
        "Resize<Scale<std::ratio<2>>, Bilinear, AlignCorners>",
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        (9, 3, 4),
    ),
    ("ChannelShuffle<3>", nn.ChannelShuffle(3), (6, 2, 3)),
    ("PixelShuffle<2>", nn.PixelShuffle(2), (12, 2, 3)),
    ("Sequential<Unflatten<3, 2, 2>, Slice<0, 3>>", nn.Unflatten(1, (3, 2, 2)), (12,)),
]


def everything() -> nn.Module:
    """Every kind of layer; tests/test_saliency.cpp has the same in C++."""
    return nn.Sequential(
        nn.Conv2d(2, 6, (3, 5), (1, 2), (1, 2)),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.LocalResponseNorm(5, 0.5, 0.75, 1.0),
        nn.MaxPool2d(3, 2, 1),
        Concatenate(
            nn.Conv2d(6, 4, 1),
            nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(6, 6, 3, padding=1, groups=2)),
        ),
        Residual(
            nn.Sequential(nn.Conv2d(10, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
            nn.Conv2d(10, 8, 1, 2),
        ),
        nn.ReLU(),
        InvertedResidual(8, 12),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.AvgPool2d(2, 1),
        nn.Flatten(),
        nn.Linear(24, 20),
        nn.ReLU6(),
        nn.Linear(20, 5, bias=False),
        nn.Softmax(1),
    )


def with_pseudo_random_weights(module: nn.Module, case: int) -> nn.Module:
    """The module in evaluation and float64."""
    values = {}
    for name, value in module.state_dict().items():
        role = name.rsplit(".", 1)[-1]
        if role != "num_batches_tracked":
            seed = case * SEEDS_A_CASE + len(values)
            values[name] = torch.from_numpy(pseudo_random_tensor(role, tuple(value.shape), seed))
    module.load_state_dict(values, strict=False)
    return module.eval().double()


def image_of_case(case: int, shape: tuple[int, ...]) -> torch.Tensor:
    """A batch of one input that asks for its gradient."""
    image = pseudo_random_image(shape, case * SEEDS_A_CASE + SEEDS_A_CASE - 2)
    return torch.from_numpy(image)[None].double().requires_grad_()


def line(numbers: Iterable[float]) -> str:
    return " ".join(f"{number:.8g}" for number in numbers)


def layer_line(case: int, module: nn.Module, shape: tuple[int, ...]) -> str:
    module = with_pseudo_random_weights(module, case)
    x = image_of_case(case, shape)
    y = module(x)
    gradient = pseudo_random(y.numel(), case * SEEDS_A_CASE + SEEDS_A_CASE - 1)
    y.backward(torch.from_numpy(gradient).reshape(y.shape))
    return line(x.grad.flatten().tolist())


def network_line() -> str:
    module = with_pseudo_random_weights(everything(), 0)
    x = image_of_case(0, (2, 14, 13))
    gradients = [torch.autograd.grad(output, x, retain_graph=True)[0] for output in module(x)[0]]
    return line(torch.cat(gradients).flatten().tolist())


def mini_fer_line() -> str:
    module = with_pseudo_random_weights(MiniFer(), 0)
    left, top, side = FACE
    face = np.asarray(Image.open(HERE / "astronaut.pgm"))[top : top + side, left : left + side]
    x = torch.from_numpy(normalise(face, 0.0, 1.0))[None, None].double().requires_grad_()
    logits = module(x)[0]
    logits.max().backward()
    return line([logits.argmax().item(), *x.grad.flatten().tolist()])


def face_lines() -> list[str]:
    module = with_pseudo_random_weights(tiny(), 0)
    lines = []
    cases = itertools.product(enumerate(BOXES), (False, True), (1, 10))
    for (seed, (x, y, width, height)), equalized, count in cases:
        photo = noise(*PHOTO_SIZE, seed)
        side = max(width, height)
        left, top = x - (side - width) // 2, y - (side - height) // 2
        padded = np.pad(photo, 100, mode="edge")
        face = padded[top + 100 : top + 100 + side, left + 100 : left + 100 + side]
        face = resized(face, TINY_FACE_SIZE)
        if equalized:
            face = equalize_histogram(face)
        inputs = normalise(face, TINY_MEAN, TINY_STANDARD_DEVIATION)
        inputs = torch.from_numpy(inputs).double().requires_grad_()
        # The views' pixels by their place in the face.
        places = views(np.arange(face.size).reshape(face.shape), 8, count)
        logits = module(inputs.flatten()[torch.from_numpy(places)][:, None]).mean(0)
        logits.max().backward()
        case = [seed, x, y, width, height, int(equalized), count, logits.argmax().item()]
        lines.append(line([*case, *inputs.grad.abs().flatten().tolist()]))
    return lines


def main() -> None:
    cases, lines = ["// Made by make_saliency.py."], []
    for number, (layer, module, shape) in enumerate(LAYERS):
        lines.append(layer_line(number, module, shape))
        input_shape = ", ".join(str(size) for size in as_image(torch.empty(shape)).shape)
        cases.append(f"LAYER_CASE({layer}, Shape<{input_shape}>)")
    for name, content in (
        ("saliency_layers.inc", cases),
        ("saliency_layers.txt", lines),
        ("saliency_network.txt", [network_line()]),
        ("saliency_mini_fer.txt", [mini_fer_line()]),
        ("saliency_faces.txt", face_lines()),
    ):
        (HERE / name).write_text("\n".join(content) + "\n")


if __name__ == "__main__":
    main()
