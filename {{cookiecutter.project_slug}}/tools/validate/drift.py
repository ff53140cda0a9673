"""What a preview with refresh tells: what has drifted, and what the next update would change besides.

A refresh step compares a resource's state with what the provider reads, a planned step compares that with the program.
Both come as engine events: https://www.pulumi.com/docs/iac/automation-api/concepts-terminology/
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pulumi.automation.events import EngineEvent, OpType, StepEventMetadata, StepEventStateMetadata
from pulumi.runtime.rpc import UNKNOWN

from infrastructure.settings import MASKED
from tools.validate.report import Property, Resource

PLANNED: Final = frozenset({OpType.CREATE, OpType.UPDATE, OpType.DELETE, OpType.REPLACE, OpType.IMPORT})
# Providers are the engine's own; what changes in them is its version.
PROVIDER_TYPES: Final = "pulumi:providers:"
# https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/sig/sig.go
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 # marks a secret, and is none
UNKNOWN_TEXT: Final = "known after the update"
# A path as the engine writes it: names joined by dots, indices and odd names in brackets.
PATH_PART: Final = re.compile(r'\[(?P<index>\d+)\]|\["(?P<quoted>(?:[^"\\]|\\.)*)"\]|\.?(?P<name>[^.\[\]]+)')
ABSENT: Final = object()


class EventsLostError(Exception):
    """The engine's summary counts more changes than its events have told of."""


def read_events(
    events: Iterable[EngineEvent], counted: Mapping[OpType, int]
) -> tuple[tuple[Resource, ...], tuple[Resource, ...]]:
    """Read the events of a preview with refresh.

    Args:
        events: The events, in any order.
        counted: How many resources the engine's summary counts, by operation.

    Returns:
        What has drifted; and what the next update would change besides, each in the order of URNs.

    Raises:
        EventsLostError: If events are missing, so that neither would be the whole truth.
    """
    read: dict[str, StepEventMetadata] = {}
    planned: list[StepEventMetadata] = []
    begun: set[str] = set()
    for event in events:
        if event.res_outputs_event and event.res_outputs_event.metadata.op == OpType.REFRESH:
            read[event.res_outputs_event.metadata.urn] = event.res_outputs_event.metadata
        if event.resource_pre_event and event.resource_pre_event.metadata.op == OpType.REFRESH:
            begun.add(event.resource_pre_event.metadata.urn)
        if event.resource_pre_event and event.resource_pre_event.metadata.op in PLANNED:
            planned.append(event.resource_pre_event.metadata)
    _check(begun - {*read}, Counter(metadata.op for metadata in planned), counted)
    drift = {urn: drifted for urn, metadata in read.items() if (drifted := _drifted(metadata))}
    changes = [
        _planned(metadata)
        for metadata in planned
        if not metadata.type.startswith(PROVIDER_TYPES)
        and not _only_undoes(metadata, drift.get(metadata.urn), read.get(metadata.urn))
    ]
    return _sorted(drift.values()), _sorted(changes)


def _check(unread: set[str], told: Counter[OpType], counted: Mapping[OpType, int]) -> None:
    """Compare what the events tell of with what they should: the Automation API passes over those it cannot read.

    Raises:
        EventsLostError: If it is less.
    """
    if unread:
        raise EventsLostError(f"the engine has read {len(unread)} resources, and its events do not tell how they are")
    for operation in PLANNED:
        if counted.get(operation, 0) > told[operation]:
            raise EventsLostError(
                f"the engine counts {counted[operation]} resources to {operation.value}, and its events tell of "
                f"{told[operation]}"
            )


def _sorted(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    return tuple(sorted(resources, key=lambda resource: resource.urn))


def _drifted(metadata: StepEventMetadata) -> Resource | None:
    """Tell how what the provider reads differs from the state, if it does.

    What the provider computes by itself may differ and is no drift: whatever the engine's own difference leaves out.
    """
    old, new = metadata.old, metadata.new
    if old is None or metadata.type.startswith(PROVIDER_TYPES):
        return None
    if new is None:
        return _resource(metadata, "deleted", ())
    properties = _properties(metadata, found=new, expected=old)
    return _resource(metadata, "changed", properties) if properties else None


def _planned(metadata: StepEventMetadata) -> Resource:
    old, new = metadata.old, metadata.new
    properties = _properties(metadata, found=old, expected=new) if old and new else ()
    return _resource(metadata, metadata.op, properties)


def _only_undoes(planned: StepEventMetadata, drifted: Resource | None, read: StepEventMetadata | None) -> bool:
    """Whether the next update would do to a resource nothing but to undo its drift."""
    if drifted is None or read is None:
        return False
    if drifted.operation == "deleted":
        # What was deleted comes back as it was.
        return bool(planned.op == OpType.CREATE and planned.new and read.old and planned.new.inputs == read.old.inputs)
    undone = {(each.path, each.expected) for each in drifted.properties}
    wanted = {(each.path, each.expected) for each in _planned(planned).properties}
    return planned.op == OpType.UPDATE and bool(wanted) and wanted <= undone


def _resource(metadata: StepEventMetadata, operation: Any, properties: tuple[Property, ...]) -> Resource:
    name = metadata.urn.rpartition("::")[2]
    return Resource(urn=metadata.urn, name=name, type=metadata.type, operation=operation, properties=properties)


def _properties(
    metadata: StepEventMetadata, *, found: StepEventStateMetadata | None, expected: StepEventStateMetadata | None
) -> tuple[Property, ...]:
    return tuple(Property(path=path, found=_at(found, path), expected=_at(expected, path)) for path in _paths(metadata))


def _paths(metadata: StepEventMetadata) -> tuple[str, ...]:
    return tuple(sorted(metadata.detailed_diff or metadata.diffs or ()))


def _item(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else ABSENT


def _at(state: StepEventStateMetadata | None, path: str) -> str | None:
    """Look a property up in a resource's inputs, or else in its outputs, and write it as JSON.

    Returns:
        Nothing if it is in neither.
    """
    for properties in (state.inputs, state.outputs) if state else ():
        value = _look_up(properties or {}, path)
        if value is not ABSENT:
            return _written(value)
    return None


def _look_up(properties: Any, path: str) -> Any:
    value = properties
    for part in PATH_PART.finditer(path):
        if part["index"] is not None:
            value = _item(value, int(part["index"])) if isinstance(value, list) else ABSENT
        else:
            key = part["name"] if part["name"] is not None else json.loads(f'"{part["quoted"]}"')
            value = value.get(key, ABSENT) if isinstance(value, Mapping) else ABSENT
    return value


def _written(value: Any) -> str:
    """Write a value as JSON, without what is secret in it, and with words for what nobody knows yet."""
    return UNKNOWN_TEXT if value == UNKNOWN else json.dumps(_readable(value))


def _readable(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET:
            return MASKED
        return {key: _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    return f"[{UNKNOWN_TEXT}]" if value == UNKNOWN else value
