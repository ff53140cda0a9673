"""What a deployment would change, as ``pulumi preview --json`` says it, and what has changed outside Pulumi.

https://www.pulumi.com/docs/iac/cli/commands/pulumi_preview/
"""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from pulumi.automation.events import OpType

from tools.ci.records import Change, Operation
from tools.validate.drift import PROVIDER_TYPES
from tools.validate.report import Resource

# A replacement is reported as several steps. All other operations change no resource.
OPERATIONS: Final[dict[OpType, Operation]] = {
    OpType.CREATE: "create",
    OpType.IMPORT: "import",
    OpType.UPDATE: "update",
    OpType.REPLACE: "replace",
    OpType.CREATE_REPLACEMENT: "replace",
    OpType.DELETE_REPLACED: "replace",
    OpType.IMPORT_REPLACEMENT: "replace",
    OpType.DELETE: "delete",
}
# What reading a text of another form raises.
UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError)
# Their properties are not listed: all of them appear or disappear.
WHOLE: Final = frozenset({OpType.CREATE, OpType.IMPORT, OpType.DELETE})


class UnreadablePreviewError(Exception):
    """The output of a preview is not what is expected; the message says why."""


def read_preview(output: str, data_types: Collection[str]) -> tuple[Change, ...]:
    """Read the output of ``pulumi preview --json``. Only the paths of properties are kept, not their values.

    Args:
        output: The output.
        data_types: Types of the resources that hold data.

    Returns:
        The changes, one for each resource, in the engine's order.

    Raises:
        UnreadablePreviewError: If it is not JSON of that form, or has an operation that is not known.
    """
    changes: dict[str, Change] = {}
    try:
        for step in json.loads(output).get("steps", ()):
            change = _read_step(step, data_types)
            if change:
                earlier = changes.get(change.urn)
                paths = {*change.properties, *(earlier.properties if earlier else ())}
                changes[change.urn] = change.model_copy(update={"properties": tuple(sorted(paths))})
    except UNREADABLE as error:
        raise UnreadablePreviewError(f"the output of `pulumi preview --json` cannot be read: {error}") from error
    return tuple(changes.values())


def read_errors(output: str) -> str:
    """Return the error messages in the output of ``pulumi preview --json``; empty if there are none."""
    try:
        diagnostics = json.loads(output).get("diagnostics", ())
        return "\n".join(each["message"] for each in diagnostics if each["severity"] == "error")
    except UNREADABLE:
        return ""


def drifted(resources: Iterable[Resource], data_types: Collection[str]) -> tuple[Change, ...]:
    """Describe resources that were changed or deleted outside Pulumi.

    Args:
        resources: The resources, as ``validate`` reports them.
        data_types: Types of the resources that hold data.
    """
    return tuple(
        Change(
            urn=each.urn,
            name=each.name,
            type=each.type,
            operation=each.operation,
            properties=tuple(each.path for each in each.properties),
            holds_data=each.type in data_types,
        )
        for each in resources
    )


def _read_step(step: Mapping[str, Any], data_types: Collection[str]) -> Change | None:
    """Read a step, unless it changes nothing or is the engine's own: that of a provider or of the stack."""
    urn, operation = step["urn"], OpType(step["op"])
    # urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME
    _, _, types, name = urn.split("::", 3)
    type_ = types.rpartition("$")[2]
    state = step.get("newState") or step.get("oldState") or {}
    is_in_aws = state.get("custom", True) and not type_.startswith(PROVIDER_TYPES)
    if operation not in OPERATIONS or not is_in_aws:
        return None
    paths = () if operation in WHOLE else step.get("detailedDiff") or step.get("diffReasons") or ()
    return Change(
        urn=urn,
        name=name,
        type=type_,
        operation=OPERATIONS[operation],
        properties=tuple(paths),
        holds_data=type_ in data_types,
    )
