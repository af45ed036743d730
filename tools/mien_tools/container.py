"""The sealed binary file that weights (.mien) and cascades (.haar) share.

Its layout stands at the top of include/mien/binary.hpp.
"""

import os
import stat
import struct
import tempfile
import zlib
from pathlib import Path

HEADER_SIZE = 24


class FormatError(ValueError):
    """A file is not what its kind prescribes; the message says what was expected and found."""


def string(text: str) -> bytes:
    """A u16 byte count followed by UTF-8."""
    data = text.encode("utf-8")
    if len(data) > 0xFFFF:
        raise FormatError(f"string of {len(data)} bytes: at most 65535 fit")
    return struct.pack("<H", len(data)) + data


def seal(kind: str, version: int, body: bytes) -> bytes:
    """Put magic, version, checksum and size before `body`."""
    rest = struct.pack("<Q", HEADER_SIZE + len(body)) + body
    magic = b"\x89" + kind.encode("ascii") + b"\r\n\x1a"
    return magic + struct.pack("<II", version, zlib.crc32(rest)) + rest


def unseal(data: bytes, kind: str, version: int, name: str) -> bytes:
    """Check a sealed file and return what follows its 24 header bytes."""
    if len(data) < HEADER_SIZE:
        raise FormatError(f"{name}: truncated: expected at least 24 bytes, found {len(data)}")
    if data[:8] != b"\x89" + kind.encode("ascii") + b"\r\n\x1a":
        raise FormatError(f"{name}: not a Mien file of kind {kind}: its first 8 bytes differ")
    found_version, checksum, size = struct.unpack_from("<IIQ", data, 8)
    if found_version != version:
        raise FormatError(f"{name}: format version: expected {version}, found {found_version}")
    if size != len(data):
        raise FormatError(f"{name}: size: expected {size} bytes, found {len(data)}")
    if zlib.crc32(data[16:]) != checksum:
        raise FormatError(f"{name}: the checksum does not match: the file is corrupted")
    return data[HEADER_SIZE:]


def _umask() -> int:
    """What permissions new files do not have; the system tells it only when it is set."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Write a file so that an interruption leaves the old one or none, never a half.

    Symbolic links stay, and so do the permissions of a file that is replaced. What is no regular
    file, as a device or a pipe, is written to.
    """
    path = Path(os.path.realpath(path))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        try:
            path.write_bytes(data)
        except OSError as error:
            error.filename = str(path)  # that of a failing write is not told
            raise
        return
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o666 & ~_umask() if mode is None else stat.S_IMODE(mode))
        os.replace(temporary, path)
    except BaseException as error:  # an interruption, too
        if temporary is not None:
            os.unlink(temporary)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise
