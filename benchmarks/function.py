"""The function's own time for a batch, with stubbed AWS calls, compared with the same work without Powertools."""

import json

from benchmarks.measure import print_table
from tests.combinations import ROOT
from tests.projects import Environment, Project


def main(project: Project, environment: Environment) -> None:
    """Print a row for each batch size."""
    finished = environment.run(project, "python", str(ROOT / "benchmarks" / "function_timing.py"))
    finished.check_returncode()
    measured = json.loads(finished.stdout.splitlines()[-1])
    print_table(
        "The function, AWS stubbed",
        ("messages in a batch", "with Powertools", "without", "ratio", "extra per message"),
        [
            (
                size,
                f"{times['function'] * 1e6:.0f} µs",
                f"{times['plain'] * 1e6:.0f} µs",
                f"{times['function'] / times['plain']:.1f}",
                f"{(times['function'] - times['plain']) / int(size) * 1e6:.0f} µs",
            )
            for size, times in measured.items()
        ],
    )
