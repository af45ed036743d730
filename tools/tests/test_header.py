"""Generated headers: their text, the names in them, and their match with weight files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mien_tools.graph import Graph, Output
from mien_tools.header import (
    HeaderError,
    check_header,
    check_struct_name,
    cpp_type,
    header_text,
    main,
    to_network_name,
    to_struct_name,
)
from mien_tools.networks import NETWORKS
from mien_tools.networks.mini_fer import InvertedResidual
from mien_tools.pytorch import trace
from mien_tools.weights import NamedTensor, WeightFile, gray

MINI_FER = """\
// MiniFer: 1 x 40 x 40 to 7, 784263 parameters.
// Written by mien_tools.export, together with the weights that fit it.
#pragma once

#include <string_view>

#include <mien/network.hpp>

namespace mien {

// clang-format off
struct MiniFer
    : Network<MiniFer, Input<1, 40, 40>,               // output, parameters
              Conv2d<1, 64, Kernel<3>, Padding<1>>,    // 64 x 40 x 40, 640
              BatchNorm2d<64>,                         // 64 x 40 x 40, 128
              ReLU,                                    // 64 x 40 x 40
              MaxPool2d<Kernel<2>>,                    // 64 x 20 x 20
              Conv2d<64, 128, Kernel<5>, Padding<1>>,  // 128 x 18 x 18, 204928
              BatchNorm2d<128>,                        // 128 x 18 x 18, 256
              ReLU,                                    // 128 x 18 x 18
              MaxPool2d<Kernel<2>>,                    // 128 x 9 x 9
              InvertedResidual<128, 256>,              // 128 x 9 x 9, 68864
              InvertedResidual<128, 256>,              // 128 x 9 x 9, 68864
              MaxPool2d<Kernel<2>>,                    // 128 x 4 x 4
              InvertedResidual<128, 512>,              // 128 x 4 x 4, 137728
              InvertedResidual<128, 512>,              // 128 x 4 x 4, 137728
              MaxPool2d<Kernel<2>>,                    // 128 x 2 x 2
              Flatten,                                 // 512
              Dense<512, 256>,                         // 256, 131328
              ReLU,                                    // 256
              Dense<256, 128>,                         // 128, 32896
              ReLU,                                    // 128
              Dense<128, 7>> {                         // 7, 903
  static constexpr std::string_view name = "mini_fer";
  using Network::Network;
};
// clang-format on

static_assert(MiniFer::parameter_count == 784263,
              "MiniFer has other layers than the network that was exported");

}  // namespace mien
"""


class Skip(nn.Module):
    """body(x) + shortcut(x)"""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class Beside(nn.ModuleList):
    """The branches' outputs, joined."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], dim=1)


def nested() -> Graph:
    return trace(
        nn.Sequential(
            Skip(
                nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU6()),
                nn.Conv2d(2, 4, 1, 2),
            ),
            Skip(Skip(nn.Conv2d(4, 4, 3, padding=1, groups=4))),
            nn.Flatten(),
            nn.Linear(64, 3, bias=False),
            nn.Softmax(1),
        ),
        (2, 8, 8),
    )


NESTED_HEADER = """\
// Nested: 2 x 8 x 8 to 3, 324 parameters.
// Written by mien_tools.export, together with the weights that fit it.
#pragma once

#include <string_view>

#include <mien/network.hpp>

namespace faces::small {

namespace nested_network {

using mien::BatchNorm2d;
using mien::Conv2d;
using mien::Dense;
using mien::DepthwiseConv2d;
using mien::Flatten;
using mien::Input;
using mien::Kernel;
using mien::Network;
using mien::NoBias;
using mien::Padding;
using mien::ReLU6;
using mien::Residual;
using mien::Sequential;
using mien::Softmax;
using mien::Stride;

// clang-format off
struct Nested
    : Network<Nested, Input<2, 8, 8>,                                          // output, parameters
              Residual<
                  Sequential<
                      Conv2d<2, 4, Kernel<3>, Stride<2>, Padding<1>, NoBias>,  // 4 x 4 x 4, 72
                      BatchNorm2d<4>,                                          // 4 x 4 x 4, 8
                      ReLU6>,                                                  // 4 x 4 x 4
                  Conv2d<2, 4, Kernel<1>, Stride<2>>>,                         // 4 x 4 x 4, 12
              Residual<
                  Residual<
                      DepthwiseConv2d<4, Kernel<3>, Padding<1>>>>,             // 4 x 4 x 4, 40
              Flatten,                                                         // 64
              Dense<64, 3, NoBias>,                                            // 3, 192
              Softmax> {                                                       // 3
  static constexpr std::string_view name = "nested";
  using Network::Network;
};
// clang-format on

static_assert(Nested::parameter_count == 324,
              "Nested has other layers than the network that was exported");

}  // namespace nested_network

using nested_network::Nested;

}  // namespace faces::small
"""


