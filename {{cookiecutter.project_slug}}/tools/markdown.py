"""Formats Markdown tables and inline code."""

from collections.abc import Iterable, Iterator, Sequence

from tools.project import printable


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table with the columns' titles and the rows of cells, as Markdown."""
    yield _row(header)
    yield f"|{'---|' * len(header)}"
    yield from map(_row, rows)


def code(text: str) -> str:
    """Return text as inline code, in which Markdown formats and links nothing. Empty text stays empty."""
    return text and f"`{printable(text).replace('`', chr(39))}`"


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
