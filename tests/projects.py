"""Helpers to read rendered projects, and to run their commands in virtual environments."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

BIN = "Scripts" if os.name == "nt" else "bin"


@dataclass(frozen=True)
class Project:
    """A rendered project.

    Attributes:
        path: Root folder.
        answers: The given answers; all other questions have their defaults.
    """

    path: Path
    answers: dict[str, str]

    @property
    def slug(self) -> str:
        """Name of the folder and the Pulumi project."""
        return self.path.name

    @property
    def package_manager(self) -> str:
        """The answer ``package_manager``, by default uv."""
        return self.answers.get("package_manager", "uv")

    @property
    def run(self) -> str:
        """Command prefix of all tasks, such as ``uv run poe``."""
        return {"uv": "uv run poe", "pipenv": "pipenv run"}[self.package_manager]

    def files(self) -> Iterator[Path]:
        """Iterate over all files, sorted by path."""
        return (path for path in sorted(self.path.rglob("*")) if path.is_file())

    def names(self) -> set[str]:
        """Return the paths of all files, relative to the project."""
        return {path.relative_to(self.path).as_posix() for path in self.files()}

    def read(self, name: str) -> str:
        """Read a file without converting its line endings."""
        return (self.path / name).read_bytes().decode("utf-8")

    def yaml(self, name: str) -> dict[str, Any]:
        """Parse a YAML file."""
        return yaml.safe_load(self.read(name))

    def toml(self, name: str) -> dict[str, Any]:
        """Parse a TOML file."""
        return tomllib.loads(self.read(name))

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Return the Poe tasks by name, except those whose names start with an underscore."""
        return {name: task for name, task in self.all_tasks().items() if not name.startswith("_")}

    def all_tasks(self) -> dict[str, dict[str, Any]]:
        """Return the Poe tasks by name, including the steps of other tasks."""
        return self.toml("tools/tasks.toml")["tasks"] | self.toml("pyproject.toml")["tool"]["poe"]["tasks"]

    def python_files(self) -> list[str]:
        """List the paths of the Python files, relative to the project."""
        return sorted(name for name in self.names() if name.endswith(".py"))

    def stack_files(self) -> list[str]:
        """List the names of the stack files, ``Pulumi.*.yaml``."""
        return sorted(path.name for path in self.path.glob("Pulumi.*.yaml"))

    def exports(self) -> list[str]:
        """List the names of the program's stack outputs."""
        return re.findall(r'^pulumi\.export\("(\w+)", ', self.read("__main__.py"), flags=re.MULTILINE)

    def requirements(self) -> list[str]:
        """List all dependencies as pip requirements."""
        if self.package_manager == "uv":
            pyproject = self.toml("pyproject.toml")
            groups = pyproject["dependency-groups"]
            listed = [*pyproject["project"]["dependencies"], *groups["processor"], *groups["dev"]]
            return sorted({requirement for requirement in listed if isinstance(requirement, str)})
        pipfile = self.toml("Pipfile")
        sections = (pipfile["packages"], pipfile["processor"], pipfile["dev-packages"])
        return sorted({_requirement(name, spec) for section in sections for name, spec in section.items()})

    def copy(self, folder: Path) -> "Project":
        """Copy the project, so that a test can change it."""
        return Project(Path(shutil.copytree(self.path, folder / self.slug)), self.answers)

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace text in a file; fail if the file does not contain ``old``."""
        text = self.read(name)
        assert old in text, f"{name} does not contain {old!r}"
        (self.path / name).write_bytes(text.replace(old, new).encode())


def _requirement(name: str, spec: str | dict[str, Any]) -> str:
    """Convert a Pipfile entry to a pip requirement."""
    if isinstance(spec, str):
        return f"{name}{spec}"
    return f"{name}[{','.join(spec['extras'])}]{spec['version']}"


@dataclass(frozen=True)
class Environment:
    """A virtual environment for rendered projects.

    Attributes:
        path: Root folder.
    """

    path: Path

    @classmethod
    def create(cls, path: Path, requirements: list[str]) -> "Environment":
        """Create a virtual environment, and install requirements into it."""
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(path)], check=True)
        environment = cls(path)
        command = [*uv, "pip", "install", "--quiet", "--python", str(environment.executable("python")), *requirements]
        subprocess.run(command, check=True)
        return environment

    def executable(self, name: str) -> Path:
        """Return the path of an executable in the virtual environment."""
        return self.path / BIN / (f"{name}.exe" if os.name == "nt" else name)

    def variables(self, **more: str) -> dict[str, str]:
        """Return the environment variables of the activated virtual environment, plus ``more``.

        They include this process's variables, except those for AWS, pytest, coverage.py and bytecode.
        """
        dropped = ("AWS_", "PYTEST_", "COV_", "PYTHONDONTWRITEBYTECODE")
        variables = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        variables |= {
            "VIRTUAL_ENV": str(self.path),
            "PATH": os.pathsep.join([str(self.path / BIN), os.environ["PATH"]]),
            "NO_COLOR": "1",
            # Keep caches out of the project, because other tests read its files.
            "PYTHONPYCACHEPREFIX": str(self.path / "bytecode"),
            "RUFF_CACHE_DIR": str(self.path / "ruff"),
        }
        return variables | more

    def run(self, project: Project, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run an executable of the virtual environment in a project's folder."""
        return subprocess.run(
            [str(self.executable(command[0])), *command[1:]],
            check=False,
            cwd=project.path,
            env=self.variables(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def task(self, project: Project, *task: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a Poe task of a project."""
        return self.run(project, "poe", *task, **more)
