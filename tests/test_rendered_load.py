"""No message is lost, and none is stored twice, while everything around the function fails."""

from typing import Any

import pytest

from tests.deployment.loaded import report_of_load
from tests.projects import Environment, Project

pytestmark = pytest.mark.slow

# `make load` sends a thousand.
MESSAGES = 100


@pytest.fixture(scope="module", name="report")
def fixture_report(
    default_project: Project, environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What became of the messages."""
    folder = tmp_path_factory.mktemp("load")
    return report_of_load(default_project.copy(folder), environment, folder / "emulator", MESSAGES)


def test_every_message_has_one_object_and_one_item_or_a_dead_letter_with_the_reason(report: dict[str, Any]) -> None:
    assert report["wrong"] == {}
    assert report["messages"] == MESSAGES


def test_nothing_but_malformed_messages_is_dead_lettered_in_the_end(report: dict[str, Any]) -> None:
    assert report["malformed"] > 0
    assert report["items"] == report["objects"] == MESSAGES - report["malformed"]


def test_things_have_failed(report: dict[str, Any]) -> None:
    assert report["killed"] > 0
    assert report["returned"] > 0
    assert report["dead_lettered"] > report["malformed"]
    assert report["processed"] > report["items"]
