"""Modules of PyTorch, in many forms, to layers, and what cannot become layers to messages."""

import operator
import re
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from random_networks import INPUT_SHAPE, RandomNetwork
from torch import Tensor, nn

from mien_tools.graph import Graph, Output
from mien_tools.header import cpp_type
from mien_tools.pytorch import TraceError, import_module, named_outputs, trace

IMAGE = (2, 8, 6)


class Forward(nn.Module):
    """A module whose forward is a function of itself and its input."""

    def __init__(self, function: Callable[..., object], **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> object:
        return self.function(self, x)


def type_of(module: nn.Module, shape: tuple[int, ...] = IMAGE) -> str:
    """The traced graph as one C++ type."""
    return cpp_type(trace(module, shape))


def message_of(module: nn.Module, shape: tuple[int, int, int] = IMAGE) -> str:
    with pytest.raises(TraceError) as error:
        trace(module, shape)
    return str(error.value)


def conv(channels: int = 2, out_channels: int = 2, **options: object) -> nn.Conv2d:
    return nn.Conv2d(channels, out_channels, 3, padding=1, **options)


CONV = "Conv2d<2, 2, Kernel<3>, Padding<1>>"
NORM_CONV = f"Sequential<{CONV}, BatchNorm2d<2>>"


def assert_same(module: nn.Module, *shapes: tuple[int, ...], tolerance: float = 1e-12) -> Graph:
    """The graph computes what the module does, and knows the shapes of what comes out."""
    shapes = shapes or (IMAGE,)
    module = module.double().eval()
    imported = import_module(module, shapes)
    graph = imported.graph
    images = [torch.randn(3, *shape, dtype=torch.float64) for shape in shapes]
    with torch.no_grad():
        expected = named_outputs(module(*(image.clone() for image in images)))
    assert [output.name for output in graph.outputs] == list(expected)
    tensors = {name: torch.from_numpy(values.copy()) for name, values in imported.tensors.items()}
    graph.check("imported", {name: tuple(values.shape) for name, values in tensors.items()})
    with torch.no_grad():
        outputs = graph.run_outputs([as_image(image) for image in images], tensors)
    for output, tensor in zip(outputs, expected.values(), strict=True):
        torch.testing.assert_close(output.view(tensor.shape), tensor, rtol=0, atol=tolerance)
    assert [tuple(output.shape[1:]) for output in outputs] == graph.output_shapes()
    return graph


def as_image(batch: Tensor) -> Tensor:
    """Vectors and rows as Mien holds them."""
    if batch.dim() == 2:
        return batch[..., None, None]
    return batch[:, :, None, :] if batch.dim() == 3 else batch


LAYERS = {
    "convolution": (conv(), CONV),
    "every option of a convolution": (
        nn.Conv2d(2, 4, (3, 1), stride=(2, 1), padding=(1, 2), groups=2, bias=False),
        "Conv2d<2, 4, Kernel<3, 1>, Stride<2, 1>, Padding<1, 2>, Groups<2>, NoBias>",
    ),
    "depthwise convolution": (nn.Conv2d(2, 2, 3, groups=2), "DepthwiseConv2d<2, Kernel<3>>"),
    "padding='same'": (
        nn.Conv2d(2, 2, (3, 5), padding="same"),
        "Conv2d<2, 2, Kernel<3, 5>, Padding<1, 2>>",
    ),
    "padding='valid'": (nn.Conv2d(2, 2, 3, padding="valid"), "Conv2d<2, 2, Kernel<3>>"),
    "batch normalisation": (nn.BatchNorm2d(2), "BatchNorm2d<2>"),
    "max pooling": (nn.MaxPool2d(2), "MaxPool2d<Kernel<2>>"),
    "every option of max pooling": (
        nn.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 0)),
        "MaxPool2d<Kernel<3, 2>, Stride<2, 1>, Padding<1, 0>>",
    ),
    "F.max_pool2d": (
        Forward(lambda m, x: F.max_pool2d(x, 3, 1)),
        "MaxPool2d<Kernel<3>, Stride<1>>",
    ),
    "F.max_pool2d without stride": (
        Forward(lambda m, x: F.max_pool2d(x, kernel_size=(3, 2))),
        "MaxPool2d<Kernel<3, 2>>",
    ),
    "torch.max_pool2d": (Forward(lambda m, x: torch.max_pool2d(x, 2)), "MaxPool2d<Kernel<2>>"),
    "a kernel as large as the image": (
        Forward(lambda m, x: F.max_pool2d(x, (x.shape[2], x.size(3)))),
        "MaxPool2d<Kernel<8, 6>>",
    ),
    "average pooling": (nn.AvgPool2d(2), "AvgPool2d<Kernel<2>>"),
    "every option of average pooling": (
        nn.AvgPool2d((3, 2), stride=(2, 1), padding=(1, 0)),
        "AvgPool2d<Kernel<3, 2>, Stride<2, 1>, Padding<1, 0>>",
    ),
    "average pooling without padding to count": (
        nn.AvgPool2d(3, 1, count_include_pad=False),
        "AvgPool2d<Kernel<3>, Stride<1>>",
    ),
    "F.avg_pool2d": (
        Forward(lambda m, x: F.avg_pool2d(x, (4, 3), padding=1)),
        "AvgPool2d<Kernel<4, 3>, Padding<1>>",
    ),
    "global average pooling": (nn.AdaptiveAvgPool2d(1), "AdaptiveAvgPool2d<1>"),
    "adaptive average pooling in equal windows": (
        nn.AdaptiveAvgPool2d((2, None)),
        "AdaptiveAvgPool2d<2, 6>",
    ),
    "F.adaptive_avg_pool2d": (
        Forward(lambda m, x: F.adaptive_avg_pool2d(x, (1, 3))),
        "AdaptiveAvgPool2d<1, 3>",
    ),
    "local response normalisation": (
        nn.LocalResponseNorm(5, k=2.0),
        "LocalResponseNorm<5, std::ratio<1, 10000>, std::ratio<3, 4>, std::ratio<2>>",
    ),
    "F.local_response_norm": (
        Forward(lambda m, x: F.local_response_norm(x, 2, 0.3, beta=0.5)),
        "LocalResponseNorm<2, std::ratio<3, 10>, std::ratio<1, 2>, std::ratio<1>>",
    ),
    "F.relu": (Forward(lambda m, x: F.relu(x)), "ReLU"),
    "F.relu by name": (Forward(lambda m, x: F.relu(input=x, inplace=True)), "ReLU"),
    "torch.relu": (Forward(lambda m, x: torch.relu(x)), "ReLU"),
    "x.relu_()": (Forward(lambda m, x: x.relu_()), "ReLU"),
    "nn.ReLU6": (nn.ReLU6(), "ReLU6"),
    "F.relu6": (Forward(lambda m, x: F.relu6(x)), "ReLU6"),
    "nn.Hardtanh(0, 6)": (nn.Hardtanh(0, 6), "ReLU6"),
    "F.hardtanh": (Forward(lambda m, x: F.hardtanh(x, 0.0, max_val=6.0)), "ReLU6"),
    "softmax of images": (nn.Softmax(dim=1), "Softmax"),
    "nn.Flatten": (nn.Flatten(), "Flatten"),
    "x.flatten(1)": (Forward(lambda m, x: x.flatten(1)), "Flatten"),
    "torch.flatten": (Forward(lambda m, x: torch.flatten(x, start_dim=1)), "Flatten"),
    "x.view": (Forward(lambda m, x: x.view(x.size(0), -1)), "Flatten"),
    "x.reshape": (Forward(lambda m, x: x.reshape(-1, 2 * 8 * 6)), "Flatten"),
    "torch.reshape": (Forward(lambda m, x: torch.reshape(x, (x.shape[0], -1))), "Flatten"),
}


