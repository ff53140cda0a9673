"""The README's first steps, from scratch, with each package manager."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.projects import Project

pytestmark = pytest.mark.slow


def first_steps(project: Project) -> list[str]:
    """Read the first block of commands in the README."""
    block = re.search(r"^```sh\n(.*?)^```", project.read("README.md"), flags=re.MULTILINE | re.DOTALL)
    assert block
    return block[1].splitlines()


@pytest.mark.parametrize("package_manager", ["uv", "pipenv"])
def test_the_first_steps_of_the_readme_pass(
    default_project: Project, pipenv_project: Project, tmp_path: Path, package_manager: str
) -> None:
    project = {"uv": default_project, "pipenv": pipenv_project}[package_manager].copy(tmp_path)
    tool = shutil.which(package_manager, path=str(Path(sys.executable).parent)) or shutil.which(package_manager)
    assert tool
    before = {name: (project.path / name).read_bytes() for name in project.names()}
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV_"))}
    variables.pop("VIRTUAL_ENV", None)
    # Pipenv must create the environment in the project, and not use the tests' own.
    variables |= {"PIPENV_VENV_IN_PROJECT": "1", "PIPENV_IGNORE_VIRTUALENVS": "1", "PIPENV_PYTHON": sys.executable}
    variables["UV_PYTHON"] = sys.executable

    commands = first_steps(project)
    for command in commands:
        words = [tool if word == package_manager else word for word in command.split()]
        finished = subprocess.run(
            words, cwd=project.path, env=variables, check=False, capture_output=True, encoding="utf-8"
        )
        assert finished.returncode == 0, f"{command}\n{finished.stdout[-3000:]}\n{finished.stderr[-3000:]}"

    assert len(commands) == 2
    assert (project.path / {"uv": "uv.lock", "pipenv": "Pipfile.lock"}[package_manager]).exists()
    assert {name: (project.path / name).read_bytes() for name in before} == before

    def task(*words: str) -> subprocess.CompletedProcess[str]:
        prefix = {"uv": [tool, "run", "poe"], "pipenv": [tool, "run"]}[package_manager]
        return subprocess.run(
            [*prefix, *words], cwd=project.path, env=variables, check=False, capture_output=True, encoding="utf-8"
        )

    report = task("validate", "--strict", "--format", "json", "--date", "2026-03-01")
    assert report.returncode == 1, report.stderr
    assert [finding["rule"] for finding in json.loads(report.stdout)["findings"]] == [
        "any-account",
        "placeholder-email",
    ]
    usage = task("validate", "--help")
    assert usage.returncode == 0
    assert usage.stdout.startswith(f"usage: {project.run} validate [-h]")

    bundled = task("package")
    assert bundled.returncode == 0, bundled.stdout + bundled.stderr
    assert re.search(r"build.processor-python3\.13-arm64\.zip: \d+\.\d MB\n$", bundled.stdout)