def branched() -> Graph:
    return trace(
        nn.Sequential(
            nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0),
            Beside(
                [
                    nn.Conv2d(2, 3, 1),
                    nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(2, 4, 1)),
                    nn.AvgPool2d(1),
                ]
            ),
            nn.ReLU(),
        ),
        (2, 8, 8),
    )


BRANCHED_ROWS = """\
    : Network<Branched, Input<2, 8, 8>,                                                     \
// output, parameters
              LocalResponseNorm<5, std::ratio<1, 10000>, std::ratio<3, 4>, std::ratio<2>>,  \
// 2 x 8 x 8
              Concatenate<
                  Conv2d<2, 3, Kernel<1>>,                                                  \
// 3 x 8 x 8, 9
                  Sequential<
                      MaxPool2d<Kernel<3>, Stride<1>, Padding<1>>,                          \
// 2 x 8 x 8
                      Conv2d<2, 4, Kernel<1>>>,                                             \
// 4 x 8 x 8, 12
                  AvgPool2d<Kernel<1>>>,                                                    \
// 2 x 8 x 8
              ReLU> {                                                                       \
// 9 x 8 x 8
"""


class Crossing(nn.Module):
    """Values that return where no branch could bring them."""

    def __init__(self) -> None:
        super().__init__()
        self.f, self.g, self.h = (nn.Conv2d(2, 2, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        a = self.f(x)
        b = self.g(x) + a
        c = self.h(torch.relu(a)) + b
        return torch.cat((b, c, x), dim=1)


CROSSING_ROWS = """\
    : Network<Crossing, Input<2, 8, 8>,                   // output, parameters
              Mark<1>,
              Conv2d<2, 2, Kernel<1>>,                    // 2 x 8 x 8, 6
              Mark<2>,
              From<1>,
              Conv2d<2, 2, Kernel<1>>,                    // 2 x 8 x 8, 6
              Add<Identity, From<2>>,                     // 2 x 8 x 8
              Mark<3>,
              From<2>,
              ReLU,                                       // 2 x 8 x 8
              Conv2d<2, 2, Kernel<1>>,                    // 2 x 8 x 8, 6
              Add<Identity, From<3>>,                     // 2 x 8 x 8
              Concatenate<From<3>, Identity, From<1>>> {  // 6 x 8 x 8
"""

SPELLINGS = {
    "Conv2d<2, 4, Kernel<3, 5>, Stride<1, 2>, Padding<0, 2>, Groups<2>, NoBias>": nn.Conv2d(
        2, 4, (3, 5), (1, 2), (0, 2), groups=2, bias=False
    ),
    "DepthwiseConv2d<2, Kernel<3, 1>>": nn.Conv2d(2, 2, (3, 1), groups=2),
    # As many groups as input channels, but more output channels: not depthwise in Mien's sense.
    "Conv2d<2, 4, Kernel<3>, Groups<2>>": nn.Conv2d(2, 4, 3, groups=2),
    "MaxPool2d<Kernel<3>, Stride<2>, Padding<1>>": nn.MaxPool2d(3, 2, 1),
    "MaxPool2d<Kernel<3, 2>>": nn.MaxPool2d((3, 2)),
    "MaxPool2d<Kernel<2>, Stride<1>>": nn.MaxPool2d(2, 1),
    "AvgPool2d<Kernel<3, 2>, Stride<2, 1>, Padding<1, 0>>": nn.AvgPool2d((3, 2), (2, 1), (1, 0)),
    "AvgPool2d<Kernel<2>>": nn.AvgPool2d(2),
    "LocalResponseNorm<3, std::ratio<0>, std::ratio<11, 2>, std::ratio<1, 3>>": (
        nn.LocalResponseNorm(3, 0, 5.5, 1 / 3)
    ),
    "InvertedResidual<2, 6>": InvertedResidual(2, 6),
}


def test_mini_fer_is_its_papers_table() -> None:
    graph = trace(NETWORKS["mini_fer"].build(), (1, 40, 40))
    assert header_text(graph, "MiniFer", "mini_fer", namespace="mien") == MINI_FER


def test_composites_and_namespaces() -> None:
    text = header_text(nested(), "Nested", "nested", namespace="faces::small")
    assert text == NESTED_HEADER


def test_branches_and_ratios() -> None:
    text = header_text(branched(), "Branched", "branched")
    assert BRANCHED_ROWS in text
    assert "#include <ratio>\n#include <string_view>\n" in text


def test_what_no_branches_can_say_is_marked() -> None:
    text = header_text(trace(Crossing(), (2, 8, 8)), "Crossing", "crossing")
    assert CROSSING_ROWS in text
    for name in ("Add", "Concatenate", "From", "Identity", "Mark"):
        assert f"using mien::{name};\n" in text


def test_marks_stay_in_their_branch() -> None:
    module = nn.Sequential(
        Skip(nn.Sequential(Crossing(), nn.Conv2d(6, 2, 1))),
        Beside(
            [
                nn.Sequential(Crossing(), nn.Conv2d(6, 2, 1)),
                nn.ReLU(),
                nn.Sequential(Crossing(), nn.Conv2d(6, 3, 1)),
            ]
        ),
    )
    text = cpp_type(trace(module, (2, 8, 8)))
    conv = "Conv2d<2, 2, Kernel<1>>"

    def crossing(first: int) -> str:
        x, a, b = first, first + 1, first + 2
        return (
            f"Mark<{x}>, {conv}, Mark<{a}>, From<{x}>, {conv}, Add<Identity, From<{a}>>, "
            f"Mark<{b}>, From<{a}>, ReLU, {conv}, Add<Identity, From<{b}>>, "
            f"Concatenate<From<{b}>, Identity, From<{x}>>"
        )

    assert text == (
        f"Sequential<Residual<Sequential<{crossing(1)}, Conv2d<6, 2, Kernel<1>>>>, "
        f"Concatenate<Sequential<{crossing(4)}, Conv2d<6, 2, Kernel<1>>>, ReLU, "
        f"Sequential<{crossing(7)}, Conv2d<6, 3, Kernel<1>>>>>"
    )


def test_what_a_type_cannot_say_is_refused() -> None:
    graph = nested()
    two = replace(graph, outputs=(*graph.outputs, Output(1, "early")))
    with pytest.raises(
        HeaderError, match=r"outputs: expected one for a C.. type, found 2 \(output"
    ):
        header_text(two, "Nested", "nested")
    with pytest.raises(HeaderError, match="output: expected that of the last layer"):
        header_text(replace(graph, outputs=(Output(1),)), "Nested", "nested")
    free = replace(branched(), inputs=(replace(graph.inputs[0], height=None, width=None),))
    with pytest.raises(HeaderError, match="one of a fixed size, found 2 x any x any"):
        header_text(free, "Free", "free")


def test_the_global_namespace_receives_the_struct_alone() -> None:
    text = header_text(nested(), "Nested", "nested")
    assert "namespace nested_network {\n" in text
    assert text.endswith("\n}  // namespace nested_network\n\nusing nested_network::Nested;\n")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings(spelling: str) -> None:
    graph = trace(nn.Sequential(SPELLINGS[spelling], nn.ReLU()), (2, 9, 9))
    lines = [line.strip() for line in header_text(graph, "Net", "net").splitlines()]
    assert any(line.startswith(f"{spelling},  // ") for line in lines), lines
    assert cpp_type(graph) == f"Sequential<{spelling}, ReLU>"


def test_almost_inverted_residuals_are_written_out() -> None:
    for index, changed in ((2, nn.ReLU()), (3, nn.Conv2d(6, 6, 3, padding=1, groups=6))):
        block = InvertedResidual(2, 6)
        block.conv[index] = changed
        text = cpp_type(trace(block, (2, 9, 9)))
        assert text.startswith("Residual<Sequential<Conv2d<2, 6, Kernel<1>, NoBias>, ")
    with_shortcut = Skip(InvertedResidual(2, 6).conv, nn.Conv2d(2, 2, 1))
    assert "InvertedResidual" not in cpp_type(trace(with_shortcut, (2, 9, 9)))


@pytest.mark.parametrize("name", ["MyCnn", "M", "Vgg16", "my_cnn", "Final_"])
def test_names_that_can_be_a_structs(name: str) -> None:
    check_struct_name(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "expected a letter"),
        ("3Layers", "expected a letter"),
        ("My-Cnn", "expected a letter"),
        ("_Cnn", "expected a letter"),
        ("My__Cnn", "expected a letter"),
        ("Büro", "expected a letter"),
        ("Cnn\n", "expected a letter"),
        ("class", "found its keyword 'class'"),
        ("co_await", "found its keyword 'co_await'"),
        ("xor_eq", "found its keyword 'xor_eq'"),
        ("Network", "expected a name that the header does not use itself"),
        ("ReLU", "expected a name that the header does not use itself"),
        ("name", "expected a name that the header does not use itself"),
    ],
)
def test_names_that_cannot(name: str, reason: str) -> None:
    with pytest.raises(HeaderError, match=f"struct name: .*{reason}"):
        check_struct_name(name)


