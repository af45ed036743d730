"""Image files that are turned, cut off, damaged or made to hurt, through the program `detect`."""

import io
import json
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

NOISE = np.random.default_rng(1).integers(0, 256, (6, 10, 3), dtype=np.uint8)
PICTURE = Image.fromarray(NOISE.repeat(8, axis=0).repeat(8, axis=1))
ORIENTATION = 0x0112


def detect(programs: Path, *arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [programs / "detect", *map(str, arguments)], capture_output=True, text=True
    )


def refusal(programs: Path, path: Path, *options: object) -> str:
    """What the program says of a file that it must refuse."""
    done = detect(programs, *options, path)
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line.replace(str(path), "FILE")


def jpeg(**options: object) -> bytes:
    stream = io.BytesIO()
    PICTURE.save(stream, "JPEG", quality=95, **options)
    return stream.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpegs_are_turned_upright(programs: Path, tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path, drawn = tmp_path / "turned.jpg", tmp_path / "drawn.png"
    path.write_bytes(jpeg(exif=exif))
    done = detect(programs, "--json", "--output", drawn, path)
    assert done.returncode == 0, done.stderr
    expected = ImageOps.exif_transpose(Image.open(path))
    line = json.loads(done.stdout)
    assert (line["width"], line["height"]) == expected.size
    assert line["faces"] == []  # so nothing is drawn
    found = np.asarray(Image.open(drawn).convert("RGB"), np.int32)
    difference = np.abs(found - np.asarray(expected, np.int32))
    # Two decoders.
    assert difference.mean() < 2


@pytest.mark.parametrize("cut", [20, 30, 38, 60])
def test_damaged_exif_leaves_a_jpeg_as_it_is(programs: Path, tmp_path: Path, cut: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = bytearray(jpeg(exif=exif))
    place = data.index(b"Exif")
    data[place + 6 + cut - 20 : place + 6 + cut - 16] = b"\xff\xff\xff\xff"
    path = tmp_path / "damaged.jpg"
    path.write_bytes(data)
    done = detect(programs, "--json", path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("marker", "table"),
    [(b"\xff\xc4", "DC Huffman table 0"), (b"\xff\xdb", "quantization table 0")],
)
@pytest.mark.parametrize("fill", [b"", b"\xff\xff"])
def test_scans_without_their_tables_are_refused(
    programs: Path, tmp_path: Path, marker: bytes, table: str, fill: bytes
) -> None:
    data = fill + jpeg()
    place = data.index(marker)
    (size,) = struct.unpack_from(">H", data, place + 2)
    path = tmp_path / "tables.jpg"
    path.write_bytes(data[:place] + data[place + 2 + size :])
    assert f"damaged JPEG: expected {table} before the scan" in refusal(programs, path)


def test_huffman_tables_that_overflow_decoders_are_refused(programs: Path, tmp_path: Path) -> None:
    path = tmp_path / "tables.jpg"
    data = jpeg()
    place = data.index(b"\xff\xc4")
    counts = bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0])
    table = b"\x00" + counts + bytes(510)
    segment = b"\xff\xc4" + struct.pack(">H", 2 + len(table)) + table
    path.write_bytes(data[:place] + segment + data[place:])
    assert "damaged JPEG: expected a Huffman table of at most 256 codes, found 510" in refusal(
        programs, path
    )
    counts = bytes([3] + 15 * [0])
    table = b"\x00" + counts + bytes(3)
    segment = b"\xff\xc4" + struct.pack(">H", 2 + len(table)) + table
    path.write_bytes(data[:place] + segment + data[place:])
    assert "Huffman table of at most 2 codes of 1 bits, found 3" in refusal(programs, path)


def test_truncated_files_are_refused(programs: Path, tmp_path: Path) -> None:
    path = tmp_path / "file"
    # The last 128 bytes are what stb_image asks for at once.
    gray = np.asarray(PICTURE.convert("L"))[:20, :20]
    path.write_bytes(b"P5\n20 20\n255\n" + gray.tobytes()[:272])
    expected = "FILE: truncated: expected 20 rows of 20 bytes, found 272 bytes"
    assert expected in refusal(programs, path)
    data = jpeg()
    for size in (len(data) // 2, len(data) - 2):
        path.write_bytes(data[:size])
        assert "FILE: truncated: the file ends before its image does" in refusal(programs, path)
    # Complete by its markers alone.
    header = data[: data.index(b"\xff\xda") + 14].replace(
        struct.pack(">HH", 48, 80), struct.pack(">HH", 9000, 9000)
    )
    path.write_bytes(header + b"\x00\xff\xd9")
    assert "truncated: expected at least 158203 bytes of image data, found 1" in refusal(
        programs, path
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def png(width: int, height: int, compressed: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", compressed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_damaged_pngs_are_refused(programs: Path, tmp_path: Path) -> None:
    path = tmp_path / "file.png"
    good = png(10, 10, zlib.compress(bytes(110)))
    path.write_bytes(good)
    assert detect(programs, path).returncode == 0
    data = bytearray(good)
    data[-20] ^= 1  # in the last chunk of pixels' checksum or data
    path.write_bytes(data)
    assert "FILE: damaged PNG: wrong checksum of the chunk at byte 33" in refusal(programs, path)
    path.write_bytes(good[:-6])
    assert "FILE: truncated" in refusal(programs, path)
    # Would inflate to two gigabytes.
    path.write_bytes(png(10, 10, zlib.compress(bytes(1 << 28)) * 8))
    assert "bytes of compressed pixels, found " in refusal(programs, path)
    path.write_bytes(png(9000, 9000, zlib.compress(bytes(100))))
    assert "FILE: truncated: expected at least " in refusal(programs, path)


def test_large_pictures_are_refused_before_they_are_decoded(programs: Path, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png(12000, 9000, zlib.compress(bytes(12001 * 9000), 1)))
    assert "expected an image of 1 to 100000000 pixels, found 12000 x 9000" in refusal(
        programs, path
    )
    path.write_bytes(png(10, 10, zlib.compress(bytes(110))))
    assert "expected an image of 1 to 99 pixels, found 10 x 10" in refusal(
        programs, path, "--max-pixels", 99
    )
    assert detect(programs, "--max-pixels", 100, path).returncode == 0
