"""Previews a stack with refresh, to find drift and pending changes.

Neither the state nor the selected stack changes. Automation API: https://www.pulumi.com/docs/iac/automation-api/
"""

import contextlib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Literal

from pulumi import automation
from pulumi.automation.events import EngineEvent, OpType, StepEventMetadata, StepEventStateMetadata
from pulumi.runtime.rpc import UNKNOWN
from pydantic import BaseModel

from tools.package import build_bundle
from tools.project import PROJECT_FOLDER, printable
from tools.pulumi_cli import find_pulumi
from tools.settings import MASKED

# Operations that the Pulumi CLI counts: one per resource. The other steps of a replacement are not counted.
PLANNED: Final = (OpType.CREATE, OpType.UPDATE, OpType.REPLACE, OpType.DELETE, OpType.IMPORT)
BY_URN: Final = attrgetter("urn")
# https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/sig/sig.go
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 # the marker of a secret, not a secret
# Exceptions when a value has no element at a path.
NO_SUCH_PART: Final = (LookupError, TypeError)
# A part of a property path such as `rules[0].tags["my.key"]`.
PATH_PART: Final = re.compile(r'\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|\.?([^.\[\]]+)')


class Property(BaseModel, frozen=True):
    """A changed property. Values are JSON with masked secrets, or ``None`` if the property is not set."""

    path: str
    found: str | None
    expected: str | None


class Change(BaseModel, frozen=True):
    """A resource's drift (``changed`` or ``deleted``) or pending change (the other operations)."""

    urn: str
    name: str
    type: str
    operation: Literal["changed", "deleted", "create", "update", "replace", "delete", "import"]
    properties: tuple[Property, ...]


@dataclass(frozen=True)
class Preview:
    """The result of a preview. Secrets in `outputs` are masked; a stack without resources is not deployed."""

    drift: tuple[Change, ...]
    pending: tuple[Change, ...]
    outputs: Mapping[str, object]
    is_deployed: bool
    notes: tuple[str, ...]


class PreviewError(Exception):
    """The Pulumi CLI failed; the message is the reason, in one line."""


class Workspace(automation.LocalWorkspace):
    """A workspace that never decrypts the state or selects a stack: each command names its stack."""

    def select_stack(self, stack_name: str) -> None:
        """Leave the selected stack unchanged."""

    def export_stack(self, stack_name: str) -> automation.Deployment:
        """Export a stack's state with encrypted secrets."""
        result = self.pulumi_command.run(["stack", "export", "--stack", stack_name], self.work_dir, self.env_vars)
        return automation.Deployment(**json.loads(result.stdout))


@contextlib.contextmanager
def opened_stack(stack: str, variables: Mapping[str, str] | None = None) -> Generator[automation.Stack]:
    """Open a stack, without requiring that it exists in the backend. Arguments and errors: see `preview_stack`."""
    find_pulumi()
    before = dict(os.environ)
    try:
        # The Automation API can add environment variables to those of this process, but cannot unset any.
        if variables is not None:
            os.environ.clear()
            os.environ.update(variables)
        yield automation.Stack.select(stack, Workspace(work_dir=str(PROJECT_FOLDER)))
    except (automation.CommandError, automation.InvalidVersionError, RuntimeError) as error:
        print(error, file=sys.stderr)
        raise PreviewError(_reason(error, stack)) from error
    finally:
        os.environ.clear()
        os.environ.update(before)


def preview_stack(stack: str, *, plan: Path | None = None, variables: Mapping[str, str] | None = None) -> Preview:
    """Build the bundle, preview a deployment, save its plan if a file is given, and detect drift.

    If the stack is not in the backend, the preview has only a note or, with `plan`, fails.

    Raises:
        PreviewError: If the Pulumi CLI fails; its output is then on standard error.
        SystemExit: If the Pulumi CLI is not installed, or the bundle cannot be built.
    """
    events: list[EngineEvent] = []
    with opened_stack(stack, variables) as opened:
        try:
            state = opened.export_stack().deployment or {}
        except automation.StackNotFoundError as error:
            if plan:
                raise
            return Preview((), (), {}, False, (_reason(error, stack),))
        with contextlib.redirect_stdout(sys.stderr):
            build_bundle(stack)
        notes = tuple(_notes(stack, state, opened.info(show_secrets=False)))
        file = str(plan) if plan else None
        counted = opened.preview(refresh=True, plan=file, color="never", on_event=events.append).change_summary
    resources = state.get("resources") or ()
    outputs = [_readable(each.get("outputs", {})) for each in resources if each["type"] == "pulumi:pulumi:Stack"]
    return Preview(*_read_events(events, counted), outputs[0] if outputs else {}, bool(resources), notes)


