"""Tracing: modules of many forms to layers, and what cannot be traced to messages."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from random_networks import INPUT_SHAPE, RandomNetwork
from torch import Tensor, nn

from mien_tools.graph import Graph, Output
from mien_tools.header import cpp_type
from mien_tools.layers import LAYERS as RECORDS
from mien_tools.trace import TraceError, named_outputs, trace

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


def run(graph: Graph, module: nn.Module, images: Tensor) -> list[Tensor]:
    """The graph's outputs with the module's own tensors, for one whose epsilons are Mien's."""
    tensors = {}
    for node in graph.nodes:
        for name, (role, shape) in zip(node.tensors, node.tensor_shapes.items(), strict=True):
            tensor = getattr(module.get_submodule(node.name), role)
            missing = torch.full(shape, 1.0 if role == "weight" else 0.0).double()
            tensors[name] = missing if tensor is None else tensor
    graph.check("traced", {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    with torch.no_grad():
        return graph.run_outputs([images], tensors)


def assert_same(module: nn.Module, shape: tuple[int, ...] = IMAGE, tolerance: float = 1e-12):
    """The graph computes what the module does, and knows the shapes of what comes out."""
    graph = trace(module, shape)
    images = torch.randn(3, *shape, dtype=torch.float64)
    with torch.no_grad():
        expected = named_outputs(module.double().eval()(images.clone()))
    assert [output.name for output in graph.outputs] == list(expected)
    outputs = run(graph, module, images if len(shape) == 3 else images[..., None, None])
    for output, tensor in zip(outputs, expected.values(), strict=True):
        torch.testing.assert_close(output.view(tensor.shape), tensor, rtol=0, atol=tolerance)
    assert [tuple(output.shape[1:]) for output in outputs] == graph.output_shapes()


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
    "global average pooling": (nn.AdaptiveAvgPool2d(1), "AvgPool2d<Kernel<8, 6>>"),
    "adaptive average pooling in equal windows": (
        nn.AdaptiveAvgPool2d((2, None)),
        "AvgPool2d<Kernel<4, 1>>",
    ),
    "F.adaptive_avg_pool2d": (
        Forward(lambda m, x: F.adaptive_avg_pool2d(x, (1, 3))),
        "AvgPool2d<Kernel<8, 2>>",
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
    module = nn.Sequential(module)  # fx records the inside of the outermost module
    assert type_of(module) == expected
    assert_same(module)


RECORD_CASES = {
    f"{kind} {number}": case
    for kind, record in RECORDS.items()
    for number, case in enumerate(record.cases())
    if not isinstance(case.module, Mapping)
}


@pytest.mark.parametrize("name", RECORD_CASES)
def test_the_cases_of_the_records(name: str) -> None:
    case = RECORD_CASES[name]
    module = nn.Sequential(case.module)
    graph = trace(module, case.input_shape)
    assert graph.nodes[-1].layer == name.split()[0]
    assert_same(module, case.input_shape)


def test_every_record_has_cases() -> None:
    spelled = {kind for kind, record in RECORDS.items() if record.modules() or record.functions()}
    assert {name.split()[0] for name in RECORD_CASES} == spelled


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


def test_derived_classes_are_layers_if_they_compute_the_same() -> None:
    module = nn.Sequential(UntouchedConv2d(2, 2, 3, padding=1))
    assert type_of(module) == CONV
    message = message_of(nn.Sequential(ScaledConv2d(2, 2, 3)))
    assert "test_trace.py" in message and "self.weight * 2" in message, message


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
        f"Concatenate<{SKIP}, Residual<{CONV}, {CONV}>>",
    ),
    "concatenations in one another": (
        lambda m, x: torch.cat((torch.cat((m.f(x), m.pool(x)), dim=1), m.h(x)), dim=1),
        f"Concatenate<Concatenate<{CONV}, {POOL}>, {CONV}>",
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


UNSUPPORTED = {
    "dilation": (
        conv(dilation=2),
        r"0 \(Conv2d\): expected dilation=\(1, 1\), found dilation=\(2, 2\)",
    ),
    "padding mode": (
        conv(padding_mode="reflect"),
        r"0 \(Conv2d\): expected padding_mode='zeros', found padding_mode='reflect'",
    ),
    "padding='same' of an even kernel": (
        nn.Conv2d(2, 2, 2, padding="same"),
        r"0 \(Conv2d\): expected padding that is the same on both sides, found padding='same' "
        "with a kernel of 2 x 2",
    ),
    "transposed": (
        nn.ConvTranspose2d(2, 2, 3),
        r"0 \(ConvTranspose2d\): expected .*, convolution, .* or identity, found ConvTranspose2d",
    ),
    "ceil mode": (
        nn.MaxPool2d(3, ceil_mode=True),
        r"0 \(MaxPool2d\): expected ceil_mode=False, found ceil_mode=True",
    ),
    "dilated pooling": (
        nn.MaxPool2d(2, dilation=2),
        r"0 \(MaxPool2d\): expected dilation=\(1, 1\), found dilation=\(2, 2\)",
    ),
    "ceil mode of average pooling": (
        nn.AvgPool2d(3, ceil_mode=True),
        r"0 \(AvgPool2d\): expected ceil_mode=False, found ceil_mode=True",
    ),
    "padding that does not count": (
        nn.AvgPool2d(3, padding=1, count_include_pad=False),
        r"0 \(AvgPool2d\): expected count_include_pad=True, found count_include_pad=False",
    ),
    "another divisor": (
        nn.AvgPool2d(3, divisor_override=2),
        r"0 \(AvgPool2d\): expected divisor_override=None, found divisor_override=2",
    ),
    "windows of several sizes": (
        nn.AdaptiveAvgPool2d((3, 2)),
        r"0 \(AdaptiveAvgPool2d\): expected an output that divides 8 x 6, found "
        r"output_size=\(3, 2\)",
    ),
    "a constant that is no ratio": (
        nn.LocalResponseNorm(5, alpha=1e-30),
        r"0 \(LocalResponseNorm\): expected alpha that std::ratio can hold, found alpha=1e-30",
    ),
    "a negative constant": (
        nn.LocalResponseNorm(5, beta=-0.5),
        r"0 \(LocalResponseNorm\): expected beta that std::ratio can hold, found beta=-0.5",
    ),
    "k of zero": (
        nn.LocalResponseNorm(5, k=0.0),
        r"0 \(LocalResponseNorm\): expected k of more than 0, found k=0.0",
    ),
    "joined along rows": (
        Forward(lambda m, x: torch.cat((F.relu(x), F.relu6(x)), dim=2)),
        r"cat \(node .*expected values joined along the channels \(dim=1\), found dim=2",
    ),
    "joined along the batch": (
        Forward(lambda m, x: torch.cat((F.relu(x), F.relu6(x)))),
        r"cat \(node .*expected values joined along the channels \(dim=1\), found dim=0",
    ),
    "joined with a constant": (
        Forward(lambda m, x: torch.cat((F.relu(x), torch.ones(2, 1, 8, 6)), dim=1)),
        r"_tensor_constant0 \(node .*expected a computation on the images",
    ),
    "joined with nothing": (
        Forward(lambda m, x: torch.cat((F.relu(x),), dim=1)),
        r"cat \(node .*expected two or more values, found one",
    ),
    "1-d convolution": (
        nn.Sequential(nn.Flatten(2), nn.Conv1d(2, 2, 1)),
        r"0.0 \(Flatten\): expected each image flattened whole, found 2 x 2 x 8 x 6 becoming "
        "2 x 2 x 48",
    ),
    "no running statistics": (
        nn.BatchNorm2d(2, track_running_stats=False),
        r"0 \(BatchNorm2d\): expected running statistics \(track_running_stats=True\)",
    ),
    "hard tanh": (
        nn.Hardtanh(),
        r"0 \(Hardtanh\): expected limits 0 and 6 \(ReLU6\), found -1 and 1",
    ),
    "softmax along rows": (
        nn.Softmax(dim=2),
        r"0 \(Softmax\): expected softmax over the channels \(dim=1\), found dim=2 of 2 x 8 x 6",
    ),
    "softmax along whatever is last": (
        Forward(lambda m, x: torch.softmax(x, -1)),
        r"softmax \(node .*expected softmax over the channels \(dim=1\), found dim=-1 of",
    ),
    "linear on images": (
        nn.Linear(6, 3),
        r"0 \(Linear\): expected a flat vector \(nn.Flatten before\), found 2 x 8 x 6",
    ),
    "flattened with the batch": (
        Forward(lambda m, x: x.reshape(1, -1)),
        r"reshape \(node .*expected each image flattened whole, found .* becoming 1 x 192",
    ),
    "dropout that never rests": (
        Forward(lambda m, x: F.dropout(x, 0.5)),
        r"expected training=self.training, found training=True",
    ),
    "sigmoid": (
        Forward(lambda m, x: torch.sigmoid(x)),
        r"sigmoid \(node .*\), .*test_trace.py:\d+ `.*`: expected .*, found sigmoid",
    ),
    "method": (Forward(lambda m, x: x.mean((2, 3))), r"mean \(node .*found mean"),
    "difference": (Forward(lambda m, x: x - F.relu(x)), r"sub \(node .*found sub"),
    "constant term": (
        Forward(lambda m, x: F.relu(x) + 1),
        r"add \(node .*expected the sum of two values computed from the images, found \+ 1",
    ),
    "weighted sum": (
        Forward(lambda m, x: torch.add(x, F.relu(x), alpha=2)),
        r"add \(node .*expected alpha=1, found alpha=2",
    ),
    "broadcast sum": (
        Forward(lambda m, x: x + F.max_pool2d(x, (8, 6))),
        r"expected two values of the same shape, found 2 x 8 x 6 and 2 x 1 x 1",
    ),
    "doubled": (
        Forward(lambda m, x: x + x),
        r"expected the sum of two different values, found a value added to itself",
    ),
    "own parameter": (
        Forward(lambda m, x: F.conv2d(x, m.f.weight), f=conv()),
        r"f.weight \(node .*\).*: expected a computation on the images",
    ),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_unsupported_layers_are_named(case: str) -> None:
    module, pattern = UNSUPPORTED[case]
    message = message_of(nn.Sequential(module))
    assert re.search(pattern, message), message


def test_a_place_is_name_class_file_line_and_text() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(conv(), nn.Sequential(nn.ELU()))

        def forward(self, x: Tensor) -> Tensor:
            return self.features(x)

    line = Net.forward.__code__.co_firstlineno + 1
    expected = f"features.1.0 (ELU), {__file__}:{line} `return self.features(x)`: expected "
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


def test_hooks_and_parametrizations_are_refused() -> None:
    normalised = nn.Sequential(nn.utils.spectral_norm(conv()))
    assert "0 (Conv2d): expected no hooks, found a forward hook" in message_of(normalised)
    parametrized = nn.Sequential(nn.utils.parametrizations.weight_norm(conv()))
    assert "expected plain tensors, found parametrizations" in message_of(parametrized)
    lazy = nn.Sequential(nn.LazyConv2d(2, 3))
    assert "0 (LazyConv2d): expected tensors with shapes, found a lazy" in message_of(lazy)
    script = nn.Sequential(torch.jit.script(nn.ReLU()))
    assert "expected a Python module, found a TorchScript one" in message_of(script)


def test_an_input_that_does_not_fit_is_refused() -> None:
    message = message_of(nn.Sequential(conv()), (3, 8, 8))
    assert message.startswith("Sequential on 2 images of 3 x 8 x 8: expected a run without errors")
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


def test_two_inputs_are_refused() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    expected = "forward of Two: expected one required argument, the images, found 2 (x, y)"
    assert message_of(Two()) == expected


def test_the_module_is_left_as_it_was() -> None:
    module = RandomNetwork(1).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    trace(module, INPUT_SHAPE)
    assert type(module) is RandomNetwork and module.training
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name]), name
