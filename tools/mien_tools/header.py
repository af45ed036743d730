"""Writes a graph as a C++ type in a header; checks a header against its weights.

`python -m mien_tools.header HEADER FILE.mien` says whether a header is for a weight file.
"""

import argparse
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from mien_tools import weights
from mien_tools.commands import exit_status
from mien_tools.container import FormatError
from mien_tools.graph import Graph, node_parameters
from mien_tools.layers import LAYERS
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

_COMPOSITES = ("From", "Identity", "Input", "InvertedResidual", "Mark", "Sequential")
_LAYER_CLASSES = frozenset(_COMPOSITES).union(*(record.cpp_names for record in LAYERS.values()))

# What a generated struct uses inside, so that it cannot be called that itself.
_TAKEN = _LAYER_CLASSES | {"Network", "Output", "Workspace", "mien", "name", "std"}

# How far the layers of a composite stand to the right of it.
_INDENT = "    "

_NAME = re.compile(r'\bstatic\s+constexpr\s+std::string_view\s+name\s*=\s*"([^"]*)"')


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


def to_network_name(struct_name: str) -> str:
    """ "MyCnn" becomes "my_cnn", "VGG16Net" "vgg16_net"."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", struct_name)
    return words.lower()


def header_text(graph: Graph, struct_name: str, name: str, namespace: str = "") -> str:
    """The C++ header of a network, its struct in `namespace` (such as "a::b"; "": the global one).

    Outside "mien" the struct stands in an inner namespace with using declarations, so that layers
    need no qualification and their names reach no other code. Raises HeaderError.
    """
    check_struct_name(struct_name)
    for part in namespace.split("::") if namespace else ():
        check_namespace(part)
    _check_expressible(graph)
    shapes = graph.shapes()
    input_shape = graph.inputs[0].shape
    opening = f"    : Network<{struct_name}, "
    first = f"{opening}Input<{', '.join(map(str, input_shape))}>,"
    indent = " " * (len(opening) - len(f"{struct_name}, "))
    rows = [_Row(first, "output, parameters"), *_rows(_Speller(graph).items(), indent)]
    rows[-1] = _Row(rows[-1].code + "> {", rows[-1].comment)
    struct = f"""\
// clang-format off
struct {struct_name}
{_aligned(rows)}
  static constexpr std::string_view name = "{name}";
  using Network::Network;
}};
// clang-format on

static_assert({struct_name}::parameter_count == {graph.parameter_count},
              "{struct_name} has other layers than the network that was exported");
"""
    output_shape = shapes[graph.outputs[0].value]
    include_ratio = "#include <ratio>\n" if "std::ratio" in struct else ""
    return f"""\
// {struct_name}: {_image_text(input_shape)} to {_image_text(output_shape)}, \
{graph.parameter_count} parameters.
// Written by mien_tools.export, together with the weights that fit it.
#pragma once

{include_ratio}#include <string_view>

#include <mien/network.hpp>

