"""Tracing: modules of many forms to layers, and what cannot be traced to messages."""

import operator
import re
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from random_networks import INPUT_SHAPE, RandomNetwork
from torch import Tensor, nn

from mien_tools.layer_tree import (
    AvgPool2d,
    BatchNorm2d,
    Concatenate,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
    Softmax,
)
from mien_tools.trace import TraceError, trace

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


def layers_of(module: nn.Module, shape: tuple[int, int, int] = IMAGE) -> tuple[Layer, ...]:
    return trace(module, shape).layers


def message_of(module: nn.Module, shape: tuple[int, int, int] = IMAGE) -> str:
    with pytest.raises(TraceError) as error:
        trace(module, shape)
    return str(error.value)


def conv(channels: int = 2, out_channels: int = 2, **options: object) -> nn.Conv2d:
    return nn.Conv2d(channels, out_channels, 3, padding=1, **options)


def traced_conv(out_channels: int = 2) -> Conv2d:
    return Conv2d(2, out_channels, kernel=(3, 3), padding=(1, 1))


def run(tree: Layer, module: nn.Module, images: Tensor) -> Tensor:
    """The traced layers with the module's own tensors, for networks whose epsilons are Mien's."""

    def tensors() -> Iterator[Tensor]:
        for leaf in tree.leaves():
            for role, shape in leaf.tensor_shapes().items():
                tensor = getattr(module.get_submodule(leaf.source), role)
                missing = 1.0 if role == "weight" else 0.0
                yield torch.full(shape, missing).double() if tensor is None else tensor

    with torch.no_grad():
        return tree.forward(images, tensors())


def local_response_norm(alpha: str, beta: str, k: str, size: int = 5) -> LocalResponseNorm:
    return LocalResponseNorm(size, Fraction(alpha), Fraction(beta), Fraction(k))


LAYERS = {
    "convolution": (conv(), traced_conv()),
    "every option of a convolution": (
        nn.Conv2d(2, 4, (3, 1), stride=(2, 1), padding=(1, 2), groups=2, bias=False),
        Conv2d(2, 4, (3, 1), stride=(2, 1), padding=(1, 2), groups=2, bias=False),
    ),
    "depthwise convolution": (
        nn.Conv2d(2, 2, 3, groups=2),
        Conv2d(2, 2, (3, 3), groups=2),
    ),
    "padding='same'": (
        nn.Conv2d(2, 2, (3, 5), padding="same"),
        Conv2d(2, 2, (3, 5), padding=(1, 2)),
    ),
    "padding='valid'": (nn.Conv2d(2, 2, 3, padding="valid"), Conv2d(2, 2, (3, 3))),
    "batch normalisation": (nn.BatchNorm2d(2), BatchNorm2d(2)),
    "max pooling": (nn.MaxPool2d(2), MaxPool2d((2, 2), (2, 2))),
    "every option of max pooling": (
        nn.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 0)),
        MaxPool2d((3, 2), (2, 1), (1, 0)),
    ),
    "F.max_pool2d": (Forward(lambda m, x: F.max_pool2d(x, 3, 1)), MaxPool2d((3, 3), (1, 1))),
    "F.max_pool2d without stride": (
        Forward(lambda m, x: F.max_pool2d(x, kernel_size=(3, 2))),
        MaxPool2d((3, 2), (3, 2)),
    ),
    "torch.max_pool2d": (Forward(lambda m, x: torch.max_pool2d(x, 2)), MaxPool2d((2, 2), (2, 2))),
    "a kernel as large as the image": (
        Forward(lambda m, x: F.max_pool2d(x, (x.shape[2], x.size(3)))),
        MaxPool2d((8, 6), (8, 6)),
    ),
    "average pooling": (nn.AvgPool2d(2), AvgPool2d((2, 2), (2, 2))),
    "every option of average pooling": (
        nn.AvgPool2d((3, 2), stride=(2, 1), padding=(1, 0)),
        AvgPool2d((3, 2), (2, 1), (1, 0)),
    ),
    "average pooling without padding to count": (
        nn.AvgPool2d(3, 1, count_include_pad=False),
        AvgPool2d((3, 3), (1, 1)),
    ),
    "F.avg_pool2d": (
        Forward(lambda m, x: F.avg_pool2d(x, (4, 3), padding=1)),
        AvgPool2d((4, 3), (4, 3), (1, 1)),
    ),
    "global average pooling": (nn.AdaptiveAvgPool2d(1), AvgPool2d((8, 6), (8, 6))),
    "adaptive average pooling in equal windows": (
        nn.AdaptiveAvgPool2d((2, None)),
        AvgPool2d((4, 1), (4, 1)),
    ),
    "F.adaptive_avg_pool2d": (
        Forward(lambda m, x: F.adaptive_avg_pool2d(x, (1, 3))),
        AvgPool2d((8, 2), (8, 2)),
    ),
    "local response normalisation": (
        nn.LocalResponseNorm(5, k=2.0),
        local_response_norm("1/10000", "3/4", "2"),
    ),
    "F.local_response_norm": (
        Forward(lambda m, x: F.local_response_norm(x, 2, 0.3, beta=0.5)),
        local_response_norm("3/10", "1/2", "1", size=2),
    ),
    "F.relu": (Forward(lambda m, x: F.relu(x)), ReLU()),
    "F.relu by name": (Forward(lambda m, x: F.relu(input=x, inplace=True)), ReLU()),
    "torch.relu": (Forward(lambda m, x: torch.relu(x)), ReLU()),
    "x.relu_()": (Forward(lambda m, x: x.relu_()), ReLU()),
    "nn.ReLU6": (nn.ReLU6(), ReLU6()),
    "F.relu6": (Forward(lambda m, x: F.relu6(x)), ReLU6()),
    "nn.Hardtanh(0, 6)": (nn.Hardtanh(0, 6), ReLU6()),
    "F.hardtanh": (Forward(lambda m, x: F.hardtanh(x, 0.0, max_val=6.0)), ReLU6()),
    "nn.Flatten": (nn.Flatten(), Flatten()),
    "x.flatten(1)": (Forward(lambda m, x: x.flatten(1)), Flatten()),
    "torch.flatten": (Forward(lambda m, x: torch.flatten(x, start_dim=1)), Flatten()),
    "x.view": (Forward(lambda m, x: x.view(x.size(0), -1)), Flatten()),
    "x.reshape": (Forward(lambda m, x: x.reshape(-1, 2 * 8 * 6)), Flatten()),
    "torch.reshape": (Forward(lambda m, x: torch.reshape(x, (x.shape[0], -1))), Flatten()),
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
    assert layers_of(module) == (expected,)
    images = torch.randn(3, *IMAGE, dtype=torch.float64)
    tree = trace(module, IMAGE)
    output = run(tree, module.double().eval(), images)
    torch.testing.assert_close(output, module(images.clone()), rtol=0, atol=1e-12)
    assert tuple(output.shape[1:]) == tree.output_shape(IMAGE)


