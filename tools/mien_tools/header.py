"""Writes a layer tree as a C++ header; checks one against its weights.

`python -m mien_tools.header HEADER FILE.mien` says whether a header is for a weight file.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mien_tools import layer_tree, weights
from mien_tools.commands import exit_status
from mien_tools.container import FormatError
from mien_tools.layer_tree import Layer, Pair, Residual, Sequential
from mien_tools.shapes import Shape, shape_text

# ISO C++20, table 5 (keywords), table 6 (alternative tokens) and the identifiers with special
# meaning of table 4.
_KEYWORD_TABLE = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t
char32_t class co_await co_return co_yield compl concept const const_cast consteval constexpr
constinit continue decltype default delete do double dynamic_cast else enum explicit export
extern false final float for friend goto if import inline int long module mutable namespace new
noexcept not not_eq nullptr operator or or_eq override private protected public register
reinterpret_cast requires return short signed sizeof static static_assert static_cast struct
switch template this thread_local throw true try typedef typeid typename union unsigned using
virtual void volatile wchar_t while xor xor_eq
"""
_KEYWORDS = frozenset(_KEYWORD_TABLE.split())

_LAYER_TABLE = """
AvgPool2d BatchNorm2d Concatenate Conv2d Dense DepthwiseConv2d Flatten Groups Input InvertedResidual
Kernel LocalResponseNorm MaxPool2d NoBias Padding ReLU ReLU6 Residual Sequential Softmax Stride
"""
_LAYER_CLASSES = frozenset(_LAYER_TABLE.split())

# What a generated struct uses inside, so that it cannot be called that itself.
_TAKEN = _LAYER_CLASSES | {"Network", "Output", "Workspace", "mien", "name", "std"}

# How far the layers of a composite stand to the right of it.
_INDENT = "    "

_ARCHITECTURE = re.compile(r'\bstatic\s+constexpr\s+std::string_view\s+name\s*=\s*"([^"]*)"')


class HeaderError(ValueError):
    """A header cannot be written, or does not fit its weights."""


def check_struct_name(name: str) -> None:
    """Raise HeaderError unless `name` can be a C++ struct's."""
    _check_identifier("struct name", name)
    if name in _TAKEN:
        raise HeaderError(
            f"struct name: expected a name that the header does not use itself, found '{name}'"
        )


def check_namespace(name: str) -> None:
    """Raise HeaderError unless `name` can be a C++ namespace's."""
    _check_identifier("namespace", name)


def _check_identifier(what: str, name: str) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name, re.ASCII) or "__" in name:
        raise HeaderError(
            f"{what}: expected a letter, then letters, digits or single underscores, found '{name}'"
        )
    if name in _KEYWORDS:
        raise HeaderError(f"{what}: expected an identifier of C++, found its keyword '{name}'")


def to_struct_name(text: str) -> str:
    """ "my_cnn" becomes "MyCnn"; what is no letter or digit separates words."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    return "".join(word[0].upper() + word[1:] for word in words)


def to_architecture(struct_name: str) -> str:
    """ "MyCnn" becomes "my_cnn", "VGG16Net" "vgg16_net"."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", struct_name)
    return words.lower()


def header_text(
    tree: Sequential,
    input_shape: Shape,
    struct_name: str,
    architecture: str,
    namespace: str = "",
) -> str:
    """The C++ header of a network, its struct in `namespace` (such as "a::b"; "": the global one).

    Outside "mien" the struct stands in an inner namespace with using declarations, so that layers
    need no qualification and their names reach no other code.
    """
    check_struct_name(struct_name)
    for part in namespace.split("::") if namespace else ():
        check_namespace(part)
    opening = f"    : Network<{struct_name}, "
    first = f"{opening}Input<{', '.join(map(str, input_shape))}>,"
    indent = " " * (len(opening) - len(f"{struct_name}, "))
    rows = [_Row(first, "output, parameters"), *_rows(tree.layers, input_shape, indent)]
    rows[-1] = _Row(rows[-1].code + "> {", rows[-1].comment)
    struct = f"""\
// clang-format off
struct {struct_name}
{_aligned(rows)}
  static constexpr std::string_view name = "{architecture}";
  using Network::Network;
}};
// clang-format on

static_assert({struct_name}::parameter_count == {tree.parameter_count},
              "{struct_name} has other layers than the network that was exported");
"""
    output_shape = tree.output_shape(input_shape)
    include_ratio = "#include <ratio>\n" if "std::ratio" in struct else ""
    return f"""\
// {struct_name}: {shape_text(input_shape)} to {shape_text(output_shape)}, \
{tree.parameter_count} parameters.
// Written by mien_tools.export, together with the weights that fit it.
#pragma once

{include_ratio}#include <string_view>

#include <mien/layers/layers.hpp>
#include <mien/network.hpp>

{_in_namespace(struct, struct_name, architecture, namespace)}"""


def _in_namespace(struct: str, struct_name: str, architecture: str, namespace: str) -> str:
    if namespace != "mien":
        inner = f"{architecture}_network"
        used = sorted(set(re.findall(r"\w+", struct)) & (_LAYER_CLASSES | {"Network"}))
        declarations = "\n".join(f"using mien::{name};" for name in used)
        struct = f"{declarations}\n\n{struct}"
        struct = f"namespace {inner} {{\n\n{struct}\n}}  // namespace {inner}\n"
        struct += f"\nusing {inner}::{struct_name};\n"
    if not namespace:
        return struct
    return f"namespace {namespace} {{\n\n{struct}\n}}  // namespace {namespace}\n"


