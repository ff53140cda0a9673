"""Fixtures of the tests of ``validate``."""

from pathlib import Path

import pytest

from tests.validate.folder import ProjectFolder

# Environment variables of shells and workflows that affect the output.
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
    """Remove environment variables of shells and workflows that affect the output."""
    for name in OF_THE_SHELL:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> ProjectFolder:
    """A copy of the project, without problems."""
    return ProjectFolder.create(tmp_path)
