"""Tests the first steps in a rendered project's README, with each package manager."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.combinations import CHOICES
from tests.projects import Project

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("package_manager", CHOICES["package_manager"])
def test_the_first_steps_of_the_readme_pass_and_change_no_file(
    default_project: Project, pipenv_project: Project, tmp_path: Path, package_manager: str
) -> None:
    project = {"uv": default_project, "pipenv": pipenv_project}[package_manager].copy(tmp_path)
    tool = shutil.which(package_manager, path=str(Path(sys.executable).parent)) or shutil.which(package_manager)
    block = re.search(r"^```sh\n(.*?)^```", project.read("README.md"), flags=re.MULTILINE | re.DOTALL)
    assert tool
    assert block
    before = {name: project.read(name) for name in project.names()}
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV_"))}
    variables.pop("VIRTUAL_ENV", None)
    # Pipenv must create a virtual environment in the project, instead of using the tests' own.
    variables |= {"PIPENV_VENV_IN_PROJECT": "1", "PIPENV_IGNORE_VIRTUALENVS": "1", "PIPENV_PYTHON": sys.executable}
    variables["UV_PYTHON"] = sys.executable

    commands = block[1].splitlines()
    for command in commands:
        words = [tool if word == package_manager else word for word in command.split()]
        finished = subprocess.run(
            words, cwd=project.path, env=variables, check=False, capture_output=True, encoding="utf-8"
        )
        assert finished.returncode == 0, f"{command}\n{finished.stdout[-3000:]}\n{finished.stderr[-3000:]}"

    assert (project.path / {"uv": "uv.lock", "pipenv": "Pipfile.lock"}[package_manager]).exists()
    assert {name: project.read(name) for name in before} == before