@pytest.mark.parametrize("namespace", ["int", "a::", "a::b c", "9"])
def test_namespaces_that_cannot_be(namespace: str) -> None:
    with pytest.raises(HeaderError, match="namespace: expected"):
        header_text(nested(), "Nested", "nested", namespace)


@pytest.mark.parametrize(
    ("text", "struct_name", "network"),
    [
        ("mini_fer", "MiniFer", "mini_fer"),
        ("my-cnn.v2", "MyCnnV2", "my_cnn_v2"),
        ("MyCNN", "MyCNN", "my_cnn"),
        ("VGG16Net", "VGG16Net", "vgg16_net"),
    ],
)
def test_names_of_structs_and_networks(text: str, struct_name: str, network: str) -> None:
    assert to_struct_name(text) == struct_name
    assert to_network_name(struct_name) == network


def test_a_header_belongs_to_its_network() -> None:
    check_header(MINI_FER, "mini_fer.hpp", "mini_fer")
    with pytest.raises(HeaderError) as error:
        check_header(MINI_FER, "mini_fer.hpp", "vgg_net")
    expected = "mini_fer.hpp: name of the network: expected 'vgg_net', found 'mini_fer'"
    assert str(error.value) == expected
    check_header(NESTED_HEADER + MINI_FER, "two.hpp", "mini_fer")
    with pytest.raises(HeaderError, match="expected 'vgg_net', found 'nested', 'mini_fer'"):
        check_header(NESTED_HEADER + MINI_FER, "two.hpp", "vgg_net")
    with pytest.raises(HeaderError, match="found none"):
        check_header("#pragma once\n", "empty.hpp", "mini_fer")


