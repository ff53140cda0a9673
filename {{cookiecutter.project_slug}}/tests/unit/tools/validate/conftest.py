"""What the tests of ``validate`` share."""

from pathlib import Path

import pytest

from tests.unit.tools.validate.folder import ProjectFolder


@pytest.fixture
def folder(tmp_path: Path) -> ProjectFolder:
    """A project of four stacks about which there is nothing to say."""
    return ProjectFolder.create(tmp_path)
