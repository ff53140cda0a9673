"""What the tests of ``validate`` share."""

from pathlib import Path

import pytest

from tests.validate.folder import ProjectFolder

# What a person's shell, or a workflow's, tells programs of their output.
OF_THE_SHELL = (
    "NO_COLOR",
    "FORCE_COLOR",
    "COLUMNS",
    "LINES",
    "TERM",
    "GITHUB_WORKSPACE",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
)


@pytest.fixture(autouse=True)
def no_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test as if in no shell and in no workflow."""
    for name in OF_THE_SHELL:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> ProjectFolder:
    """A copy of the project in which nothing is wrong."""
    return ProjectFolder.create(tmp_path)
