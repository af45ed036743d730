"""How the package's commands end when something is wrong."""

import contextlib
import os
import sys
from collections.abc import Callable

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def exit_status(
    program: str, action: Callable[[], object], errors: tuple[type[Exception], ...]
) -> int:
    """Run `action`; an OSError or one of `errors` becomes a message on standard error and a 1.

    Where memory runs out it is the same, and an interruption is a message and 130.
    """
    try:
        action()
        sys.stdout.flush()
    except errors as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        place = error.filename
        if place is None:
            place = "standard output"
            _drop_output()
        print(f"{program}: {place}: {error.strerror}", file=sys.stderr)
        return 1
    except MemoryError:
        print(f"{program}: not enough memory", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _drop_output() -> None:
    """Nobody can read what is left; Python would complain of it when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