def test_flat_layers() -> None:
    module = nn.Sequential(
        nn.Flatten(),
        nn.Linear(96, 5),
        nn.BatchNorm1d(5),
        nn.Linear(5, 3, bias=False),
        nn.Softmax(1),
    )
    expected = (Flatten(), Dense(96, 5), BatchNorm2d(5), Dense(5, 3, bias=False), Softmax())
    assert layers_of(module) == expected
    for softmax in (
        lambda m, x: F.softmax(x.flatten(1), dim=-1),
        lambda m, x: torch.softmax(x.flatten(1), 1),
        lambda m, x: x.flatten(1).softmax(dim=1),
    ):
        assert layers_of(Forward(softmax)) == (Flatten(), Softmax())


def test_sources_are_qualified_names() -> None:
    inner = nn.Sequential(conv(), nn.Sequential(nn.BatchNorm2d(2), nn.Identity(), conv()))
    module = Forward(lambda m, x: m.second(m.first(x)), second=inner, first=conv())
    sources = [layer.source for layer in layers_of(module)]
    assert sources == ["first", "second.0", "second.1.0", "second.1.2"]


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
    assert layers_of(module.train()) == (traced_conv(),)
    assert module.training and module[0].training


def test_code_that_does_not_reach_the_output_vanishes() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        auxiliary = torch.sigmoid(m.auxiliary(x)).mean()
        x = m.conv(x)
        if m.training:
            x = x + auxiliary
        return x

    assert layers_of(Forward(forward, conv=conv(), auxiliary=conv())) == (traced_conv(),)


def test_derived_classes_are_layers_if_they_compute_the_same() -> None:
    module = nn.Sequential(UntouchedConv2d(2, 2, 3, padding=1))
    assert layers_of(module) == (traced_conv(),)
    message = message_of(nn.Sequential(ScaledConv2d(2, 2, 3)))
    assert "test_trace.py" in message and "self.weight * 2" in message, message


