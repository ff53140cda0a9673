"""Runs every benchmark: ``make bench``."""

from benchmarks import function, gate, rendering, validation
from benchmarks.rendered import rendered

MYPY = "mypy>=2.4,<3"


def main() -> None:
    """Measure the rendering, then a rendered project in its own environment."""
    rendering.main()
    with rendered(MYPY) as (project, environment):
        function.main(project, environment)
        gate.main(project, environment)
        # Last, because it adds stacks to the project.
        validation.main(project, environment)


main()