def _reason(error: Exception, stack: str) -> str:
    if isinstance(error, automation.StackNotFoundError):
        return f"the backend has no stack {stack}; the task `pulumi-create-stack` creates it"
    if isinstance(error, automation.ConcurrentUpdateError):
        return f"{stack} is locked by a deployment; if that was killed, `pulumi cancel --stack {stack}` unlocks it"
    return printable((str(error).partition("error: ")[2] or str(error)).strip().splitlines()[0])[:300]


def _notes(stack: str, state: Mapping[str, Any], last: automation.UpdateSummary | None) -> Iterator[str]:
    for each in state.get("pending_operations") or ():
        step = f"{each['type']} {each['resource']['urn'].rpartition('::')[2]}"
        yield f"interrupted while {step}; resolve the pending operation: `pulumi refresh --stack {stack}` in a terminal"
    if last and last.result != "succeeded":
        yield f"the last {last.kind} {last.result}: {stack} may be a mix of two versions until the next deployment"


def _read_events(
    events: Sequence[EngineEvent], counted: Mapping[OpType, int]
) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """Return the drift and the pending changes, or raise an error if the Automation API has missed events."""
    begun = [event.resource_pre_event.metadata for event in events if event.resource_pre_event]
    ended = [event.res_outputs_event.metadata for event in events if event.res_outputs_event]
    read = [step for step in ended if step.op == OpType.REFRESH]
    counts = Counter(step.op for step in begun)
    if counts[OpType.REFRESH] > len(read) or any(counted.get(each, 0) > counts[each] for each in PLANNED):
        raise PreviewError("the Pulumi CLI reports fewer changes than it counts; use the CLI of the SDK's version")
    drift = {step.urn: _change(step) for step in read if step.new is None or step.detailed_diff or step.diffs}
    # Components and providers have no provider.
    planned = [_change(step) for step in begun if step.op in PLANNED and step.provider]
    pending = [change for change in planned if not _only_undoes(change, drift.get(change.urn))]
    return tuple(sorted(drift.values(), key=BY_URN)), tuple(sorted(pending, key=BY_URN))


def _only_undoes(planned: Change, drift: Change | None) -> bool:
    if drift is None or drift.operation == "deleted":
        return drift is not None and planned.operation == "create"
    wanted, undone = ({(each.path, each.expected) for each in change.properties} for change in (planned, drift))
    return planned.operation == "update" and bool(wanted) and wanted <= undone


def _change(step: StepEventMetadata) -> Change:
    operation: Any = step.op.value
    found, expected = step.old, step.new
    if step.op == OpType.REFRESH:
        found, expected, operation = step.new, step.old, "changed" if step.new else "deleted"
    paths = sorted(step.detailed_diff or step.diffs or ())
    values = [(path, _value(step, found, path), _value(step, expected, path)) for path in paths]
    properties = tuple(Property(path=path, found=there, expected=wanted) for path, there, wanted in values)
    name = step.urn.rpartition("::")[2]
    return Change(urn=step.urn, name=name, type=step.type, operation=operation, properties=properties)


def _value(step: StepEventMetadata, state: StepEventStateMetadata | None, path: str) -> str | None:
    """Return a property's value as JSON, or ``None`` if the property is not set."""
    inputs, outputs = (dict(getattr(state, name, None) or {}) for name in ("inputs", "outputs"))
    # A refresh compares outputs. An update compares inputs, and outputs that the provider computes.
    value: Any = inputs | outputs if step.op == OpType.REFRESH else outputs | inputs
    for index, quoted, name in PATH_PART.findall(path):
        try:
            value = value[int(index) if index else name or json.loads(quoted)]
        except NO_SUCH_PART:
            return None
    return json.dumps(_readable(value))


def _readable(value: Any) -> Any:
    """Replace secrets, assets, archives and unknown values with placeholders."""
    if isinstance(value, Mapping) and SIGNATURE in value:
        return MASKED if value[SIGNATURE] == SECRET else "[file]"
    if isinstance(value, Mapping):
        return {key: _readable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_readable(each) for each in value]
    return "[known after the deployment]" if value == UNKNOWN else value
