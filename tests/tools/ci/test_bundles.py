"""The bundles: built once, and the same in every environment."""

import pytest

from tests.ci.conftest import Machine
from tools.ci.bundles import package, provide_bundle


def test_the_bundles_of_all_stacks_are_built(machine: Machine) -> None:
    package()

    assert machine.bundles == ["build dev", "build staging", "build prod"]


@pytest.mark.parametrize(("ci", "done"), [("true", "check dev"), ("", "build dev")])
def test_only_a_persons_machine_builds_a_bundle_on_the_way(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, ci: str, done: str
) -> None:
    monkeypatch.setenv("CI", ci)

    provide_bundle("dev")

    assert machine.bundles == [done]
