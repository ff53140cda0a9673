"""Drift and pending changes from engine events, in the form that the Automation API gets them.

The form is that of https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/events.go
"""

from typing import Any

import pytest
from pulumi.automation.events import EngineEvent, OpType

from tools.validate.drift import EventsLostError, read_events
from tools.validate.report import Property, Resource

QUEUE = "urn:pulumi:dev::orders::pipeline:infrastructure:Messaging$aws:sqs/queue:Queue::queue"
TABLE = "urn:pulumi:dev::orders::pipeline:infrastructure:Storage$aws:dynamodb/table:Table::messages"
PROVIDER = "urn:pulumi:dev::orders::pulumi:providers:aws::default_7_51_0"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "AAAB"}
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
NOTHING_COUNTED: dict[OpType, int] = {}


def state(urn: str, inputs: dict[str, Any], **outputs: Any) -> dict[str, Any]:
    """Return a resource's state in an event."""
    return {
        "type": urn.split("::")[2].rpartition("$")[2],
        "urn": urn,
        "custom": True,
        "id": "id",
        "parent": "",
        "provider": "",
        "inputs": inputs,
        "outputs": inputs | outputs,
    }


def metadata(op: str, urn: str, **details: Any) -> dict[str, Any]:
    """Return the metadata of a step, without fields that the engine omits."""
    type_ = urn.split("::")[2].rpartition("$")[2]
    return {
        "op": op,
        "urn": urn,
        "type": type_,
        "provider": "",
        "old": None,
        "new": None,
        "detailedDiff": None,
    } | details


def refreshed(urn: str, old: dict[str, Any], new: dict[str, Any] | None, **details: Any) -> EngineEvent:
    """Return the event of a refresh step."""
    states = {"old": state(urn, old), "new": None if new is None else state(urn, new, approximateNumberOfMessages=7)}
    event = {"metadata": metadata("refresh", urn, **states, **details), "planning": True}
    return EngineEvent.from_json({"sequence": 1, "timestamp": 1, "resOutputsEvent": event})


def planned(op: str, urn: str, old: dict[str, Any] | None, new: dict[str, Any] | None, **details: Any) -> EngineEvent:
    """Return the event of a planned step."""
    states = {"old": old and state(urn, old), "new": new and state(urn, new)}
    event = {"metadata": metadata(op, urn, **states, **details), "planning": True}
    return EngineEvent.from_json({"sequence": 2, "timestamp": 2, "resourcePreEvent": event})


def diff(*paths: str, of_inputs: bool = True) -> dict[str, Any]:
    """Return the engine's detailed diff."""
    return {"detailedDiff": {path: {"diffKind": "update", "inputDiff": of_inputs} for path in paths}}


def resource(urn: str, operation: Any, *properties: tuple[str, str | None, str | None]) -> Resource:
    """Return a reported resource: each property has its path, the value found and the value expected."""
    return Resource(
        urn=urn,
        name=urn.rpartition("::")[2],
        type=urn.split("::")[2].rpartition("$")[2],
        operation=operation,
        properties=tuple(Property(path=path, found=found, expected=expected) for path, found, expected in properties),
    )


def drifted(*events: EngineEvent) -> tuple[Resource, ...]:
    """Read events with drift only."""
    drift, changes = read_events(events, NOTHING_COUNTED)
    assert not changes
    return drift


def pending(*events: EngineEvent, **counted: int) -> tuple[Resource, ...]:
    """Read events with pending changes only."""
    drift, changes = read_events(events, {OpType(operation): count for operation, count in counted.items()})
    assert not drift
    return changes


def test_nothing_has_drifted_if_the_provider_reads_the_same_values() -> None:
    # Values that the provider computes, such as the number of messages, are not drift.
    assert not drifted(refreshed(QUEUE, {"delaySeconds": 0}, {"delaySeconds": 0}))


def test_a_changed_property_has_drifted() -> None:
    old, new = {"visibilityTimeoutSeconds": 1800, "tags": {"Team": "a"}}, {"visibilityTimeoutSeconds": 30}

    assert drifted(refreshed(QUEUE, old, new, **diff("visibilityTimeoutSeconds", "tags.Team"))) == (
        resource(QUEUE, "changed", ("tags.Team", None, '"a"'), ("visibilityTimeoutSeconds", "30", "1800")),
    )


def test_an_older_engine_names_only_the_properties() -> None:
    event = refreshed(QUEUE, {"delaySeconds": 0}, {"delaySeconds": 5}, diffs=["delaySeconds"])

    assert drifted(event) == (resource(QUEUE, "changed", ("delaySeconds", "5", "0")),)


