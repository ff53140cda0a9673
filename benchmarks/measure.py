"""Helpers of the benchmarks: a rendered project, timing, and Markdown tables."""

import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cookiecutter.main import cookiecutter

from tests.combinations import ROOT
from tests.projects import Environment, Project


@contextmanager
def rendered() -> Generator[tuple[Project, Environment]]:
    """Render the default project into a temporary folder, and create its virtual environment."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_config(folder)
        project = Project(Path(cookiecutter(str(ROOT), no_input=True, output_dir=name, config_file=str(config))), {})
        yield project, Environment.create(folder / "environment", project.requirements())


def write_config(folder: Path) -> Path:
    """Write a Cookiecutter configuration that keeps files out of the home directory."""
    config = folder / "config.yaml"
    config.write_text(f"replay_dir: {folder / 'replay'}\ncookiecutters_dir: {folder}\n", encoding="utf-8")
    return config


def in_turn(actions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Run actions alternately, so that a temporary slowdown of the machine affects all of them.

    Args:
        actions: The actions, by name. The first run of each action is not timed.
        rounds: Number of timed runs of each action.

    Returns:
        The median time of each action, in seconds.
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
    """Print a Markdown table for `benchmarks/README.md`, with right-aligned figures."""
    alignments = ["---", *["--:"] * (len(columns) - 1)]
    lines = ["| " + " | ".join(cells) + " |" for cells in (columns, *rows)]
    print(f"\n{title}\n", lines[0], "|" + "|".join(alignments) + "|", *lines[1:], sep="\n", flush=True)
