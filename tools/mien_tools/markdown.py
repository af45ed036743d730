"""Tables that can be pasted into a Markdown page."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table; cells are Markdown, one for each column."""
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def percent(share: float) -> str:
    return f"{share * 100:.2f} %"
