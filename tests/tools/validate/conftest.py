"""Fixtures for the tests of ``validate``."""

from pathlib import Path

import pytest

from tests.validate.folder import ProjectFolder


@pytest.fixture(autouse=True)
def no_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove environment variables of shells and workflows that affect the output."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "GITHUB_WORKSPACE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> ProjectFolder:
    """A copy of the test project, in which ``validate`` finds no problems."""
    return ProjectFolder.create(tmp_path)
