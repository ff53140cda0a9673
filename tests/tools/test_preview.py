"""Tests of previews with refresh: drift, pending changes, values, notes, and errors of the Pulumi CLI."""

from pathlib import Path
from typing import Any

import pytest

from tests.stand_in_pulumi import StandInPulumi, entry, step
from tools import preview
from tools.preview import Preview, PreviewError, Property, preview_stack

OLD, NEW = {"delaySeconds": 5}, {"delaySeconds": 9}
DRIFT = step("refresh", OLD, NEW, "delaySeconds")
SECRET = {preview.SIGNATURE: preview.SECRET, "ciphertext": "AAA"}
FILE = {preview.SIGNATURE: "0def7320c3a5731c473e5ecbe6d01bc7", "hash": "1a2b", "path": "/home/me/processor.zip"}


@pytest.fixture(name="cli", autouse=True)
def fixture_cli(monkeypatch: pytest.MonkeyPatch) -> StandInPulumi:
    """Stand-ins for the Pulumi CLI and for building the bundle."""
    monkeypatch.setattr(preview, "build_bundle", lambda stack: print(f"the bundle of {stack}"))
    return StandInPulumi(monkeypatch)


def previewed(cli: StandInPulumi, *events: dict[str, Any], **counts: int) -> Preview:
    """Preview a stack with the given events and change counts from the Pulumi CLI."""
    cli.events = [*events, {"sequence": 2, "summaryEvent": {"resourceChanges": counts}}]
    return preview_stack("dev")


def pending(cli: StandInPulumi, *events: dict[str, Any]) -> list[tuple[str, str]]:
    return [(change.name, change.operation) for change in previewed(cli, *events).pending]


def test_recorded_events_are_read_and_nothing_is_changed_or_decrypted(
    cli: StandInPulumi, capsys: pytest.CaptureFixture[str]
) -> None:
    found = preview_stack("dev", plan=Path("dev.plan.json"))

    assert [
        (change.name, change.operation, [(each.path, each.found, each.expected) for each in change.properties])
        for change in found.drift
    ] == [
        ("topic", "deleted", []),
        ("function-logs", "changed", [("retentionInDays", "30", "7")]),
        ("function", "changed", [("memorySize", "1024", "768")]),
    ]
    unknown = '"[known after the deployment]"'
    waiting = [(change.name, [(each.path, each.expected) for each in change.properties]) for change in found.pending]
    assert {change.operation for change in found.pending} == {"update"}
    assert waiting == [
        ("topic-policy", [("arn", unknown), ("policy", unknown)]),
        ("function-live", [("functionVersion", unknown)]),
        ("function-event-source", [("batchSize", "5")]),
        ("function", [("environment.variables.TOPIC_ARN", None), ("memorySize", "640")]),
    ]
    assert (found.outputs, found.is_deployed, found.notes) == ({"url": "https://x"}, True, ())
    assert cli.calls == [
        "stack export --stack dev",
        "stack history --json --page-size 1 --page 1 --stack dev",
        "preview --color never --refresh --save-plan dev.plan.json --exec-kind auto.local --stack dev",
    ]
    # Standard output is reserved for `validate --format json`.
    assert capsys.readouterr() == ("", "the bundle of dev\n")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([step("update", NEW, OLD, "delaySeconds")], []),
        ([step("update", NEW, {"delaySeconds": 7}, "delaySeconds")], [("queue", "update")]),
        ([step("update", NEW, OLD | {"fifo": True}, "delaySeconds", "fifo")], [("queue", "update")]),
        ([step("update", NEW, NEW)], [("queue", "update")]),
        ([step("replace", NEW, OLD, "delaySeconds")], [("queue", "replace")]),
        ([step("update", NEW, OLD, "delaySeconds", name="other")], [("other", "update")]),
        # Of a replacement's steps, only `replace` counts.
        (
            [step(operation, NEW, OLD) for operation in ("create-replacement", "replace", "delete-replaced", "same")],
            [("queue", "replace")],
        ),
        # A resource that an earlier replacement left behind is deleted alongside the update.
        ([step("delete", NEW, None), step("update", NEW, OLD, "delaySeconds")], [("queue", "delete")]),
        ([step("update", NEW, OLD, name="other", provider="")], []),
    ],
)
def test_a_step_is_pending_unless_it_only_undoes_the_drift(
    cli: StandInPulumi, events: list[dict[str, Any]], expected: list[tuple[str, str]]
) -> None:
    assert pending(cli, DRIFT, *events) == expected


