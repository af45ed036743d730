"""Convert an OpenCV Haar cascade: `python -m mien_tools.cascade IN.xml --output OUT.haar`.

Reads the format of OpenCV's traincascade (stumps and trees, upright and tilted features). The
layout of the .haar file stands at the top of include/mien/faces/haar/cascade.hpp.
"""

import argparse
import contextlib
import graphlib
import io
import math
import re
import struct
import sys
import xml.etree.ElementTree as ET
import xml.parsers.expat
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mien_tools.commands import exit_status
from mien_tools.container import FormatError, seal, string, write_atomically

KIND = "HAAR"
VERSION = 1

WINDOW_SIDES = range(3, 256)
MOST_RECTS = 3
MOST_NODES = 255
LARGEST_PIXEL = 255
# Feature values below are exact in single precision; OpenCV's rounding then plays no part.
EXACT_LIMIT = 2**24
# What OpenCV takes off each stage's threshold on loading (cascadedetect.cpp, THRESHOLD_EPS).
THRESHOLD_EPSILON = np.float32(1e-5)

INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class WeightedRect:
    x: int
    y: int
    width: int
    height: int
    weight: int


@dataclass(frozen=True)
class Feature:
    rects: list[WeightedRect]
    tilted: bool


@dataclass(frozen=True)
class Node:
    left: int  # above 0: node of the same tree; otherwise leaf -left
    right: int
    feature: int
    threshold: np.float32


@dataclass(frozen=True)
class Tree:
    nodes: list[Node]
    leaves: list[np.float32]


@dataclass(frozen=True)
class Stage:
    threshold: np.float32
    trees: list[Tree]


@dataclass(frozen=True)
class Cascade:
    name: str
    notice: str
    width: int
    height: int
    features: list[Feature]
    stages: list[Stage]

    def pack(self) -> bytes:
        """The whole .haar file."""
        parts = [
            string(self.name),
            string(self.notice),
            struct.pack("<BB", self.width, self.height),
        ]
        parts.append(struct.pack("<I", len(self.features)))
        for feature in self.features:
            parts.append(struct.pack("<BB", feature.tilted, len(feature.rects)))
            parts += [
                struct.pack("<4Bh", rect.x, rect.y, rect.width, rect.height, rect.weight)
                for rect in feature.rects
            ]
        parts.append(struct.pack("<I", len(self.stages)))
        for stage in self.stages:
            parts.append(struct.pack("<fI", stage.threshold, len(stage.trees)))
            for tree in stage.trees:
                parts.append(struct.pack("<B", len(tree.nodes)))
                parts += [
                    struct.pack("<hhIf", node.left, node.right, node.feature, node.threshold)
                    for node in tree.nodes
                ]
                parts.append(struct.pack(f"<{len(tree.leaves)}f", *tree.leaves))
        return seal(KIND, VERSION, b"".join(parts))


def read_cascade(data: bytes, name: str) -> Cascade:
    """Read and check an OpenCV cascade; a FormatError says what is wrong and where."""
    root = _cascade_element(data)
    for tag, expected in (("stageType", "BOOST"), ("featureType", "HAAR")):
        found = _text(_child(root, tag, "cascade"))
        if found != expected:
            raise FormatError(f"{tag}: expected {expected}, found {found or 'nothing'}")
    width, height = (_window_side(root, tag) for tag in ("width", "height"))
    features = [
        _feature(element, width, height, f"feature {i}")
        for i, element in enumerate(_items(root, "features", "cascade"))
    ]
    stages = [
        _stage(element, len(features), f"stage {i}")
        for i, element in enumerate(_items(root, "stages", "cascade"))
    ]
    return Cascade(
        name, leading_comments(data), width, height, features, _as_opencv_runs_stumps(stages)
    )


def leading_comments(data: bytes) -> str:
    """The comments before the first element, where OpenCV's files carry their licence."""
    comments = []
    for event, element in ET.iterparse(io.BytesIO(data), events=("start", "comment")):
        if event == "start":
            break
        comments.append(element.text.strip("\n").rstrip())
    return "\n\n".join(comments)


def _refuse_declarations(data: bytes) -> None:
    """OpenCV writes no DOCTYPE, in which entities would be declared that grow without bounds."""

    class Seen(Exception):
        pass

    def stop(*_: object) -> None:
        raise Seen

    def refuse(*_: object) -> None:
        raise FormatError("expected XML without a DOCTYPE, found one")

    parser = xml.parsers.expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = stop  # declarations stand before the first element
    # What is not well-formed is said later.
    with contextlib.suppress(Seen, xml.parsers.expat.ExpatError):
        parser.Parse(data, True)


