"""Reports a deployed stack's drift, pending changes and missing outputs, without changing the stack or its state."""

import functools
from collections.abc import Iterator

from tools.emulator import find_emulator
from tools.local import local_variables
from tools.preview import Change, Preview, PreviewError, preview_stack
from tools.project import DECLARATION
from tools.pulumi_cli import exports
from tools.validate.policies import DriftPolicy
from tools.validate.report import Finding, State
from tools.validate.rules import CheckedStack


def inspect_stack(stack: CheckedStack, policy: DriftPolicy) -> tuple[State, list[Finding]]:
    """Return a stack's deployment state and the findings. The local stack is read from the running emulator."""
    finding = functools.partial(Finding, stacks=(stack.name,), file=stack.config.file)
    address = find_emulator() if stack.environment == DECLARATION.local else ""
    if address is None:
        return "not-deployed", []
    try:
        preview = preview_stack(stack.name, variables=local_variables(address) if address else None)
    except (PreviewError, SystemExit) as error:
        return "unreadable", [finding(rule="unreadable-stack", message=f"the deployed stack cannot be read: {error}")]
    findings = [finding(rule="deployment", severity="warning", message=note) for note in preview.notes]
    if not preview.is_deployed:
        return "not-deployed", findings
    found = (
        finding(rule=rule, key=key, message=message) for rule, key, message in _differences(stack, preview, policy)
    )
    return "deployed", [*findings, *found]


def _differences(stack: CheckedStack, preview: Preview, policy: DriftPolicy) -> Iterator[tuple[str, str, str]]:
    """Yield the rule, name and message of each missing output, drift and pending change."""
    for name, _ in exports(stack.project.folder):
        if not preview.outputs.get(name):
            yield "missing-output", name, "the deployed stack has no such output; deploy it again"
    for each in policy.without_ignored(preview.drift):
        yield "drift", each.name, f"this {each.type} was {each.operation} outside Pulumi{_properties(each)}"
    for each in preview.pending:
        message = f"the next deployment would {each.operation} this {each.type}{_properties(each)}"
        yield "pending-change", each.name, message


def _properties(change: Change) -> str:
    nothing = "nothing"
    differences = [
        f"{each.path}: expected {each.expected or nothing}, got {each.found or nothing}" for each in change.properties
    ]
    return f": {'; '.join(differences)}" if differences else ""
