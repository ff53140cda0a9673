"""Tests of the findings of ``validate --live``, with stubbed previews."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.validate.folder import ProjectFolder
from tools.preview import Change, Preview, PreviewError, Property
from tools.pulumi_cli import exports
from tools.validate import live
from tools.validate.report import Report

ADDRESS = "http://127.0.0.1:5000"
OUTPUTS = {name: "x" for name, _ in exports()}
DIFFERENT = (Property(path="tags.Team", found='"a"', expected=None), Property(path="delay", found=None, expected="5"))
IGNORED = 'type = "aws:sqs/queue:Queue", property = "tags"'


def change(operation: Any, *properties: Property) -> Change:
    urn = "urn:pulumi:dev::orders::aws:sqs/queue:Queue::queue"
    return Change(urn=urn, name="queue", type="aws:sqs/queue:Queue", operation=operation, properties=properties)


def preview(
    *, drift: tuple[Change, ...] = (), pending: tuple[Change, ...] = (), outputs: Mapping[str, object] = OUTPUTS
) -> Preview:
    return Preview(drift=drift, pending=pending, outputs=outputs, is_deployed=True, notes=())


@pytest.fixture(name="previewed")
def fixture_previewed(folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    """A function that runs ``validate --live`` with a given preview or exception for each stack."""

    def validate(**previews: Preview | BaseException) -> Report:
        def preview_stack(stack: str, *, variables: Mapping[str, str] | None = None) -> Preview:
            assert (variables or {}).get("AWS_ENDPOINT_URL") == (ADDRESS if stack == "local" else None)
            result = previews[stack]
            if isinstance(result, BaseException):
                raise result
            return result

        monkeypatch.setattr(live, "preview_stack", preview_stack)
        return folder.validate(*previews, live=True)

    return validate


def test_deployed_stacks_without_differences_have_no_findings(previewed: Callable[..., Report]) -> None:
    report = previewed(dev=preview(), prod=preview())

    assert (report.deployments, report.findings) == ({"dev": "deployed", "prod": "deployed"}, ())


def test_ignored_drift_has_no_finding(folder: ProjectFolder, previewed: Callable[..., Report]) -> None:
    folder.replace("policies.toml", 'type = "aws:dynamodb/table:Table", property = "warmThroughput"', IGNORED)

    assert previewed(dev=preview(drift=(change("changed", DIFFERENT[0]),))).findings == ()


@pytest.mark.parametrize(
    ("found", "rule", "message"),
    [
        (
            preview(drift=(change("changed", *DIFFERENT),)),
            "drift",
            (
                'this aws:sqs/queue:Queue was changed outside Pulumi: tags.Team: expected nothing, got "a"; '
                "delay: expected 5, got nothing"
            ),
        ),
        (preview(drift=(change("deleted"),)), "drift", "this aws:sqs/queue:Queue was deleted outside Pulumi"),
        (
            preview(pending=(change("update", *DIFFERENT[1:]),)),
            "pending-change",
            "the next deployment would update this aws:sqs/queue:Queue: delay: expected 5, got nothing",
        ),
    ],
)
def test_drift_and_pending_changes_are_errors(
    previewed: Callable[..., Report], found: Preview, rule: str, message: str
) -> None:
    report = previewed(dev=found)

    (finding,) = report.findings
    assert (finding.rule, finding.key, finding.message) == (rule, "queue", message)
    assert (finding.severity, finding.file, finding.stacks) == ("error", "Pulumi.dev.yaml", ("dev",))
    assert report.deployments == {"dev": "deployed"}


def test_missing_and_empty_outputs_are_errors(previewed: Callable[..., Report]) -> None:
    missing, empty, *_ = OUTPUTS
    outputs = OUTPUTS | {empty: ""}
    del outputs[missing]

    findings = previewed(dev=preview(outputs=outputs)).findings

    message = "the deployed stack has no such output; deploy it again"
    assert {(each.rule, each.key, each.message) for each in findings} == {
        ("missing-output", name, message) for name in (missing, empty)
    }


@pytest.mark.parametrize(("is_deployed", "state"), [(True, "deployed"), (False, "not-deployed")])
def test_notes_are_warnings(previewed: Callable[..., Report], is_deployed: bool, state: str) -> None:
    report = previewed(dev=Preview((), (), OUTPUTS if is_deployed else {}, is_deployed, ("the last update failed",)))

    (finding,) = report.findings
    assert (finding.rule, finding.severity, finding.message) == ("deployment", "warning", "the last update failed")
    assert (report.deployments, report.status) == ({"dev": state}, 0)


@pytest.mark.parametrize("error", [PreviewError("locked"), SystemExit("locked")])
def test_stack_that_cannot_be_read_is_reported_and_others_are_checked(
    previewed: Callable[..., Report], error: BaseException
) -> None:
    report = previewed(dev=error, prod=preview())

    (finding,) = report.findings
    assert (finding.rule, finding.message) == ("unreadable-stack", "the deployed stack cannot be read: locked")
    assert (report.deployments, report.status) == ({"dev": "unreadable", "prod": "deployed"}, 2)


@pytest.mark.parametrize(("address", "state"), [(ADDRESS, "deployed"), (None, "not-deployed")])
def test_local_stack_is_read_from_the_running_emulator(
    previewed: Callable[..., Report], monkeypatch: pytest.MonkeyPatch, address: str | None, state: str
) -> None:
    monkeypatch.setattr(live, "find_emulator", lambda: address)

    report = previewed(local=preview())

    assert (report.deployments, report.findings) == ({"local": state}, ())
