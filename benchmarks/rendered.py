"""A rendered project in an environment of its own."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cookiecutter.main import cookiecutter

from tests.combinations import ROOT
from tests.projects import Environment, Project


@contextmanager
def rendered(*requirements: str) -> Generator[tuple[Project, Environment]]:
    """Render the default project into a temporary folder.

    Args:
        requirements: What its environment needs in addition.

    Yields:
        The project and its environment.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "config.yaml"
        config.write_text(f"replay_dir: {folder / 'replay'}\ncookiecutters_dir: {folder}\n", encoding="utf-8")
        project = Project(Path(cookiecutter(str(ROOT), no_input=True, output_dir=name, config_file=str(config))), {})
        yield project, Environment.create(folder / "environment", [*project.requirements(), *requirements])
