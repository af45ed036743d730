"""How the package's commands end when something is wrong."""

import sys
from collections.abc import Callable


def exit_status(
    program: str, action: Callable[[], object], errors: tuple[type[Exception], ...]
) -> int:
    """Run `action`; an OSError or one of `errors` becomes a message on standard error and a 1."""
    try:
        action()
    except errors as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{program}: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0