def _cascade_element(data: bytes) -> ET.Element:
    _refuse_declarations(data)
    try:
        root = ET.fromstring(data)
    except ET.ParseError as error:
        raise FormatError(f"expected well-formed XML, found: {error}") from None
    if root.tag != "opencv_storage" or len(root) == 0:
        raise FormatError(
            f"expected an element <opencv_storage> with a cascade in it, found <{root.tag}> "
            f"with {len(root)} elements"
        )
    cascade = root[0]
    if cascade.get("type_id") == "opencv-haar-classifier":
        raise FormatError(
            f"<{cascade.tag}>: expected the format of opencv_traincascade "
            "(opencv-cascade-classifier), found the old one (opencv-haar-classifier)"
        )
    return cascade


def _child(parent: ET.Element, tag: str, place: str) -> ET.Element:
    child = parent.find(tag)
    if child is None:
        found = ", ".join(f"<{element.tag}>" for element in parent[:8]) or "no element"
        raise FormatError(f"{place}: expected an element <{tag}>, found {found}")
    return child


def _items(parent: ET.Element, tag: str, place: str) -> list[ET.Element]:
    items = list(_child(parent, tag, place))
    if not items:
        raise FormatError(f"{place}, {tag}: expected at least one entry, found none")
    return items


def _text(element: ET.Element) -> str:
    return (element.text or "").strip()


def _integer(text: str, place: str) -> int:
    if not INTEGER.fullmatch(text):
        raise FormatError(f"{place}: expected an integer, found {text or 'nothing'}")
    return int(text)


def _float32(text: str, place: str) -> np.float32:
    """As OpenCV reads it: decimal to double, double to single, two roundings."""
    value = np.float64(text) if NUMBER.fullmatch(text) else math.nan
    with np.errstate(over="ignore"):
        single = np.float32(value)
    if not np.isfinite(single):
        raise FormatError(f"{place}: expected a finite number, found {text or 'nothing'}")
    return single


def _window_side(root: ET.Element, tag: str) -> int:
    side = _integer(_text(_child(root, tag, "cascade")), tag)
    if side not in WINDOW_SIDES:
        raise FormatError(
            f"{tag}: expected {WINDOW_SIDES.start} to {WINDOW_SIDES.stop - 1}, found {side}"
        )
    return side


def _feature(element: ET.Element, width: int, height: int, place: str) -> Feature:
    tilted_element = element.find("tilted")
    tilted = tilted_element is not None and _integer(_text(tilted_element), f"{place}, tilted") != 0
    items = _items(element, "rects", place)
    if len(items) > MOST_RECTS:
        raise FormatError(f"{place}: expected 1 to {MOST_RECTS} rectangles, found {len(items)}")
    rects = [
        _rect(_text(item), tilted, width, height, f"{place}, rectangle {i}")
        for i, item in enumerate(items)
    ]
    pixels_of_unit = 2 if tilted else 1
    largest_value = sum(
        abs(rect.weight) * rect.width * rect.height * pixels_of_unit * LARGEST_PIXEL
        for rect in rects
    )
    if largest_value >= EXACT_LIMIT:
        raise FormatError(
            f"{place}: expected a sum of |weight| * pixels * {LARGEST_PIXEL} below {EXACT_LIMIT}, "
            f"found {largest_value}"
        )
    return Feature(rects, tilted)


def _rect(text: str, tilted: bool, width: int, height: int, place: str) -> WeightedRect:
    words = text.split()
    if len(words) != 5:
        raise FormatError(
            f"{place}: expected 5 numbers (x, y, width, height, weight), found {len(words)}"
        )
    x, y, rect_width, rect_height = (_integer(word, place) for word in words[:4])
    weight = float(_float32(words[4], f"{place}, weight"))
    if not weight.is_integer() or abs(weight) > 2**15 - 1:
        raise FormatError(f"{place}, weight: expected a 16-bit integer, found {words[4]}")
    left = x - rect_height if tilted else x
    bottom = y + rect_height + (rect_width if tilted else 0)
    outside = left < 0 or y < 0 or x + rect_width > width or bottom > height
    if rect_width < 1 or rect_height < 1 or outside:
        shape = "a tilted" if tilted else "an upright"
        raise FormatError(
            f"{place}: expected {shape} rectangle inside the window of {width} x {height}, found "
            f"x {x}, y {y}, width {rect_width}, height {rect_height}"
        )
    return WeightedRect(x, y, rect_width, rect_height, int(weight))


def _stage(element: ET.Element, feature_count: int, place: str) -> Stage:
    threshold = _float32(
        _text(_child(element, "stageThreshold", place)), f"{place}, stageThreshold"
    )
    trees = [
        _tree(item, feature_count, f"{place}, weak classifier {i}")
        for i, item in enumerate(_items(element, "weakClassifiers", place))
    ]
    return Stage(threshold - THRESHOLD_EPSILON, trees)


