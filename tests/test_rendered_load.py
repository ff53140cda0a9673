"""Tests that no message is lost or stored twice if the bucket is missing and the function's processes are killed."""

from pathlib import Path

import pytest

from tests.deployment.loaded import report_of_load
from tests.projects import Environment, Project

pytestmark = pytest.mark.slow

# `make load` sends 1,000 messages.
MESSAGES = 60


def test_every_message_is_stored_once_or_dead_lettered(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    report = report_of_load(default_project.copy(tmp_path), environment, tmp_path / "emulator", MESSAGES)

    assert report["wrong"] == {}
    assert report["messages"] == MESSAGES
    assert report["objects"] == MESSAGES - report["malformed"]
    assert min(report["malformed"], report["failed_deliveries"], report["killed"]) > 0, "a fault had no effect"
