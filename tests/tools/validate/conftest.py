"""Fixtures for the tests of ``validate``."""

from pathlib import Path

import pytest

from tests.validate.folder import ProjectFolder


@pytest.fixture(autouse=True)
def no_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove environment variables that affect the output, such as ``NO_COLOR`` and ``GITHUB_WORKSPACE``."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "GITHUB_WORKSPACE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> ProjectFolder:
    """A copy of the test project, in which ``validate`` finds no problems."""
    return ProjectFolder.create(tmp_path)