def _tree(element: ET.Element, feature_count: int, place: str) -> Tree:
    words = _text(_child(element, "internalNodes", place)).split()
    if not words or len(words) % 4 != 0:
        raise FormatError(
            f"{place}, internalNodes: expected 4 numbers a node (left, right, feature, threshold), "
            f"found {len(words)} numbers"
        )
    node_count = len(words) // 4
    if node_count > MOST_NODES:
        raise FormatError(f"{place}: expected 1 to {MOST_NODES} nodes, found {node_count}")
    nodes = [
        _node(words[4 * i : 4 * i + 4], node_count, feature_count, f"{place}, node {i}")
        for i in range(node_count)
    ]
    leaves = [
        _float32(word, f"{place}, leafValues")
        for word in _text(_child(element, "leafValues", place)).split()
    ]
    if len(leaves) != node_count + 1:
        raise FormatError(
            f"{place}, leafValues: expected {node_count + 1} (one more than nodes), "
            f"found {len(leaves)}"
        )
    return Tree(_parents_first(nodes, place), leaves)


def _node(words: list[str], node_count: int, feature_count: int, place: str) -> Node:
    left, right, feature = (_integer(word, place) for word in words[:3])
    for child in (left, right):
        if not -node_count <= child < node_count:
            nodes = f"a node from 1 to {node_count - 1} or " if node_count > 1 else ""
            raise FormatError(
                f"{place}, child: expected {nodes}a leaf from 0 to -{node_count}, found {child}"
            )
    if not 0 <= feature < feature_count:
        raise FormatError(f"{place}, feature: expected 0 to {feature_count - 1}, found {feature}")
    return Node(left, right, feature, _float32(words[3], f"{place}, threshold"))


def _as_opencv_runs_stumps(stages: list[Stage]) -> list[Stage]:
    """If all trees are stumps OpenCV takes the first leaf below the threshold, whatever the node
    says (cascadedetect.hpp, predictOrderedStump)."""
    trees = [tree for stage in stages for tree in stage.trees]
    if all(len(tree.nodes) == 1 for tree in trees):
        for tree in trees:
            tree.nodes[0] = replace(tree.nodes[0], left=0, right=-1)
    return stages


def _parents_first(nodes: list[Node], place: str) -> list[Node]:
    """The same tree, numbered so that children come after their parents."""
    if all(child <= 0 or child > i for i, n in enumerate(nodes) for child in (n.left, n.right)):
        return nodes
    children = {i: [c for c in (n.left, n.right) if c > 0] for i, n in enumerate(nodes)}
    try:
        order = list(graphlib.TopologicalSorter(children).static_order())[::-1]
    except graphlib.CycleError as error:
        cycle = " -> ".join(str(node) for node in error.args[1])
        raise FormatError(f"{place}: expected a tree, found a cycle of nodes: {cycle}") from None
    order.remove(0)
    order.insert(0, 0)  # no node has the root as its child, so that it may go first
    place_of = {old: new for new, old in enumerate(order)}

    def renumbered(child: int) -> int:
        return place_of[child] if child > 0 else child

    return [
        replace(node, left=renumbered(node.left), right=renumbered(node.right))
        for node in (nodes[old] for old in order)
    ]


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="mien_tools.cascade",
        description="Convert an OpenCV Haar cascade (as of opencv_traincascade) to a .haar file.",
    )
    parser.add_argument("input", type=Path, metavar="IN.xml")
    parser.add_argument("--output", type=Path, required=True, metavar="OUT.haar")
    parser.add_argument("--name", help="name kept in the file (default: the input's, without .xml)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return exit_status("mien_tools.cascade", lambda: _convert(options), (FormatError,))


def _convert(options: argparse.Namespace) -> None:
    name = options.input.stem if options.name is None else options.name
    try:
        data = options.input.read_bytes()
    except OSError as error:
        raise FormatError(f"{options.input}: cannot read: {error.strerror}") from error
    try:
        cascade = read_cascade(data, name)
        packed = cascade.pack()
    except FormatError as error:
        raise FormatError(f"{options.input}: {error}") from error
    try:
        write_atomically(options.output, packed)
    except OSError as error:
        raise FormatError(f"{options.output}: cannot write: {error.strerror}") from error
    trees = sum(len(stage.trees) for stage in cascade.stages)
    print(
        f"{options.output}: window {cascade.width} x {cascade.height}, "
        f"{len(cascade.stages)} stages, {trees} weak classifiers, "
        f"{len(cascade.features)} features, {len(packed)} bytes"
    )


if __name__ == "__main__":
    sys.exit(main())
