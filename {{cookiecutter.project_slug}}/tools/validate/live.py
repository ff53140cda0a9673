"""Checks deployed stacks with Pulumi's Automation API. It changes nothing and selects no stack.

https://www.pulumi.com/docs/reference/pkg/python/pulumi/#module-pulumi.automation
"""

import contextlib
import json
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pulumi import automation
from pulumi.automation.events import EngineEvent

from tools.emulator import find_emulator
from tools.local import local_variables, of_an_account
from tools.package import build_bundle
from tools.project import DECLARATION, Project, shown
from tools.pulumi_cli import exported_names
from tools.settings import MASKED
from tools.testing.program import comparable, expected_outputs
from tools.validate.drift import EventsLostError, read_events
from tools.validate.report import Deployment, Finding, Property, Resource
from tools.validate.stacks import ReadStack

# Each needs an engine, the program and the provider: together some gigabytes of memory.
SIDE_BY_SIDE: Final = 4
PAGE_SIZE: Final = 20
REASON_LENGTH: Final = 300
# Kinds of history entries that change what is deployed. The others only read or rename.
CHANGING: Final = frozenset({"update", "destroy", "import", "resource-import"})
# Exceptions from the Automation API: when the command fails, and when its output is not as expected.
API_ERRORS: Final = (
    automation.CommandError,
    automation.InvalidVersionError,
    OSError,
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
)


@dataclass
class Inspection:
    """The intermediate result for one stack.

    Attributes:
        stack: The stack.
        deployment: Its deployment.
        findings: Its findings.
        outputs: Its outputs, if they could be read.
    """

    stack: ReadStack
    deployment: Deployment
    findings: list[Finding] = field(default_factory=list)
    outputs: automation.OutputMap | None = None


class UnreadableStackError(Exception):
    """A deployed stack cannot be read; the message says why."""


class ReadOnlyWorkspace(automation.LocalWorkspace):
    """A workspace that never selects a stack, because every command names its stack, and decrypts no state."""

    def select_stack(self, stack_name: str) -> None:
        """Keep the user's selected stack."""

    def export_stack(self, stack_name: str) -> automation.Deployment:
        """Read a stack's state, with its secrets encrypted."""
        result = self.pulumi_command.run(["stack", "export", "--stack", stack_name], self.work_dir, self.env_vars)
        state = json.loads(result.stdout)
        return automation.Deployment(state["version"], state["deployment"])


def inspect_deployed(
    project: Project, stacks: Sequence[ReadStack], *, list_all: bool
) -> tuple[tuple[Deployment, ...], list[Finding]]:
    """Check the deployed stacks, several at a time.

    Args:
        project: The project.
        stacks: The stacks to check.
        list_all: Whether to list the backend's stacks. On S3 this reads the state of all of them, which the roles of CI
            may not.

    Returns:
        The deployments and the findings; if all are listed, also stacks of the backend that have no file. A stack that
        cannot be read is reported, and the others are still checked.
    """
    on_aws = [stack for stack in stacks if stack.environment != DECLARATION.local]
    local = [stack for stack in stacks if stack.environment == DECLARATION.local]
    address = find_emulator() if local else None
    inspected = {stack.name: _inspection(stack, "not-deployed") for stack in local}
    findings: list[Finding] = []
    if on_aws:
        results, findings = _inspect_backend(project, on_aws, {}, list_all=list_all)
        inspected |= results
    if address:
        # Ignore other stacks of the emulator's backend: they end with the emulator.
        inspected |= _inspect_backend(project, local, _local_variables(address), list_all=False)[0]
    for stack in stacks:
        inspection = inspected[stack.name]
        # This runs the program, which changes this process's environment, so it must not run concurrently.
        findings += inspection.findings
        if inspection.outputs is not None:
            findings += _output_findings(stack, inspection.outputs)
    return tuple(inspected[stack.name].deployment for stack in stacks), findings


def _local_variables(address: str) -> dict[str, str]:
    """Return the emulator's environment. The Automation API can only add variables, so an account's are emptied."""
    return dict.fromkeys(filter(of_an_account, os.environ), "") | local_variables(address)


