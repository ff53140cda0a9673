"""What a task has found out about a stack: a file for later jobs, and Markdown for people."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field

from tools.ci.system import FOLDER
from tools.markdown import code, table

Task = Literal["preview", "plan", "deploy", "drift"]
Operation = Literal["create", "import", "update", "replace", "delete", "changed", "deleted"]
TITLES: Final[dict[Task, str]] = {
    "preview": "What a deployment would change",
    "plan": "What this deployment will change",
    "deploy": "Deployment",
    "drift": "What was changed outside Pulumi",
}
COUNTED: Final[tuple[Operation, ...]] = ("create", "import", "update", "replace", "delete")
DESTRUCTIVE: Final = frozenset({"replace", "delete"})
LONGEST_LIST: Final = 100
# What reading a file that is missing or has another form raises.
UNREADABLE: Final = (OSError, ValidationError)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Change(_Model):
    """A resource that is changed, or that was changed outside Pulumi. Its values are not kept: they can be secrets."""

    urn: str
    name: Annotated[str, Field(description="Its logical name")]
    type: Annotated[str, Field(description="Its type, for example aws:sqs/queue:Queue")]
    operation: Operation
    properties: Annotated[tuple[str, ...], Field(description="Paths of the properties that differ")] = ()
    holds_data: Annotated[bool, Field(description="Whether its type is in policies.toml under [data]")] = False

    @property
    def loses_data(self) -> bool:
        """Whether data is lost, or may be."""
        return self.holds_data and self.operation in DESTRUCTIVE


class Record(_Model):
    """The result of a task for one stack."""

    task: Task
    stack: str
    state: Literal["done", "skipped", "failed"]
    reason: Annotated[str, Field(description="Why it was skipped or failed, in one line")] = ""
    notes: Annotated[tuple[str, ...], Field(description="What else a person should know, a line each")] = ()
    changes: tuple[Change, ...] = ()

    @computed_field(description="Number of resources, by operation")
    @property
    def counts(self) -> dict[str, int]:
        """Number of resources, by operation."""
        counted = Counter(change.operation for change in self.changes)
        return {operation: counted[operation] for operation in COUNTED}

    @computed_field(description="Names of the resources with data that are deleted or replaced")
    @property
    def loses(self) -> tuple[str, ...]:
        """Names of the resources with data that are deleted or replaced."""
        return tuple(change.name for change in self.changes if change.loses_data)

    @property
    def result(self) -> str:
        """The result in one line of Markdown, without the changes."""
        if self.state != "done":
            return f"{self.state}: {code(self.reason)}"
        if self.loses:
            return f"**deletes or replaces what holds data: {', '.join(map(code, self.loses))}**"
        return {"drift": "drift" if self.changes else "no drift", "deploy": "deployed and tested"}.get(
            self.task, "changes" if self.changes else "no changes"
        )


def read_record(task: Task, stack: str) -> Record:
    """Read the record that a task has written for a stack.

    Returns:
        The record; a failed one if there is none that can be read.
    """
    try:
        record = Record.model_validate_json((FOLDER / f"{stack}.json").read_text(encoding="utf-8"))
    except UNREADABLE:
        record = None
    if record is None or record.task != task:
        return Record(task=task, stack=stack, state="failed", reason=f"its job has ended without a result of ci-{task}")
    return record


def to_markdown(record: Record) -> str:
    """Describe a record: its result, its notes and its changes."""
    lines = [f"### {TITLES[record.task]}: {code(record.stack)}", "", record.result]
    lines += ["", *(f"- {note}" for note in record.notes)] if record.notes else []
    lines += ["", *_changes(record.changes)] if record.changes else []
    return "\n".join(lines)


def overview(records: Sequence[Record]) -> Iterator[str]:
    """Return the lines of a table with a row for each stack."""
    rows = ([code(each.stack), *map(str, each.counts.values()), each.result] for each in records)
    yield from table(("stack", *COUNTED, "result"), rows)


def _changes(changes: Sequence[Change]) -> Iterator[str]:
    rows = (
        (
            f"**{change.operation}**" if change.loses_data else change.operation,
            code(change.name),
            code(change.type),
            ", ".join(map(code, change.properties)),
        )
        for change in changes[:LONGEST_LIST]
    )
    yield from table(("", "resource", "type", "properties"), rows)
    if len(changes) > LONGEST_LIST:
        yield from ("", f"and {len(changes) - LONGEST_LIST} more")
