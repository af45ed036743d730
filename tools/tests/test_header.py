"""Generated headers: their text, the names in them, and their match with weight files."""

import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cpp import MISSING_CPP, compile_command
from torch import nn

from mien_tools.header import (
    HeaderError,
    check_header,
    check_struct_name,
    header_text,
    main,
    to_architecture,
    to_struct_name,
)
from mien_tools.layer_tree import (
    AvgPool2d,
    BatchNorm2d,
    Concatenate,
    Conv2d,
    Dense,
    Flatten,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
    Softmax,
    inverted_residual,
)
from mien_tools.networks import NETWORKS
from mien_tools.trace import trace
from mien_tools.weights import NamedTensor, Preprocessing, WeightFile

MINI_FER = """\
// MiniFer: 1 x 40 x 40 to 7, 784263 parameters.
// Written by mien_tools.export, together with the weights that fit it.
#pragma once

#include <string_view>

#include <mien/layers/layers.hpp>
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

NESTED = Sequential(
    (
        Residual(
            Sequential((Conv2d(2, 4, (3, 3), (2, 2), (1, 1), bias=False), BatchNorm2d(4), ReLU6())),
            Conv2d(2, 4, (1, 1), (2, 2)),
        ),
        Residual(Residual(Conv2d(4, 4, (3, 3), (1, 1), (1, 1), groups=4))),
        Flatten(),
        Dense(64, 3, bias=False),
        Softmax(),
    )
)
NESTED_HEADER = """\
// Nested: 2 x 8 x 8 to 3, 324 parameters.
// Written by mien_tools.export, together with the weights that fit it.
#pragma once

#include <string_view>

#include <mien/layers/layers.hpp>
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

