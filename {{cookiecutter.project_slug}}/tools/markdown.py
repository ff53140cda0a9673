"""Writes Markdown: tables, and text that keeps its meaning in them."""

from collections.abc import Iterable, Iterator, Sequence

from tools.project import printable


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Return the lines of a table.

    Args:
        header: The columns' titles.
        rows: The cells of each row, as Markdown.
    """
    yield _row(header)
    yield f"|{'---|' * len(header)}"
    yield from map(_row, rows)


def code(text: str) -> str:
    """Return a text as code on one line: nothing in it is formatted or linked. Empty text stays empty."""
    return text and f"`{printable(text).replace('`', chr(39))}`"


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
