"""The .mien file: its layout byte by byte, round trips, and files that are broken."""

import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import check_damage_is_refused_or_kept, reseal

from mien_tools import container, weights
from mien_tools.checkpoints import load_network
from mien_tools.container import FormatError
from mien_tools.graph import Graph, Input, Node, Output
from mien_tools.networks import NETWORKS
from mien_tools.weights import (
    NamedTensor,
    OutputSample,
    Pattern,
    Preprocessing,
    TestVector,
    WeightFile,
    gray,
)

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "examples/models"
# Networks that mien_tools trains; YuNet comes from elsewhere.
CLASSIFIERS = sorted(path.stem for path in MODELS.glob("*.mien") if path.stem != "yunet")
PREPROCESSING = gray(5, mean=0.5, standard_deviation=0.25, temperature=1.5)
CONV_OPTIONS = {"in_channels": 1, "out_channels": 4, "kernel_height": 3, "kernel_width": 1}
GRAPH = Graph(
    (Input(1, 3, 2),),
    (
        Node("Conv2d", (0,), CONV_OPTIONS, ("conv.weight", "conv.bias"), "conv"),
        Node("Flatten", (1,)),
        Node(
            "Dense",
            (2,),
            {"in_features": 8, "out_features": 2, "bias": 0},
            ("lin.weight",),
            "lin",
        ),
    ),
    (Output(3),),
)


def make_file() -> WeightFile:
    generator = np.random.default_rng(3)

    def floats(*shape: int) -> np.ndarray:
        return generator.standard_normal(shape).astype(np.float32)

    return WeightFile(
        network="tiny",
        graph=GRAPH,
        tensors=(
            NamedTensor("conv.weight", floats(4, 1, 3, 1)),
            NamedTensor("conv.bias", floats(4).astype(np.float16)),
            NamedTensor("lin.weight", floats(2, 8)),
        ),
        labels=("fröhlich", "traurig"),
        preprocessing=PREPROCESSING,
        vectors=(
            TestVector((floats(1, 3, 2),), (OutputSample(floats(2)),)),
            TestVector((Pattern(3, 2, seed=7, patch=2),), (OutputSample(floats(1), stride=2),)),
        ),
        replayed=1,
        tolerance=0.125,
    )


def patched(data: bytes, offset: int, new: bytes) -> bytes:
    return reseal(data[:offset] + new + data[offset + len(new) :])


def string(text: str) -> bytes:
    return struct.pack("<H", len(text.encode())) + text.encode()


def option(name: str, value: float) -> bytes:
    return string(name) + struct.pack("<d", value)


# The header of make_file(), field by field, by the layout in include/mien/weights.hpp; offsets are
# 0 until the header's end is known.
FIELDS: list[tuple[str, bytes]] = [
    ("network", string("tiny")),
    ("inputs", struct.pack("<I", 1)),
    ("input name", string("input")),
    ("channels", struct.pack("<I", 1)),
    ("height", struct.pack("<I", 3)),
    ("width", struct.pack("<I", 2)),
    ("nodes", struct.pack("<I", 3)),
    ("conv layer", string("Conv2d")),
    ("conv name", string("conv")),
    ("conv options", b"\x04"),
    ("in_channels", option("in_channels", 1)),
    ("out_channels", option("out_channels", 4)),
    ("kernel_height", option("kernel_height", 3)),
    ("kernel_width", option("kernel_width", 1)),
    ("conv inputs", struct.pack("<HI", 1, 0)),
    ("conv tensors", struct.pack("<HII", 2, 0, 1)),
    ("flatten layer", string("Flatten")),
    ("flatten name", string("")),
    ("flatten options", b"\x00"),
    ("flatten inputs", struct.pack("<HI", 1, 1)),
    ("flatten tensors", struct.pack("<H", 0)),
    ("lin layer", string("Dense")),
    ("lin name", string("lin")),
    ("lin options", b"\x03"),
    ("in_features", option("in_features", 8)),
    ("out_features", option("out_features", 2)),
    ("bias", option("bias", 0)),
    ("lin inputs", struct.pack("<HI", 1, 2)),
    ("lin tensors", struct.pack("<HI", 1, 2)),
    ("outputs", struct.pack("<I", 1)),
    ("output name", string("output")),
    ("output value", struct.pack("<I", 3)),
    ("tensors", struct.pack("<I", 3)),
    ("first name", string("conv.weight")),
    ("first type", b"\x00\x04"),
    ("first shape", struct.pack("<IIII", 4, 1, 3, 1)),
    ("first offset", struct.pack("<Q", 0)),
    ("second name", string("conv.bias")),
    ("second type", b"\x01\x01"),
    ("second shape", struct.pack("<I", 4)),
    ("second offset", struct.pack("<Q", 0)),
    ("third name", string("lin.weight")),
    ("third type", b"\x00\x02"),
    ("third shape", struct.pack("<II", 2, 8)),
    ("third offset", struct.pack("<Q", 0)),
    ("labels", struct.pack("<I", 2)),
    ("first label", b"\x09\x00fr\xc3\xb6hlich"),
    ("second label", b"\x07\x00traurig"),
    ("temperature", struct.pack("<f", 1.5)),
    ("face size", struct.pack("<I", 5)),
    ("equalize", b"\x00"),
    ("mean", struct.pack("<f", 0.5)),
    ("deviation", struct.pack("<f", 0.25)),
    ("tolerance", struct.pack("<f", 0.125)),
    ("vectors", struct.pack("<I", 2)),
    ("replayed", struct.pack("<I", 1)),
    ("stored input", struct.pack("<IIB", 3, 2, 0)),
    ("stored offset", struct.pack("<Q", 0)),
    ("stored output", struct.pack("<II", 1, 2)),
    ("stored output offset", struct.pack("<Q", 0)),
    ("pattern input", struct.pack("<IIB", 3, 2, 1)),
    ("pattern", struct.pack("<II", 7, 2)),
    ("pattern output", struct.pack("<II", 2, 1)),
    ("pattern output offset", struct.pack("<Q", 0)),
]
# Where each field begins.
AT: dict[str, int] = {}
HEADER_END = container.HEADER_SIZE
for _name, _data in FIELDS:
    AT[_name] = HEADER_END
    HEADER_END += len(_data)


