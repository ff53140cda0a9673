"""Runs ``tests/outages`` in the default project: simulated outages trigger the project's alarms."""

import shutil
from pathlib import Path

import pytest

from tests.projects import Environment, Project


@pytest.mark.slow
def test_outages_trigger_the_alarms_of_the_default_project(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)
    name = Path("tests", "outages")
    shutil.copytree(Path(__file__).with_name("outages"), project.path / name)

    for command in (("pytest", "-q", name), ("ty", "check", name)):
        finished = environment.run(project, *map(str, command))
        assert finished.returncode == 0, finished.stdout