class UntouchedConv2d(nn.Conv2d):
    """Derived, but computes what nn.Conv2d does."""


class ScaledConv2d(nn.Conv2d):
    """Computes something else."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * 2, self.bias)


@pytest.mark.parametrize("case", LAYERS)
def test_layers(case: str) -> None:
    module, expected = LAYERS[case]
    module = nn.Sequential(module)
    assert type_of(module) == expected
    assert_same(module)


def test_flat_layers() -> None:
    module = nn.Sequential(
        nn.Flatten(),
        nn.Linear(96, 5),
        nn.BatchNorm1d(5),
        nn.Linear(5, 3, bias=False),
        nn.Softmax(1),
    )
    expected = "Sequential<Flatten, Dense<96, 5>, BatchNorm2d<5>, Dense<5, 3, NoBias>, Softmax>"
    assert type_of(module) == expected
    assert_same(module)
    for softmax in (
        lambda m, x: F.softmax(x.flatten(1), dim=-1),
        lambda m, x: torch.softmax(x.flatten(1), 1),
        lambda m, x: x.flatten(1).softmax(dim=1),
    ):
        assert type_of(Forward(softmax)) == "Sequential<Flatten, Softmax>"


def test_sources_are_qualified_names() -> None:
    inner = nn.Sequential(conv(), nn.Sequential(nn.BatchNorm2d(2), nn.Identity(), conv()))
    module = Forward(lambda m, x: m.second(m.first(x)), second=inner, first=conv())
    nodes = trace(module, IMAGE).nodes
    assert [node.name for node in nodes] == ["first", "second.0", "second.1.0", "second.1.2"]
    assert nodes[1].tensors == ("second.0.weight", "second.0.bias")


def test_what_does_nothing_in_evaluation_vanishes() -> None:
    module = nn.Sequential(
        nn.Dropout(0.5),
        nn.Dropout2d(inplace=True),
        nn.Identity(),
        conv(),
        nn.AlphaDropout(),
        nn.FeatureAlphaDropout(),
        Forward(lambda m, x: F.dropout(x, 0.5, m.training)),
        Forward(lambda m, x: F.dropout2d(x, training=m.training).contiguous()),
        Forward(lambda m, x: F.alpha_dropout(x, training=m.training)),
        Forward(lambda m, x: x.view(x.shape)),
    )
    assert type_of(module.train()) == CONV
    assert module.training and module[0].training


def test_code_that_does_not_reach_the_output_vanishes() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        auxiliary = torch.sigmoid(m.auxiliary(x)).mean()
        x = m.conv(x)
        if m.training:
            x = x + auxiliary
        return x

    assert type_of(Forward(forward, conv=conv(), auxiliary=conv())) == CONV


def test_derived_classes_are_what_they_compute() -> None:
    module = nn.Sequential(UntouchedConv2d(2, 2, 3, padding=1))
    assert type_of(module) == CONV
    # Its weights, as it computes them.
    assert type_of(nn.Sequential(ScaledConv2d(2, 2, 3))) == "Conv2d<2, 2, Kernel<3>>"
    assert_same(nn.Sequential(ScaledConv2d(2, 2, 3)))


SKIP = f"Residual<{CONV}>"
POOL = "MaxPool2d<Kernel<3>, Stride<1>, Padding<1>>"
GRAPHS = {
    "x + f(x)": (lambda m, x: x + m.f(x), SKIP),
    "f(x) + x": (lambda m, x: m.f(x) + x, SKIP),
    "torch.add": (lambda m, x: torch.add(x, m.f(x)), SKIP),
    "torch.add by name": (lambda m, x: torch.add(input=m.f(x), other=x), SKIP),
    "x.add": (lambda m, x: m.f(x).add(x), SKIP),
    "x.add_": (lambda m, x: m.f(x).add_(x), SKIP),
    "operator.iadd": (lambda m, x: operator.iadd(m.f(x), x), SKIP),
    "f(x) + g(x)": (lambda m, x: m.f(x) + m.g(x), f"Residual<{CONV}, {NORM_CONV}>"),
    "g(x) + f(x)": (lambda m, x: m.g(x) + m.f(x), f"Residual<{NORM_CONV}, {CONV}>"),
    "nested": (
        lambda m, x: F.relu(x + m.h(F.relu(m.f(x) + m.g(x)))),
        f"Sequential<Residual<Sequential<Residual<{CONV}, {NORM_CONV}>, ReLU, {CONV}>>, ReLU>",
    ),
    "nested in the shortcut": (
        lambda m, x: m.h(x) + (x + m.f(x)),
        f"Residual<{CONV}, Residual<{CONV}>>",
    ),
    "three terms": (lambda m, x: x + m.f(x) + m.h(x), f"Residual<Residual<{CONV}>, {CONV}>"),
    "the input again": (lambda m, x: x + (x + m.f(x)), f"Residual<Residual<{CONV}>>"),
    "torch.cat": (
        lambda m, x: torch.cat((m.f(x), m.g(x), m.pool(x)), dim=1),
        f"Concatenate<{CONV}, {NORM_CONV}, {POOL}>",
    ),
    "torch.cat of a list": (
        lambda m, x: torch.cat([m.pool(x), m.f(x)], 1),
        f"Concatenate<{POOL}, {CONV}>",
    ),
    "torch.concat by name": (
        lambda m, x: torch.concat(dim=-3, tensors=[m.f(x), m.h(x)]),
        f"Concatenate<{CONV}, {CONV}>",
    ),
    "torch.concatenate along an axis": (
        lambda m, x: torch.concatenate((m.f(x), m.h(x)), axis=1),
        f"Concatenate<{CONV}, {CONV}>",
    ),
    "a concatenation in a sum": (
        lambda m, x: x + m.narrow(torch.cat((m.f(x), m.h(x)), dim=1)),
        f"Residual<Sequential<Concatenate<{CONV}, {CONV}>, Conv2d<4, 2, Kernel<1>>>>",
    ),
    "a concatenation of sums": (
        lambda m, x: torch.cat((x + m.f(x), m.h(x) + m.f(x)), dim=1),
        # The same convolution of the same value is computed once.
        f"Sequential<Mark<1>, {CONV}, Mark<2>, Add<Identity, From<1>>, Mark<3>, From<1>, {CONV}, "
        "Add<Identity, From<2>>, Concatenate<From<3>, Identity>>",
    ),
    "concatenations in one another": (
        lambda m, x: torch.cat((torch.cat((m.f(x), m.pool(x)), dim=1), m.h(x)), dim=1),
        f"Concatenate<{CONV}, {POOL}, {CONV}>",
    ),
    "with the input": (
        lambda m, x: torch.cat((x, m.f(x)), dim=1),
        f"Concatenate<Identity, {CONV}>",
    ),
    "twice the same": (
        lambda m, x: torch.cat((x, x), dim=1),
        "Concatenate<Identity, Identity>",
    ),
    # What a tree of branches cannot say.
    "crossing": (
        lambda m, x: (lambda a, b: (a + b) + a)(m.f(x), m.h(x)),
        f"Sequential<Mark<1>, {CONV}, Mark<2>, From<1>, {CONV}, Add<From<2>, Identity>, "
        "Add<Identity, From<2>>>",
    ),
    "crossing in a branch": (
        lambda m, x: x + (lambda a, b: (a + b) + a)(m.f(x), m.h(x)),
        f"Residual<Sequential<Mark<1>, {CONV}, Mark<2>, From<1>, {CONV}, Add<From<2>, Identity>, "
        "Add<Identity, From<2>>>>",
    ),
    "one value in two sums": (
        lambda m, x: (lambda a: (a + m.h(a)) + (a + x))(m.f(x)),
        f"Sequential<Mark<1>, {CONV}, Mark<2>, {SKIP}, Mark<3>, "
        "Add<From<2>, From<1>>, Add<From<3>, Identity>>",
    ),
    "a sum used twice": (
        lambda m, x: (lambda y: torch.cat((y, m.h(y)), dim=1))(x + m.f(x)),
        f"Sequential<{SKIP}, Concatenate<Identity, {CONV}>>",
    ),
}


def module_of(forward: Callable[..., object]) -> nn.Module:
    return Forward(
        forward,
        f=conv(),
        g=nn.Sequential(conv(), nn.BatchNorm2d(2)),
        h=conv(),
        pool=nn.MaxPool2d(3, stride=1, padding=1),
        narrow=nn.Conv2d(4, 2, 1),
    )


@pytest.mark.parametrize("case", GRAPHS)
def test_graphs(case: str) -> None:
    forward, expected = GRAPHS[case]
    assert type_of(module_of(forward)) == expected
    assert_same(module_of(forward))


def test_flat_vectors_are_joined() -> None:
    module = Forward(
        lambda m, x: (lambda y: torch.cat((m.f(y), m.g(y)), dim=-1))(x.flatten(1)),
        f=nn.Linear(96, 2),
        g=nn.Linear(96, 3),
    )
    assert type_of(module) == "Sequential<Flatten, Concatenate<Dense<96, 2>, Dense<96, 3>>>"
    assert trace(module, IMAGE).output_shapes() == [(5, 1, 1)]


def test_residuals_one_after_the_other() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        for _ in range(20):
            x = x + m.f(x)
        return x

    assert type_of(Forward(forward, f=conv())) == f"Sequential<{', '.join([SKIP] * 20)}>"


OUTPUTS = {
    "a map": (lambda m, x: m.f(x), ["output"]),
    "a tuple": (lambda m, x: (m.f(x), m.h(x).flatten(1)), ["output0", "output1"]),
    "a list": (lambda m, x: [m.f(x), F.relu(m.f(x)), x], ["output0", "output1", "output2"]),
    "one in a list": (lambda m, x: [m.f(x)], ["output0"]),
    "a dictionary": (
        lambda m, x: {"scores": m.f(x), "boxes": m.h(m.f(x))},
        ["scores", "boxes"],
    ),
    "a named tuple": (lambda m, x: Heads(m.h(x), m.f(x)), ["near", "far"]),
    "the same twice": (lambda m, x: {"a": m.pool(x), "b": m.pool(x), "c": x}, ["a", "b", "c"]),
}


class Heads(NamedTuple):
    near: Tensor
    far: Tensor


@pytest.mark.parametrize("case", OUTPUTS)
def test_several_outputs(case: str) -> None:
    forward, names = OUTPUTS[case]
    graph = trace(module_of(forward), IMAGE)
    assert [output.name for output in graph.outputs] == names
    assert_same(module_of(forward))


def test_an_output_may_be_used_further() -> None:
    graph = trace(module_of(lambda m, x: (lambda y: (y, m.h(y)))(m.f(x))), IMAGE)
    assert graph.outputs == (Output(1, "output0"), Output(2, "output1"))
    assert [node.inputs for node in graph.nodes] == [(0,), (1,)]


def test_an_in_place_layer_changes_its_input_for_later_use() -> None:
    module = Forward(
        lambda m, x: (lambda y: m.g(m.relu(y)) + y)(m.f(x)),
        f=conv(),
        g=conv(),
        relu=nn.ReLU(inplace=True),
    )
    assert type_of(module) == f"Sequential<{CONV}, ReLU, {SKIP}>"
    not_in_place = Forward(module.function, f=conv(), g=conv(), relu=nn.ReLU())
    assert type_of(not_in_place) == f"Sequential<{CONV}, Residual<Sequential<ReLU, {CONV}>>>"


def test_a_module_used_twice_is_two_nodes_that_share_its_tensors() -> None:
    first, _, second = trace(Forward(lambda m, x: m.f(F.relu(m.f(x))), f=conv()), IMAGE).nodes
    assert first.name == second.name == "f"
    assert first.tensors == second.tensors == ("f.weight", "f.bias")


def test_arguments_with_defaults_are_constants() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f = conv()

        def forward(self, x: Tensor, mask: Tensor | None = None, twice: bool = True) -> Tensor:
            if mask is not None:
                x = x * mask
            return self.f(self.f(x)) if twice else self.f(x)

    assert type_of(Masked()) == f"Sequential<{CONV}, {CONV}>"


@pytest.mark.parametrize("seed", range(10))
def test_random_networks_compute_the_same(seed: int) -> None:
    module = RandomNetwork(seed).double()
    for submodule in module.modules():
        if isinstance(submodule, (nn.BatchNorm1d, nn.BatchNorm2d)):
            submodule.eps = 1e-5
    assert_same(module, INPUT_SHAPE, tolerance=1e-10)


class SqueezeExcitation(nn.Module):
    """Hu et al., arXiv 1709.01507, with the channels' factors made by dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Linear(8, 2), nn.Linear(2, 8)

    def forward(self, x: Tensor) -> Tensor:
        factors = self.excite(F.relu(self.squeeze(x.mean((2, 3))))).sigmoid()
        return x * factors[:, :, None, None]


