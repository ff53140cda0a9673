"""Load test with a thousand messages while the bucket and the function fail: ``make load``."""

import sys

from benchmarks.measure import print_table, rendered
from tests.deployment.loaded import report_of_load

MESSAGES = 1000


def main() -> None:
    """Run the load test and print the figures.

    Raises:
        SystemExit: If a message was lost or stored twice.
    """
    with rendered() as (project, environment):
        report = report_of_load(project, environment, project.path.with_name("emulator"), MESSAGES)
    wrong = report.pop("wrong")
    print_table(
        "Load test with faults",
        ("what", "number"),
        [(name.replace("_", " "), str(n)) for name, n in report.items()],
    )
    if wrong:
        sys.exit("\n".join(f"{message}: {problem}" for message, problem in wrong.items()))


if __name__ == "__main__":
    main()