def _inspect_backend(
    project: Project, stacks: Sequence[ReadStack], variables: Mapping[str, str], *, list_all: bool
) -> tuple[dict[str, Inspection], list[Finding]]:
    """Check the stacks of one backend, and find those without a file if all are listed."""
    try:
        with _api_errors_converted():
            workspace = ReadOnlyWorkspace(work_dir=str(project.folder), env_vars=variables)
            names = [each.name for each in workspace.list_stacks()] if list_all else [stack.name for stack in stacks]
    except UnreadableStackError as error:
        return {stack.name: _unreadable(_inspection(stack, "unreadable"), error) for stack in stacks}, []
    existing: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        # Pulumi Cloud prefixes a stack's name with its organization, unless it is the user's default.
        existing[name.rpartition("/")[2]].append(name)
    building = threading.Lock()

    def inspect(stack: ReadStack) -> Inspection:
        inspection = _inspection(stack, "not-deployed")
        try:
            name = _one_of(existing.get(stack.name, []))
            if name:
                _inspect(inspection, workspace, name, building)
        except UnreadableStackError as error:
            return _unreadable(inspection, error)
        return inspection

    with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
        results = dict(zip([stack.name for stack in stacks], pool.map(inspect, stacks), strict=True))
    without_file = sorted({*existing} - {*project.stacks})
    return results, [_without_file(name) for name in without_file]


def _one_of(names: Sequence[str]) -> str | None:
    """Choose the stack that the short name refers to: one without an organization first."""
    if len(names) > 1 and all("/" in name for name in names):
        raise UnreadableStackError(f"the backend has several stacks of this name: {', '.join(names)}")
    return min(names, key=lambda name: "/" in name, default=None)


def _inspect(inspection: Inspection, workspace: ReadOnlyWorkspace, name: str, building: threading.Lock) -> None:
    """Check one stack: its last update, configuration and outputs, and the result of a preview.

    Args:
        inspection: Results are added here, so that they are kept if a later step fails.
        workspace: The project's folder.
        name: Name of the stack in the backend, which may not have it.
        building: Lock for building bundles: two stacks may need the same one.

    Raises:
        UnreadableStackError: If a step fails.
    """
    stack, findings = inspection.stack, inspection.findings
    deployed = automation.Stack.select(name, workspace)
    if not _has_resources(deployed):
        return
    changes = list(_changes(deployed))
    # An imported state has no history.
    if changes:
        findings += _change_findings(stack, changes)
    with _api_errors_converted():
        inspection.outputs = deployed.outputs()
    with building:
        _build(stack)
    events: list[EngineEvent] = []
    with _api_errors_converted():
        counted = deployed.preview(refresh=True, color="never", on_event=events.append).change_summary
    try:
        drift, pending = read_events(events, counted)
    except EventsLostError as error:
        raise UnreadableStackError(str(error)) from error
    findings += [_resource_finding(stack, "drift", resource) for resource in drift]
    findings += [_resource_finding(stack, "pending-change", resource) for resource in pending]
    inspection.deployment = Deployment(stack=stack.name, state="deployed", drift=drift, pending=pending)


@contextmanager
def _api_errors_converted() -> Generator[None]:
    """Convert errors of the Automation API.

    Raises:
        UnreadableStackError: If a call fails or returns something unexpected.
    """
    try:
        yield
    except API_ERRORS as error:
        raise UnreadableStackError(_reason(error)) from error


def _reason(error: Exception) -> str:
    """Return the essence of an error: the engine's first message, if there is one."""
    text = str(error) or type(error).__name__
    from_the_first = (text.partition("error: ")[2] or text).partition("\n stderr: ")[0]
    told = " ".join([line.strip() for line in from_the_first.splitlines() if line.strip()][:3])
    return told if len(told) <= REASON_LENGTH else f"{told[:REASON_LENGTH]}..."


def _has_resources(deployed: automation.Stack) -> bool:
    """Whether the backend has the stack, and its state has resources."""
    with _api_errors_converted():
        try:
            state = deployed.export_stack().deployment
        except automation.StackNotFoundError:
            return False
        return bool(state and state.get("resources"))


def _changes(deployed: automation.Stack) -> Iterator[automation.UpdateSummary]:
    """Yield the changes of a stack, newest first, up to the last update, whose configuration is the deployed one."""
    page = 0
    while True:
        page += 1
        with _api_errors_converted():
            entries = deployed.history(page_size=PAGE_SIZE, page=page, show_secrets=False)
        for entry in entries:
            if entry.kind in CHANGING:
                yield entry
            if entry.kind == "update":
                return
        if len(entries) < PAGE_SIZE:
            return


def _build(stack: ReadStack) -> None:
    """Build a stack's bundle unless it is up to date: the program needs it.

    Raises:
        UnreadableStackError: If it cannot be built.
    """
    try:
        # Standard output is reserved for the report.
        with contextlib.redirect_stdout(sys.stderr):
            build_bundle(stack.name)
    except SystemExit as error:
        raise UnreadableStackError(_reason(Exception(error.code))) from error


