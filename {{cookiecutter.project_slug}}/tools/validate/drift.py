"""What a preview with refresh tells: what has drifted, and what the next update would change besides.

A refresh step compares a resource's state with what the provider reads, a planned step compares that with the program.
Both come as engine events: https://www.pulumi.com/docs/iac/automation-api/concepts-terminology/
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
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
    drift: dict[str, Resource] = {}
    planned: dict[str, Resource] = {}
    operations: Counter[OpType] = Counter()
    for event in events:
        if event.res_outputs_event and event.res_outputs_event.metadata.op == OpType.REFRESH:
            drifted = _drifted(event.res_outputs_event.metadata)
            if drifted:
                drift[drifted.urn] = drifted
        if event.resource_pre_event and event.resource_pre_event.metadata.op in PLANNED:
            metadata = event.resource_pre_event.metadata
            operations[metadata.op] += 1
            if not metadata.type.startswith(PROVIDER_TYPES):
                planned[metadata.urn] = _planned(metadata)
    for operation in PLANNED:
        if counted.get(operation, 0) > operations[operation]:
            raise EventsLostError(
                f"the engine counts {counted[operation]} resources to {operation.value}, and its events tell of "
                f"{operations[operation]}"
            )
    besides = (_besides(resource, drift.get(urn)) for urn, resource in planned.items())
    return _sorted(drift.values()), _sorted(resource for resource in besides if resource)


def _sorted(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    return tuple(sorted(resources, key=lambda resource: resource.urn))


def _drifted(metadata: StepEventMetadata) -> Resource | None:
    """Tell how what the provider reads differs from the state, if it does."""
    old, new = metadata.old, metadata.new
    if old is None or metadata.type.startswith(PROVIDER_TYPES):
        return None
    if new is None:
        return _resource(metadata, "deleted", ())
    # What the provider computes by itself may differ, and is no drift: the engine's own difference leaves it out.
    paths = _paths(metadata) or tuple(_differing(old.inputs or {}, new.inputs or {}))
    properties = tuple(Property(path=path, found=_at(new, path), expected=_at(old, path)) for path in paths)
    return _resource(metadata, "changed", properties) if properties else None


def _planned(metadata: StepEventMetadata) -> Resource:
    old, new = metadata.old, metadata.new
    paths = _paths(metadata) if old and new else ()
    properties = tuple(Property(path=path, found=_at(old, path), expected=_at(new, path)) for path in paths)
    return _resource(metadata, metadata.op.value, properties)


def _besides(planned: Resource, drifted: Resource | None) -> Resource | None:
    """Leave out what the next update would change only to undo the drift."""
    if drifted is None:
        return planned
    undone = {each.path for each in drifted.properties}
    left = tuple(each for each in planned.properties if each.path not in undone)
    return planned.model_copy(update={"properties": left}) if left else None


def _resource(metadata: StepEventMetadata, operation: str, properties: tuple[Property, ...]) -> Resource:
    name = metadata.urn.rpartition("::")[2]
    return Resource(urn=metadata.urn, name=name, type=metadata.type, operation=operation, properties=properties)


def _paths(metadata: StepEventMetadata) -> tuple[str, ...]:
    return tuple(sorted(metadata.detailed_diff or metadata.diffs or ()))


def _differing(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Walk through two structures, and yield the path of every value that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping) and SIGNATURE not in {*old, *new}:
        for key in sorted({*old, *new}):
            part = key if re.fullmatch(r"[A-Za-z_$][\w$]*", key) else f"[{json.dumps(key)}]"
            below = f"{path}.{part}" if path and part == key else f"{path}{part}"
            yield from _differing(old.get(key, ABSENT), new.get(key, ABSENT), below)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _differing(_item(old, index), _item(new, index), f"{path}[{index}]")
    elif old != new:
        yield path


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
    return UNKNOWN_TEXT if value == UNKNOWN else json.dumps(_masked(value))


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET:
            return MASKED
        return {key: _masked(item) for key, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value