def test_layout_is_the_formats() -> None:
    file = make_file()
    data = file.encode()
    blocks = [
        file.tensors[0].values,
        file.tensors[1].values,
        file.tensors[2].values,
        file.vectors[0].inputs[0],
        file.vectors[0].outputs[0].values,
        file.vectors[1].outputs[0].values,
    ]
    assert data[:8] == b"\x89MIEN\r\n\x1a"
    assert struct.unpack_from("<IIQ", data, 8) == (2, zlib.crc32(data[16:]), len(data))
    expected, body, end = b"", b"", HEADER_END
    remaining = iter(blocks)
    for name, content in FIELDS:
        if name.endswith("offset"):
            block = next(remaining).tobytes()
            offset = -(-end // 64) * 64
            body += bytes(offset - end) + block
            content, end = struct.pack("<Q", offset), offset + len(block)
        expected += content
    assert data[container.HEADER_SIZE : HEADER_END] == expected
    assert data[HEADER_END:] == body
    assert next(remaining, None) is None


def test_round_trip_is_exact() -> None:
    file = make_file()
    found = weights.decode(file.encode())
    assert found.network == file.network
    assert found.graph == file.graph
    assert found.preprocessing == file.preprocessing
    assert found.labels == file.labels
    assert (found.replayed, found.tolerance) == (1, 0.125)
    assert [tensor.name for tensor in found.tensors] == [tensor.name for tensor in file.tensors]
    for expected, tensor in zip(file.tensors, found.tensors, strict=True):
        assert tensor.values.dtype == expected.values.dtype
        np.testing.assert_array_equal(tensor.values, expected.values)
    for expected, vector in zip(file.vectors, found.vectors, strict=True):
        if isinstance(expected.inputs[0], Pattern):
            assert vector.inputs == expected.inputs
        else:
            np.testing.assert_array_equal(vector.inputs[0], expected.inputs[0])
        assert vector.outputs[0].stride == expected.outputs[0].stride
        np.testing.assert_array_equal(vector.outputs[0].values, expected.outputs[0].values)
    assert found.encode() == file.encode()


def test_options_may_have_any_order_and_state_their_defaults() -> None:
    options = {"padding_x": 0.0, **dict(reversed(CONV_OPTIONS.items())), "groups": 1}
    node = replace(GRAPH.nodes[0], options=options)
    file = replace(make_file(), graph=replace(GRAPH, nodes=(node, *GRAPH.nodes[1:])))
    found = weights.decode(file.encode())
    assert list(found.graph.nodes[0].options.items()) == list(options.items())
    assert found.graph.nodes[0].resolved == GRAPH.nodes[0].resolved
    assert found.encode() == file.encode()


def several() -> WeightFile:
    """Two inputs, outputs of any size, no labels, and a tensor that two nodes share."""
    values = np.arange(4, dtype=np.float32).reshape(2, 2, 1, 1)
    conv = Node(
        "Conv2d",
        (0,),
        {"in_channels": 2, "out_channels": 2, "kernel_height": 1, "kernel_width": 1, "bias": 0},
        ("conv.weight",),
        "conv",
    )
    graph = Graph(
        (Input(2, name="image"), Input(1, 4, 4, name="mask")),
        (conv, replace(conv, inputs=(2,)), Node("Concatenate", (3, 2, 0)), Node("ReLU", (1,))),
        (Output(4, "maps"), Output(5, "mask"), Output(3, "twice")),
    )
    samples = tuple(OutputSample(np.ones(n, np.float32), s) for n, s in ((30, 3), (2, 8), (1, 99)))
    vector = TestVector((Pattern(5, 3, 1, 1), np.zeros((1, 4, 4), np.float32)), samples)
    how = Preprocessing(0, (0.25, 0.5), (1.0, 2.0))
    return WeightFile(
        "several", graph, (NamedTensor("conv.weight", values),), (), how, (vector,), 0
    )


def test_several_inputs_and_outputs_of_any_size() -> None:
    file = several()
    found = weights.decode(file.encode())
    assert found.encode() == file.encode()
    assert found.graph == file.graph
    assert found.graph.inputs[0].shape == (2, None, None)
    assert found.graph.output_shapes() == [(6, None, None), (1, 4, 4), (2, None, None)]
    assert found.graph.output_shapes([(2, 7, 9), (1, 4, 4)])[0] == (6, 7, 9)
    described = weights.describe(found, 0)
    assert "image 2 x any x any, mask 1 x 4 x 4" in described
    assert "maps 6 x any x any" in described and "labels              none" in described


def hashed(value: int) -> int:
    """MurmurHash3's finaliser, in plain integers."""
    value &= 0xFFFFFFFF
    value ^= value >> 16
    value = value * 0x85EBCA6B & 0xFFFFFFFF
    value ^= value >> 13
    value = value * 0xC2B2AE35 & 0xFFFFFFFF
    return value ^ value >> 16


@pytest.mark.parametrize(("seed", "patch"), [(1, 1), (2, 2), (3, 4), (0xFFFFFFF0, 3), (4, 9)])
def test_patterns_follow_their_rule(seed: int, patch: int) -> None:
    height, width = 7, 5
    pixels = Pattern(height, width, seed, patch).pixels(channels=2)
    rows, columns = -(-height // patch), -(-width // patch)
    for c, y, x in np.ndindex(2, height, width):
        index = (c * rows + y // patch) * columns + x // patch
        assert pixels[c, y, x] == hashed(seed + index) >> 24, (c, y, x)
    mean, deviation = (0.3, 0.6), (0.2, 0.7)
    vector = TestVector((Pattern(height, width, seed, patch),), ())
    (values,) = vector.input_values(
        replace(GRAPH, inputs=(Input(2),)), Preprocessing(0, mean, deviation)
    )
    assert values.dtype == np.float32
    for c in range(2):
        expected = pixels[c].astype(np.float32) / np.float32(255) - np.float32(mean[c])
        np.testing.assert_array_equal(values[c], expected / np.float32(deviation[c]))


@pytest.mark.parametrize("equalize", [False, True])
def test_histogram_equalisation_is_a_byte(equalize: bool) -> None:
    preprocessing = replace(PREPROCESSING, equalize_histogram=equalize)
    file = replace(make_file(), preprocessing=preprocessing)
    data = file.encode()
    assert data[AT["equalize"]] == int(equalize)
    assert weights.decode(data).preprocessing == preprocessing
    shown = "equalised" if equalize else "as it is"
    assert f"\nhistogram           {shown}\n" in weights.describe(file, len(data))


def test_a_network_without_tensors_and_vectors_is_a_file() -> None:
    graph = Graph((Input(1, 3, 2),), (Node("ReLU", (0,)),), (Output(1),))
    file = WeightFile("rectifier", graph, ())
    assert weights.decode(file.encode()).encode() == file.encode()


def test_strided_and_big_endian_arrays_are_stored_alike() -> None:
    tensors = make_file().tensors
    values = tensors[2].values
    for other in (values.astype(">f4"), np.asfortranarray(values)):
        file = replace(make_file(), tensors=(*tensors[:2], NamedTensor("lin.weight", other)))
        np.testing.assert_array_equal(weights.decode(file.encode()).tensors[2].values, values)


def test_every_truncation_is_refused() -> None:
    data = make_file().encode()
    for size in range(len(data)):
        with pytest.raises(FormatError, match="^cut: "):
            weights.decode(data[:size], "cut")
        # Also where size and checksum have been made to fit.
        if size >= container.HEADER_SIZE:
            with pytest.raises(FormatError, match="^cut: "):
                weights.decode(reseal(data[:size]), "cut")


def test_a_flipped_bit_in_any_byte_is_refused() -> None:
    data = make_file().encode()
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        with pytest.raises(FormatError, match="^flipped: "):
            weights.decode(bytes(flipped), "flipped")


def test_flipped_header_bits_under_a_valid_seal_never_crash() -> None:
    data = make_file().encode()
    accepted = 0
    for position in range(container.HEADER_SIZE, HEADER_END):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            flipped = reseal(bytes(flipped))
            try:
                found = weights.decode(flipped)
            except FormatError:
                continue
            accepted += 1
            assert found.encode() == flipped, f"byte {position}, bit {bit}"
    # Other names, labels, means and temperatures make another valid file.
    assert accepted > 100


def test_random_damage_under_a_valid_seal_never_crashes() -> None:
    original = several().encode()
    generator = np.random.default_rng(1)
    for _ in range(2000):
        data = bytearray(original)
        for place in generator.integers(container.HEADER_SIZE, 400, generator.integers(1, 4)):
            data[place] = generator.integers(256)
        check_damage_is_refused_or_kept(bytes(data))


DATA = make_file().encode()


def changed(field: str, code: str, *values: float, skip: int = 0) -> bytes:
    """The file with other bytes in a field, after those to skip."""
    return patched(DATA, AT[field] + skip, struct.pack("<" + code, *values))


# How many bytes of an option come before its value.
def to_value(name: str) -> int:
    return 2 + len(name)


BROKEN = {
    "empty": (b"", "truncated: expected at least 24 bytes, found 0"),
    "foreign": (b"PK\x03\x04" + bytes(60), "not a Mien file of kind MIEN"),
    "cascade": (b"\x89HAAR\r\n\x1a" + DATA[8:], "not a Mien file of kind MIEN"),
    "newer": (DATA[:8] + b"\x03" + DATA[9:], "format version: expected 2, found 3"),
    "older": (DATA[:8] + b"\x01" + DATA[9:], "format version: expected 2, found 1"),
    "trailing": (DATA + b"\0", f"size: expected {len(DATA)} bytes, found {len(DATA) + 1}"),
    "trailing, sealed": (reseal(DATA + b"\0"), "found 1 more bytes"),
    "no inputs": (
        changed("inputs", "I", 0),
        "expected",  # what follows is read as something else
    ),
    "channels": (
        changed("channels", "I", 0),
        "input 'input', channels: expected 1 to 65536, found 0",
    ),
    "too many channels": (
        changed("channels", "I", 65537),
        "input 'input', channels: expected 1 to 65536, found 65537",
    ),
    "any height alone": (
        changed("height", "I", 0),
        "or any height and width, found 1 x any x 2",
    ),
    "node count": (changed("nodes", "I", 0xFFFFFFFF), "node [0-9]+.*: expected .* more bytes"),
    "unknown layer": (
        changed("conv layer", "6s", b"Conv3d", skip=2),
        "node 0 'conv' .Conv3d.: layer: expected one of AdaptiveAvgPool2d, .*, found 'Conv3d'",
    ),
    "unknown option": (
        changed("kernel_width", "12s", b"kernel_depth", skip=2),
        "node 0 'conv' .Conv2d.: option: expected one of in_channels, .* found 'kernel_depth'",
    ),
    "option twice": (
        changed("out_channels", "12s", b"kernel_width", skip=2),
        "node 0 'conv' .Conv2d.: option kernel_width: expected it once, found it twice",
    ),
    "option of another layer": (
        changed("bias", "4s", b"size", skip=2),
        "node 2 'lin' .Dense.: option: expected one of in_features, out_features, bias, found",
    ),
    "half an option": (
        changed("kernel_height", "d", 2.5, skip=to_value("kernel_height")),
        "option kernel_height: expected a whole number from 1 to [0-9e+.]+, found 2.5",
    ),
    "no kernel": (
        changed("kernel_height", "d", 0, skip=to_value("kernel_height")),
        "option kernel_height: expected a whole number from 1 .* found 0",
    ),
    "not a number of an option": (
        changed("kernel_height", "d", np.nan, skip=to_value("kernel_height")),
        "option kernel_height: expected a whole number .* found nan",
    ),
    "infinite option": (
        changed("kernel_height", "d", np.inf, skip=to_value("kernel_height")),
        "option kernel_height: expected a whole number .* found inf",
    ),
    "bias 2": (
        changed("bias", "d", 2, skip=to_value("bias")),
        "node 2 'lin' .Dense.: option bias: expected a whole number from 0 to 1, found 2",
    ),
    "a value of later": (
        changed("flatten inputs", "I", 2, skip=2),
        "node 1 .Flatten.: input: expected a value below 2, its own, found 2",
    ),
    "shapes that do not fit": (
        changed("lin inputs", "I", 1, skip=2),
        "node 2 'lin' .Dense.: input: expected 8 x 1 x 1, found 4 x 1 x 2",
    ),
    "a kernel beyond the image": (
        changed("height", "I", 2),
        "node 0 'conv' .*: expected a height of at least 3 for a kernel of 3 with padding 0, "
        "found 1 x 2 x 2",
    ),
    "no such tensor": (
        changed("lin tensors", "I", 3, skip=2),
        "node 2 .Dense., tensor: expected an index below 3, found 3",
    ),
    "another tensor": (
        changed("lin tensors", "I", 0, skip=2),
        "node 2 'lin' .Dense.: expected weight 2 x 8, found tensor 'conv.weight' 4 x 1 x 3 x 1",
    ),
    "tensors in another order": (
        changed("conv tensors", "II", 1, 0, skip=2),
        "node 0 'conv' .Conv2d.: expected weight 4 x 1 x 3 x 1, found tensor 'conv.bias' 4",
    ),
    "another role": (
        changed("second name", "9s", b"conv.scale", skip=2),
        "node 0 'conv' .Conv2d.: expected bias 4, found tensor 'conv.scal' 4",
    ),
    "output value": (
        changed("output value", "I", 4),
        "output 'output': expected a value below 4, found 4",
    ),
    "face size": (
        changed("face size", "I", 2),
        "face size: expected 0 or at least the input's height and width, .* found 2 for 3 x 2",
    ),
    "mean": (changed("mean", "f", np.nan), "mean: expected a finite number, found nan"),
    "deviation": (
        changed("deviation", "f", 0),
        "standard deviation: expected a positive number, found 0",
    ),
    "temperature": (
        changed("temperature", "f", -1),
        "temperature: expected a positive number, found -1",
    ),
    "equalisation": (
        changed("equalize", "B", 2),
        "histogram equalisation: expected 0 or 1, found 2",
    ),
    "label count": (
        changed("labels", "I", 0xFFFFFFFF),
        "label: expected [0-9]+ more bytes at offset",
    ),
    "UTF-8": (changed("first label", "B", 0xFF, skip=4), "label: expected UTF-8"),
    "type": (
        changed("first type", "B", 3),
        "tensor 'conv.weight', type: expected 0 .*found 3",
    ),
    "rank 0": (changed("first type", "B", 0, skip=1), "rank: expected 1 to 4, found 0"),
    "rank 5": (changed("first type", "B", 5, skip=1), "rank: expected 1 to 4, found 5"),
    "shape": (
        changed("first shape", "I", 0xFFFFFFFF),
        "tensor 'conv.weight': expected [0-9]+ more bytes",
    ),
    "no elements": (
        changed("third shape", "I", 0),
        "offset: expected|sizes from 1",
    ),
    "offset": (
        changed("second offset", "Q", 64),
        "tensor 'conv.bias', offset: expected [0-9]+, found 64",
    ),
    "gap": (
        patched(DATA, HEADER_END, b"\1"),
        f"tensor 'conv.weight': expected zero bytes before it, found 0x01 at offset {HEADER_END}",
    ),
    "not a number": (
        patched(DATA, struct.unpack_from("<Q", DATA, AT["first offset"])[0], b"\0\0\xc0\x7f"),
        "tensor 'conv.weight': element 0: expected a finite number, found nan .1 such in all.",
    ),
    "infinite output": (
        patched(DATA, len(DATA) - 4, struct.pack("<f", np.inf)),
        "test vector 1, output 'output': element 0: expected a finite number, found inf",
    ),
    "tolerance": (
        changed("tolerance", "f", 0),
        "tolerance of the test vectors: expected a positive number, found 0",
    ),
    "vector count": (
        changed("vectors", "I", 0xFFFFFFFF),
        "test vector [0-9]+, (in|out)put '(in|out)put', .*: expected",
    ),
    "more replayed than there are": (
        changed("replayed", "I", 3),
        "replayed vectors: expected at most 2, found 3",
    ),
    "input of another size": (
        changed("pattern input", "I", 4),
        "test vector 1, input 'input': expected 1 x 3 x 2, found 1 x 4 x 2",
    ),
    "how": (
        changed("pattern input", "B", 2, skip=8),
        "test vector 1, input 'input', how: expected 0 .stored. or 1 .pattern., found 2",
    ),
    "no patch": (
        changed("pattern", "I", 0, skip=4),
        "test vector 1, input 'input': patch: expected 1 or more, found 0",
    ),
    "stride": (
        changed("pattern output", "I", 0),
        "test vector 1, output 'output': stride: expected 1 or more, found 0",
    ),
    "more values than there are": (
        changed("pattern output", "I", 1),
        "test vector 1, output 'output': expected 2 values, those at stride 1 of 2 x 1 x 1, "
        "found 1",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_refused_by_name(case: str) -> None:
    data, message = BROKEN[case]
    with pytest.raises(FormatError, match=f"^broken.mien: .*({message})"):
        weights.decode(data, "broken.mien")


def _label_cases() -> list[str]:
    return (ROOT / "tests/data/labels.txt").read_text().splitlines()


@pytest.mark.parametrize("case", _label_cases(), ids=lambda case: case.split()[1])
def test_labels_are_those_that_cpp_takes(case: str) -> None:
    """The cases of tests/test_weights.cpp."""
    outcome, _, *digits = case.split()
    original = (ROOT / "tests/data/tiny.mien").read_bytes()

    def stored(labels: list[bytes]) -> bytes:
        return b"".join(struct.pack("<H", len(label)) + label for label in labels)

    own = stored([label.encode() for label in weights.decode(original).labels])
    labels = [bytes.fromhex(text.strip("-")) for text in digits]
    before = struct.pack("<I", 7) + own
    assert original.count(before) == 1
    changed = original.replace(before, struct.pack("<I", len(labels)) + stored(labels))
    assert len(changed) == len(original)
    if outcome == "accepted":
        assert [label.encode() for label in weights.decode(reseal(changed)).labels] == labels
    else:
        with pytest.raises(FormatError, match="label"):
            weights.decode(reseal(changed))


@pytest.mark.parametrize(("size", "is_accepted"), [(2, False), (3, True), (12, True), (13, False)])
def test_a_face_is_at_most_four_times_as_large_as_the_input(size: int, is_accepted: bool) -> None:
    file = replace(make_file(), preprocessing=replace(PREPROCESSING, face_size=size))
    if is_accepted:
        assert weights.decode(file.encode()).preprocessing.face_size == size
    else:
        with pytest.raises(FormatError, match=f"four times as much, found {size} for 3 x 2"):
            file.encode()


def test_a_tensor_named_twice_is_refused() -> None:
    file = several()
    values = file.tensors[0].values
    first, second, *others = file.graph.nodes
    nodes = (replace(first, tensors=("a.weight",)), replace(second, tensors=("b.weight",)), *others)
    tensors = (NamedTensor("a.weight", values), NamedTensor("b.weight", values))
    data = replace(file, graph=replace(file.graph, nodes=nodes), tensors=tensors).encode()
    with pytest.raises(FormatError, match="tensor name: expected distinct ones, found 'a.weight'"):
        weights.decode(reseal(data.replace(b"b.weight", b"a.weight")))


def with_node(index: int, **changes: object) -> WeightFile:
    nodes = list(GRAPH.nodes)
    nodes[index] = replace(nodes[index], **changes)
    return replace(make_file(), graph=replace(GRAPH, nodes=tuple(nodes)))


def with_tensor(index: int, values: np.ndarray) -> WeightFile:
    tensors = list(make_file().tensors)
    tensors[index] = NamedTensor(tensors[index].name, values)
    return replace(make_file(), tensors=tuple(tensors))


def without_option(index: int, name: str) -> WeightFile:
    options = {key: value for key, value in GRAPH.nodes[index].options.items() if key != name}
    return with_node(index, options=options)


def with_graph(**changes: object) -> WeightFile:
    return replace(make_file(), graph=replace(GRAPH, **changes))


def with_vectors(*vectors: TestVector) -> WeightFile:
    return replace(make_file(), vectors=vectors, replayed=0)


STORED = make_file().vectors[0]
SUM = Graph(
    (Input(2, 3, 2),),
    (
        Node("MaxPool2d", (0,), {"kernel_height": 2, "kernel_width": 1, "stride_y": 1}),
        Node("Add", (1, 0)),
    ),
    (Output(2),),
)

UNWRITABLE = {
    "no name": (replace(make_file(), network=""), "network: expected a name"),
    "empty label": (replace(make_file(), labels=("a", "")), "label: expected a text"),
    "same labels": (replace(make_file(), labels=("a", "a")), "found 'a' twice"),
    "three labels": (
        replace(make_file(), labels=("a", "b", "c")),
        "labels: expected none, or one for each value of the first output .2 x 1 x 1., found 3",
    ),
    "a temperature without labels": (
        replace(make_file(), labels=()),
        "temperature: expected 1 for a network without labels, found 1.5",
    ),
    "same names": (
        replace(make_file(), tensors=make_file().tensors[:1] * 2),
        "tensor name: expected distinct ones, found 'conv.weight' twice",
    ),
    "integers": (
        with_tensor(1, np.zeros(4, np.int64)),
        "tensor 'conv.bias': type: expected float32 or float16, found int64",
    ),
    "doubles": (
        with_tensor(1, np.zeros(4)),
        "tensor 'conv.bias': type: expected float32 or float16, found float64",
    ),
    "scalar": (
        with_tensor(1, np.float32(1).reshape(())),
        "tensor 'conv.bias': rank: expected 1 to 4, found 0",
    ),
    "empty tensor": (
        with_tensor(1, np.zeros((2, 0), np.float32)),
        "tensor 'conv.bias': shape: expected sizes from 1, found 2 x 0",
    ),
    "misshapen tensor": (
        with_tensor(1, np.zeros(5, np.float32)),
        "node 0 'conv' .Conv2d.: expected bias 4, found tensor 'conv.bias' 5",
    ),
    "a tensor for nobody": (
        with_node(2, options={"in_features": 8, "out_features": 2}),
        "node 2 'lin' .Dense.: tensors: expected 2 .weight, bias., found 1",
    ),
    "a tensor left over": (
        replace(
            make_file(), tensors=(*make_file().tensors, NamedTensor("x.bias", np.ones(1, "f4")))
        ),
        "tensor 'x.bias': expected a node that takes it, found none",
    ),
    "a tensor that is not there": (
        replace(make_file(), tensors=make_file().tensors[:2]),
        "node 2 'lin' .Dense.: weight: expected a tensor 'lin.weight', found none",
    ),
    "a missing option": (
        without_option(0, "kernel_width"),
        "node 0 'conv' .Conv2d.: option kernel_width: expected a number, found none",
    ),
    "groups that do not divide": (
        with_node(0, options={**CONV_OPTIONS, "groups": 3}),
        "option groups: expected a divisor of 1 and 4 channels, found 3",
    ),
    "two inputs for one": (
        with_node(1, inputs=(1, 1)),
        "node 1 .Flatten.: inputs: expected 1, found 2",
    ),
    "one input for two": (
        with_node(1, layer="Concatenate"),
        "node 1 .Concatenate.: inputs: expected 2 or more, found 1",
    ),
    "a sum of two shapes": (
        WeightFile("sum", SUM, (), preprocessing=Preprocessing(0, (0.0,) * 2, (1.0,) * 2)),
        "node 1 .Add.: inputs: expected channels, height and width that are equal or 1, found "
        "2 x 2 x 2 and 2 x 3 x 2",
    ),
    "no inputs": (with_graph(inputs=()), "inputs: expected at least one, found none"),
    "no outputs": (with_graph(outputs=()), "outputs: expected at least one, found none"),
    "same outputs": (
        with_graph(outputs=(Output(3, "a"), Output(2, "a"))),
        "output: expected distinct ones, found 'a' twice",
    ),
    "flattening of any size": (
        with_graph(inputs=(Input(1),)),
        "node 1 .Flatten.: input: expected a fixed size, found 4 x any x any",
    ),
    "an input of another shape": (
        with_vectors(replace(STORED, inputs=(np.zeros((1, 3, 3), np.float32),))),
        "test vector 0, input 'input': expected 1 x 3 x 2, found 1 x 3 x 3",
    ),
    "an input in double precision": (
        with_vectors(replace(STORED, inputs=(np.zeros((1, 3, 2)),))),
        "test vector 0, input 'input': type: expected float32, found float64",
    ),
    "two inputs": (
        with_vectors(replace(STORED, inputs=STORED.inputs * 2)),
        "test vector 0: inputs: expected 1, found 2",
    ),
    "no output": (
        with_vectors(replace(STORED, outputs=())),
        "test vector 0: outputs: expected 1, found 0",
    ),
    "means for three channels": (
        replace(make_file(), preprocessing=replace(PREPROCESSING, mean=(0.0,) * 3)),
        "mean: expected 1, one for each channel, found 3",
    ),
    "deviation that float32 rounds to 0": (
        replace(make_file(), preprocessing=replace(PREPROCESSING, standard_deviation=(1e-60,))),
        "standard deviation: expected a positive number, found 1e-60",
    ),
    "mean that float32 cannot hold": (
        replace(make_file(), preprocessing=replace(PREPROCESSING, mean=(1e60,))),
        "mean: expected a finite number",
    ),
}


@pytest.mark.parametrize("case", UNWRITABLE)
def test_what_the_format_forbids_is_not_written(case: str, tmp_path: Path) -> None:
    file, message = UNWRITABLE[case]
    with pytest.raises(FormatError, match=message):
        file.write(tmp_path / "tiny.mien")
    assert not list(tmp_path.iterdir())


def run(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mien_tools.weights", *map(str, arguments)]
    tools = Path(__file__).resolve().parents[1]
    return subprocess.run(command, capture_output=True, text=True, cwd=tools, check=False)


def test_the_command_prints_header_and_tensors(tmp_path: Path) -> None:
    path = tmp_path / "tiny.mien"
    make_file().write(path)
    result = run(path)
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["network", "tiny"] in lines
    assert ["labels", "fröhlich,", "traurig"] in lines
    assert ["tensors", "3", "with", "32", "values"] in [line[:5] for line in lines]
    rows = {line[0]: " ".join(line[1:]) for line in lines}
    assert rows["1"] == "Conv2d 0 4 x 1 x 2 conv" and rows["2"] == "Flatten 1 8 x 1 x 1"
    assert rows["conv.weight"].startswith("fp32 4 x 1 x 3 x 1 ")
    assert rows["conv.bias"].startswith("fp16 4 ")


def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "cut.mien"
    path.write_bytes(DATA[:100])
    result = run(path)
    assert result.returncode == 1
    expected = f"{path}: size: expected {len(DATA)} bytes, found 100"
    assert result.stderr.splitlines() == [f"mien_tools.weights: {expected}"]
    missing = run(tmp_path / "none.mien")
    assert missing.returncode == 1
    assert missing.stderr.splitlines() == [
        f"mien_tools.weights: {tmp_path / 'none.mien'}: No such file or directory"
    ]


def test_printing_needs_no_pytorch(tmp_path: Path) -> None:
    path = tmp_path / "tiny.mien"
    make_file().write(path)
    code = "import sys; from mien_tools.weights import main; main([sys.argv[1]]); "
    code += "sys.exit('torch' in sys.modules)"
    tools = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", code, str(path)]
    assert subprocess.run(command, cwd=tools, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_weights_that_ship_become_checkpoints(name: str, tmp_path: Path) -> None:
    path = MODELS / f"{name}.mien"
    assert weights.main([str(path), "--to-checkpoint", str(tmp_path / "out.pt")]) == 0
    info, module = load_network(tmp_path / "out.pt")
    file = weights.read(path)
    assert info.name == file.network
    state = module.state_dict()
    assert list(state) == list(NETWORKS[file.network].build().state_dict())
    for tensor_name, values in file.values().items():
        np.testing.assert_array_equal(state[tensor_name].numpy(), values, err_msg=tensor_name)


def test_any_weight_file_becomes_a_checkpoint_of_its_tensors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = tmp_path / "tiny.mien", tmp_path / "tiny.pt"
    make_file().write(path)
    assert weights.main([str(path), "--to-checkpoint", str(output)]) == 0
    content = torch.load(output, weights_only=True)
    assert content["network"] == "tiny"
    assert list(content["params"]) == ["conv.weight", "conv.bias", "lin.weight"]
    for name, values in make_file().values().items():
        assert content["params"][name].dtype == torch.float32
        np.testing.assert_array_equal(content["params"][name].numpy(), values)

    output.unlink()
    replace(make_file(), network="mini_fer").write(path)
    assert weights.main([str(path), "--to-checkpoint", str(output)]) == 1
    assert "mini_fer: " in capsys.readouterr().err and not output.exists()