def test_a_resource_without_a_diff_from_the_engine_has_not_drifted() -> None:
    # The same policy in another notation: the provider sees no difference, and the engine sends an empty diff.
    old, new = {"policy": '{"a":1}'}, {"policy": '{"a": 1}'}

    assert not drifted(refreshed(QUEUE, old, new, detailedDiff={}), refreshed(TABLE, old, new))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("tags.a", "1"),
        ('tags["b.c"]', "2"),
        ('tags["d\\"e"]', "3"),
        ("rules[1].id", '"y"'),
        ("rules[2]", None),
        ("rules.id", None),
        ("rules[0].id.more", None),
        ("absent", None),
        ("tags[0]", None),
    ],
)
def test_a_property_is_looked_up_by_the_engines_path(path: str, value: str | None) -> None:
    properties = {"tags": {"a": 1, "b.c": 2, 'd"e': 3}, "rules": [{"id": "x"}, {"id": "y"}]}

    (found,) = drifted(refreshed(QUEUE, {}, properties, **diff(path)))

    assert found.properties == (Property(path=path, found=value, expected=None),)


def test_a_deleted_resource_has_drifted() -> None:
    assert drifted(refreshed(TABLE, {"name": "t"}, None)) == (resource(TABLE, "deleted"),)


def test_a_computed_property_is_looked_up_in_the_outputs() -> None:
    (found,) = drifted(refreshed(QUEUE, {}, {}, **diff("approximateNumberOfMessages", "rules[0]", "a.b")))

    assert [each.found for each in found.properties] == [None, "7", None]


@pytest.mark.parametrize("secret", ["[secret]", SECRET])
def test_a_secret_is_masked(secret: Any) -> None:
    (found,) = drifted(refreshed(QUEUE, {"a": secret}, {"a": [{"b": secret}]}, **diff("a")))

    assert found.properties == (Property(path="a", found='[{"b": "[secret]"}]', expected='"[secret]"'),)


@pytest.mark.parametrize(("of_inputs", "found"), [(True, "2"), (False, "7")], ids=["inputs", "outputs"])
def test_a_property_is_looked_up_where_the_engine_found_the_difference(found: str, *, of_inputs: bool) -> None:
    event = refreshed(
        QUEUE,
        {"approximateNumberOfMessages": 1},
        {"approximateNumberOfMessages": 2},
        **diff("approximateNumberOfMessages", of_inputs=of_inputs),
    )

    (read,) = drifted(event)

    # The helper sets the output of every refreshed resource to 7.
    assert (read.properties[0].found, read.properties[0].expected) == (found, "1")


WRITTEN_OTHERWISE = {
    "spaces in JSON": ('{"maxReceiveCount":3}', '{"maxReceiveCount": 3}'),
    "the bridge's own keys": ({"enabled": True, "__defaults": []}, {"enabled": True}),
    "notes in a list": ([{"id": "a", "__defaults": ["b"]}], [{"id": "a"}]),
}


@pytest.mark.parametrize("name", WRITTEN_OTHERWISE)
def test_a_difference_in_notation_only_is_not_drift(name: str) -> None:
    old, new = WRITTEN_OTHERWISE[name]

    assert not drifted(refreshed(QUEUE, {"a": old}, {"a": new}, **diff("a")))


@pytest.mark.parametrize("name", WRITTEN_OTHERWISE)
def test_a_difference_in_notation_only_is_not_pending(name: str) -> None:
    old, new = WRITTEN_OTHERWISE[name]

    assert not pending(planned("update", QUEUE, {"a": old}, {"a": new}, **diff("a")), update=1)


@pytest.mark.parametrize(("old", "new"), [("1", 1), ("{a}", "{ a }"), ("[1]", "[2]")])
def test_a_difference_in_meaning_is_drift(old: Any, new: Any) -> None:
    assert drifted(refreshed(QUEUE, {"a": old}, {"a": new}, **diff("a")))


def test_a_difference_in_the_outputs_only_is_drift_with_an_older_engine_too() -> None:
    old, new = state(QUEUE, {"a": 1}), state(QUEUE, {"a": 1}, a=2)
    step = metadata("refresh", QUEUE, old=old, new=new, diffs=["a"])
    event = {"sequence": 1, "timestamp": 1, "resOutputsEvent": {"metadata": step, "planning": True}}

    assert drifted(EngineEvent.from_json(event))


def test_the_bridges_own_keys_are_not_shown() -> None:
    event = refreshed(QUEUE, {"a": {"b": 1, "__defaults": []}}, {"a": {"b": 2, "__defaults": []}}, **diff("a"))

    (found,) = drifted(event)

    assert (found.properties[0].found, found.properties[0].expected) == ('{"b": 2}', '{"b": 1}')


def test_secrets_have_drifted_if_the_engine_says_so() -> None:
    (found,) = drifted(refreshed(QUEUE, {"a": "[secret]"}, {"a": "[secret]"}, **diff("a")))

    assert (found.properties[0].found, found.properties[0].expected) == ('"[secret]"', '"[secret]"')