def _inspection(stack: ReadStack, state: Any) -> Inspection:
    return Inspection(stack, Deployment(stack=stack.name, state=state))


def _finding(stack: ReadStack, rule: str, message: str, key: str | None = None, **details: str) -> Finding:
    return Finding(
        rule=rule, severity="error", message=message, stacks=(stack.name,), file=stack.file.name, key=key, **details
    )


def _unreadable(inspection: Inspection, error: UnreadableStackError) -> Inspection:
    stack = inspection.stack
    inspection.deployment = Deployment(stack=stack.name, state="unreadable")
    inspection.findings.append(_finding(stack, "unreadable-stack", f"the deployed stack cannot be read: {error}"))
    return inspection


def _without_file(name: str) -> Finding:
    return Finding(
        rule="stack-without-file",
        severity="warning",
        message=f"the backend has this stack, but the project has no file for it; allowed: Pulumi.{name}.yaml",
        stacks=(name,),
    )


def _change_findings(stack: ReadStack, changes: Sequence[automation.UpdateSummary]) -> Iterator[Finding]:
    """Check how the last change has ended, and compare the configuration of the last update.

    Raises:
        UnreadableStackError: If a change is in progress.
    """
    last = changes[0]
    if last.result == "in-progress":
        raise UnreadableStackError(f"its {last.kind} is in progress; try again when it has finished")
    if last.result != "succeeded":
        message = f"the last {last.kind} {last.result}; the deployed stack may be a mix of two versions"
        yield _finding(stack, "update-failed", message)
    if changes[-1].kind == "update":
        yield from _config_findings(stack, changes[-1])


def _config_findings(stack: ReadStack, update: automation.UpdateSummary) -> Iterator[Finding]:
    """Compare the configuration of the last update with the stack file."""
    values = stack.config.values
    for key in sorted({*values, *update.config}):
        in_file, in_backend = _filed(stack, key), _held(stack, update.config, key)
        # Older engines do not store defaults of Pulumi.yaml, and an imported environment may set other keys.
        unknown = not stack.sets(key) and (stack.imports_environments or (in_backend is None and key in values))
        if in_file == in_backend or unknown:
            continue
        message = (
            f"the file has {_quoted(in_file)}, but the last update had {_quoted(in_backend)}; deploy the file, or "
            "revert the change"
        )
        yield stack.finding("config-differs", key, message, found=in_file, allowed=in_backend)


def _filed(stack: ReadStack, key: str) -> str | None:
    if key in stack.config.secret_keys:
        return MASKED
    return _canonical(stack.config.values[key]) if key in stack.config.values else None


def _held(stack: ReadStack, held: automation.ConfigMap, key: str) -> str | None:
    if key not in held:
        return None
    secret = held[key].secret or key in stack.config.secret_keys or stack.is_credential(key)
    return MASKED if secret else _canonical(held[key].value)


def _quoted(text: str | None) -> str:
    return "no value" if text is None else text if text == MASKED else shown(text)


def _canonical(text: str) -> str:
    """Normalize JSON objects and lists to text scalars, as in stack files; return other text unchanged."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.dumps(_as_text(value), sort_keys=True) if isinstance(value, (dict, list)) else text


def _as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value if isinstance(value, str) else json.dumps(value)


def _output_findings(stack: ReadStack, outputs: automation.OutputMap) -> Iterator[Finding]:
    """Compare a stack's outputs with the program's exports."""
    texts = {name: str(output.value or "") for name, output in outputs.items()}
    for name in exported_names(stack.project.folder):
        if not texts.get(name):
            yield _finding(stack, "missing-output", "the deployed stack has no such output; deploy it again", key=name)
    for name, allowed in expected_outputs(stack.name, stack.config, texts.values()).items():
        text = texts.get(name, "")
        if text and comparable(text) != comparable(allowed):
            found = MASKED if outputs[name].secret else text
            message = f"found {_quoted(found)}; allowed: {allowed}"
            yield _finding(stack, "malformed-output", message, key=name, found=found, allowed=allowed)


def _resource_finding(stack: ReadStack, rule: str, resource: Resource) -> Finding:
    what = f"{resource.name} ({resource.type})"
    differences = ", ".join(map(_difference, resource.properties))
    messages = {
        "deleted": f"{what} was deleted outside Pulumi",
        "changed": f"{what} was changed outside Pulumi: {differences}",
    }
    planned = f"the next update would {resource.operation} {what}" + (f": {differences}" if differences else "")
    return _finding(stack, rule, messages.get(resource.operation, planned), key=resource.name)


def _difference(each: Property) -> str:
    return f"{each.path} is {each.found or 'not set'} instead of {each.expected or 'not set'}"
