"""Measuring and printing."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

Action = Callable[[], object]


def in_turn(actions: Mapping[str, Action], rounds: int) -> dict[str, float]:
    """Run actions alternately, so that a slow moment of the machine affects all of them.

    Args:
        actions: What to run, by name. Each is run once before it counts.
        rounds: How often each counts.

    Returns:
        The median time of each, in seconds.
    """
    times: dict[str, list[float]] = {name: [] for name in actions}
    for counted in (False, *[True] * rounds):
        for name, action in actions.items():
            begin = time.perf_counter()
            action()
            if counted:
                times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(measured) for name, measured in times.items()}


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with names on the left and figures on the right."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
