"""Tensors in 8 bits in the .mien file: their bytes, round trips, and what is refused."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import check_damage_is_refused_or_kept, reseal

from mien_tools import container, weights
from mien_tools.container import FormatError
from mien_tools.graph import Graph, Input, Node, Output
from mien_tools.weights import Int8Values, NamedTensor, Preprocessing, WeightFile

CONV = {"in_channels": 2, "out_channels": 3, "kernel_height": 1, "kernel_width": 2, "bias": 0}
GRAPH = Graph(
    (Input(2, 1, 3),),
    (
        Node("Conv2d", (0,), CONV, ("conv.weight",), "conv"),
        Node("Flatten", (1,)),
        Node("Dense", (2,), {"in_features": 6, "out_features": 2}, ("lin.weight", "lin.bias")),
    ),
    (Output(3),),
)
CONV_BYTES = np.array([[1, -2, 3, -4], [127, -127, 0, 5], [6, 7, 8, 9]], np.int8)
CONV_WEIGHT = Int8Values(CONV_BYTES.reshape(3, 2, 1, 2), np.array([0.5, 0.25, 2], np.float32))
DENSE_WEIGHT = Int8Values(
    np.array([[64, -64, 3, 2, 1, 0], [0, 0, 1, 0, 0, 1]], np.int8),
    np.array([0.125, 1], np.float32),
    input_scale=0.03125,
    input_zero_point=7,
)


TWO_CHANNELS = Preprocessing(0, (0.0,) * 2, (1.0,) * 2)


def make_file(conv: object = CONV_WEIGHT, dense: object = DENSE_WEIGHT) -> WeightFile:
    return WeightFile(
        "tiny",
        GRAPH,
        (
            NamedTensor("conv.weight", conv),
            NamedTensor("lin.weight", dense),
            NamedTensor("lin.bias", np.array([1, 2], np.float16)),
        ),
        preprocessing=TWO_CHANNELS,
    )


def test_the_header_and_the_blocks_are_the_formats() -> None:
    data = make_file().encode()

    def description(name: str) -> int:
        encoded = container.string(name)
        return data.rindex(encoded) + len(encoded)

    at = description("conv.weight")
    found = struct.unpack_from("<BB4IfBQ", data, at)
    assert found[:-1] == (2, 4, 3, 2, 1, 2, 0.0, 0)
    offset = found[-1]
    assert offset % 64 == 0
    assert data[offset : offset + 12] == struct.pack("<3f", 0.5, 0.25, 2)
    assert data[offset + 12 : offset + 24] == CONV_BYTES.tobytes()
    found = struct.unpack_from("<BB2IfBQ", data, description("lin.weight"))
    assert found[:-1] == (2, 2, 2, 6, 0.03125, 7)
    assert found[-1] == offset + 64
    assert data[found[-1] :][:8] == struct.pack("<2f", 0.125, 1)
    assert data[found[-1] + 8 :][:12] == DENSE_WEIGHT.data.tobytes()


def test_round_trip_is_exact() -> None:
    data = make_file().encode()
    found = weights.decode(data)
    assert found.encode() == data
    for expected, tensor in zip((CONV_WEIGHT, DENSE_WEIGHT), found.tensors, strict=False):
        assert isinstance(tensor.values, Int8Values)
        np.testing.assert_array_equal(tensor.values.data, expected.data)
        np.testing.assert_array_equal(tensor.values.scales, expected.scales)
        assert tensor.values.input_scale == expected.input_scale
        assert tensor.values.input_zero_point == expected.input_zero_point


def test_widened_elements_are_bytes_times_the_scale_of_their_channel() -> None:
    expected = CONV_BYTES.astype(np.float32) * np.array([[0.5], [0.25], [2]], np.float32)
    widened = make_file().values()["conv.weight"]
    assert widened.dtype == np.float32
    np.testing.assert_array_equal(widened, expected.reshape(3, 2, 1, 2))


def test_strided_and_big_endian_arrays_are_stored_alike() -> None:
    other = replace(
        CONV_WEIGHT,
        data=np.asfortranarray(CONV_WEIGHT.data),
        scales=CONV_WEIGHT.scales.astype(">f4"),
    )
    assert make_file(other).encode() == make_file().encode()


def test_every_truncation_is_refused() -> None:
    data = make_file().encode()
    for size in range(container.HEADER_SIZE, len(data)):
        with pytest.raises(FormatError, match="^cut: "):
            weights.decode(reseal(data[:size]), "cut")


def test_random_damage_under_a_valid_seal_never_crashes() -> None:
    original = make_file().encode()
    generator = np.random.default_rng(5)
    for _ in range(2000):
        data = bytearray(original)
        for place in generator.integers(container.HEADER_SIZE, len(data), 2):
            data[place] = generator.integers(256)
        check_damage_is_refused_or_kept(bytes(data))


def with_conv(**changes: object) -> WeightFile:
    return make_file(replace(CONV_WEIGHT, **changes))


def with_dense(**changes: object) -> WeightFile:
    return make_file(dense=replace(DENSE_WEIGHT, **changes))


def bytes_with(weight: Int8Values, value: int) -> np.ndarray:
    data = weight.data.copy()
    data.flat[2] = value
    return data


def transposed() -> WeightFile:
    options = {"in_channels": 2, "out_channels": 3, "kernel_height": 1, "kernel_width": 1}
    node = Node("ConvTranspose2d", (0,), {**options, "bias": 0}, ("up.weight",))
    weight = Int8Values(np.ones((2, 3, 1, 1), np.int8), np.ones(2, np.float32), 1.0)
    graph = Graph(GRAPH.inputs, (node,), (Output(1),))
    return WeightFile("up", graph, (NamedTensor("up.weight", weight),), (), TWO_CHANNELS)


def too_many_inputs() -> WeightFile:
    options = {"in_features": 131588, "out_features": 1, "bias": 0}
    nodes = (Node("Flatten", (0,)), Node("Dense", (1,), options, ("lin.weight",)))
    weight = Int8Values(np.ones((1, 131588), np.int8), np.ones(1, np.float32), 1.0)
    graph = Graph((Input(2, 2, 32897),), nodes, (Output(2),))
    return WeightFile("wide", graph, (NamedTensor("lin.weight", weight),), (), TWO_CHANNELS)


NAN, INFINITE = float("nan"), float("inf")
ONES = np.ones(3, np.float32)
REFUSED = {
    "negative input scale": (
        with_dense(input_scale=-1.0, input_zero_point=0),
        "tensor 'lin.weight': input scale: expected 0 or a positive number, found -1",
    ),
    "input scale that is no number": (with_dense(input_scale=NAN), "positive number, found nan"),
    "infinite input scale": (with_dense(input_scale=INFINITE), "positive number, found inf"),
    "zero point without input scale": (
        with_conv(input_zero_point=3),
        "tensor 'conv.weight': input zero point: expected 0 without an input scale, found 3",
    ),
    "scale 0": (
        with_conv(scales=ONES * np.float32(0)),
        r"scale 0: expected a positive number, found 0 \(3 such in all\)",
    ),
    "negative scale": (with_conv(scales=-ONES), "scale 0: expected a positive number, found -1"),
    "scale that is no number": (with_conv(scales=ONES * np.float32(NAN)), "number, found nan"),
    "infinite scale": (with_conv(scales=ONES * np.float32(INFINITE)), "number, found inf"),
    "byte of int8 weights": (
        with_conv(data=bytes_with(CONV_WEIGHT, -128)),
        "tensor 'conv.weight': element 2: expected -127 to 127, found -128",
    ),
    "large byte of int8 products": (
        with_dense(data=bytes_with(DENSE_WEIGHT, 65)),
        "tensor 'lin.weight': element 2: expected -64 to 64, found 65",
    ),
    "small byte of int8 products": (
        with_dense(data=bytes_with(DENSE_WEIGHT, -65)),
        "element 2: expected -64 to 64, found -65",
    ),
    "products of another layer": (
        transposed(),
        "node 0 .*: up.weight: expected Conv2d or Dense for products in 8 bits, found "
        "ConvTranspose2d",
    ),
    "sums of more than 32 bits": (
        too_many_inputs(),
        "expected at most 131586 inputs for each output in 8 bits, found 131588",
    ),
}


def unchecked_bytes(file: WeightFile, monkeypatch: pytest.MonkeyPatch) -> bytes:
    with monkeypatch.context() as patch:
        patch.setattr(WeightFile, "check", lambda *_: None)
        return file.encode()


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_format_forbids_is_neither_written_nor_read(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, message = REFUSED[case]
    with pytest.raises(FormatError, match=message):
        file.encode()
    data = unchecked_bytes(file, monkeypatch)
    with pytest.raises(FormatError, match=f"^broken.mien: .*{message}"):
        weights.decode(data, "broken.mien")


def test_a_vector_in_8_bits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bias = Int8Values(np.ones(2, np.int8), np.ones(2, np.float32))
    file = make_file()
    file = replace(file, tensors=(*file.tensors[:2], NamedTensor("lin.bias", bias)))
    message = "tensor 'lin.bias': rank of a tensor in 8 bits: expected 2 to 4, found 1"
    with pytest.raises(FormatError, match=message):
        file.encode()
    with pytest.raises(FormatError, match=message):
        weights.decode(unchecked_bytes(file, monkeypatch))


def test_arrays_of_other_types_are_not_written() -> None:
    for changes, message in (
        ({"data": CONV_WEIGHT.data.astype(np.int16)}, "type: expected int8, found int16"),
        ({"scales": np.ones(3)}, "scales: expected float32, found float64"),
        ({"scales": np.ones(2, np.float32)}, "scales: expected 3, one for each index .*found 2"),
    ):
        with pytest.raises(FormatError, match=message):
            with_conv(**changes).encode()


def test_the_command_prints_and_widens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, checkpoint = tmp_path / "tiny.mien", tmp_path / "tiny.pt"
    make_file().write(path)
    assert weights.main([str(path)]) == 0
    rows = {
        line.split()[0]: " ".join(line.split()[1:])
        for line in capsys.readouterr().out.split("\n")
        if line
    }
    assert rows["conv.weight"] == "int8 3 x 2 x 1 x 2 -31.75 31.75"
    assert rows["lin.weight"] == "int8 2 x 6 -8 8 0.03125 (q - 7)"
    assert weights.main([str(path), "--to-checkpoint", str(checkpoint)]) == 0
    params = torch.load(checkpoint, weights_only=True)["params"]
    np.testing.assert_array_equal(params["lin.weight"].numpy(), DENSE_WEIGHT.widened())
    assert params["lin.weight"].dtype == torch.float32
