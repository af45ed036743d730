"""Damage to weight files that their checksums do not show, for tests."""

from mien_tools import container, weights
from mien_tools.container import FormatError


def reseal(data: bytes) -> bytes:
    """The same contents with the size and checksum that belong to them."""
    return container.seal("MIEN", 2, data[container.HEADER_SIZE :])


def check_damage_is_refused_or_kept(damaged: bytes) -> None:
    """What is accepted, written again, gives the same bytes; all else is a FormatError."""
    damaged = reseal(damaged)
    try:
        again = weights.decode(damaged).encode()
    except FormatError:
        return
    assert again == damaged