BRANCHED = Sequential(
    (
        LocalResponseNorm(5, Fraction("1e-4"), Fraction("0.75"), Fraction(2)),
        Concatenate(
            (
                Conv2d(2, 3, (1, 1)),
                Sequential((MaxPool2d((3, 3), (1, 1), (1, 1)), Conv2d(2, 4, (1, 1)))),
                AvgPool2d((1, 1), (1, 1)),
            )
        ),
        ReLU(),
    )
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

SPELLINGS = {
    "Conv2d<2, 4, Kernel<3, 5>, Stride<1, 2>, Padding<0, 2>, Groups<2>, NoBias>": Conv2d(
        2, 4, (3, 5), (1, 2), (0, 2), groups=2, bias=False
    ),
    "DepthwiseConv2d<2, Kernel<3, 1>>": Conv2d(2, 2, (3, 1), groups=2),
    # As many groups as input channels, but more output channels: not depthwise in Mien's sense.
    "Conv2d<2, 4, Kernel<3>, Groups<2>>": Conv2d(2, 4, (3, 3), groups=2),
    "MaxPool2d<Kernel<3>, Stride<2>, Padding<1>>": MaxPool2d((3, 3), (2, 2), (1, 1)),
    "MaxPool2d<Kernel<3, 2>>": MaxPool2d((3, 2), (3, 2)),
    "MaxPool2d<Kernel<2>, Stride<1>>": MaxPool2d((2, 2), (1, 1)),
    "AvgPool2d<Kernel<3, 2>, Stride<2, 1>, Padding<1, 0>>": AvgPool2d((3, 2), (2, 1), (1, 0)),
    "AvgPool2d<Kernel<2>>": AvgPool2d((2, 2), (2, 2)),
    "LocalResponseNorm<3, std::ratio<0>, std::ratio<11, 2>, std::ratio<1, 3>>": LocalResponseNorm(
        3, Fraction(0), Fraction(11, 2), Fraction(1, 3)
    ),
    "InvertedResidual<2, 6>": inverted_residual(2, 6),
}


def test_mini_fer_is_its_papers_table() -> None:
    tree = trace(NETWORKS["mini_fer"].build(), (1, 40, 40))
    assert header_text(tree, (1, 40, 40), "MiniFer", "mini_fer", namespace="mien") == MINI_FER


def test_composites_and_namespaces() -> None:
    text = header_text(NESTED, (2, 8, 8), "Nested", "nested", namespace="faces::small")
    assert text == NESTED_HEADER


def test_branches_and_ratios() -> None:
    text = header_text(BRANCHED, (2, 8, 8), "Branched", "branched")
    assert BRANCHED_ROWS in text
    assert "#include <ratio>\n#include <string_view>\n" in text


def test_the_global_namespace_receives_the_struct_alone() -> None:
    text = header_text(NESTED, (2, 8, 8), "Nested", "nested")
    assert "namespace nested_network {\n" in text
    assert text.endswith("\n}  // namespace nested_network\n\nusing nested_network::Nested;\n")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings(spelling: str) -> None:
    tree = Sequential((SPELLINGS[spelling], ReLU()))
    lines = [line.strip() for line in header_text(tree, (2, 9, 9), "Net", "net").splitlines()]
    assert any(line.startswith(f"{spelling},  // ") for line in lines), lines


def test_almost_inverted_residuals_are_written_out() -> None:
    block = inverted_residual(2, 6)
    layers = block.body.layers
    for index, changed in ((2, ReLU()), (3, Conv2d(6, 6, (3, 3), padding=(1, 1), groups=6))):
        other = Residual(Sequential((*layers[:index], changed, *layers[index + 1 :])))
        text = header_text(Sequential((other,)), (2, 9, 9), "Net", "net")
        assert "InvertedResidual" not in text and "Residual<" in text
    with_shortcut = Residual(block.body, Conv2d(2, 2, (1, 1)))
    assert "InvertedResidual" not in header_text(
        Sequential((with_shortcut,)), (2, 9, 9), "Net", "net"
    )


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
        header_text(NESTED, (2, 8, 8), "Nested", "nested", namespace)


@pytest.mark.parametrize(
    ("text", "struct_name", "architecture"),
    [
        ("mini_fer", "MiniFer", "mini_fer"),
        ("my-cnn.v2", "MyCnnV2", "my_cnn_v2"),
        ("MyCNN", "MyCNN", "my_cnn"),
        ("VGG16Net", "VGG16Net", "vgg16_net"),
    ],
)
def test_names_of_structs_and_architectures(text: str, struct_name: str, architecture: str) -> None:
    assert to_struct_name(text) == struct_name
    assert to_architecture(struct_name) == architecture


def test_a_header_belongs_to_its_architecture() -> None:
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


# What C++ tells of a network, layer by layer; written by hand and generated, they must agree.
SAME_STEPS = """\
template <class Written, class Generated>
constexpr bool same_steps() {
  constexpr auto written = Written::steps();
  constexpr auto generated = Generated::steps();
  if (written.size() != generated.size()) return false;
  for (std::size_t i = 0; i < written.size(); ++i) {
    const mien::ForwardStep &a = written[i], &b = generated[i];
    for (std::size_t k = 0; k < a.layers.size(); ++k) {
      if (a.layers[k] != b.layers[k]) return false;
    }
    if (a.channels != b.channels || a.height != b.height || a.width != b.width) return false;
    if (a.tensors != b.tensors || a.parameters != b.parameters) return false;
    if (a.multiply_adds != b.multiply_adds) return false;
  }
  return std::is_same_v<typename Written::Input, typename Generated::Input>;
}
"""


@pytest.mark.skipif(bool(MISSING_CPP), reason=MISSING_CPP)
def test_the_librarys_own_headers_have_the_exported_layers(tmp_path: Path) -> None:
    includes, checks = [], []
    for name, info in NETWORKS.items():
        shape = (1, info.input_size, info.input_size)
        struct_name = info.build.__name__
        text = header_text(trace(info.build(), shape), shape, struct_name, name, "generated")
        (tmp_path / f"generated_{name}.hpp").write_text(text)
        includes += [f"<mien/models/{librarys_header(name).name}>", f'"generated_{name}.hpp"']
        condition = f"same_steps<mien::{struct_name}, generated::{struct_name}>()"
        checks.append(f'static_assert({condition}, "{name}");')
    lines = [f"#include {header}" for header in includes]
    (tmp_path / "same.cpp").write_text("\n".join([*lines, SAME_STEPS, *checks]) + "\n")
    command = compile_command("same.cpp", "-fsyntax-only", f"-I{tmp_path}")
    compiled = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert compiled.returncode == 0, compiled.stderr[:4000]


def test_the_command_compares_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weight = NamedTensor("lin.weight", np.ones((1, 4), np.float32))
    file = WeightFile("mini_fer", Preprocessing(1, 2, 2, 2), ("a",), (weight,), ())
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
    assert trace(block, (128, 9, 9)).layers == (inverted_residual(128, 256),)