{_in_namespace(struct, struct_name, name, namespace)}"""


def _check_expressible(graph: Graph) -> None:
    """Refuse what a C++ type cannot say and a weight file can."""
    if len(graph.inputs) != 1 or None in graph.inputs[0].shape:
        found = ", ".join(shape_text(entry.shape) for entry in graph.inputs)
        raise HeaderError(f"header: input: expected one of a fixed size, found {found}")
    if len(graph.outputs) != 1:
        names = ", ".join(output.name for output in graph.outputs)
        raise HeaderError(
            f"header: outputs: expected one for a C++ type, found {len(graph.outputs)} ({names}); "
            "mien::Model runs the weight file without a header"
        )
    if not graph.nodes or graph.outputs[0].value != graph.value_of(len(graph.nodes) - 1):
        raise HeaderError("header: output: expected that of the last layer, found another value")


def _image_text(shape: Shape) -> str:
    """A shape for people, that of a flat vector as one number."""
    return shape_text(shape[:1] if shape[1:] == (1, 1) else shape)


def _in_namespace(struct: str, struct_name: str, name: str, namespace: str) -> str:
    if namespace != "mien":
        inner = f"{name}_network"
        used = sorted(set(re.findall(r"\w+", struct)) & (_LAYER_CLASSES | {"Network"}))
        declarations = "\n".join(f"using mien::{layer};" for layer in used)
        struct = f"{declarations}\n\n{struct}"
        struct = f"namespace {inner} {{\n\n{struct}\n}}  // namespace {inner}\n"
        struct += f"\nusing {inner}::{struct_name};\n"
    if not namespace:
        return struct
    return f"namespace {namespace} {{\n\n{struct}\n}}  // namespace {namespace}\n"


def check_header(text: str, header_name: str, network: str) -> None:
    """Raise HeaderError unless a network of the header has this name."""
    found = _NAME.findall(text)
    if network not in found:
        names = ", ".join(f"'{name}'" for name in found) or "none"
        raise HeaderError(
            f"{header_name}: name of the network: expected '{network}', found {names}"
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


@dataclass
class _Item:
    """A type in C++: of a layer, or of one that has others inside."""

    code: str
    remark: str = ""
    parts: list["_Item"] = field(default_factory=list)


# A stretch of the graph: the number of a node, or a fork and its join.
_Element = "int | _Fork"


@dataclass
class _Fork:
    """Branches, of the nodes from `first` on, that part at a value and meet in the node `join`."""

    join: int
    first: int
    start: int
    branches: list[list[_Element]]


class _Speller:
    """Writes a graph as a list of types.

    What forks and joins again without anything else taking part is a Residual, an Add or a
    Concatenate of branches; whatever else takes an earlier value has it by Mark and From.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.shapes = graph.shapes()
        # The last node that takes a value.
        self.last_use = [-1] * len(self.shapes)
        for index, node in enumerate(graph.nodes):
            for value in node.inputs:
                self.last_use[value] = index
        self.last_use[graph.outputs[0].value] = len(graph.nodes)
        self.marks = 0

    def items(self) -> list[_Item]:
        return self._spelled(self._stretch(0, len(self.graph.nodes), start=0), start=0)

    def _stretch(self, begin: int, end: int, start: int) -> list[_Element]:
        """Nodes `begin` to `end`, which follow the value `start`, with the forks among them."""
        elements: list[_Element] = []
        for index in range(begin, end):
            fork = self._fork(begin, index, start)
            if fork is None:
                elements.append(index)
            else:
                elements = [e for e in elements if _first(e) < fork.first] + [fork]
        return elements

    def _fork(self, begin: int, join: int, before: int) -> _Fork | None:
        """The fork that meets in a node, from the node `begin`, which follows the value `before`.

        None if there is none.
        """
        node = self.graph.nodes[join]
        if len(node.inputs) < 2:
            return None

        def preceding(first: int) -> int:
            return before if first == begin else self.graph.value_of(first) - 1

        taken = set(node.inputs)
        first = join
        # The fewest nodes that take but one value from outside, the one that they follow.
        while taken != {preceding(first)}:
            first -= 1
            if first < begin:
                return None
            taken.discard(self.graph.value_of(first))
            taken.update(self.graph.nodes[first].inputs)
        start = preceding(first)
        inside = range(self.graph.value_of(first), self.graph.value_of(join))
        if any(self.last_use[value] > join for value in inside):
            return None
        branches = []
        next_node = first
        for value in node.inputs:
            begin_branch = next_node
            if value != start:
                next_node = value - len(self.graph.inputs) + 1
                if next_node <= begin_branch or not self._is_branch(begin_branch, next_node, start):
                    return None
            branches.append(self._stretch(begin_branch, next_node, start))
        return _Fork(join, first, start, branches) if next_node == join else None

    def _is_branch(self, begin: int, end: int, start: int) -> bool:
        """Whether nodes take the value `start` and one another's alone."""
        allowed = {start, *range(self.graph.value_of(begin), self.graph.value_of(end))}
        return all(allowed.issuperset(self.graph.nodes[i].inputs) for i in range(begin, end))

    def _spelled(self, elements: list[_Element], start: int) -> list[_Item]:
        """The types of a stretch that begins with the value `start`."""
        current, marked = start, set()
        for element in elements:
            if not isinstance(element, _Fork):
                marked.update(set(self.graph.nodes[element].inputs) - {current})
            current = self.graph.value_of(_last(element))
        marks: dict[int, int] = {}
        items: list[_Item] = []
        current = start
        for element in (None, *elements):
            if element is not None:
                items += self._element(element, current, marks)
                current = self.graph.value_of(_last(element))
            if current in marked:
                self.marks += 1
                marks[current] = self.marks
                items.append(_Item(f"Mark<{self.marks}>"))
        return items

    def _element(self, element: _Element, current: int, marks: dict[int, int]) -> list[_Item]:
        if isinstance(element, _Fork):
            return [self._fork_item(element)]
        node, remark = self.graph.nodes[element], self._remark(element)
        operands = [
            "Identity" if value == current else f"From<{marks[value]}>" for value in node.inputs
        ]
        if len(operands) > 1:
            return [_Item(f"{node.layer}<{', '.join(operands)}>", remark)]
        layer = _Item(node.record.cpp(node.resolved), remark)
        return [layer] if operands == ["Identity"] else [_Item(operands[0]), layer]

    def _fork_item(self, fork: _Fork) -> _Item:
        branches = [self._spelled(branch, fork.start) for branch in fork.branches]
        name = self.graph.nodes[fork.join].layer
        if name == "Add" and branches[0]:
            name = "Residual"
            block = self._inverted_residual(branches)
            if block:
                nodes = range(fork.first, fork.join + 1)
                return _Item(block, self._remark(*nodes))
            if not branches[1]:
                branches.pop()
        return _Item(name, self._remark(fork.join), [_as_one(branch) for branch in branches])

    def _inverted_residual(self, branches: list[list[_Item]]) -> str:
        """InvertedResidual<Channels, Hidden> if these branches are that block, else nothing."""
        found = re.fullmatch(r"Conv2d<(\d+), (\d+), .*", branches[0][0].code)
        if not found or branches[1]:
            return ""
        channels, hidden = found.groups()
        block = [
            f"Conv2d<{channels}, {hidden}, Kernel<1>, NoBias>",
            f"BatchNorm2d<{hidden}>",
            "ReLU6",
            f"DepthwiseConv2d<{hidden}, Kernel<3>, Padding<1>, NoBias>",
            f"BatchNorm2d<{hidden}>",
            "ReLU6",
            f"Conv2d<{hidden}, {channels}, Kernel<1>, NoBias>",
        ]
        is_block = [item.code for item in branches[0]] == block
        return f"InvertedResidual<{channels}, {hidden}>" if is_block else ""

    def _remark(self, *nodes: int) -> str:
        """Shape of the last one's output, and the number of parameters if there are any."""
        shape = _image_text(self.shapes[self.graph.value_of(nodes[-1])])
        parameters = sum(node_parameters(self.graph.nodes[node]) for node in nodes)
        return f"{shape}, {parameters}" if parameters else shape


