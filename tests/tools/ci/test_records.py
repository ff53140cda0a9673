"""The records of the tasks, as files and as Markdown."""

from typing import Any

import pytest

from tests.ci.conftest import Machine
from tools.ci.records import Change, Record, overview, read_record, to_markdown
from tools.ci.system import write_file

CHANGE = Change(urn="u", name="queue", type="aws:sqs/queue:Queue", operation="create")
LOSS = CHANGE.model_copy(update={"operation": "delete", "holds_data": True})
TABLE = """\
| stack | create | import | update | replace | delete | result |
|---|---|---|---|---|---|---|
| `dev` | 1 | 0 | 0 | 0 | 1 | **deletes or replaces what holds data: `queue`** |
| `prod` | 0 | 0 | 0 | 0 | 0 | failed: `a '@person' \\| b` |"""


def record(**more: Any) -> Record:
    """Return the record of a preview."""
    return Record.model_validate({"task": "preview", "stack": "dev", "state": "done"} | more)


@pytest.mark.parametrize("written", [record(), record(changes=(CHANGE, LOSS), notes=("a note",))])
def test_a_record_is_read_as_it_was_written(machine: Machine, written: Record) -> None:
    write_file("dev.json", written.model_dump_json())

    assert read_record("preview", "dev") == written
    assert machine.folder.exists()


@pytest.mark.parametrize("content", ["{", "{}", record(task="drift").model_dump_json(), None])
@pytest.mark.usefixtures("machine")
def test_a_job_without_a_record_has_failed(content: str | None) -> None:
    if content is not None:
        write_file("dev.json", content)

    reason = "its job has ended without a result of ci-preview"
    assert read_record("preview", "dev") == record(state="failed", reason=reason)


def test_an_overview_has_a_row_for_each_stack() -> None:
    records = [record(changes=(CHANGE, LOSS)), record(stack="prod", state="failed", reason="a `@person` | b")]

    assert "\n".join(overview(records)) == TABLE


@pytest.mark.parametrize(
    ("task", "changes", "result"),
    [
        ("preview", (), "no changes"),
        ("preview", (CHANGE,), "changes"),
        ("plan", (CHANGE,), "changes"),
        ("drift", (), "no drift"),
        ("drift", (CHANGE,), "drift"),
        ("deploy", (), "deployed and tested"),
    ],
)
def test_the_result_is_said_in_words(task: str, changes: tuple[Change, ...], result: str) -> None:
    assert record(task=task, changes=changes).result == result


def test_a_long_list_is_cut() -> None:
    text = to_markdown(record(changes=(CHANGE,) * 103))

    assert text.count("`queue`") == 100
    assert text.endswith("\n\nand 3 more")


def test_text_cannot_become_markdown() -> None:
    hostile = CHANGE.model_copy(update={"name": "a`|<b>\n@person"})

    assert "| `a'\\|<b>\\n@person` |" in to_markdown(record(changes=(hostile,)))
