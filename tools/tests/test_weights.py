"""The .mien file: its layout byte by byte, round trips, and files that are broken."""

import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien_tools import container, weights
from mien_tools.container import FormatError
from mien_tools.weights import NamedTensor, Preprocessing, VerificationVector, WeightFile

PREPROCESSING = Preprocessing(1, 3, 2, 5, mean=0.5, standard_deviation=0.25, temperature=1.5)


def make_file() -> WeightFile:
    generator = np.random.default_rng(3)

    def floats(*shape: int) -> np.ndarray:
        return generator.standard_normal(shape).astype(np.float32)

    return WeightFile(
        architecture="tiny",
        preprocessing=PREPROCESSING,
        labels=("fröhlich", "traurig"),
        tensors=(
            NamedTensor("conv.weight", floats(4, 1, 3, 1)),
            NamedTensor("conv.bias", floats(4).astype(np.float16)),
            NamedTensor("lin.weight", floats(2, 5)),
        ),
        verification=(
            VerificationVector(floats(1, 3, 2), floats(2)),
            VerificationVector(floats(1, 3, 2), floats(2)),
        ),
    )


def reseal(data: bytes) -> bytes:
    """The same contents with the size and checksum that belong to them."""
    return container.seal("MIEN", 1, data[container.HEADER_SIZE :])


def patched(data: bytes, offset: int, new: bytes) -> bytes:
    return reseal(data[:offset] + new + data[offset + len(new) :])


# Where the fields of make_file() lie, by the layout in include/mien/weights.hpp.
ARCHITECTURE = 24
INPUT_CHANNELS = ARCHITECTURE + 2 + len("tiny")
FACE_SIZE = INPUT_CHANNELS + 12
MEAN = FACE_SIZE + 4
FLAGS = MEAN + 12
LABEL_COUNT = FLAGS + 4
TENSOR_COUNT = LABEL_COUNT + 4 + (2 + len("fröhlich".encode())) + (2 + len("traurig"))
FIRST_TENSOR = TENSOR_COUNT + 4
FIRST_TYPE = FIRST_TENSOR + 2 + len("conv.weight")
FIRST_OFFSET = FIRST_TYPE + 2 + 4 * 4
SECOND_TENSOR = FIRST_OFFSET + 8
SECOND_OFFSET = SECOND_TENSOR + 2 + len("conv.bias") + 2 + 4
THIRD_TENSOR = SECOND_OFFSET + 8
VECTOR_COUNT = THIRD_TENSOR + 2 + len("lin.weight") + 2 + 2 * 4 + 8


def test_layout_is_the_formats() -> None:
    file = make_file()
    data = file.encode()
    assert data[:8] == b"\x89MIEN\r\n\x1a"
    assert struct.unpack_from("<IIQ", data, 8) == (1, zlib.crc32(data[16:]), len(data))
    assert data[ARCHITECTURE:INPUT_CHANNELS] == b"\x04\x00tiny"
    assert struct.unpack_from("<IIIIfffI", data, INPUT_CHANNELS) == (1, 3, 2, 5, 0.5, 0.25, 1.5, 0)
    labels = data[LABEL_COUNT:TENSOR_COUNT]
    assert labels == b"\x02\x00\x00\x00\x09\x00fr\xc3\xb6hlich\x07\x00traurig"
    assert struct.unpack_from("<I", data, TENSOR_COUNT) == (3,)
    assert data[FIRST_TENSOR:FIRST_TYPE] == b"\x0b\x00conv.weight"
    assert struct.unpack_from("<BBIIII", data, FIRST_TYPE) == (0, 4, 4, 1, 3, 1)
    (offset,) = struct.unpack_from("<Q", data, FIRST_OFFSET)
    header_end = VECTOR_COUNT + 4 + 2 * 16
    assert offset % 64 == 0
    assert 0 <= offset - header_end < 64
    assert data[header_end:offset] == bytes(offset - header_end)
    assert data[offset : offset + 48] == file.tensors[0].values.tobytes()
    (half_offset,) = struct.unpack_from("<Q", data, SECOND_OFFSET)
    assert half_offset == offset + 64
    assert data[half_offset : half_offset + 8] == file.tensors[1].values.tobytes()
    assert data.endswith(file.verification[-1].outputs.tobytes())