RESIDUALS = {
    "x + f(x)": (lambda m, x: x + m.f(x), Residual(traced_conv())),
    "f(x) + x": (lambda m, x: m.f(x) + x, Residual(traced_conv())),
    "torch.add": (lambda m, x: torch.add(x, m.f(x)), Residual(traced_conv())),
    "torch.add by name": (lambda m, x: torch.add(input=m.f(x), other=x), Residual(traced_conv())),
    "x.add": (lambda m, x: m.f(x).add(x), Residual(traced_conv())),
    "x.add_": (lambda m, x: m.f(x).add_(x), Residual(traced_conv())),
    "operator.iadd": (lambda m, x: operator.iadd(m.f(x), x), Residual(traced_conv())),
    "f(x) + g(x)": (
        lambda m, x: m.f(x) + m.g(x),
        Residual(traced_conv(), Sequential((traced_conv(), BatchNorm2d(2)))),
    ),
    "g(x) + f(x)": (
        lambda m, x: m.g(x) + m.f(x),
        Residual(Sequential((traced_conv(), BatchNorm2d(2))), traced_conv()),
    ),
    "nested": (
        lambda m, x: F.relu(x + m.h(F.relu(m.f(x) + m.g(x)))),
        None,
    ),
    "nested in the shortcut": (
        lambda m, x: m.h(x) + (x + m.f(x)),
        Residual(traced_conv(), Residual(traced_conv())),
    ),
    "three terms": (
        lambda m, x: x + m.f(x) + m.h(x),
        Residual(Residual(traced_conv()), traced_conv()),
    ),
    "the input again": (lambda m, x: x + (x + m.f(x)), Residual(Residual(traced_conv()))),
}
NESTED = (
    Residual(
        Sequential(
            (
                Residual(traced_conv(), Sequential((traced_conv(), BatchNorm2d(2)))),
                ReLU(),
                traced_conv(),
            )
        )
    ),
    ReLU(),
)


@pytest.mark.parametrize("case", RESIDUALS)
def test_residuals(case: str) -> None:
    forward, expected = RESIDUALS[case]
    module = Forward(forward, f=conv(), g=nn.Sequential(conv(), nn.BatchNorm2d(2)), h=conv())
    tree = trace(module, IMAGE)
    assert tree.layers == (NESTED if expected is None else (expected,))
    images = torch.randn(3, *IMAGE, dtype=torch.float64)
    torch.testing.assert_close(
        run(tree, module.double().eval(), images), module(images.clone()), rtol=0, atol=1e-12
    )


POOL = MaxPool2d((3, 3), (1, 1), (1, 1))
CONCATENATIONS = {
    "torch.cat": (
        lambda m, x: torch.cat((m.f(x), m.g(x), m.pool(x)), dim=1),
        Concatenate((traced_conv(), Sequential((traced_conv(), BatchNorm2d(2))), POOL)),
    ),
    "torch.cat of a list": (
        lambda m, x: torch.cat([m.pool(x), m.f(x)], 1),
        Concatenate((POOL, traced_conv())),
    ),
    "torch.concat by name": (
        lambda m, x: torch.concat(dim=-3, tensors=[m.f(x), m.h(x)]),
        Concatenate((traced_conv(), traced_conv())),
    ),
    "torch.concatenate along an axis": (
        lambda m, x: torch.concatenate((m.f(x), m.h(x)), axis=1),
        Concatenate((traced_conv(), traced_conv())),
    ),
    "in a sum": (
        lambda m, x: x + m.narrow(torch.cat((m.f(x), m.h(x)), dim=1)),
        Residual(
            Sequential((Concatenate((traced_conv(), traced_conv())), Conv2d(4, 2, kernel=(1, 1))))
        ),
    ),
    "of sums": (
        lambda m, x: torch.cat((x + m.f(x), m.h(x) + m.f(x)), dim=1),
        Concatenate((Residual(traced_conv()), Residual(traced_conv(), traced_conv()))),
    ),
    "in one another": (
        lambda m, x: torch.cat((torch.cat((m.f(x), m.pool(x)), dim=1), m.h(x)), dim=1),
        Concatenate((Concatenate((traced_conv(), POOL)), traced_conv())),
    ),
}


