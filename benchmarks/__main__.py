"""Runs every benchmark: ``make bench``."""

import tempfile
from pathlib import Path

from cookiecutter.main import cookiecutter

from benchmarks import function, gate, rendering, validation
from tests.combinations import ROOT
from tests.projects import Environment, Project

MYPY = "mypy>=2.4,<3"


def main() -> None:
    """Measure the rendering, then a rendered project in its own environment."""
    rendering.main()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "config.yaml"
        config.write_text(f"replay_dir: {folder / 'replay'}\ncookiecutters_dir: {folder}\n", encoding="utf-8")
        rendered = cookiecutter(str(ROOT), no_input=True, output_dir=name, config_file=str(config))
        project = Project(Path(rendered), {})
        environment = Environment.create(folder / "environment", [*project.requirements(), MYPY])
        function.main(project, environment)
        gate.main(project, environment)
        # Last, because it adds stacks to the project.
        validation.main(project, environment)


main()