def test_round_trip_is_exact() -> None:
    file = make_file()
    found = weights.decode(file.encode())
    assert found.architecture == file.architecture
    assert found.preprocessing == file.preprocessing
    assert found.labels == file.labels
    assert [tensor.name for tensor in found.tensors] == [tensor.name for tensor in file.tensors]
    for expected, tensor in zip(file.tensors, found.tensors, strict=True):
        assert tensor.values.dtype == expected.values.dtype
        np.testing.assert_array_equal(tensor.values, expected.values)
    for expected, vector in zip(file.verification, found.verification, strict=True):
        np.testing.assert_array_equal(vector.inputs, expected.inputs)
        np.testing.assert_array_equal(vector.outputs, expected.outputs)
    assert found.encode() == file.encode()


@pytest.mark.parametrize("equalize", [False, True])
def test_histogram_equalisation_is_the_lowest_flag(equalize: bool) -> None:
    preprocessing = replace(PREPROCESSING, equalize_histogram=equalize)
    file = replace(make_file(), preprocessing=preprocessing)
    data = file.encode()
    assert struct.unpack_from("<I", data, FLAGS) == (int(equalize),)
    assert weights.decode(data).preprocessing == preprocessing
    shown = "equalised" if equalize else "as it is"
    assert f"\nhistogram           {shown}\n" in weights.describe(file, len(data))


def test_a_network_without_tensors_and_vectors_is_a_file() -> None:
    file = replace(make_file(), tensors=(), verification=())
    assert weights.decode(file.encode()).encode() == file.encode()


def test_strided_and_big_endian_arrays_are_stored_alike() -> None:
    values = make_file().tensors[2].values
    for other in (values.astype(">f4"), np.asfortranarray(values)):
        file = replace(make_file(), tensors=(NamedTensor("lin.weight", other),))
        np.testing.assert_array_equal(weights.decode(file.encode()).tensors[0].values, values)


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
    for position in range(container.HEADER_SIZE, VECTOR_COUNT + 4 + 2 * 16):
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


DATA = make_file().encode()