def test_providers_neither_drift_nor_change() -> None:
    events = [
        refreshed(PROVIDER, {"version": "1"}, {"version": "2"}),
        planned("update", PROVIDER, {"version": "1"}, {"version": "2"}, **diff("version")),
    ]

    assert not pending(*events, update=1)


def test_other_events_are_ignored() -> None:
    summary = {"maybeCorrupt": False, "durationSeconds": 1, "resourceChanges": {"same": 1}, "PolicyPacks": {}}
    without_state = {"metadata": metadata("refresh", QUEUE), "planning": True}

    assert not drifted(
        EngineEvent.from_json({"sequence": 0, "timestamp": 0, "summaryEvent": summary}),
        EngineEvent.from_json({"sequence": 0, "timestamp": 0, "cancelEvent": {}}),
        EngineEvent.from_json({"sequence": 0, "timestamp": 0, "resOutputsEvent": without_state}),
        planned("same", QUEUE, {"a": 1}, {"a": 1}),
    )


@pytest.mark.parametrize("operation", ["create", "delete"])
def test_created_and_deleted_resources_have_no_properties(operation: str) -> None:
    old, new = (None, {"a": 1}) if operation == "create" else ({"a": 1}, None)

    assert pending(planned(operation, QUEUE, old, new), **{operation: 1}) == (resource(QUEUE, operation),)


@pytest.mark.parametrize("operation", ["update", "replace"])
def test_a_change_of_the_program_is_pending(operation: str) -> None:
    event = planned(operation, QUEUE, {"a": 1}, {"a": 2, "b": UNKNOWN}, **diff("a", "b"))

    assert pending(event, **{operation: 1}) == (
        resource(QUEUE, operation, ("a", "1", "2"), ("b", None, "known after the update")),
    )


def test_what_the_next_update_only_undoes_is_drift_not_pending() -> None:
    drift, changes = read_events(
        [
            refreshed(QUEUE, {"a": 1}, {"a": 2}, **diff("a")),
            planned("update", QUEUE, {"a": 2}, {"a": 1}, **diff("a")),
            refreshed(TABLE, {"a": 1}, None),
            planned("create", TABLE, None, {"a": 1}),
        ],
        {OpType.UPDATE: 1, OpType.CREATE: 1},
    )

    assert [each.urn for each in drift] == sorted([QUEUE, TABLE])
    assert not changes


BESIDES = {
    "another property": planned("update", QUEUE, {"a": 2, "b": 1}, {"a": 1, "b": 3}, **diff("a", "b")),
    "another value": planned("update", QUEUE, {"a": 2}, {"a": 3}, **diff("a")),
    "no named property": planned("update", QUEUE, {"a": 2}, {"a": 1}),
    "a replacement": planned("replace", QUEUE, {"a": 2}, {"a": 1}, **diff("a")),
    "a deletion": planned("delete", QUEUE, {"a": 2}, None),
}


@pytest.mark.parametrize("name", BESIDES)
def test_what_the_next_update_changes_beyond_the_drift_is_pending(name: str) -> None:
    event = BESIDES[name]

    drift, changes = read_events([refreshed(QUEUE, {"a": 1}, {"a": 2}, **diff("a")), event], NOTHING_COUNTED)

    assert drift == (resource(QUEUE, "changed", ("a", "2", "1")),)
    assert [change.urn for change in changes] == [QUEUE]


def test_a_deleted_resource_that_comes_back_changed_is_pending() -> None:
    drift, changes = read_events(
        [refreshed(QUEUE, {"a": 1}, None), planned("create", QUEUE, None, {"a": 2})], NOTHING_COUNTED
    )

    assert drift == (resource(QUEUE, "deleted"),)
    assert changes == (resource(QUEUE, "create"),)


def test_an_imported_resource_has_no_properties() -> None:
    event = planned("import", QUEUE, None, {"a": 1}, **diff("a"))

    assert pending(event) == (resource(QUEUE, "import"),)


def test_lost_events_are_not_mistaken_for_no_changes() -> None:
    with pytest.raises(EventsLostError, match=r"^the engine counts 2 resources to update, but its events report 1$"):
        read_events([planned("update", QUEUE, {"a": 1}, {"a": 2}, **diff("a"))], {OpType.UPDATE: 2, OpType.SAME: 9})


def test_lost_events_are_not_mistaken_for_no_drift() -> None:
    with pytest.raises(EventsLostError, match=r"^the engine refreshed 1 resources, but its events do not report their"):
        read_events([planned("refresh", QUEUE, {"a": 1}, None)], NOTHING_COUNTED)


def test_more_events_than_the_engine_counts_are_accepted() -> None:
    assert pending(planned("import", QUEUE, None, {"a": 1}), update=0)