def check_header(text: str, header_name: str, architecture: str) -> None:
    """Raise HeaderError unless a network of the header has this architecture name."""
    found = _ARCHITECTURE.findall(text)
    if architecture not in found:
        names = ", ".join(f"'{name}'" for name in found) or "none"
        raise HeaderError(
            f"{header_name}: name of the network: expected '{architecture}', found {names}"
        )


@dataclass(frozen=True)
class _Row:
    """A line of the struct's base: code, and what is said of it."""

    code: str
    comment: str = ""


def _aligned(rows: list[_Row]) -> str:
    """The rows as lines, their comments in one column."""
    column = max(len(row.code) for row in rows if row.comment) + 2
    return "\n".join(
        row.code.ljust(column) + f"// {row.comment}" if row.comment else row.code for row in rows
    )


def _rows(layers: tuple[Layer, ...], input_shape: Shape, indent: str) -> list[_Row]:
    """The lines of layers that follow one another, a comma after all but the last."""
    rows: list[_Row] = []
    for layer in layers:
        rows = _with_comma(rows) + _layer_rows(layer, input_shape, indent)
        input_shape = layer.output_shape(input_shape)
    return rows


def _layer_rows(layer: Layer, input_shape: Shape, indent: str) -> list[_Row]:
    """One line for a layer; for a composite one that opens it, and those of what is in it."""
    is_block = isinstance(layer, Residual) and layer.as_inverted_residual() is not None
    if is_block or not layer.children():
        return [_Row(indent + _spelling(layer), _remark(layer, input_shape))]
    inner = indent + _INDENT
    rows: list[_Row] = []
    if isinstance(layer, Sequential):
        rows = _rows(layer.layers, input_shape, inner)
    else:
        # The parts of a Residual or a Concatenate all read its input.
        for part in layer.children():
            rows = _with_comma(rows) + _layer_rows(part, input_shape, inner)
    closed = _Row(rows[-1].code + ">", rows[-1].comment)
    return [_Row(f"{indent}{type(layer).__name__}<"), *rows[:-1], closed]


def _with_comma(rows: list[_Row]) -> list[_Row]:
    return rows[:-1] + [_Row(row.code + ",", row.comment) for row in rows[-1:]]


def _remark(layer: Layer, input_shape: Shape) -> str:
    """Output shape, and the number of parameters if there are any."""
    shape = shape_text(layer.output_shape(input_shape))
    return f"{shape}, {layer.parameter_count}" if layer.parameter_count else shape


def _spelling(layer: Layer) -> str:
    """A layer's type as C++ source."""
    match layer:
        case layer_tree.Conv2d():
            return _conv2d_spelling(layer)
        case layer_tree.BatchNorm2d(channels=channels):
            return f"BatchNorm2d<{channels}>"
        case layer_tree.Pooling2d():
            return _pooling_spelling(layer)
        case layer_tree.LocalResponseNorm():
            ratios = ", ".join(map(_ratio, (layer.alpha, layer.beta, layer.k)))
            return f"LocalResponseNorm<{layer.size}, {ratios}>"
        case layer_tree.Dense():
            no_bias = "" if layer.bias else ", NoBias"
            return f"Dense<{layer.in_features}, {layer.out_features}{no_bias}>"
        case Residual():
            channels, hidden = layer.as_inverted_residual()
            return f"InvertedResidual<{channels}, {hidden}>"
    # ReLU, ReLU6, Flatten and Softmax have no options.
    return type(layer).__name__


def _conv2d_spelling(layer: layer_tree.Conv2d) -> str:
    arguments = [_option("Kernel", layer.kernel)]
    if layer.stride != (1, 1):
        arguments.append(_option("Stride", layer.stride))
    if layer.padding != (0, 0):
        arguments.append(_option("Padding", layer.padding))
    if layer.groups != 1 and not layer.is_depthwise:
        arguments.append(f"Groups<{layer.groups}>")
    if not layer.bias:
        arguments.append("NoBias")
    options = ", ".join(arguments)
    if layer.is_depthwise:
        return f"DepthwiseConv2d<{layer.in_channels}, {options}>"
    return f"Conv2d<{layer.in_channels}, {layer.out_channels}, {options}>"


def _ratio(number: Fraction) -> str:
    """One number where it is whole, as std::ratio itself has it."""
    numbers = (number.numerator,) if number.denominator == 1 else number.as_integer_ratio()
    return f"std::ratio<{', '.join(map(str, numbers))}>"


def _pooling_spelling(layer: layer_tree.Pooling2d) -> str:
    arguments = [_option("Kernel", layer.kernel)]
    if layer.stride != layer.kernel:
        arguments.append(_option("Stride", layer.stride))
    if layer.padding != (0, 0):
        arguments.append(_option("Padding", layer.padding))
    return f"{type(layer).__name__}<{', '.join(arguments)}>"


def _option(name: str, value: Pair) -> str:
    """One number where height and width agree."""
    numbers = value[:1] if value[0] == value[1] else value
    return f"{name}<{', '.join(map(str, numbers))}>"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="mien_tools.header",
        description="Check that a network's C++ header and a .mien weight file belong together.",
    )
    parser.add_argument("header", type=Path, metavar="HEADER")
    parser.add_argument("file", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)

    def check() -> None:
        text = options.header.read_text(encoding="utf-8")
        check_header(text, str(options.header), weights.read(options.file).architecture)

    return exit_status(parser.prog, check, (FormatError, HeaderError))


if __name__ == "__main__":
    sys.exit(main())
