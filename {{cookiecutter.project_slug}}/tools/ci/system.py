"""The CI system that a task runs on, if it does: GitHub Actions, GitLab CI, or a person's machine."""

import os
import sys
from pathlib import Path
from typing import Final

from tools.package import BUILD_FOLDER

FOLDER: Final = BUILD_FOLDER / "ci"


def is_on_ci() -> bool:
    """Whether a CI system runs this task. GitHub and GitLab both say so in this variable."""
    return os.environ.get("CI") == "true"


def is_on_github() -> bool:
    """Whether GitHub Actions runs this task."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def is_on_gitlab() -> bool:
    """Whether GitLab CI runs this task."""
    return os.environ.get("GITLAB_CI") == "true"


def read_variable(task: str, name: str, meaning: str) -> str:
    """Read an environment variable that a task needs.

    Args:
        task: Name of the task.
        name: Name of the variable.
        meaning: What it should be.

    Raises:
        SystemExit: If it is not set.
    """
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{task}: {name} is not set; allowed: {meaning}")
    return value


def write_file(name: str, text: str) -> Path:
    """Write a file for later jobs, and return its path."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / name
    path.write_text(text, encoding="utf-8")
    return path


def write_summary(text: str) -> None:
    """Add Markdown to the job's summary; outside GitHub to the file ``summary.md`` in `FOLDER`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    append(Path(os.environ.get("GITHUB_STEP_SUMMARY") or FOLDER / "summary.md"), f"{text}\n\n")


def append(path: Path, text: str) -> None:
    """Add text to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