MODELS = Path(__file__).resolve().parents[2] / "include" / "mien" / "models"


def librarys_header(name: str) -> Path:
    """The header is called as the Python module: FER-net's two networks share one."""
    return MODELS / f"{NETWORKS[name].build.__module__.rpartition('.')[2]}.hpp"


@pytest.mark.parametrize("name", NETWORKS)
def test_the_librarys_own_headers_are_those_of_its_networks(name: str) -> None:
    path = librarys_header(name)
    check_header(path.read_text(encoding="utf-8"), str(path), name)


def test_the_command_compares_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = trace(nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False)), (1, 2, 2))
    weight = NamedTensor("1.weight", np.ones((1, 4), np.float32))
    file = WeightFile("mini_fer", graph, (weight,), ("a",), gray(2))
    weight_path, header_path, other_path = (
        tmp_path / name for name in ("a.mien", "a.hpp", "b.hpp")
    )
    file.write(weight_path)
    header_path.write_text(MINI_FER)
    other_path.write_text(NESTED_HEADER)

    assert main([str(header_path), str(weight_path)]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([str(other_path), str(weight_path)]) == 1
    message = "name of the network: expected 'mini_fer', found 'nested'"
    assert capsys.readouterr().err == f"mien_tools.header: {other_path}: {message}\n"
    missing = tmp_path / "none.hpp"
    assert main([str(missing), str(weight_path)]) == 1
    assert capsys.readouterr().err == f"mien_tools.header: {missing}: No such file or directory\n"


def test_inverted_residuals_are_recognised_in_modules() -> None:
    block = nn.Sequential(NETWORKS["mini_fer"].build().layer3)
    assert cpp_type(trace(block, (128, 9, 9))) == "InvertedResidual<128, 256>"