@pytest.mark.parametrize("case", CONCATENATIONS)
def test_concatenations(case: str) -> None:
    forward, expected = CONCATENATIONS[case]
    module = Forward(
        forward,
        f=conv(),
        g=nn.Sequential(conv(), nn.BatchNorm2d(2)),
        h=conv(),
        pool=nn.MaxPool2d(3, stride=1, padding=1),
        narrow=nn.Conv2d(4, 2, 1),
    )
    tree = trace(module, IMAGE)
    assert tree.layers == (expected,)
    images = torch.randn(3, *IMAGE, dtype=torch.float64)
    output = module.double().eval()(images.clone())
    torch.testing.assert_close(run(tree, module, images), output, rtol=0, atol=1e-12)
    assert tree.output_shape(IMAGE) == tuple(output.shape[1:])


def test_flat_vectors_are_joined() -> None:
    module = Forward(
        lambda m, x: (lambda y: torch.cat((m.f(y), m.g(y)), dim=-1))(x.flatten(1)),
        f=nn.Linear(96, 2),
        g=nn.Linear(96, 3),
    )
    tree = trace(module, IMAGE)
    assert tree.layers == (Flatten(), Concatenate((Dense(96, 2), Dense(96, 3))))
    assert tree.output_shape(IMAGE) == (5,)


def test_residuals_one_after_the_other() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        for _ in range(20):
            x = x + m.f(x)
        return x

    assert layers_of(Forward(forward, f=conv())) == (Residual(traced_conv()),) * 20


def test_an_in_place_layer_changes_its_input_for_later_use() -> None:
    module = Forward(
        lambda m, x: (lambda y: m.g(m.relu(y)) + y)(m.f(x)),
        f=conv(),
        g=conv(),
        relu=nn.ReLU(inplace=True),
    )
    assert layers_of(module) == (traced_conv(), ReLU(), Residual(traced_conv()))
    not_in_place = Forward(module.function, f=conv(), g=conv(), relu=nn.ReLU())
    expected = (traced_conv(), Residual(Sequential((ReLU(), traced_conv()))))
    assert layers_of(not_in_place) == expected


def test_a_module_used_twice_stands_twice() -> None:
    tree = trace(Forward(lambda m, x: m.f(F.relu(m.f(x))), f=conv()), IMAGE)
    assert tree.layers == (traced_conv(), ReLU(), traced_conv())
    assert tree.layers[0].source == tree.layers[2].source == "f"


def test_arguments_with_defaults_are_constants() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f = conv()

        def forward(self, x: Tensor, mask: Tensor | None = None, twice: bool = True) -> Tensor:
            if mask is not None:
                x = x * mask
            return self.f(self.f(x)) if twice else self.f(x)

    assert layers_of(Masked()) == (traced_conv(), traced_conv())


@pytest.mark.parametrize("seed", range(10))
def test_random_networks_compute_the_same(seed: int) -> None:
    module = RandomNetwork(seed).double()
    for submodule in module.modules():
        if isinstance(submodule, (nn.BatchNorm1d, nn.BatchNorm2d)):
            submodule.eps = 1e-5
    tree = trace(module, INPUT_SHAPE)
    images = torch.randn(3, *INPUT_SHAPE, dtype=torch.float64)
    expected = module(images.clone())
    torch.testing.assert_close(run(tree, module, images), expected, rtol=0, atol=1e-10)
    assert tree.output_shape(INPUT_SHAPE) == tuple(expected.shape[1:])


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
        r"0 \(ConvTranspose2d\): expected convolution, .*, found ConvTranspose2d",
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
    "joined with the input": (
        Forward(lambda m, x: torch.cat((x, F.relu(x)), dim=1)),
        r"cat \(node .*expected a layer in every branch, found one that hands the branches' common",
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
    "softmax of images": (
        nn.Softmax(dim=1),
        r"0 \(Softmax\): expected softmax of a flat vector \(dim=1\), found dim=1 of 2 x 8 x 6",
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


def crossing(m: nn.Module, x: Tensor) -> Tensor:
    a, b = m.f(x), m.g(x)
    return (a + b) + a


def test_branches_that_cross_are_refused() -> None:
    message = message_of(Forward(crossing, f=conv(), g=conv()))
    assert message.startswith("f (Conv2d), ") and "a, b = m.f(x), m.g(x)" in message, message
    assert "branches that part at one value and meet in one addition or concatenation" in message


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
    "forward", [lambda m, x: (x, F.relu(x)), lambda m, x: {"logits": x}, lambda m, x: 3]
)
def test_other_outputs_than_one_tensor_are_refused(forward: Callable) -> None:
    message = message_of(Forward(forward))
    assert message.startswith("the network's output: expected one tensor"), message


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
