"""Reads drift and pending changes from the events of a preview with refresh.

A refresh step compares a resource's state with what the provider reads. A planned step compares that with the program.
Both are reported as engine events: https://www.pulumi.com/docs/iac/automation-api/concepts-terminology/
"""

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pulumi.automation.events import EngineEvent, OpType, StepEventMetadata, StepEventStateMetadata
from pulumi.runtime.rpc import UNKNOWN

from tools.settings import MASKED
from tools.validate.report import Property, Resource

PLANNED: Final = frozenset({OpType.CREATE, OpType.UPDATE, OpType.DELETE, OpType.REPLACE, OpType.IMPORT})
# Providers are managed by the engine; only their version changes.
PROVIDER_TYPES: Final = "pulumi:providers:"
# https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/sig/sig.go
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 # marks a secret, is not one
UNKNOWN_TEXT: Final = "known after the update"
# A path as the engine writes it: names joined by dots, indices and odd names in brackets.
PATH_PART: Final = re.compile(r'\[(?P<index>\d+)\]|\["(?P<quoted>(?:[^"\\]|\\.)*)"\]|\.?(?P<name>[^.\[\]]+)')
ABSENT: Final = object()
# Pulumi's Terraform bridge adds this key to every object to record which defaults it has applied.
DEFAULTS_KEY: Final = "__defaults"


class EventsLostError(Exception):
    """The engine's summary counts more changes than its events report."""


def read_events(
    events: Iterable[EngineEvent], counted: Mapping[OpType, int]
) -> tuple[tuple[Resource, ...], tuple[Resource, ...]]:
    """Read the events of a preview with refresh.

    Args:
        events: The events, in any order.
        counted: Number of resources in the engine's summary, by operation.

    Returns:
        The resources that have drifted, and those that the next update would change for other reasons; sorted by URN.

    Raises:
        EventsLostError: If events are missing, so that the result would be incomplete.
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
    return _sorted(drift.values()), _sorted(filter(None, changes))


def _check(unread: set[str], told: Counter[OpType], counted: Mapping[OpType, int]) -> None:
    """Check that no event is missing: the Automation API skips events that it cannot read.

    Raises:
        EventsLostError: If events are missing.
    """
    if unread:
        raise EventsLostError(f"the engine refreshed {len(unread)} resources, but its events do not report their state")
    for operation in PLANNED:
        if counted.get(operation, 0) > told[operation]:
            raise EventsLostError(
                f"the engine counts {counted[operation]} resources to {operation.value}, but its events report "
                f"{told[operation]}"
            )


def _sorted(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    return tuple(sorted(resources, key=lambda resource: resource.urn))


def _drifted(metadata: StepEventMetadata) -> Resource | None:
    """Return how the provider's reading of a resource differs from the state, if it does.

    Values that the provider computes may differ without being drift. The engine's diff omits them.
    """
    old, new = metadata.old, metadata.new
    if old is None or metadata.type.startswith(PROVIDER_TYPES):
        return None
    if new is None:
        return _resource(metadata, "deleted", ())
    properties = tuple(_differences(metadata, found=new, expected=old))
    return _resource(metadata, "changed", properties) if properties else None


def _planned(metadata: StepEventMetadata) -> Resource | None:
    """Return what the next update would do to a resource, if anything."""
    old, new = metadata.old, metadata.new
    if old is None or new is None:
        return _resource(metadata, metadata.op, ())
    properties = tuple(_differences(metadata, found=old, expected=new))
    if metadata.op == OpType.UPDATE and _paths(metadata) and not properties:
        return None
    return _resource(metadata, metadata.op, properties)


def _only_undoes(planned: StepEventMetadata, drifted: Resource | None, read: StepEventMetadata | None) -> bool:
    """Whether the next update would only undo a resource's drift."""
    if drifted is None or read is None:
        return False
    if drifted.operation == "deleted":
        # The deleted resource is created again with the same inputs.
        return bool(planned.op == OpType.CREATE and planned.new and read.old and planned.new.inputs == read.old.inputs)
    undone = {(each.path, each.expected) for each in drifted.properties}
    change = _planned(planned)
    wanted = {(each.path, each.expected) for each in change.properties} if change else set()
    return planned.op == OpType.UPDATE and bool(wanted) and wanted <= undone


def _resource(metadata: StepEventMetadata, operation: Any, properties: tuple[Property, ...]) -> Resource:
    name = metadata.urn.rpartition("::")[2]
    return Resource(urn=metadata.urn, name=name, type=metadata.type, operation=operation, properties=properties)


def _differences(
    metadata: StepEventMetadata, *, found: StepEventStateMetadata, expected: StepEventStateMetadata
) -> Iterator[Property]:
    """Return the properties in the engine's diff, without those that differ only in notation."""
    for path in _paths(metadata):
        sources = _sources(metadata, path)
        there, wanted = (_at(state, path, sources) for state in (found, expected))
        texts = [None if value is ABSENT else _written(value) for value in (there, wanted)]
        # Only the engine can compare secrets and values that are not in its events.
        seen = there is not ABSENT and MASKED not in str(texts)
        if not (seen and all(_are_equivalent(found, expected, path, source) for source in sources)):
            yield Property(path=path, found=texts[0], expected=texts[1])


def _paths(metadata: StepEventMetadata) -> tuple[str, ...]:
    return tuple(sorted(metadata.detailed_diff or metadata.diffs or ()))


def _sources(metadata: StepEventMetadata, path: str) -> tuple[str, str]:
    """Return where to look a property up first: a refresh compares outputs, unless the engine says otherwise."""
    details = (metadata.detailed_diff or {}).get(path)
    of_outputs = metadata.op == OpType.REFRESH and details is not None and not details.input_diff
    return ("outputs", "inputs") if of_outputs else ("inputs", "outputs")


def _item(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else ABSENT


def _at(state: StepEventStateMetadata, path: str, sources: tuple[str, str]) -> Any:
    """Look a property up in a resource's inputs and outputs, and return the first match."""
    values = (_look_up(getattr(state, source) or {}, path) for source in sources)
    return next((value for value in values if value is not ABSENT), ABSENT)


def _are_equivalent(found: StepEventStateMetadata, expected: StepEventStateMetadata, path: str, source: str) -> bool:
    there, wanted = (_look_up(getattr(state, source) or {}, path) for state in (found, expected))
    return _normalized(there) == _normalized(wanted)


def _normalized(value: Any) -> Any:
    """Normalize a value: parse JSON strings, and omit the bridge's keys."""
    if isinstance(value, Mapping):
        return {key: _normalized(item) for key, item in value.items() if key != DEFAULTS_KEY}
    if isinstance(value, list):
        return [_normalized(item) for item in value]
    if isinstance(value, str) and value.startswith(("{", "[")):
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return value


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
    """Format a value as JSON, with placeholders for secrets and unknown values."""
    return UNKNOWN_TEXT if value == UNKNOWN else json.dumps(_readable(value))


def _readable(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET:
            return MASKED
        return {key: _readable(item) for key, item in value.items() if key != DEFAULTS_KEY}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    return f"[{UNKNOWN_TEXT}]" if value == UNKNOWN else value