def test_recreating_a_resource_deleted_outside_pulumi_is_not_pending(cli: StandInPulumi) -> None:
    assert pending(cli, step("refresh", OLD, None), step("create", None, NEW)) == []
    assert pending(cli, step("refresh", OLD, OLD), step("create", None, NEW)) == [("queue", "create")]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("delaySeconds", 5, "5"),
        ("tags.team", {"team": "a"}, '"a"'),
        ('tags["cost.center"]', {"cost.center": "a"}, '"a"'),
        ("indexes[1].name", [{"name": "a"}, {"name": "b"}], '"b"'),
        ("indexes[2].name", [{"name": "a"}], None),
        ("tags.team", None, None),
        ("password", SECRET, '"[secret]"'),
        ("code", FILE, '"[file]"'),
        ("users", [{"password": SECRET}], '[{"password": "[secret]"}]'),
    ],
)
def test_a_property_has_the_value_at_its_path(
    cli: StandInPulumi, path: str, value: object, expected: str | None
) -> None:
    name = path.partition(".")[0].partition("[")[0]

    (change,) = previewed(cli, step("refresh", OLD, {name: value}, path)).drift

    assert change.properties[0].found == expected


def test_a_refresh_compares_outputs_and_an_update_compares_inputs(cli: StandInPulumi) -> None:
    events = step("refresh", OLD, OLD, "delaySeconds"), step("update", OLD, NEW, "delaySeconds")
    for event in events:
        next(iter(event[key] for key in event if key != "sequence"))["metadata"]["new"]["outputs"] = {"delaySeconds": 1}

    found = previewed(cli, *events)

    assert found.drift[0].properties == (Property(path="delaySeconds", found="1", expected="5"),)
    assert found.pending[0].properties == (Property(path="delaySeconds", found="5", expected="9"),)


@pytest.mark.parametrize("operation", ["refresh", "update"])
def test_missing_events_are_an_error(cli: StandInPulumi, operation: str) -> None:
    begun = step("update", OLD, NEW)
    begun["resourcePreEvent"]["metadata"]["op"] = operation

    with pytest.raises(PreviewError, match="fewer changes than it counts"):
        previewed(cli, begun, **({"update": 2} if operation == "update" else {}))


def test_interrupted_operations_and_a_failed_update_are_noted(cli: StandInPulumi) -> None:
    cli.state["pending_operations"] = [{"type": "creating", "resource": {"urn": "urn:pulumi:dev::orders::t:T::topic"}}]
    cli.history = [entry("failed")]

    assert previewed(cli).notes == (
        "interrupted while creating topic; resolve the pending operation: `pulumi refresh --stack dev` in a terminal",
        "the last update failed: dev may be a mix of two versions until the next deployment",
    )


@pytest.mark.parametrize("state", [None, {"resources": None}, {"resources": []}])
def test_a_stack_without_resources_is_not_deployed_and_can_be_planned(
    cli: StandInPulumi, state: dict[str, Any] | None
) -> None:
    cli.state = state  # ty: ignore[invalid-assignment] # the state of a new stack

    found = previewed(cli, step("create", None, NEW), create=1)

    assert (found.is_deployed, found.drift, found.outputs) == (False, (), {})
    assert [change.operation for change in found.pending] == ["create"]


def test_a_stack_missing_from_the_backend_cannot_be_planned(cli: StandInPulumi) -> None:
    cli.failures["stack export"] = "error: no stack named 'dev' found"
    reason = "the backend has no stack dev; the task `pulumi-create-stack` creates it"

    assert preview_stack("dev") == Preview((), (), {}, is_deployed=False, notes=(reason,))
    with pytest.raises(PreviewError, match=reason):
        preview_stack("dev", plan=Path("dev.plan.json"))


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (
            "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end",
            "dev is locked by a deployment; if that was killed, `pulumi cancel --stack dev` unlocks it",
        ),
        (
            "error: getting stack configuration: get stack secrets manager: incorrect passphrase\nmore",
            "getting stack configuration: get stack secrets manager: incorrect passphrase",
        ),
        ("Diagnostics:\n  queue:\n    error: \n      bad \x1b[31mname", "bad \\x1b[31mname"),
    ],
)
def test_a_pulumi_cli_error_is_shortened_to_one_line_and_printed_in_full(
    cli: StandInPulumi, capsys: pytest.CaptureFixture[str], failure: str, expected: str
) -> None:
    cli.failures["preview"] = failure

    with pytest.raises(PreviewError) as raised:
        preview_stack("dev")

    assert str(raised.value) == expected
    assert failure in capsys.readouterr().err


def test_variables_are_the_whole_environment_of_the_pulumi_cli(
    cli: StandInPulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")

    preview_stack("dev", variables={"AWS_REGION": "us-east-1"})

    assert ("AWS_PROFILE" in cli.variables, cli.variables["AWS_REGION"]) == (False, "us-east-1")
    preview_stack("dev")
    assert cli.variables["AWS_PROFILE"] == "mine"
