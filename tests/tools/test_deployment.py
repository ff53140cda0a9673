"""The tasks that deploy: their steps, and where they stop."""

import sys

import pytest

from tools import deployment


@pytest.fixture(name="calls")
def fixture_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Record the calls instead of making them."""
    calls: list[tuple[str, ...]] = []

    def run_engine(*arguments: str) -> int:
        calls.append(arguments)
        return 0

    monkeypatch.setattr(deployment, "find_engine", lambda: calls.append(("find",)))
    monkeypatch.setattr(deployment, "build_bundle", lambda stack: calls.append(("package", stack)))
    monkeypatch.setattr(deployment, "save_outputs", lambda stack: calls.append(("outputs", stack)))
    monkeypatch.setattr(deployment, "run_engine", run_engine)
    return calls


def fail(*_arguments: str) -> int:
    """Fail as the engine does."""
    return 255


def test_a_preview_builds_the_bundle_first(calls: list[tuple[str, ...]]) -> None:
    deployment.preview("staging")

    assert calls == [("find",), ("package", "staging"), ("preview", "--diff", "--stack", "staging")]


def test_a_deployment_packages_deploys_and_writes_the_outputs(calls: list[tuple[str, ...]]) -> None:
    deployment.deploy("prod")

    assert calls == [("find",), ("package", "prod"), ("up", "--stack", "prod"), ("outputs", "prod")]


def test_a_failed_deployment_writes_no_outputs(calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "run_engine", fail)

    with pytest.raises(SystemExit) as error:
        deployment.deploy("prod")

    assert error.value.code == 255
    assert calls == [("find",), ("package", "prod")]


def test_without_the_engine_nothing_is_built(calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "find_engine", lambda: sys.exit("no engine"))

    for task in (deployment.preview, deployment.deploy):
        with pytest.raises(SystemExit, match="no engine"):
            task("dev")

    assert calls == []