def _first(element: _Element) -> int:
    return element.first if isinstance(element, _Fork) else element


def _last(element: _Element) -> int:
    return element.join if isinstance(element, _Fork) else element


def _as_one(items: list[_Item]) -> _Item:
    if len(items) == 1:
        return items[0]
    return _Item("Sequential", parts=items) if items else _Item("Identity")


def _rows(items: list[_Item], indent: str) -> list[_Row]:
    """The lines of types, a comma after all but the last."""
    rows: list[_Row] = []
    for item in items:
        rows = rows[:-1] + [_Row(row.code + ",", row.comment) for row in rows[-1:]]
        if not item.parts:
            rows.append(_Row(indent + item.code, item.remark))
            continue
        inner = _rows(item.parts, indent + _INDENT)
        closed = _Row(inner[-1].code + ">", inner[-1].comment)
        rows += [_Row(f"{indent}{item.code}<"), *inner[:-1], closed]
    return rows


def cpp_type(graph: Graph) -> str:
    """A network's layers as one C++ type, a Sequential if there are several; raises HeaderError."""
    _check_expressible(graph)
    return _on_one_line(_as_one(_Speller(graph).items()))


def _on_one_line(item: _Item) -> str:
    if not item.parts:
        return item.code
    return f"{item.code}<{', '.join(map(_on_one_line, item.parts))}>"


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
        check_header(text, str(options.header), weights.read(options.file).network)

    return exit_status(parser.prog, check, (FormatError, HeaderError))


if __name__ == "__main__":
    sys.exit(main())