BROKEN = {
    "empty": (b"", "truncated: expected at least 24 bytes, found 0"),
    "foreign": (b"PK\x03\x04" + bytes(60), "not a Mien file of kind MIEN"),
    "cascade": (b"\x89HAAR\r\n\x1a" + DATA[8:], "not a Mien file of kind MIEN"),
    "newer": (DATA[:8] + b"\x02" + DATA[9:], "format version: expected 1, found 2"),
    "trailing": (DATA + b"\0", f"size: expected {len(DATA)} bytes, found {len(DATA) + 1}"),
    "trailing, sealed": (reseal(DATA + b"\0"), "found 1 more bytes"),
    "channels": (
        patched(DATA, INPUT_CHANNELS, struct.pack("<I", 0)),
        "input channels: expected 1 to 65536, found 0",
    ),
    "face size": (
        patched(DATA, FACE_SIZE, struct.pack("<I", 2)),
        "face size: expected at least the input's height and width .3 x 2., found 2",
    ),
    "mean": (
        patched(DATA, MEAN, struct.pack("<f", np.nan)),
        "mean: expected a finite number, found nan",
    ),
    "deviation": (
        patched(DATA, MEAN + 4, struct.pack("<f", 0)),
        "standard deviation: expected a positive number, found 0",
    ),
    "temperature": (
        patched(DATA, MEAN + 8, struct.pack("<f", -1)),
        "temperature: expected a positive number, found -1",
    ),
    "flags": (patched(DATA, FLAGS, struct.pack("<I", 2)), "flags: expected 0 or 1, found 2"),
    "label count": (
        patched(DATA, LABEL_COUNT, struct.pack("<I", 0xFFFFFFFF)),
        "label: expected [0-9]+ more bytes at offset",
    ),
    "UTF-8": (patched(DATA, LABEL_COUNT + 6 + 2, b"\xff"), "label: expected UTF-8"),
    "type": (patched(DATA, FIRST_TYPE, b"\2"), "tensor 'conv.weight', type: expected 0 .*found 2"),
    "rank 0": (patched(DATA, FIRST_TYPE + 1, b"\0"), "rank: expected 1 to 4, found 0"),
    "rank 5": (patched(DATA, FIRST_TYPE + 1, b"\5"), "rank: expected 1 to 4, found 5"),
    "shape": (
        patched(DATA, FIRST_TYPE + 2, struct.pack("<I", 0xFFFFFFFF)),
        "tensor 'conv.weight': expected [0-9]+ more bytes",
    ),
    "no elements": (
        patched(DATA, THIRD_TENSOR - 12, struct.pack("<I", 0)),
        "tensor 'lin.weight', offset: expected|sizes from 1",
    ),
    "offset": (
        patched(DATA, SECOND_OFFSET, struct.pack("<Q", 64)),
        "tensor 'conv.bias', offset: expected [0-9]+, found 64",
    ),
    "gap": (
        patched(DATA, VECTOR_COUNT + 4 + 2 * 16, b"\1"),
        f"tensor 'conv.weight': expected zero bytes before it, found 0x01 at offset "
        f"{VECTOR_COUNT + 4 + 2 * 16}",
    ),
    "not a number": (
        patched(DATA, struct.unpack_from("<Q", DATA, FIRST_OFFSET)[0], b"\0\0\xc0\x7f"),
        "tensor 'conv.weight': element 0: expected a finite number, found nan .1 such in all.",
    ),
    "infinite output": (
        patched(DATA, len(DATA) - 4, struct.pack("<f", np.inf)),
        "verification vector 1, output: element 1: expected a finite number, found inf",
    ),
    "vector count": (
        patched(DATA, VECTOR_COUNT, struct.pack("<I", 0xFFFFFFFF)),
        "verification vector [0-9]+, offset of the (in|out)put: expected 8 more bytes",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_refused_by_name(case: str) -> None:
    data, message = BROKEN[case]
    with pytest.raises(FormatError, match=f"^broken.mien: .*({message})"):
        weights.decode(data, "broken.mien")


def test_a_tensor_named_twice_is_refused() -> None:
    tensor = make_file().tensors[0].values
    tensors = (NamedTensor("a.weight", tensor), NamedTensor("b.weight", tensor))
    data = replace(make_file(), tensors=tensors).encode().replace(b"b.weight", b"a.weight")
    with pytest.raises(FormatError, match="tensor name: expected distinct ones, found 'a.weight'"):
        weights.decode(reseal(data))


UNWRITABLE = {
    "no architecture": (replace(make_file(), architecture=""), "architecture: expected a name"),
    "no labels": (replace(make_file(), labels=()), "labels: expected at least one"),
    "empty label": (replace(make_file(), labels=("a", "")), "label: expected a text"),
    "same labels": (replace(make_file(), labels=("a", "a")), "found 'a' twice"),
    "three labels": (
        replace(make_file(), labels=("a", "b", "c")),
        "verification vector 0, output: expected float32 3, found float32 2",
    ),
    "same names": (
        replace(make_file(), tensors=make_file().tensors[:1] * 2),
        "tensor name: expected distinct ones, found 'conv.weight' twice",
    ),
    "integers": (
        replace(make_file(), tensors=(NamedTensor("steps", np.zeros(3, np.int64)),)),
        "tensor 'steps': type: expected float32 or float16, found int64",
    ),
    "doubles": (
        replace(make_file(), tensors=(NamedTensor("bias", np.zeros(3)),)),
        "tensor 'bias': type: expected float32 or float16, found float64",
    ),
    "scalar": (
        replace(make_file(), tensors=(NamedTensor("scale", np.float32(1).reshape(())),)),
        "tensor 'scale': rank: expected 1 to 4, found 0",
    ),
    "empty tensor": (
        replace(make_file(), tensors=(NamedTensor("bias", np.zeros((2, 0), np.float32)),)),
        "tensor 'bias': shape: expected sizes from 1, found 2 x 0",
    ),
    "input shape": (
        replace(make_file(), preprocessing=replace(PREPROCESSING, input_width=3)),
        "verification vector 0, input: expected float32 1 x 3 x 3, found float32 1 x 3 x 2",
    ),
    "deviation that float32 rounds to 0": (
        replace(make_file(), preprocessing=replace(PREPROCESSING, standard_deviation=1e-60)),
        "standard deviation: expected a positive number, found 1e-60",
    ),
    "mean that float32 cannot hold": (
        replace(make_file(), preprocessing=replace(PREPROCESSING, mean=1e60)),
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
    assert ["architecture", "tiny"] in lines
    assert ["labels", "fröhlich,", "traurig"] in lines
    assert ["tensors", "3", "with", "26", "values"] in [line[:5] for line in lines]
    rows = {line[0]: " ".join(line[1:]) for line in lines}
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