def shuffled(m: nn.Module, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def channels_last(m: nn.Module, x: Tensor) -> Tensor:
    """As in ConvNeXt (Liu et al., arXiv 2201.03545)."""
    y = m.norm(x.permute(0, 2, 3, 1))
    y = m.second(F.gelu(m.first(y))) * m.gamma.weight
    return x + y.permute(0, 3, 1, 2)


PLACE = (8, 6, 5)
# Module, the layers that are expected, the inputs' shapes.
FORMS = {
    "dilation": (nn.Conv2d(8, 4, 3, dilation=2), "Conv2d", PLACE),
    "padding='same', dilated": (nn.Conv2d(8, 4, 3, padding="same", dilation=2), "Conv2d", PLACE),
    "padding of an even kernel": (nn.Conv2d(8, 4, 2, padding="same"), None, PLACE),
    "padding mode": (nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"), "Pad Conv2d", PLACE),
    "transposed": (
        nn.ConvTranspose2d(8, 3, 3, 2, 1, output_padding=1, groups=1),
        "ConvTranspose2d",
        PLACE,
    ),
    "transposed in groups": (nn.ConvTranspose2d(8, 6, 4, 2, 1, groups=2), "ConvTranspose2d", PLACE),
    "a row": (
        nn.Sequential(nn.Conv1d(4, 6, 3, padding=1), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2)),
        "Conv2d BatchNorm2d ReLU MaxPool2d",
        (4, 10),
    ),
    "ceil mode": (nn.MaxPool2d(3, 2, ceil_mode=True), "MaxPool2d", PLACE),
    "dilated pooling": (nn.MaxPool2d(2, 1, dilation=2), "MaxPool2d", PLACE),
    "padding that does not count": (
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        "AvgPool2d",
        PLACE,
    ),
    "adaptive pooling": (nn.AdaptiveAvgPool2d((4, 3)), "AdaptiveAvgPool2d", PLACE),
    "adaptive max pooling": (nn.AdaptiveMaxPool2d((4, 3)), "AdaptiveMaxPool2d", PLACE),
    "mean": (Forward(lambda m, x: x.mean((2, 3))), "AdaptiveAvgPool2d", PLACE),
    "mean of columns": (Forward(lambda m, x: x.mean(2, True)), "AdaptiveAvgPool2d", PLACE),
    "mean of channels": (Forward(lambda m, x: x.mean(1, True)), "Conv2d", PLACE),
    "largest": (Forward(lambda m, x: x.amax((2, 3))), "AdaptiveMaxPool2d", PLACE),
    "squeeze and excitation": (
        SqueezeExcitation(),
        "AdaptiveAvgPool2d Dense ReLU Dense Sigmoid Mul",
        PLACE,
    ),
    "channel shuffle": (Forward(shuffled), "ChannelShuffle", PLACE),
    "nn.ChannelShuffle": (nn.ChannelShuffle(4), "ChannelShuffle", PLACE),
    "pixel shuffle": (nn.PixelShuffle(2), "PixelShuffle", PLACE),
    "chunks": (
        Forward(lambda m, x: torch.cat(x.chunk(2, 1)[::-1], 1)),
        "Slice Slice Concatenate",
        PLACE,
    ),
    "slice": (Forward(lambda m, x: x[:, 2:5] + x[:, 5:]), "Slice Slice Add", PLACE),
    "channels last": (
        Forward(
            channels_last,
            norm=nn.LayerNorm(8),
            first=nn.Linear(8, 16),
            second=nn.Linear(16, 8),
            gamma=nn.LayerNorm(8),
        ),
        "LayerNorm2d Conv2d GELU Conv2d Mul Add",
        PLACE,
    ),
    "input scaling": (
        Forward(lambda m, x: (x - 0.5) * 2 / (1 + torch.arange(8).double().view(1, 8, 1, 1))),
        "Sub Mul Div",
        PLACE,
    ),
    "from a constant": (Forward(lambda m, x: 1 - x), "Sub", PLACE),
    "weighted sum": (Forward(lambda m, x: torch.add(x, F.relu(x), alpha=2)), "ReLU Mul Add", PLACE),
    "broadcast sum": (
        Forward(lambda m, x: x + F.max_pool2d(x, (6, 5))),
        "MaxPool2d Add",
        PLACE,
    ),
    "doubled": (Forward(lambda m, x: x + x), "Add", PLACE),
    "product, minimum, maximum": (
        Forward(lambda m, x: torch.max(torch.min(x, F.relu(x)), 0.1 * x)),
        None,
        PLACE,
    ),
    "sigmoid": (nn.Sigmoid(), "Sigmoid", PLACE),
    "tanh": (nn.Tanh(), "Tanh", PLACE),
    "SiLU": (nn.SiLU(), "SiLU", PLACE),
    "x * sigmoid(x)": (Forward(lambda m, x: x * x.sigmoid()), "SiLU", PLACE),
    "hard swish": (nn.Hardswish(), "HardSwish", PLACE),
    "hard swish in parts": (
        Forward(lambda m, x: x * F.relu6(x + 3) / 6),
        "HardSwish",
        PLACE,
    ),
    "hard sigmoid": (nn.Hardsigmoid(), "HardSigmoid", PLACE),
    "leaky": (nn.LeakyReLU(0.2), "LeakyReLU", PLACE),
    "PReLU": (nn.PReLU(8), "PReLU", PLACE),
    "PReLU with one slope": (nn.PReLU(), "PReLU", PLACE),
    "ELU": (nn.ELU(0.7), "ELU", PLACE),
    "SELU": (nn.SELU(), "SELU", PLACE),
    "GELU": (nn.GELU(), "GELU", PLACE),
    "GELU by tanh": (nn.GELU("tanh"), "GELU", PLACE),
    "Mish": (nn.Mish(), "Mish", PLACE),
    "softplus": (nn.Softplus(), "Softplus", PLACE),
    "clamp": (Forward(lambda m, x: x.clamp(-1, 1)), "Clip", PLACE),
    "log softmax": (nn.LogSoftmax(1), "LogSoftmax", PLACE),
    "softmax of channels": (nn.Softmax2d(), "Softmax", PLACE),
    "group norm": (nn.GroupNorm(2, 8), "GroupNorm", PLACE),
    "instance norm": (nn.InstanceNorm2d(8, affine=True), "InstanceNorm2d", PLACE),
    "layer norm of channels": (
        Forward(
            lambda m, x: m.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), norm=nn.LayerNorm(8)
        ),
        "LayerNorm2d",
        PLACE,
    ),
    "F.batch_norm": (
        Forward(
            lambda m, x: F.batch_norm(x, m.b.running_mean, m.b.running_var, m.b.weight, m.b.bias),
            b=nn.BatchNorm2d(8),
        ),
        "BatchNorm2d",
        PLACE,
    ),
    "nearest": (Forward(lambda m, x: F.interpolate(x, scale_factor=2)), "Resize", PLACE),
    "bilinear": (
        Forward(lambda m, x: F.interpolate(x, size=(9, 7), mode="bilinear")),
        "Resize",
        PLACE,
    ),
    "bilinear, corners aligned": (
        Forward(lambda m, x: F.interpolate(x, size=(9, 7), mode="bilinear", align_corners=True)),
        "Resize",
        PLACE,
    ),
    "zero padding": (nn.ZeroPad2d((1, 2, 0, 3)), "Pad", PLACE),
    "reflection padding": (nn.ReflectionPad2d(2), "Pad", PLACE),
    "replication padding": (nn.ReplicationPad2d((1, 0, 2, 1)), "Pad", PLACE),
    "a decoder": (
        nn.Sequential(
            nn.Linear(6, 12), nn.ReLU(), nn.Unflatten(1, (3, 2, 2)), nn.ConvTranspose2d(3, 2, 2, 2)
        ),
        "Dense ReLU Unflatten ConvTranspose2d",
        (6,),
    ),
    "weight norm": (nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 2, 3)), "Conv2d", PLACE),
    "spectral norm": (nn.utils.spectral_norm(nn.Conv2d(8, 2, 3)), "Conv2d", PLACE),
    "local response normalisation of an even size": (
        nn.LocalResponseNorm(4),
        "LocalResponseNorm",
        PLACE,
    ),
    "own parameter": (
        Forward(lambda m, x: F.conv2d(x, m.f.weight), f=nn.Conv2d(8, 2, 3)),
        "Conv2d",
        PLACE,
    ),
    "softmax along rows": (nn.Softmax(dim=2), None, PLACE),
    "softmax along columns": (nn.LogSoftmax(dim=3), None, PLACE),
    "a norm of a row": (nn.LayerNorm(5), None, PLACE),
    "a norm of all": (nn.LayerNorm(PLACE), None, PLACE),
    "joined along rows": (
        Forward(lambda m, x: torch.cat((F.relu(x), F.avg_pool2d(x, (2, 1))), dim=2)),
        None,
        PLACE,
    ),
    "joined along columns": (
        Forward(lambda m, x: torch.cat((F.relu(x), x), dim=3)),
        None,
        PLACE,
    ),
    "a matrix on columns": (nn.Linear(5, 3), None, PLACE),
    "channels and columns exchanged": (Forward(lambda m, x: x.permute(0, 3, 2, 1)), None, PLACE),
    "rows first": (Forward(lambda m, x: F.relu(x.permute(0, 2, 1, 3))), None, PLACE),
    "columns, channels, rows": (Forward(lambda m, x: x.permute(0, 3, 1, 2)), None, PLACE),
    "softmax as its definition": (
        Forward(lambda m, x: (e := x.exp()) / e.sum(1, keepdim=True)),
        "Softmax",
        PLACE,
    ),
    "the logarithm of softmax as its definition": (
        Forward(lambda m, x: (y := x - x.amax(1, keepdim=True)) - y.exp().sum(1, True).log()),
        "LogSoftmax",
        PLACE,
    ),
    "leaky as a choice": (
        Forward(lambda m, x: torch.where(x < 0, x * 0.25, x)),
        "LeakyReLU",
        PLACE,
    ),
    "ELU as a choice": (
        Forward(lambda m, x: torch.where(x > 0, x, 0.5 * (x.exp() - 1))),
        "ELU",
        PLACE,
    ),
    "no layer at all": (nn.Identity(), "Slice", PLACE),
    "shapes decide": (
        Forward(lambda m, x: x[:, :4] if x.shape[2] > 5 else F.relu(x)),
        "Slice",
        PLACE,
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_forms(case: str) -> None:
    module, layers, shape = FORMS[case]
    for submodule in module.modules():
        if isinstance(submodule, nn.BatchNorm2d):
            nn.init.uniform_(submodule.running_var, 0.5, 2)
    graph = assert_same(module, shape, tolerance=1e-8)
    if layers is not None:
        assert [node.layer for node in graph.nodes] == layers.split()


def test_several_inputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f = nn.Conv2d(3, 8, 1)

        def forward(self, image: Tensor, mask: Tensor) -> Tensor:
            return self.f(image) * mask

    graph = assert_same(Two(), (3, 6, 5), (1, 6, 5))
    assert [entry.name for entry in graph.inputs] == ["image", "mask"]
    assert [entry.shape for entry in graph.inputs] == [(3, 6, 5), (1, 6, 5)]


def test_any_size() -> None:
    module = Forward(
        lambda m, x: F.interpolate(m.f(x), scale_factor=2) + F.interpolate(x, scale_factor=2),
        f=conv(),
    )
    graph = trace(module, (2, None, None))
    assert graph.inputs[0].shape == (2, None, None)
    assert graph.output_shapes([(2, 8, 6)]) == [(2, 16, 12)]
    with pytest.raises(TraceError, match="expected the same layer for images of .*; give --input"):
        trace(Forward(lambda m, x: F.max_pool2d(x, x.shape[2:])), (2, None, None))


REFUSED = {
    "batches joined": (
        Forward(lambda m, x: torch.cat((F.relu(x), F.relu6(x)), dim=0)),
        r"\(Concat\), .*test_pytorch.py:\d+: expected each image by itself, found a concatenation",
    ),
    "softmax over the batch": (nn.Softmax(dim=0), r"0' \(Softmax\).*: expected each image by itse"),
    "flattened with the batch": (
        Forward(lambda m, x: x.reshape(-1, 6)),
        r"\(Reshape\).*: expected the batch first, found sizes 16 x 6 of one image",
    ),
    "dropout that never rests": (
        Forward(lambda m, x: F.dropout(x, 0.5)),
        r"\(Dropout\).*: expected no dropout in evaluation, found",
    ),
    "another operator": (Forward(lambda m, x: x.cumsum(2)), r"\(CumSum\), .*found CumSum"),
    "what PyTorch does not export": (
        Forward(lambda m, x: torch.special.i0(x)),
        r"expected what PyTorch can export to ONNX, found .*i0",
    ),
    "steps": (Forward(lambda m, x: x[:, :, ::2]), r"\(Slice\).*without steps, found step 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_layers_are_named(case: str) -> None:
    module, pattern = REFUSED[case]
    message = message_of(nn.Sequential(module))
    assert re.search(pattern, message), message


def test_a_place_is_module_operator_file_and_line() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(conv(), nn.Sequential(nn.Softmax(0)))

        def forward(self, x: Tensor) -> Tensor:
            return self.features(x)

    line = Net.forward.__code__.co_firstlineno + 1
    expected = f"Net: node 'features.1.0' (Softmax), {__file__}:{line}: expected "
    assert message_of(Net()).startswith(expected)


def test_groups_that_do_not_divide_are_refused() -> None:
    layer = conv(2, 4)
    layer.groups = 3
    # PyTorch itself does not run such a layer.
    assert "groups" in message_of(nn.Sequential(layer))


def branching(m: nn.Module, x: Tensor) -> Tensor:
    if x.sum() > 0:
        return F.relu(x)
    return x


def test_dynamic_control_flow_is_refused() -> None:
    line = branching.__code__.co_firstlineno + 1
    message = message_of(Forward(branching))
    assert f"{__file__}:{line} `if x.sum() > 0:`" in message
    assert "expected a computation that does not depend on the images' values" in message


def test_lazy_modules_are_refused() -> None:
    lazy = nn.Sequential(nn.LazyConv2d(2, 3))
    assert "0 (LazyConv2d): expected tensors with shapes, found a lazy" in message_of(lazy)


def test_an_input_that_does_not_fit_is_refused() -> None:
    message = message_of(nn.Sequential(conv()), (3, 8, 8))
    assert message.startswith("Sequential on 3 x 8 x 8: expected a run without errors")
    assert "expected input" in message


@pytest.mark.parametrize(
    ("forward", "pattern"),
    [
        (lambda m, x: 3, "the network's output: expected a tensor computed from the images, found"),
        (lambda m, x: None, "the network's output: .* found NoneType"),
        (lambda m, x: (), "the network's output: .* found an empty tuple"),
        (lambda m, x: (m.f(x), 3), "the network's output 'output1': .* found int"),
        (lambda m, x: {"a": m.f(x), "b": [x]}, "the network's output 'b': .* found"),
        (lambda m, x: [x.shape[2]], "the network's output 'output0': .* found"),
    ],
)
def test_other_outputs_than_tensors_are_refused(forward: Callable, pattern: str) -> None:
    assert re.match(pattern, message_of(module_of(forward)))


def test_an_input_without_a_shape_is_refused() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    expected = "forward of Two: expected 1 required argument, one for each input, found 2 (x, y)"
    assert message_of(Two()) == expected


def test_the_module_is_left_as_it_was() -> None:
    module = RandomNetwork(1).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    trace(module, INPUT_SHAPE)
    assert type(module) is RandomNetwork and module.training
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name]), name
