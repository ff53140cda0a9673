"""The stacks that CI deploys."""

from collections.abc import Callable

import pytest

from tests.ci.conftest import set_values
from tools.ci import stacks
from tools.ci.stacks import find_stack, find_stacks
from tools.configuration.documents import DocumentError


def test_all_stacks_but_the_local_one_are_found_in_the_order_of_promotion() -> None:
    assert [stack.name for stack in find_stacks("a-task")] == ["dev", "staging", "prod"]


def test_a_stack_has_its_settings() -> None:
    assert find_stack("a-task", "prod").setting("lambdaMemoryMb") == "1024"


@pytest.mark.parametrize("find", [find_stacks, lambda task: find_stack(task, "dev")], ids=["all", "one"])
def test_a_project_that_cannot_be_read_is_reported(
    monkeypatch: pytest.MonkeyPatch, find: Callable[[str], object]
) -> None:
    def refuse() -> None:
        raise DocumentError("Pulumi.yaml", "has no project name")

    monkeypatch.setattr(stacks, "read_project", refuse)

    with pytest.raises(SystemExit, match=r"^a-task: Pulumi\.yaml: has no project name$"):
        find("a-task")


def test_a_wrong_setting_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    set_values(monkeypatch, {"orders:batchSize": "0"})

    with pytest.raises(SystemExit, match=r'(?s)^a-task: .*orders:batchSize: found "0"; allowed: '):
        find_stacks("a-task")
